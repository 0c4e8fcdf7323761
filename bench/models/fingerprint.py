"""The hash of a network's weights: tensors of any kind, and any other state of its layers."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

DEEPEST = 8
"""Levels of nested objects that are hashed."""


def fingerprint(model: object) -> str | None:
    """Hash of a network's state: names, types, shapes and bytes of its tensors; None for an object that is no network."""
    if not isinstance(model, nn.Module):
        return None
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        for part in parts_of(name, value):
            digest.update(part)
    return digest.hexdigest()


def parts_of(name: str, value: Any, depth: int = DEEPEST) -> Iterator[Any]:
    """The bytes of one value of a state: a plain tensor itself, or the kind and the parts of any other value."""
    if isinstance(value, Tensor):
        inner = _pieces(value)
        if not inner:
            yield f"{name}{value.dtype}{tuple(value.shape)}".encode()
            yield _bytes(value)
            return
        # the ragged dimension of a nested tensor has another name in each process
        shape = "" if value.is_nested else tuple(value.shape)
        kind = f"{type(value).__name__}{value.dtype}{value.layout}{shape}"
    else:
        kind, inner = _described(value)
    yield f"{name}<{kind}>".encode()
    if depth:
        for key, piece in inner.items():
            yield from parts_of(f"{name}.{key}", piece, depth - 1)


def _bytes(tensor: Tensor) -> Any:
    """The bytes of a dense tensor in row-major order, also for types that NumPy lacks."""
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    return plain.flatten().view(torch.uint8).numpy()


def _pieces(tensor: Tensor) -> dict[str, Any]:
    """The dense tensors inside a sparse, quantised, nested or wrapping tensor; none for a dense one."""
    if hasattr(tensor, "__tensor_flatten__"):  # a subclass that wraps tensors, as in quantisation packages
        return {name: getattr(tensor, name) for name in tensor.__tensor_flatten__()[0]}
    if tensor.is_quantized:
        return {"integers": tensor.int_repr(), "values": tensor.dequantize()}
    if tensor.is_nested:
        return dict(enumerate(tensor.unbind()))  # type: ignore[arg-type]
    if tensor.layout is torch.sparse_coo:
        whole = tensor.detach().coalesce()
        return {"indices": whole.indices(), "values": whole.values()}
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return {"rows": tensor.crow_indices(), "columns": tensor.col_indices(), "values": tensor.values()}
    if tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        return {"columns": tensor.ccol_indices(), "rows": tensor.row_indices(), "values": tensor.values()}
    return {} if tensor.layout is torch.strided else {"dense": tensor.to_dense()}


def _described(value: Any) -> tuple[str, dict[Any, Any]]:
    """The kind and the parts of a value that is no tensor; never its address, which differs between processes."""
    kind = type(value).__name__
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | torch.dtype | torch.Size):
        return f"{kind} {value!r}", {}
    if isinstance(value, np.ndarray | np.generic) and value.dtype != object:
        return f"{value.dtype}{value.shape}{value.tobytes().hex()}", {}
    if isinstance(value, io.BytesIO):
        return f"{kind} {value.getvalue().hex()}", {}
    if isinstance(value, Mapping):
        return kind, {repr(key): value[key] for key in sorted(value, key=repr)}
    if isinstance(value, set | frozenset):
        return kind, dict(enumerate(sorted(value, key=repr)))
    if isinstance(value, list | tuple):
        return kind, dict(enumerate(value))
    return kind, {"state": _state(value)}


def _state(value: Any) -> Any:
    """The state that an object would be pickled as, such as packed weights of a quantised layer; None without one."""
    try:
        return value.__getstate__()
    except Exception:  # foreign code, which may raise anything
        return getattr(value, "__dict__", None)
