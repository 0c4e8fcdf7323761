"""The findings of checks that compare attacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.audit.bar import WORDS, Order, order
from bench.audit.finding import PASS, REFUTED, SUSPECT, Finding
from bench.audit.rival import Rival
from bench.audit.subject import Subject
from bench.text.brackets import bracketed


def against_run(subject: Subject, rivals: Mapping[str, Rival], *, broken: str, good: str) -> Finding:
    """Compares the run with other attacks in the same ball: do they break images that the run's attack did not?

    Arguments:
        subject: The run.
        rivals: Other attacks, by the names that the finding uses.
        broken: The conclusion if some do, with `{names}` in place of their names.
        good: The conclusion if none breaks more images, singly or on average.
    """
    orders = {name: order(subject.shares, subject.rival(rival)) for name, rival in rivals.items()}
    return judge(
        orders,
        {name: subject.command(rival) for name, rival in rivals.items()},
        broken=broken,
        good=good,
        verdicts=dict.fromkeys(orders, REFUTED),
        unit="points of success above the run's",
    )


def judge(
    orders: Mapping[str, Order],
    commands: Mapping[str, str],
    *,
    broken: str,
    good: str,
    verdicts: Mapping[str, str],
    values: Mapping[str, Any] | None = None,
    unit: str = "points of success",
    beside: str = "",
) -> Finding:
    """The finding of several comparisons: the worst verdict of the broken ones, and the command of the first.

    Arguments:
        orders: The comparisons, by name.
        commands: The command that would settle each.
        broken: The conclusion if some are broken, with `{names}` in place of their names.
        good: The conclusion if no comparison shows a gain, in single images or on average.
        verdicts: The verdict if one is broken.
        values: Other measurements.
        unit: The unit of the gains.
        beside: A phrase to put after the gains.
    """
    failed = [name for name, part in orders.items() if part.broken]
    found = {name: part.as_dict() for name, part in orders.items()} | dict(values or {})
    gains = [f"{name} {bracketed(part.gain, signed=True)}" for name, part in orders.items()]
    sizes = f" ({unit}: {'; '.join([*gains, *([beside] if beside else [])])})."
    meaning = broken.format(names=" and ".join(failed)) if failed else _unbroken(orders, good)
    return Finding(
        verdict=min((verdicts[name] for name in failed), key=(REFUTED, SUSPECT).index, default=PASS),
        values=found,
        threshold=WORDS,
        meaning=meaning.removesuffix(".") + sizes,
        command=commands[failed[0]] if failed else "",
    )


def _unbroken(orders: Mapping[str, Order], good: str) -> str:
    """The conclusion if no comparison is broken; a gain below the limit is still reported."""
    ahead = [name for name, part in orders.items() if part.gain.low > 0]
    if ahead:
        return f"A gain shows ({' and '.join(ahead)}), too small or on too few images to count against the number."
    if any(part.violations or part.gain.value > 0 for part in orders.values()):
        return "No difference beyond chance."
    return good


def count_unbroken(shares: np.ndarray) -> int:
    """The number of images with at least half of their draws right."""
    return int((shares >= 0.5).sum())
