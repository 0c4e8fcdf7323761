"""The figures of a run, all of them computed from its lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.figures.finished import finished_claims
from bench.figures.rules import by_rule
from bench.records.header import Header
from bench.records.lines import SampleRecord
from bench.records.record import Record
from bench.stats.intervals import mean_share

CLEAN, ROBUST = "clean", "adversarial"
JUDGED = {"claimed", "flags"}
"""Remarks on an image that have figures of their own; all others are counted and shown."""
COMMONEST = 8
EXACT = 1e-4
"""Largest relative error of a gradient, against a central difference, that counts as exact."""


def hits(lines: Sequence[SampleRecord], which: str = ROBUST) -> np.ndarray:
    """Whether each draw of each image was right, bool `(n, k)`; `which` is `clean` or `adversarial`."""
    predictions = np.array([getattr(line, which) for line in lines])
    return predictions == np.array([line.label for line in lines])[:, None]


def shares(lines: Sequence[SampleRecord], which: str = ROBUST) -> np.ndarray:
    """Each image's share of right draws, shape `(n,)`."""
    return hits(lines, which).mean(axis=1)


def summarise(record: Record, lines: Sequence[SampleRecord], asked: int | None = None) -> dict[str, Any]:
    """The summary document of `bench run --json`.

    Arguments:
        record: The record, for its header.
        lines: The images to summarise, at least one.
        asked: Number of images that were asked for; fewer lines make the status `partial`.
    """
    document, k = record.header.document, len(lines[0].clean)
    complete = len(lines) >= asked if asked is not None else record.sealed
    return {
        "run_id": record.run_id,
        "path": record.path.as_posix(),
        "status": "complete" if complete else "partial",
        "n": len(lines),
        "spec": document["spec"],
        "clean_accuracy": mean_share(shares(lines, CLEAN)).as_dict(),
        "robust_accuracy": mean_share(shares(lines)).as_dict(),
        "draws": {"k": k, **_rules(lines, ROBUST, ""), **_rules(lines, CLEAN, "null_")},
        **_remarks(lines),
        **_certified(lines),
        "checks": {**document["checks"], "claims": _claims(record.header, lines)},
        "cost": {"seconds": round(sum(line.seconds for line in lines), 3), **_cost(lines)},
        **_memory(lines),
        "environment": document["environments"].get(lines[-1].environment),
    }


def _claims(header: Header, lines: Sequence[SampleRecord]) -> list[dict[str, Any]]:
    """The claims that were measured before the run, and those that need its lines."""
    measured = header.document["checks"].get("claims", [])
    return [*measured, *(claim.as_dict() for claim in finished_claims(header.spec, lines))]


def _remarks(lines: Sequence[SampleRecord]) -> dict[str, Any]:
    """The accuracy that the attack itself claims, its warnings, and counts of its other remarks; an image that it was not given was never right."""
    remarks = [line.said for line in lines if line.said]
    figures: dict[str, Any] = {}
    if any("claimed" in remark for remark in remarks):
        survivors = sum(remark.get("claimed") is False for remark in remarks)
        figures["claimed_accuracy"] = survivors / len(lines)
    if any("flags" in remark for remark in remarks):
        flags = Counter(flag for remark in remarks for flag in set(remark.get("flags", [])))
        figures["flags"] = dict(sorted(flags.items()))
    names = sorted({name for remark in remarks for name in remark} - JUDGED)
    counts = {name: _commonest(remarks, name) for name in names}
    return figures | ({"remarks": counts} if any(counts.values()) else {})


def _commonest(remarks: Sequence[dict[str, Any]], name: str) -> dict[str, int]:
    """How many images have each of the commonest values of a remark, as texts, or the range of its numbers; None is left out."""
    values = [remark[name] for remark in remarks if remark.get(name) is not None]
    if values and all(type(value) in (int, float) for value in values) and min(values) < max(values):
        return {f"{min(values):g} to {max(values):g}": len(values)}
    counts = Counter(map(str, values))
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:COMMONEST])


def certified_radius(lines: Sequence[SampleRecord]) -> float | None:
    """The average certified radius: the mean over images, 0 where the label is not certified; None without certificates."""
    radii = [line.certified for line in lines if line.certified is not None]
    return float(np.mean(radii)) if radii else None


def _certified(lines: Sequence[SampleRecord]) -> dict[str, Any]:
    """The average certified l2 radius, the share of images with a certificate, and the largest radius that half of the images have."""
    mean = certified_radius(lines)
    if mean is None:
        return {}
    radii = np.array([line.certified for line in lines if line.certified is not None])
    return {
        "certified": {"mean_radius": mean, "share": float((radii > 0).mean()), "median_radius": float(np.median(radii))}
    }


def _rules(lines: Sequence[SampleRecord], which: str, prefix: str) -> dict[str, float]:
    """Accuracy under each rule over draws; on the clean predictions it is the null attack's."""
    predictions = np.array([getattr(line, which) for line in lines])
    rules = by_rule(predictions, np.array([line.label for line in lines]))
    return {prefix + name: float(values.mean()) for name, values in rules.items()}


def _memory(lines: Sequence[SampleRecord]) -> dict[str, int]:
    """The largest peak of all shards, in MiB, if it was recorded."""
    known = [line.memory for line in lines if line.memory is not None]
    return {"peak_memory": max(known)} if known else {}


def _cost(lines: Sequence[SampleRecord]) -> dict[str, int]:
    return {kind: sum(line.cost[kind] for line in lines) for kind in lines[0].cost}
