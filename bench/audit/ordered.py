"""What a check that compares attacks reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.audit.bar import WORDS, Order, order
from bench.audit.finding import PASS, Finding
from bench.audit.rival import Rival
from bench.audit.subject import Subject
from bench.text.brackets import bracketed


def against_run(subject: Subject, rivals: Mapping[str, Rival], *, broken: str, good: str, verdict: str) -> Finding:
    """Whether other attacks in the same ball break what the run's attack did not.

    Arguments:
        subject: The run.
        rivals: Other attacks, by the words that the finding calls them.
        broken: What it means if one does, with `{names}` in place of their words.
        good: What it means if none does, which is said where no image and no average speaks for one.
        verdict: What it comes to if one does.
    """
    orders = {name: order(subject.shares, subject.rival(rival)) for name, rival in rivals.items()}
    return judge(
        orders,
        {name: subject.command(rival) for name, rival in rivals.items()},
        broken=broken,
        good=good,
        verdicts=dict.fromkeys(orders, verdict),
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
    """The finding of several comparisons: the worst verdict of those that are broken, and the command of the first.

    Arguments:
        orders: The comparisons, by their words.
        commands: What would settle each.
        broken: What it means if one is broken, with `{names}` in place of their words.
        good: What it means if none is, which is said where no image and no average speaks for one.
        verdicts: What it comes to if one is broken.
        values: What else was measured.
        unit: What a comparison's gain is.
        beside: What else is said beside the gains.
    """
    failed = [name for name, part in orders.items() if part.broken]
    found = {name: part.as_dict() for name, part in orders.items()} | dict(values or {})
    gains = [f"{name} {bracketed(part.gain, signed=True)}" for name, part in orders.items()]
    sizes = f" ({unit}: {'; '.join([*gains, *([beside] if beside else [])])})."
    if not failed:
        return Finding(
            verdict=PASS,
            values=found,
            threshold=WORDS,
            meaning=_unbroken(orders, good).removesuffix(".") + sizes,
        )
    return Finding(
        verdict=min((verdicts[name] for name in failed), key=("refuted", "suspect").index),
        values=found,
        threshold=WORDS,
        meaning=broken.format(names=" and ".join(failed)).removesuffix(".") + sizes,
        command=commands[failed[0]],
    )


def _unbroken(orders: Mapping[str, Order], good: str) -> str:
    """What follows from comparisons none of which is broken: a gain that the bar lets pass is no absence of one."""
    ahead = [name for name, part in orders.items() if part.gain.low > 0]
    if ahead:
        return f"A gain shows ({' and '.join(ahead)}), too small or on too few images to speak against the number."
    if any(part.violations or part.gain.value > 0 for part in orders.values()):
        return "No difference beyond chance."
    return good


def standing(shares: np.ndarray) -> int:
    """Images of which at least half of the draws are right."""
    return int((shares >= 0.5).sum())
