"""Symbolic links out of a record's folder are refused."""

from __future__ import annotations

from pathlib import Path

from bench.errors import UserError


def check_links(path: Path) -> None:
    """Raises `UserError` if a file of a record is a symbolic link out of its folder."""
    if (path / "adversarial").is_symlink():
        check_inside(path / "adversarial", path.resolve())
    for file in (*path.glob("*"), *path.glob("adversarial/*")):
        if file.is_symlink():
            check_inside(file, path.resolve())


def check_inside(path: Path, root: Path) -> None:
    """Raises `UserError` if a path leads out of the folder `root`, which is already resolved."""
    if not path.resolve().is_relative_to(root):
        raise UserError("link-leads-out", root=root, path=path)
