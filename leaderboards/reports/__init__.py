"""A report of one run or of two: one HTML file for a supplement or a review, without scripts and without the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from bench.compare.compare import compare
from leaderboards.reports.classes import per_class
from leaderboards.reports.images import examples
from leaderboards.reports.margins import margins
from leaderboards.reports.pair import paired
from leaderboards.reports.parts import audit, claims, identity, numbers, redo
from leaderboards.reports.subject import Subject, subject


def as_html(paths: Sequence[Path], *, images: int = 8, purifier: Callable[..., Any] | None = None) -> str:
    """The report of one run, or of two on the images of both.

    Arguments:
        paths: Folders of one or two records.
        images: Number of example images.
        purifier: A function from a run and its evidence to the purified clean and adversarial images, or to None; None makes none.

    Raises:
        UserError: A record is damaged or has no finished images, or two share no images.
    """
    runs = [subject(path, name) for path, name in zip(paths, "AB" if len(paths) > 1 else [""], strict=True)]
    comparison = compare(str(paths[0]), str(paths[1]), runs[0].run.results)[0] if len(runs) > 1 else None
    sections = [
        numbers(runs),
        *([paired(comparison, runs)] if comparison else []),
        per_class(runs),
        margins(runs),
        examples(runs, images, purifier),
        identity(runs),
        *(part(one) for one in runs for part in (claims, audit)),
        redo(runs),
    ]
    title = " against ".join(one.title for one in runs)
    return _page(title, _lead(runs), [section for section in sections if section])


def _lead(runs: Sequence[Subject]) -> str:
    spec, ids = runs[0].run.spec, ", ".join(f"{one.name} {one.run.run_id}".strip() for one in runs)
    images = " and ".join(dict.fromkeys(str(len(one.run)) for one in runs))
    return f"{spec.dataset.name} · {spec.threat} · n = {images} · run {ids}"


def _page(title: str, lead: str, sections: Sequence[str]) -> str:
    style = files("leaderboards.reports").joinpath("style.css").read_text(encoding="utf-8")
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{escape(title)} · purebench report</title>",
            f"<style>\n{style}</style></head><body><main>",
            f"<header><h1>{escape(title)}</h1><p>{escape(lead)}</p></header>",
            *sections,
            "</main></body></html>",
        ]
    )
