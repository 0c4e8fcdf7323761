"""Rows: the runs of one defense, classifier and score model, with their worst case over attacks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.figures.aggregate import PerImage, over_seeds, worst_case
from bench.figures.runs import CLEAN, Run
from bench.records.command import run_command
from bench.records.spec import canonical
from bench.stats.intervals import Interval, mean_difference, mean_share
from leaderboards.classes import FULL, KNOWN, REQUIRED, attack_class, averages_draws, completing
from leaderboards.entries import MANY, Entry, believed, entry, exact, filled, row_verdict, score_passes
from leaderboards.groups import Group

FEW, IMAGES = 20, "images"
"""The least images of a ranked row, since no test could separate one with fewer; and what such a row lacks."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One defense with one classifier, under all of its attacks, on the images that all of its runs share.

    Arguments:
        defense: Name, and the arguments that differ from its defaults; on a board also the content hash, if two rows share a name.
        content: Hash of the code of a defense that is not built in.
        name: Name of the defense alone.
        arguments: All arguments of the defense.
        classifier: Name of the classifier.
        score_model: Name of the score model, if there is one.
        dataset: Name of the data set.
        threat: Threat model.
        deterministic: Whether the defense claims to be deterministic.
        draws: Scored draws per image.
        n: Number of images.
        seeds: The seeds that are averaged.
        clean: Clean accuracy.
        under: For each class of attacks that it has faced, the accuracy under the worst of these attacks per image.
        worst_case: Accuracy under the worst of all attacks per image.
        spread: Standard deviation of the worst case over seeds, 0 with one seed.
        worst_seed: Accuracy under the worst attack and the worst seed per image.
        eot: For a stochastic defense: accuracy under the attacks that average exact gradients over fresh draws.
        delta_null: The worst case minus the accuracy without any attack, under the same rule and draws.
        delta_undefended: The worst case minus that of the undefended classifier, if that is on the board.
        passes: Score-model passes of one prediction of one image; None if unknown.
        certified: Average certified l2 radius, pixel units; None for a defense without a certificate.
        verdict: The worst verdict of its audits if one is `suspect` or `refuted`, else that of the strongest attack on all of its
            images; None without an audit.
        flags: Warnings for the reader.
        missing: Classes of attacks that it has not faced, and `images` if it has fewer than `FEW`; if any, it is not ranked.
        commands: The commands that complete it.
        runs: Its runs, strongest attack first.
        rank: One more than the number of rows that are significantly better; None if it is not ranked.
        paired_p: p-value, Holm-corrected over the board, of the hypothesis that its worst case equals the reference's.
        shares: The worst case of each image.
        clean_shares: The share of right draws of each clean image.
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
        """The run that still needs an audit: the deciding one, if only other runs of the row were audited."""
        audited = self.verdict is None and any(part.verdict for part in self.runs)
        return _deciding(self.runs, self.seeds, self.shares.ids)[0] if audited else None

    @property
    def believed(self) -> bool | None:
        """Whether audits found all of its numbers trustworthy; None if unknown."""
        return believed(self.verdict)


def figure_of(row: Row, runs: Sequence[Entry]) -> PerImage | None:
    """The worst of some runs per image of the row, averaged over its seeds; None if no run counts.

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
    """Score-model passes of one prediction of one image; None if no image tells.

    Without gradients, each classifier pass follows one purification. This holds for attacks on scores, and for images
    that were not attacked. A defense with votes makes several purifications for one prediction.
    """
    score = forward = 0
    for run in runs:
        plain = run.cost.get("classifier_backward", run.ids * 0) == 0
        score += int((score_passes(run) * plain).sum())
        forward += int((run.cost.get("classifier_forward", run.ids * 0) * plain).sum())
    votes = runs[0].spec.defense.args.get("votes", 1)
    return votes * score / forward if forward else None


def _by_draws(group: list[Run]) -> list[list[Run]]:
    """The runs of each number of scored draws; runs with known draws join every group, since protocols may fix their number."""
    fresh = [run for run in group if attack_class(run.spec) != KNOWN]
    known = [run for run in group if attack_class(run.spec) == KNOWN]
    counts = sorted({run.spec.draws for run in fresh or known})
    own = [[run for run in fresh or known if run.spec.draws == count] for count in counts]
    return [part + [run for run in known if run not in part] for part in own]


def _row(runs: list[Run], required: tuple[str, ...]) -> Row:
    group, spec, header = Group(runs, required), runs[0].spec, runs[0].header
    deterministic = header.deterministic
    worst, worst_seed, spread = group.figures(group.counted)
    clean, _, _ = group.figures(group.counted, CLEAN)
    worst_interval = mean_share(worst.shares)
    under = {kind: group.interval(group.of(kind)) for kind in sorted({attack_class(run.spec) for run in runs})}
    missing = _missing(group, under, len(worst))
    entries = sorted(map(entry, runs), key=lambda part: (part.robust.value, part.attack, part.seed))
    deciding = _deciding(entries, group.seeds, worst.ids)
    return Row(
        defense=header.labels.defense,
        content=spec.defense.content,
        name=spec.defense.name,
        arguments=spec.defense.args,
        classifier=spec.classifier.name,
        score_model=spec.score_model.name if spec.score_model else None,
        dataset=spec.dataset.name,
        threat=spec.threat,
        deterministic=deterministic,
        draws=group.draws,
        n=len(worst),
        seeds=group.seeds,
        clean=mean_share(clean.shares),
        under={kind: part for kind, part in under.items() if part},
        worst_case=worst_interval,
        spread=spread,
        worst_seed=mean_share(worst_seed.shares) if len(group.seeds) > 1 else worst_interval,
        eot=group.interval([run for run in group.counted if averages_draws(run.spec)]),
        delta_null=mean_difference(worst.shares, clean.shares),
        passes=score_cost(runs),
        certified=_certified(group.counted),
        verdict=row_verdict([part.verdict for part in deciding]),
        flags=_flags(entries, group),
        missing=missing,
        commands=_commands(group, missing, deterministic),
        runs=entries,
        shares=worst,
        clean_shares=clean,
    )


def _missing(group: Group, under: Mapping[str, Interval | None], images: int) -> list[str]:
    """The required classes that the row has not faced, and `images` if it has too few."""
    faced = set().union(*(filled(run) for run in group.counted))
    strict = {FULL} | group.lost  # classes that not every run of theirs fills
    missing = [kind for kind in group.required if kind not in faced and (kind in strict or under.get(kind) is None)]
    return missing + ([IMAGES] if images < FEW else [])


def _deciding(runs: Sequence[Entry], seeds: Sequence[int], ids: np.ndarray) -> list[Entry]:
    """Sorts runs, strongest attack first, so that the deciding one leads: of a counted seed, on all images of the row."""
    return sorted(runs, key=lambda part: (part.seed not in seeds, not np.isin(ids, part.shares.ids).all()))


def _certified(runs: Sequence[Run]) -> float | None:
    radii = max(runs, key=len).certified
    return float(np.nanmean(radii)) if (~np.isnan(radii)).any() else None


def _flags(entries: Sequence[Entry], group: Group) -> list[str]:
    """The flags of all runs, and of the row itself; `small n` refers to the images of the row."""
    found = dict.fromkeys(flag for part in entries for flag in part.flags if flag != "small n")
    if any(FULL in filled(run) for run in group.counted):
        found.pop("inexact gradient mode", None)  # the row also has an exact one
    own = {
        "small n": len(group.ids) < MANY,
        "some attacks on fewer images": any(not np.isin(group.ids, run.ids).all() for run in group.counted),
        "runs share no images": not group.overlap,
    }
    return [flag for flag, holds in own.items() if holds] + list(found)


def _commands(group: Group, missing: Sequence[str], deterministic: bool) -> list[str]:
    """The commands that complete the row: more images for its runs, and the attacks that it lacks."""
    header = group.counted[0].header
    results = str(group.runs[0].results)
    count, more = max(len(group.ids), FEW), group.counted if IMAGES in missing else []
    wrong = group.lost | ({FULL} if not all(map(exact, group.counted)) else set())  # no further run can fill these
    wanted = [kind for kind in missing if kind not in {IMAGES, *wrong}]
    presets = [completing(kind, deterministic=deterministic) for kind in wanted]
    return [
        *(run_command(run.header, count, results=results) for run in more),
        *(run_command(header, count, attack=preset, results=results) for preset in presets),
    ]
