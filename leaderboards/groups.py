"""The runs of one row: the seeds and images that count, and the figures on them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from bench.figures.aggregate import PerImage, common_ids, over_seeds, per_image, worst_case
from bench.figures.runs import ROBUST, Run
from bench.stats.intervals import Interval, mean_share
from leaderboards.classes import attack_class, fills, required_of
from leaderboards.entries import filled, followed


class Group:
    """The runs of one row, with the seeds that count and the images that faced all required attacks.

    Arguments:
        runs: All runs of one defense, classifier, score model and number of draws.
        required: Classes of attacks that a row needs to be ranked.
    """

    def __init__(self, runs: list[Run], required: tuple[str, ...]) -> None:
        self.runs, self.spec, self.draws = runs, runs[0].spec, runs[0].spec.draws
        differentiable = all(run.header.checks.differentiable for run in runs)
        self.required = required_of(self.spec, required, differentiable=differentiable)
        self.seeds = self._seeds()
        self.counted = [run for run in runs if run.spec.draws == self.draws and run.spec.seed in self.seeds]
        asked = [run for run in self.counted if filled(run) & set(self.required)]
        self.ids = common_ids([per_image(run) for run in asked or self.counted])
        self.overlap = len(self.ids) > 0
        if not self.overlap:
            self.counted = [max(self.counted, key=len)]
            self.seeds, self.ids = [self.counted[0].spec.seed], self.counted[0].ids

    def _seeds(self) -> list[int]:
        """The seeds that count: those that faced all required classes and the same further ones as the most attacked seed.

        So a mean over seeds is a mean over the same attacks. If no seed faced all required classes, the one that faced most
        of them counts.
        """
        faced: dict[int, set[str]] = defaultdict(set)
        classes: dict[int, set[str]] = defaultdict(set)
        for run in self.runs:
            faced[run.spec.seed] |= filled(run)
            classes[run.spec.seed].add(attack_class(run.spec))
        own = sorted({run.spec.seed for run in self.runs if run.spec.draws == self.draws})
        complete = [seed for seed in own if faced[seed] >= set(self.required)]
        if not complete:
            return [max(own, key=lambda seed: (len(faced[seed] & set(self.required)), -seed))]
        most = max((classes[seed] for seed in complete), key=len)
        return [seed for seed in complete if classes[seed] >= most]

    @property
    def lost(self) -> set[str]:
        """The classes that are not filled only because the attack lacked finite gradients."""
        return set().union(*(fills(run.spec) for run in self.counted if not followed(run)))

    def of(self, kind: str) -> list[Run]:
        """The runs of one class of attacks."""
        return [run for run in self.runs if attack_class(run.spec) == kind and run.spec.seed in self.seeds]

    def figures(self, runs: Sequence[Run], which: str = ROBUST) -> tuple[PerImage, PerImage, float]:
        """The worst of some runs per image of the row, combined over seeds: mean, worst and standard deviation.

        Each image counts the runs that include it.
        """
        by_seed = [[per_image(run, which) for run in runs if run.spec.seed == seed] for seed in self.seeds]
        return over_seeds([worst_case(parts, self.ids) for parts in by_seed if parts])

    def interval(self, runs: Sequence[Run]) -> Interval | None:
        """The mean of `figures` with its interval; None if none of the images was attacked."""
        shares = self.figures(runs)[0].shares if runs else np.empty(0)
        return mean_share(shares) if len(shares) else None
