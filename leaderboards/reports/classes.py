"""Accuracy of each class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.figures.runs import CLEAN, ROBUST
from bench.stats.intervals import mean_share
from leaderboards.reports.markup import Cell, section, share, table
from leaderboards.reports.subject import Subject

MOST = 30
"""Classes shown; of more, those with the lowest robust accuracy of the first run."""


def per_class(runs: Sequence[Subject]) -> str:
    """A row for each class: its images, its clean and its robust accuracy, of both runs on the images of both."""
    ids = set.intersection(*(set(one.run.ids.tolist()) for one in runs))
    kept = [np.isin(one.run.ids, list(ids)) for one in runs]
    first, labels = runs[0], runs[0].run.labels[kept[0]]
    if not ids or len(np.unique(labels)) < 2:
        return ""
    columns = [(which, one, keep) for which in (CLEAN, ROBUST) for one, keep in zip(runs, kept, strict=True)]
    order = sorted(np.unique(labels).tolist())
    if len(order) > MOST:
        robust = first.run.shares(ROBUST)[kept[0]]
        order = sorted(order, key=lambda label: float(robust[labels == label].mean()))[:MOST]
    rows: list[list[Cell]] = []
    for label in order:
        cells = [
            share(mean_share(one.run.shares(which)[keep & (one.run.labels == label)])) for which, one, keep in columns
        ]
        rows.append([first.class_name(label), int((labels == label).sum()), *cells])
    words = {CLEAN: "clean %", ROBUST: "robust %"}
    head = ["class", "n", *(f"{words[which]} {one.name}".strip() for which, one, _ in columns)]
    note = f"The {MOST} classes with the lowest robust accuracy." if len(np.unique(labels)) > MOST else ""
    return section("Per class", table("Accuracy of each class", head, rows), note=note)
