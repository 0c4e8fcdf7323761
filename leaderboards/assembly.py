"""Makes the rows of a board from runs: one for each defense, classifier, score model and number of draws."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from bench.figures.aggregate import PerImage
from bench.figures.runs import CLEAN, Run
from bench.records.command import run_command
from bench.records.spec import canonical
from bench.registry.entry import Citation
from bench.registry.tables import make_registry
from bench.stats.intervals import Interval, mean_difference, mean_share
from bench.text.words import counted
from leaderboards.classes import FULL, KNOWN, NULL, REQUIRED, attack_class, averages_draws, completing
from leaderboards.draws import draw_figures
from leaderboards.entries import MANY, Entry, entry, exact, filled, row_verdict, score_passes
from leaderboards.groups import Group, covers, over_attacks, shares_of, together
from leaderboards.rows import Elsewhere, Row, deciding, nearest_draws

FEW, IMAGES = 20, "images"
"""The least images of a ranked row, since no test could separate one with fewer; and what such a row lacks."""


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
    worst, worst_seed, spread = group.worst()
    clean = over_attacks(shares_of(group.counted, CLEAN), group.ids)[0]
    worst_interval, under = mean_share(worst.shares), _under(group)
    missing = _missing(group)
    entries = sorted(map(entry, runs), key=lambda part: (part.robust.value, part.attack, part.seed))
    runs_counted = [run.run_id for run in group.counted]
    draws = None if header.deterministic else draw_figures(group)
    return Row(
        defense=header.labels.defense,
        content=spec.defense.content,
        name=spec.defense.name,
        arguments=spec.defense.args,
        classifier=spec.classifier.name,
        score_model=spec.score_model.name if spec.score_model else None,
        dataset=spec.dataset.name,
        threat=spec.threat,
        deterministic=header.deterministic,
        draws=group.draws,
        n=len(worst),
        seeds=group.seeds,
        clean=mean_share(clean.shares),
        under=under,
        elsewhere=_elsewhere(group, under),
        worst_case=worst_interval,
        spread=spread,
        worst_seed=mean_share(worst_seed.shares) if len(group.seeds) > 1 else worst_interval,
        eot=_interval(group, [run for run in group.counted if averages_draws(run.spec)]),
        draw_figures=draws.rules if draws else None,
        any_fail=draws.any_fail if draws else None,
        delta_null=mean_difference(worst.shares, clean.shares),
        passes=score_cost(runs),
        certified=_certified(group),
        verdict=row_verdict([part.verdict for part in deciding(entries, runs_counted)]),
        flags=_flags(entries, group),
        missing=missing,
        commands=_commands(group, missing),
        runs=entries,
        counted=runs_counted,
        source=_sources().get(spec.defense.name) if spec.defense.content is None else None,
        shares=worst,
        clean_shares=clean,
    )


@cache
def _sources() -> dict[str, Citation]:
    """The publications of built-in defenses, as their entries in the registry name them; other code of a name has none."""
    entries = make_registry().tables["defenses"]
    return {name: entry.source for name, entry in entries.items() if entry.source}


def _interval(group: Group, runs: Sequence[Run]) -> Interval | None:
    return mean_share(over_attacks(shares_of(runs), group.ids)[0].shares) if runs else None


def _under(group: Group) -> dict[str, Interval]:
    """The accuracy under each class of attacks that count."""
    kinds = sorted({attack_class(run.spec) for run in group.counted})
    found = {kind: _interval(group, [run for run in group.counted if attack_class(run.spec) == kind]) for kind in kinds}
    return {kind: interval for kind, interval in found.items() if interval}


def _elsewhere(group: Group, under: Mapping[str, Interval]) -> dict[str, Elsewhere]:
    """The accuracy under the other classes, on the images that their own runs share."""
    found = {}
    for kind in sorted({attack_class(run.spec) for run in group.apart()} - under.keys()):
        runs = [run for run in group.apart() if attack_class(run.spec) == kind]
        draws = nearest_draws({run.spec.draws for run in runs}, group.draws)
        part = together(shares_of([run for run in runs if run.spec.draws == draws]))
        found[kind] = Elsewhere(accuracy=mean_share(part.shares), draws=draws)
    return found


def _missing(group: Group) -> list[str]:
    """The required classes that no counted run fills, and `images` if there are too few."""
    faced = set().union(*map(filled, group.counted))
    return [kind for kind in group.required if kind not in faced] + ([IMAGES] if len(group.ids) < FEW else [])


def _certified(group: Group) -> float | None:
    run = max(group.counted, key=len)
    radii = PerImage(run.ids, run.certified).on(group.ids)
    return float(np.nanmean(radii)) if (~np.isnan(radii)).any() else None


def _flags(entries: Sequence[Entry], group: Group) -> list[str]:
    """What does not count, then flags of the row itself (`small n` refers to its images), then those of all runs."""
    found = dict.fromkeys(flag for part in entries for flag in part.flags if flag != "small n")
    if any(FULL in filled(run) for run in group.counted):
        found.pop("inexact gradient mode", None)  # the row also has an exact one
    own = {"small n": len(group.ids) < MANY, "runs share no images": not group.overlap}
    apart = sorted({_apart(run, group) for run in group.apart() if attack_class(run.spec) != NULL})
    return [*apart, *(flag for flag, holds in own.items() if holds), *found]


def _apart(run: Run, group: Group) -> str:
    """Why a run does not count."""
    name = run.header.labels.attack
    if run.spec.draws != group.draws:
        return f"{name} at {counted(run.spec.draws, 'draw')} only"
    if not covers(run, group.ids):
        return f"{name} on {counted(int(np.isin(group.ids, run.ids).sum()), 'image')} only"
    return f"{name} with seed {run.spec.seed} only"


def _commands(group: Group, missing: Sequence[str]) -> list[str]:
    """The commands that complete the row: more images for its runs, and the attacks that it lacks."""
    header = group.counted[0].header
    results, count = str(group.runs[0].results), max(len(group.ids), FEW)
    more = [run for run in group.counted if IMAGES in missing and len(run) < count]
    wrong = group.lost | ({FULL} if not all(map(exact, group.counted)) else set())  # no further run can fill these
    wanted = [kind for kind in missing if kind not in {IMAGES, *wrong}]
    presets = [completing(kind, deterministic=header.deterministic) for kind in wanted]
    return [
        *(run_command(run.header, count, results=results) for run in more),
        *(run_command(header, count, attack=preset, results=results) for preset in presets),
    ]
