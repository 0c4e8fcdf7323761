"""The page: one self-contained file with every board, chart and run."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import bench
from leaderboards.boards import Board
from leaderboards.page.data import page_data
from leaderboards.page.pictures import Pictures

STYLES = ("style.css", "table.css", "run.css")
SCRIPTS = ("format.js", "table.js", "charts.js", "curves.js", "run.js", "app.js")


def as_html(boards: Sequence[Board], *, images: int = 8, purifier: Callable[..., Any] | None = None) -> str:
    """The page as text; it needs no network.

    Arguments:
        boards: The boards to show.
        images: The number of images shown for each run that stores images.
        purifier: A function from a run and its evidence to the purified clean and adversarial images; None shows none.
    """
    data = page_data(boards, Pictures(images, purifier)) | {"version": bench.__version__}
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    parts = {"/*style*/": _joined(STYLES), "/*script*/": _joined(SCRIPTS), "/*data*/": text}
    page = _file("template.html")
    for mark, content in parts.items():
        before, _, after = page.partition(mark)
        page = before + content + after
    return page


def _joined(names: Sequence[str]) -> str:
    return "\n".join(map(_file, names))


def _file(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8").rstrip("\n")
