"""The runs of one row: which of them count, and on which images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from bench.figures.aggregate import PerImage, common_ids, over_seeds, per_image, worst_case
from bench.figures.runs import CLEAN, ROBUST, Run
from leaderboards.classes import NULL, attack_class, fills, required_of
from leaderboards.entries import filled, followed


class Group:
    """The runs of one row; all its figures are computed on the same images, draws and seeds.

    The images are those that every attack of a required class was made on. A run counts if it has the row's number of draws,
    one of the row's seeds, and all of the row's images.

    Arguments:
        runs: All runs of one defense, classifier, score model and number of draws.
        required: Classes of attacks that a row needs to be ranked.
    """

    def __init__(self, runs: list[Run], required: tuple[str, ...]) -> None:
        self.runs, self.spec, self.draws = runs, runs[0].spec, runs[0].spec.draws
        differentiable = all(run.header.checks.differentiable for run in runs)
        self.required = required_of(self.spec, required, differentiable=differentiable)
        self._own: dict[int, list[Run]] = defaultdict(list)
        for run in runs:
            if run.spec.draws == self.draws:
                self._own[run.spec.seed].append(run)
        lead = max(sorted(self._own), key=self._strength)
        self.ids, self.overlap = self._common(lead)
        attacks = self._attacks(lead, self.ids)
        self.seeds = [seed for seed in sorted(self._own) if seed == lead or self._as_strong(seed, lead, attacks)]
        self.counted = [
            run
            for seed in self.seeds
            for run in self._own[seed]
            if covers(run, self.ids) and (run.header.labels.attack in attacks or attack_class(run.spec) == NULL)
        ]

    def _strength(self, seed: int) -> tuple[int, int, int]:
        """The seed that faced the most required classes leads, then the most attacks, then the most images."""
        ids, overlap = self._common(seed)
        return len(self._faced(seed)), len(self._attacks(seed, ids)), len(ids) * overlap

    def _as_strong(self, seed: int, lead: int, attacks: set[str]) -> bool:
        """Whether a seed faced the lead's attacks on the lead's images, so that a mean over seeds is of the same attacks."""
        complete = self._faced(lead) >= set(self.required)
        own, overlap = self._common(seed)
        same_images = overlap and self.overlap and bool(np.isin(self.ids, own).all())
        return complete and same_images and self._attacks(seed, self.ids) >= attacks

    def _faced(self, seed: int) -> set[str]:
        return set().union(*map(filled, self._own[seed])) & set(self.required)

    def _attacks(self, seed: int, ids: np.ndarray) -> set[str]:
        """The attacks of a seed on all of these images; not the null attack, which every run makes on the side."""
        runs = [run for run in self._own[seed] if covers(run, ids) and attack_class(run.spec) != NULL]
        return {run.header.labels.attack for run in runs}

    def _common(self, seed: int) -> tuple[np.ndarray, bool]:
        """The images of all required attacks of a seed; those of the largest of them, and False, if they share none."""
        own = self._own[seed]
        asked = [run for run in own if filled(run) & set(self.required)] or own
        ids = common_ids([per_image(run) for run in asked])
        return (ids, True) if len(ids) else (max(asked, key=len).ids, False)

    @property
    def lost(self) -> set[str]:
        """The classes that are not filled only because the attack lacked finite gradients."""
        return set().union(*(fills(run.spec) for run in self.of_seeds() if not followed(run)))

    def of_seeds(self) -> list[Run]:
        """The runs of the row's seeds, on any images and with any number of draws."""
        return [run for run in self.runs if run.spec.seed in self.seeds]

    def apart(self) -> list[Run]:
        """The runs of the row's seeds that do not count: on other images, or of another number of draws."""
        return [run for run in self.of_seeds() if run not in self.counted]

    def worst(self) -> tuple[PerImage, PerImage, float]:
        """The worst case over all attacks; the image itself, which lies in the ball, is one of them."""
        return over_attacks([part for which in (ROBUST, CLEAN) for part in shares_of(self.counted, which)], self.ids)


def covers(run: Run, ids: np.ndarray) -> bool:
    """Whether a run has all of these images."""
    return np.array_equal(run.ids, ids) or bool(np.isin(ids, run.ids).all())


def shares_of(runs: Iterable[Run], which: str = ROBUST) -> list[tuple[int, PerImage]]:
    """The seed of each run, and its images' shares of right draws."""
    return [(run.spec.seed, per_image(run, which)) for run in runs]


def together(parts: Sequence[tuple[int, PerImage]]) -> PerImage:
    """The worst attack of each image, averaged over seeds, on the images that all attacks have; of the largest attack if none."""
    ids = common_ids([part for _, part in parts])
    kept = parts if len(ids) else [max(parts, key=lambda part: len(part[1]))]
    return over_attacks(kept, ids if len(ids) else kept[0][1].ids)[0]


def over_attacks(parts: Sequence[tuple[int, PerImage]], ids: np.ndarray) -> tuple[PerImage, PerImage, float]:
    """The worst attack of each image and seed, combined over seeds: mean, worst and standard deviation.

    Arguments:
        parts: The seed of each attack, and its images' shares; at least one.
        ids: Images that all attacks have.
    """
    by_seed: dict[int, list[PerImage]] = defaultdict(list)
    for seed, part in parts:
        by_seed[seed].append(part)
    return over_seeds([worst_case(group, ids) for group in by_seed.values()])
