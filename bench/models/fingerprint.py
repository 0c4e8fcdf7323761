"""The hash of a network's weights, whatever its state holds: tensors of any kind, and what layers keep beside them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

DEEPEST = 8
"""Objects in objects that are looked into."""


def fingerprint(model: object) -> str | None:
    """Hash of a network's architecture-independent state: names, types, shapes and bytes of its tensors; None if it has none."""
    if not isinstance(model, nn.Module):
        return None
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        for part in _parts(name, value):
            digest.update(part)
    return digest.hexdigest()


def _parts(name: str, value: Any, depth: int = DEEPEST) -> Iterator[Any]:
    """Buffers that stand for a value of a state: itself if it is a plain tensor, else its kind and what it is made of."""
    if isinstance(value, Tensor):
        inner = _pieces(value)
        if not inner:
            yield f"{name}{value.dtype}{tuple(value.shape)}".encode()
            yield _bytes(value)
            return
        shape = (
            "" if value.is_nested else tuple(value.shape)
        )  # a nested tensor names its ragged side anew in each process
        kind = f"{type(value).__name__}{value.dtype}{value.layout}{shape}"
    else:
        kind, inner = _opened(value)
    yield f"{name}<{kind}>".encode()
    if depth:
        for key, piece in inner.items():
            yield from _parts(f"{name}.{key}", piece, depth - 1)


def _bytes(tensor: Tensor) -> Any:
    """The bytes of a dense tensor, row by row; of types that NumPy has not, too."""
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    return plain.flatten().view(torch.uint8).numpy()


def _pieces(tensor: Tensor) -> dict[str, Any]:
    """The dense tensors behind a tensor that is not dense or stands for others; none for a dense one."""
    if hasattr(tensor, "__tensor_flatten__"):  # a subclass around others, as quantisation packages make them
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


def _opened(value: Any) -> tuple[str, dict[Any, Any]]:
    """What is no tensor: its kind, or text, and what it holds. Never its address, which changes from process to process."""
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
    """What an object would be pickled as, such as the packed weights of a quantised layer; None if it does not say."""
    try:
        return value.__getstate__()
    except Exception:  # it is other people's, and may raise anything
        return getattr(value, "__dict__", None)
