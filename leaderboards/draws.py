"""Figures of a stochastic defense under each rule over draws, beside those of the unchanged images under the same rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.figures.aggregate import PerImage, survival
from bench.figures.rules import RULES, by_rule
from bench.figures.runs import CLEAN, ROBUST, Run
from bench.stats.intervals import Interval, mean_share
from leaderboards.classes import KNOWN, NULL, attack_class
from leaderboards.groups import Group

FRESH, KNOWN_DRAWS = RULES, "known"


@dataclass(frozen=True)
class DrawFigures:
    """Clean and robust accuracy of a stochastic defense under each rule over draws.

    Arguments:
        rules: `mean`, `worst` and `majority` of the scored draws under attacks that do not know them, and `known`: the mean under
            attacks that do. Each has `clean` and `robust`. A rule without attacks is left out.
        any_fail: `clean` and `robust` accuracy if an image is submitted N times and one failure counts, for N = 1, which is the
            mean, to the number of draws, which is the worst.
    """

    rules: dict[str, dict[str, Interval]]
    any_fail: dict[str, list[float]]


def draw_figures(group: Group) -> DrawFigures:
    """The figures of the runs of a row, on the row's images."""
    kinds = [attack_class(run.spec) for run in group.counted]
    fresh = [run for run, kind in zip(group.counted, kinds, strict=True) if kind not in (KNOWN, NULL)]
    known = [run for run, kind in zip(group.counted, kinds, strict=True) if kind == KNOWN]
    rules: dict[str, dict[str, Interval]] = {}
    curves: dict[str, list[float]] = {}
    for name, values in _worst(group, fresh).items():
        columns = {"mean": values[:, 0], "worst": values[:, -2], "majority": values[:, -1]}
        for rule in FRESH:
            rules.setdefault(rule, {})[name] = mean_share(columns[rule])
        curves[name] = values[:, :-1].mean(axis=0).tolist()
    for name, values in _worst(group, known).items():
        rules.setdefault(KNOWN_DRAWS, {})[name] = mean_share(values[:, 0])
    return DrawFigures(rules, curves)


def _worst(group: Group, runs: Sequence[Run]) -> dict[str, np.ndarray]:
    """The columns of the unchanged images, and of the worst attack or none of each image, averaged over seeds; empty if no run."""
    if not runs:
        return {}
    clean, attacked = ([_columns(run, which, group.ids) for run in runs] for which in (CLEAN, ROBUST))
    seeds = [run.spec.seed for run in runs]
    return {"clean": _over_seeds(clean, seeds), "robust": _over_seeds([*attacked, *clean], [*seeds, *seeds])}


def _columns(run: Run, which: str, ids: np.ndarray) -> np.ndarray:
    """Chance of each image that none of 1, ..., k submissions fails, and whether the majority of draws is right: `(n, k + 1)`."""
    places = PerImage(run.ids, np.arange(len(run))).on(ids).astype(np.int64)
    right = run.hits(which)[places]
    majority = by_rule(getattr(run, which)[places], run.labels[places])["majority"]
    return np.column_stack([survival((~right).sum(axis=1), right.shape[1]), majority])


def _over_seeds(tables: Sequence[np.ndarray], seeds: Sequence[int]) -> np.ndarray:
    """The smallest value of each seed, averaged over seeds."""
    of_seed = [
        np.min([table for table, own in zip(tables, seeds, strict=True) if own == seed], axis=0)
        for seed in dict.fromkeys(seeds)
    ]
    return np.mean(of_seed, axis=0)
