"""Runs to rows: one per defense, classifier and score model, ranked by the worst case over its attacks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.figures.aggregate import PerImage, common_ids, over_seeds, per_image, worst_case
from bench.figures.runs import CLEAN, ROBUST, Run
from bench.records.command import run_command
from bench.records.spec import canonical
from bench.stats.intervals import Interval, mean_difference, mean_share
from leaderboards.classes import FULL, KNOWN, REQUIRED, attack_class, averages_draws, completing, fills, required_of
from leaderboards.entries import MANY, Entry, believed, entry, exact, filled, followed, row_verdict, score_passes

FEW, IMAGES = 20, "images"
"""With fewer images no test could tell a row from others, so that it would share any rank; and what such a row is missing."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One defense before one classifier, under all of its attacks, on the images that all of its runs have.

    Arguments:
        defense: Name, and the arguments that differ from its defaults; on a board also what its content is told apart by, if another row has that name.
        content: Hash of the code of a defense that is not built in.
        name: Of the defense alone.
        arguments: All of the defense's.
        classifier: Name.
        score_model: Name, if it has one.
        dataset: Name of the data set.
        threat: Threat model.
        deterministic: The defense's claim.
        draws: Scored draws per image.
        n: Number of images.
        seeds: The seeds that are averaged.
        clean: Clean accuracy.
        under: For each class of attacks it has faced, the accuracy under the worst of them per image.
        worst_case: Accuracy under the worst of all attacks, per image.
        spread: Standard deviation of the worst case over seeds, 0 with one seed.
        worst_seed: The worst case, and the worst seed per image.
        eot: Under the attacks that average exact gradients over fresh draws, if it is stochastic.
        delta_null: The worst case minus the accuracy without any attack, under the same rule and draws.
        delta_undefended: The worst case minus the undefended classifier's, if that is on the board.
        passes: Score-model passes of one prediction of one image; None if no line tells.
        certified: Average certified l2 radius, pixel units; None for a defense without a certificate.
        verdict: `suspect` or `refuted` if an audit of one of its runs says so, else what that of the strongest attack on all of its
            images says; None if there was none.
        flags: What a reader should know.
        missing: Classes of attacks it has not faced, and `images` if it has fewer than `FEW`: with any, it is not ranked.
        commands: What fills them.
        runs: The runs behind it, strongest attack first.
        rank: One more than the number of rows that are significantly better; None if it is not ranked.
        paired_p: p-value, Holm-corrected over the board, that its worst case equals the reference's.
        shares: The worst case of each image.
        clean_shares: Of each image without an attack.
    """

    defense: str
    content: str | None = field(compare=False, repr=False)
    name: str
    arguments: dict[str, Any]
    classifier: str
    score_model: str | None
    dataset: str
    threat: str
    deterministic: bool
    draws: int
    n: int
    seeds: list[int]
    clean: Interval
    under: dict[str, Interval]
    worst_case: Interval
    spread: float
    worst_seed: Interval
    eot: Interval | None
    delta_null: Interval
    delta_undefended: Interval | None = None
    passes: float | None
    certified: float | None
    verdict: str | None
    flags: list[str]
    missing: list[str]
    commands: list[str]
    runs: list[Entry]
    rank: int | None = None
    paired_p: float | None = None
    shares: PerImage = field(compare=False, repr=False)
    clean_shares: PerImage = field(compare=False, repr=False)

    @property
    def unaudited(self) -> Entry | None:
        """The run that an audit would have to examine, if none but another run of the row was audited."""
        audited = self.verdict is None and any(part.verdict for part in self.runs)
        return _deciding(self.runs, self.seeds, self.shares.ids)[0] if audited else None

    @property
    def believed(self) -> bool | None:
        """Whether audits found all of its numbers trustworthy; None if that is not known."""
        return believed(self.verdict)


def figure_of(row: Row, runs: Sequence[Entry]) -> PerImage | None:
    """The worst of some runs of a row per image, then the mean over its seeds; on the row's images. None if no run counts.

    Arguments:
        row: The row.
        runs: Some of its runs.
    """
    by_seed = [[part.shares for part in runs if part.seed == seed] for seed in row.seeds]
    worst = [worst_case(parts, row.shares.ids) for parts in by_seed if parts]
    mean = over_seeds(worst)[0] if worst else None
    return mean if mean else None


def rows_of(runs: Sequence[Run], required: tuple[str, ...] = REQUIRED) -> list[Row]:
    """The rows of the runs of one board, unranked."""
    groups: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        parts = (run.spec.defense, run.spec.classifier, run.spec.score_model)
        groups[canonical([part and part.model_dump() for part in parts])].append(run)
    return [_row(part, required) for _, group in sorted(groups.items()) for part in _by_draws(group)]


def score_cost(runs: Sequence[Run]) -> float | None:
    """Score-model passes of one prediction of one image.

    Where no gradient was taken, each pass through the classifier comes after one purification: in attacks by scores, and
    on images that no attack was started on; a defense that votes makes several for one prediction. None if there is no
    such image.
    """
    score = forward = 0
    for run in runs:
        plain = run.cost.get("classifier_backward", run.ids * 0) == 0
        score += int((score_passes(run) * plain).sum())
        forward += int((run.cost.get("classifier_forward", run.ids * 0) * plain).sum())
    votes = runs[0].spec.defense.args.get("votes", 1)
    return votes * score / forward if forward else None


class _Group:
    """The runs of one row, the seeds that count, and the images that have faced what is required."""

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
        """Those that have faced all required classes, and whatever else the most attacked of them has: a mean over seeds is over the same attacks.

        If none has faced all that is required, the one that has faced most of it.
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
        """The classes that runs would fill if their gradients could be followed."""
        return set().union(*(fills(run.spec) for run in self.counted if not followed(run)))

    def of(self, kind: str) -> list[Run]:
        """The runs of a class of attacks."""
        return [run for run in self.runs if attack_class(run.spec) == kind and run.spec.seed in self.seeds]

    def figures(self, runs: Sequence[Run], which: str = ROBUST) -> tuple[PerImage, PerImage, float]:
        """The worst of some runs per image, of those that have it, then over seeds: mean, worst and deviation; on the images of the row."""
        by_seed = [[per_image(run, which) for run in runs if run.spec.seed == seed] for seed in self.seeds]
        return over_seeds([worst_case(parts, self.ids) for parts in by_seed if parts])

    def interval(self, runs: Sequence[Run]) -> Interval | None:
        """The mean of `figures`; None where the row's images were not attacked."""
        shares = self.figures(runs)[0].shares if runs else np.empty(0)
        return mean_share(shares) if len(shares) else None


def _by_draws(group: list[Run]) -> list[list[Run]]:
    """The runs of each number of scored draws; those with known draws join all, since a protocol may prescribe their number."""
    fresh = [run for run in group if attack_class(run.spec) != KNOWN]
    known = [run for run in group if attack_class(run.spec) == KNOWN]
    counts = sorted({run.spec.draws for run in fresh or known})
    own = [[run for run in fresh or known if run.spec.draws == count] for count in counts]
    return [part + [run for run in known if run not in part] for part in own]


def _row(runs: list[Run], required: tuple[str, ...]) -> Row:
    group, spec, header = _Group(runs, required), runs[0].spec, runs[0].header
    deterministic = header.deterministic
    worst, worst_seed, spread = group.figures(group.counted)
    clean, _, _ = group.figures(group.counted, CLEAN)
    worst_interval = mean_share(worst.shares)
    under = {kind: group.interval(group.of(kind)) for kind in sorted({attack_class(run.spec) for run in runs})}
    faced = set().union(*(filled(run) for run in group.counted))
    beyond = {FULL} | group.lost  # which a run of their class does not fill
    missing = [kind for kind in group.required if kind not in faced and (kind in beyond or under.get(kind) is None)]
    missing += [IMAGES] if len(worst) < FEW else []
    entries = sorted(map(entry, runs), key=lambda part: (part.robust.value, part.attack, part.seed))
    deciding = _deciding(entries, group.seeds, worst.ids)
    return Row(
        defense=header.labels.defense, content=spec.defense.sha256, name=spec.defense.name, arguments=spec.defense.args,
        classifier=spec.classifier.name,
        score_model=spec.score_model.name if spec.score_model else None, dataset=spec.dataset.name,
        threat=spec.threat, deterministic=deterministic, draws=group.draws, n=len(worst), seeds=group.seeds,
        clean=mean_share(clean.shares), under={kind: part for kind, part in under.items() if part},
        worst_case=worst_interval, spread=spread,
        worst_seed=mean_share(worst_seed.shares) if len(group.seeds) > 1 else worst_interval,
        eot=group.interval([run for run in group.counted if averages_draws(run.spec)]),
        delta_null=mean_difference(worst.shares, clean.shares), passes=score_cost(runs), certified=_certified(group.counted), verdict=row_verdict([part.verdict for part in deciding]),
        flags=_flags(entries, group), missing=missing, commands=_commands(group, missing, deterministic),
        runs=entries, shares=worst, clean_shares=clean,
    )  # fmt: skip


def _deciding(runs: Sequence[Entry], seeds: Sequence[int], ids: np.ndarray) -> list[Entry]:
    """Runs, the strongest attack first, of which the first is what the row rests on: of a seed that counts, and made on all of its images."""
    return sorted(runs, key=lambda part: (part.seed not in seeds, not np.isin(ids, part.shares.ids).all()))


def _certified(runs: Sequence[Run]) -> float | None:
    radii = max(runs, key=len).certified
    return float(np.nanmean(radii)) if (~np.isnan(radii)).any() else None


def _flags(entries: Sequence[Entry], group: _Group) -> list[str]:
    """Those of all runs, but for how many images each has: that is the row's own."""
    found = dict.fromkeys(flag for part in entries for flag in part.flags if flag != "small n")
    if any(FULL in filled(run) for run in group.counted):
        found.pop("inexact gradient mode", None)  # the exact one stands beside it
    own = {
        "small n": len(group.ids) < MANY,
        "some attacks on fewer images": any(not np.isin(group.ids, run.ids).all() for run in group.counted),
        "runs share no images": not group.overlap,
    }
    return [flag for flag, holds in own.items() if holds] + list(found)


def _commands(group: _Group, missing: Sequence[str], deterministic: bool) -> list[str]:
    header = group.counted[0].header
    results = str(group.runs[0].results)
    count, more = max(len(group.ids), FEW), group.counted if IMAGES in missing else []
    wrong = group.lost | ({FULL} if not all(map(exact, group.counted)) else set())  # which no run mends
    wanted = [kind for kind in missing if kind not in {IMAGES, *wrong}]
    presets = [completing(kind, deterministic=deterministic) for kind in wanted]
    return [
        *(run_command(run.header, count, results=results) for run in more),
        *(run_command(header, count, attack=preset, results=results) for preset in presets),
    ]
