"""Classifiers of RobustBench's zoo, built by its own loader."""

from __future__ import annotations

import difflib
import importlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from torch import nn

from bench.data.dataset import Dataset
from bench.errors import UserError
from bench.files.download import cache_folder
from bench.models.zoo import BOARDS, EPS, SUMMARIES, boards_of
from bench.threat import ThreatModel

LOG = logging.getLogger("bench.robustbench")
SHAPES = {"cifar10": (3, 32, 32), "cifar100": (3, 32, 32), "imagenet": None}
DEFAULT_PREPROCESSING = "Res256Crop224"


def robustbench(
    *,
    name: str,
    data_dir: Path | None = None,
    run_dataset: Dataset | None = None,
    threat: ThreatModel | None = None,
) -> nn.Module:
    """A classifier of RobustBench's zoo: images in [0, 1] to logits, its normalisation inside.

    The checkpoint is `<data_dir>/robustbench/<data set>/<threat>/<name>.pt`, the path of RobustBench's own loader, and is
    downloaded if missing; only tensors are unpickled.

    References:
        RobustBench: a standardized adversarial robustness benchmark (Croce et al., 2021)
        https://arxiv.org/abs/2010.09670

    Arguments:
        name: A model of the zoo, or `DATASET/THREAT/NAME` as in `cifar10/L2/Rice2020Overfitting`.
        data_dir: Folder of checkpoints; None for the platform's cache folder.
        run_dataset: The run's data set, which decides between boards with the same name.
        threat: The run's threat, which does the same.

    Raises:
        UserError: No such model, no such board, a missing or damaged checkpoint, or RobustBench cannot be imported.
    """
    board, model = _resolve(name, run_dataset, threat)
    dataset, kind = board.split("/")
    folder = cache_folder(data_dir) / "robustbench"
    with _importable():
        zoo, load_model = _zoo(), importlib.import_module("robustbench.utils").load_model
        entry = _entry(zoo, dataset, kind, model)
        _fetch(entry, folder / dataset / kind, model)
        network: Any = _load(load_model, model, folder, dataset, kind)
    network.image_shape = SHAPES[dataset]
    network.provenance = _remark(board, entry, run_dataset, threat, standard=model.startswith("Standard"))
    if network.provenance:
        LOG.warning("note: robustbench:%s %s", name, network.provenance)
    return network.eval()


def architecture(dataset: str, kind: str, name: str) -> nn.Module:
    """A network of the zoo with untrained weights.

    Arguments:
        dataset: Its board's data set, such as `cifar10`.
        kind: Its board's threat, such as `Linf`.
        name: A model of that board.

    Raises:
        UserError: No such model, or RobustBench cannot be imported.
    """
    with _importable():
        network: nn.Module = _entry(_zoo(), dataset, kind, name)["model"]()
    return network


def _resolve(model: str, data: Dataset | None, threat: ThreatModel | None) -> tuple[str, str]:
    """Board and name."""
    board, slash, name = model.rpartition("/")
    if slash:
        if board not in BOARDS:
            raise UserError("robustbench-board-unknown", boards=BOARDS, board=board)
        return board, name
    boards = boards_of(model) or [b for b in BOARDS if data is not None and b.startswith(f"{data.name}/")]
    if not boards:
        raise UserError("robustbench-model-unknown", model=model, hint=_hint(model))
    datasets = dict.fromkeys(b.partition("/")[0] for b in boards)
    wanted = next((d for d in datasets if data is not None and data.name.split("-")[0] == d), None)
    if wanted is None and len(datasets) > 1:
        raise UserError("robustbench-model-ambiguous", model=model, boards=boards)
    boards = [b for b in boards if b.startswith(f"{wanted or next(iter(datasets))}/")]
    same = [b for b in boards if threat is not None and b.lower().endswith(f"/{threat.norm}")]
    return (same or boards)[0], model


def _hint(model: str) -> str:
    close = difflib.get_close_matches(model, SUMMARIES, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else "they are listed by: bench list classifiers"


@contextmanager
def _importable() -> Iterator[None]:
    """Makes RobustBench importable and safe to call.

    It imports `autoattack`, which is published as `pyautoattack`: this package gets that name unless the real one is installed.
    It prints to stdout, which belongs to the command's output; before torch 2.6 it would unpickle any object.
    """
    names = ["autoattack", "autoattack.state"]
    forced = os.environ.get("TORCH_FORCE_WEIGHTS_ONLY_LOAD")
    renamed = importlib.util.find_spec("autoattack") is None
    if renamed:
        for name in names:
            sys.modules[name] = importlib.import_module(f"py{name}")
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    try:
        with redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # from imports of its dependencies
            yield
    finally:
        for name in names if renamed else []:
            sys.modules.pop(name, None)
        os.environ.pop("TORCH_FORCE_WEIGHTS_ONLY_LOAD")
        if forced is not None:
            os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = forced


def _zoo() -> Any:
    try:
        return importlib.import_module("robustbench.model_zoo.models").model_dicts
    except ImportError as error:
        raise UserError("robustbench-missing", error=error) from error


def _entry(zoo: Any, dataset: str, kind: str, name: str) -> dict[str, Any]:
    models = {board.value: {k.value: v for k, v in threats.items()} for board, threats in zoo.items()}[dataset]
    if name not in models.get(kind, {}):
        raise UserError("robustbench-model-off-board", model=name, board=f"{dataset}/{kind}", hint=_hint(name))
    return models[kind][name]


def _fetch(entry: dict[str, Any], folder: Path, name: str) -> None:
    """Downloads the missing checkpoints; a later call resumes a broken download."""
    ids = entry.get("gdrive_id")
    files = {f"{name}.pt_m{k}.pt": part for k, part in enumerate(ids)} if isinstance(ids, list) else {f"{name}.pt": ids}
    for file, place in files.items():
        if place is None or place == "" or (folder / file).exists():  # fetched by timm or torchvision, or already there
            continue
        folder.mkdir(parents=True, exist_ok=True)
        try:
            done = importlib.import_module("gdown").download(id=place, output=str(folder / file), resume=True)
        except Exception as error:  # from requests, gdown or the disk
            raise _missing(folder / file, f"{type(error).__name__}: {error}") from error
        if done is None:
            raise _missing(folder / file, "no answer")


def _missing(path: Path, got: str) -> UserError:
    return UserError("robustbench-download", path=path, got=" ".join(got.split())[:200])


def _load(load_model: Any, name: str, folder: Path, dataset: str, kind: str) -> nn.Module:
    try:
        return load_model(name, model_dir=folder, dataset=dataset, threat_model=kind)
    except UserError:
        raise
    except Exception as error:  # foreign code: missing keys, a truncated file, a refused pickle, the network
        raise UserError(
            "robustbench-damaged",
            name=name,
            file=folder / dataset / kind / name,
            kind=type(error).__name__,
            error=" ".join(str(error).split())[:300],
        ) from error


def _remark(
    board: str, entry: dict[str, Any], data: Dataset | None, threat: ThreatModel | None, *, standard: bool
) -> str:
    """A remark if the model is made for another threat, data set or preprocessing than the run's; `standard` fits any threat."""
    dataset, made_for, remarks = board.partition("/")[0], EPS.get(board), []
    if made_for is None:
        remarks.append(f"was made for {board}, not for adversarial images")
    elif threat is not None and str(threat) != made_for and not standard:
        remarks.append(f"was made for {made_for} ({board}), not for {threat}")
    if data is not None and data.name.split("-")[0] != dataset:
        remarks.append(f"was made for {dataset}, and {data.name} is another data set or a part of it")
    wanted = entry.get("preprocessing") or DEFAULT_PREPROCESSING
    if dataset == "imagenet" and data is not None and data.name == "imagenet" and wanted != DEFAULT_PREPROCESSING:
        remarks.append(f"is scored by RobustBench with {wanted}, not with {DEFAULT_PREPROCESSING}")
    return "; it ".join(remarks)
