"""The page: one self-contained file with every board, chart, run and stored image."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import bench
from leaderboards.boards import Board
from leaderboards.page.data import page_data
from leaderboards.page.evidence import Evidences

STYLES = ("page", "table", "views")
MODULES = (
    "format", "records", "state", "parts", "columns", "table", "charts", "pixels", "images", "run", "compare", "download",
    "board", "app",
)  # fmt: skip
IMPORT = re.compile(r"^import [^;]*;\n|^export ", re.MULTILINE)


def as_html(boards: Sequence[Board], *, images: int | None = None, purifier: Callable[..., Any] | None = None) -> str:
    """The page as text; it needs no network.

    Arguments:
        boards: The boards to show.
        images: The number of images shown for each run that stores images; None fits it to their size.
        purifier: A function from a run and its evidence to the purified clean and adversarial images; None shows none.
    """
    data = page_data(boards, Evidences(images, purifier)) | {"version": bench.__version__}
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    parts = {
        "/*style*/": "\n".join(_file(f"style/{name}.css") for name in STYLES),
        "/*vendor*/": _file("vendor/vendor.min.js"),
        "/*script*/": "\n".join(IMPORT.sub("", _file(f"script/{name}.js")) for name in MODULES),  # all in one scope
        "/*data*/": text,
    }
    page = _file("template.html")
    for mark, content in parts.items():
        before, _, after = page.partition(mark)
        page = before + content + after
    return page


def _file(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8").rstrip("\n")
