"""Examines the installation, and says how to repair it."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import TypedDict

from bench.errors import UserError
from bench.registry.extras import EXTRAS
from bench.registry.packages import foreign_package

PACKAGES = (
    "purebench",
    "torch",
    "torchvision",
    "pyautoattack",
    "robustbench",
    "pandas",
    "scipy",
    "pydantic",
    "safetensors",
)


class Finding(TypedDict):
    """The result of one examination: status `ok`, `note` or `FAIL`, and advice."""

    name: str
    status: str
    detail: str
    advice: str


def examine() -> list[Finding]:
    """All findings, with failures; nothing is changed."""
    return [
        _python(),
        *_packages(),
        *_extras(),
        _own_packages(),
        _robustbench(),
        _device(),
        _data(),
        *_weights(),
        *_caches(),
    ]


def _finding(name: str, detail: str, *, status: str = "ok", advice: str = "") -> Finding:
    return {"name": name, "status": status, "detail": detail, "advice": advice}


def _python() -> Finding:
    return _finding("python", f"{platform.python_version()} on {platform.platform()}")


def _packages() -> list[Finding]:
    findings = []
    for name in PACKAGES:
        try:
            findings.append(_finding(name, version(name)))
        except PackageNotFoundError:
            findings.append(_finding(name, "not installed", status="FAIL", advice="pip install purebench"))
    return findings


def _extras() -> list[Finding]:
    findings = []
    for name, extra in EXTRAS.items():
        try:
            findings.append(_finding(name, version(name)))
        except PackageNotFoundError:
            advice = f'pip install "purebench[{extra}]"'
            findings.append(_finding(name, "not installed (optional)", status="note", advice=advice))
    return findings


def _own_packages() -> Finding:
    problem = foreign_package()
    return _finding(
        "packages",
        problem or "bench, defenses, attacks and leaderboards are purebench's own",
        status="FAIL" if problem else "ok",
    )


def _robustbench() -> Finding:
    """Compares robustbench with its wheel: torchattacks installs an old `robustbench` over it if it is installed later."""
    try:
        installed = distribution("robustbench")
    except PackageNotFoundError:
        return _finding("robustbench files", "not installed", status="FAIL", advice="pip install robustbench")
    changed = [
        str(file)
        for file in installed.files or []
        if file.suffix == ".py" and file.hash and not _intact(Path(str(installed.locate_file(file))), file.hash.value)
    ]
    if changed:
        return _finding(
            "robustbench files",
            f"{len(changed)} files belong to another package, such as {changed[0]}",
            status="FAIL",
            advice="pip install --force-reinstall --no-deps robustbench",
        )
    return _finding("robustbench files", "as its wheel lists them")


def _intact(file: Path, expected: str) -> bool:
    import base64
    import hashlib

    if not file.exists():
        return False
    return base64.urlsafe_b64encode(hashlib.sha256(file.read_bytes()).digest()).rstrip(b"=").decode() == expected


def _device() -> Finding:
    import torch

    if torch.cuda.is_available():
        return _finding("device", f"cuda: {torch.cuda.get_device_name()}")
    if torch.backends.mps.is_available():
        return _finding("device", "mps")
    return _finding(
        "device",
        f"cpu, {torch.get_num_threads()} threads",
        status="note",
        advice="a GPU is optional; --device auto uses one if there is one",
    )


def _data() -> Finding:
    from bench.data.fashion_mnist import fashion_mnist

    try:
        dataset = fashion_mnist()
    except UserError as error:
        return _finding("fashion-mnist", str(error), status="FAIL")
    return _finding("fashion-mnist", f"{len(dataset)} test images, sha256 {dataset.sha256[:12]}")


def _weights() -> list[Finding]:
    from bench.models.weights import EMBEDDED, read_card, read_weights

    findings = []
    for path in sorted(EMBEDDED.glob("*.safetensors")):
        try:
            read_weights(path)
        except UserError as error:
            findings.append(_finding(path.stem, str(error), status="FAIL"))
        else:
            card = read_card(path)
            findings.append(_finding(path.stem, f"{card['parameters']:,} parameters, sha256 {card['sha256'][:12]}"))
    return findings


def _caches() -> list[Finding]:
    """The folders of downloads, and their sizes."""
    import torch

    from bench.files.download import cache_folder

    hub = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser() / "hub"
    folders = {"data cache": cache_folder(None), "torch cache": Path(torch.hub.get_dir()), "hub cache": hub}
    return [_finding(name, _contents(folder), advice=_parts(folder)) for name, folder in folders.items()]


def _contents(folder: Path) -> str:
    sizes = [file.lstat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink()]
    return f"{folder}: {len(sizes)} files, {sum(sizes) / 1e6:.0f} MB"


def _parts(folder: Path) -> str:
    broken = [file for pattern in ("*.part", "*.incomplete") for file in folder.rglob(pattern)]
    if not broken:
        return ""
    return f"{len(broken)} incomplete downloads in it; repeat the command that started them, or remove them"
