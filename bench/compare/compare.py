"""Two runs, or two folders of results, compared on their common images: flips both ways, exact tests, intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.compare.changes import change_of, flips
from bench.compare.findings import Change, Flip
from bench.compare.pairs import PREDICTIONS, Pair, pair_up
from bench.errors import UserError
from bench.figures.runs import Run, read_run, read_runs, same_environment
from bench.records.lookup import find_record
from bench.records.spec import brief_differences, differences
from bench.stats.paired import holm, paired_p
from bench.text.words import counted


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two runs on their common images; differences are B minus A.

    Arguments:
        name: Defense, attack, data set and threat of A.
        run_ids: The ids of A and of B.
        n: Number of common images.
        differ: The differences of the specs, as phrases.
        changes: The changes on clean and on adversarial images; p-values are corrected over all comparisons.
        flips: The images whose predictions differ.
        conflict: A sentence if both have the same id and other predictions; else empty.
    """

    name: str
    run_ids: tuple[str, str]
    n: int
    differ: list[str]
    changes: list[Change]
    flips: list[Flip]
    conflict: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The comparison as JSON."""
        return asdict(self)


def compare(a: str, b: str, results: Path) -> list[Comparison]:
    """Compares two runs (ids, prefixes or folders), or the matching runs of two folders of results.

    Raises:
        UserError: There is no such run, two runs use different data, or no runs of the folders match.
    """
    if all(_is_folder_of_results(Path(side)) for side in (a, b)):
        pairs = [pair for pair in pair_up(*(list(read_runs(Path(side))) for side in (a, b))) if pair.common]
    else:
        pairs = [_one(*(read_run(find_record(results, side)) for side in (a, b)))]
    if not pairs:
        raise UserError("compare-unmatched", first=a, second=b)
    raw = [[paired_p(*reversed(pair.shares(which))) for which in PREDICTIONS] for pair in pairs]
    corrected = iter(holm([p for row in raw for p in row]))
    return [_comparison(pair, row, [next(corrected) for _ in row]) for pair, row in zip(pairs, raw, strict=True)]


def _is_folder_of_results(path: Path) -> bool:
    return path.is_dir() and not (path / "run.json").exists()


def _one(a: Run, b: Run) -> Pair:
    if a.spec.dataset != b.spec.dataset:
        raise UserError("compare-data-differ", first=a.spec.dataset.name, second=b.spec.dataset.name)
    pair = Pair(a, b, differences(a.spec, b.spec))
    if not pair.common:
        raise UserError("compare-images-disjoint", first=a.run_id, second=b.run_id)
    return pair


def _comparison(pair: Pair, raw: Sequence[float], corrected: Sequence[float]) -> Comparison:
    changes = [
        change_of(which, *pair.shares(which), p, q) for which, p, q in zip(PREDICTIONS, raw, corrected, strict=True)
    ]
    a, b, differing = pair.before, pair.after or pair.before, flips(pair)
    return Comparison(
        name=pair.name,
        run_ids=(a.run_id, b.run_id),
        n=len(pair.common),
        differ=brief_differences(a.spec, b.spec),
        changes=changes,
        flips=differing,
        conflict=_conflict(a, b, differing),
    )


def _conflict(a: Run, b: Run, differing: Sequence[Flip]) -> str:
    if a.run_id != b.run_id or not differing:
        return ""
    images = len({flip.sample for flip in differing})
    alike = same_environment(*a.environments, *b.environments)
    unless = "" if alike else ", unless it is rounding: their environments differ"
    return (
        f"both have the id {a.run_id}, and their predictions differ on {counted(images, 'image')}: "
        f"at least one was changed{unless}; bench verify finds which"
    )
