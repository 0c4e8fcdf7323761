"""What the command line shows of runs. Text in, text out; nothing is computed here."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.figures.curve import Point
    from bench.plan.plan import Plan
    from bench.run.prediction import Forecast

WIDTH = 80
"""Characters in a line."""
LEAST = 30
"""Characters that a column gets, however little is left of the line."""
WHOLE = re.compile(r"(?<=[0-9]) (?=\[|(?:s|min|h|d)\b)|(?<=[0-9],) (?=[-+.0-9]+\])")
"""Blanks at which no line ends: between a number and its unit or interval, and inside an interval."""


def percent(interval: dict[str, Any]) -> str:
    """`51.0 % [41.3, 60.6]`."""
    value, low, high = (100 * interval[key] for key in ("value", "low", "high"))
    return f"{value:.1f} % [{low:.1f}, {high:.1f}]"


def counted(count: int, noun: str) -> str:
    """`1 cell`, `2 cells`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def headline(summary: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    """`dpsam under pgd-full · fashion-mnist linf:20/255 · n = 250`."""
    spec, status = summary["spec"], "" if summary["status"] == "complete" else " (partial)"
    return f"{labels['defense']} under {labels['attack']} · {spec['dataset']['name']} {spec['threat']} · n = {summary['n']}{status}"


def summary_text(summary: dict[str, Any], labels: dict[str, str], notes: Sequence[str] = ()) -> str:
    """A run's summary for people, and what its parts want to be said."""
    clean, robust = summary["clean_accuracy"], summary["robust_accuracy"]
    return "\n".join(
        [
            headline(summary, labels),
            f"  clean   {percent(clean)}",
            f"  robust  {percent(robust)}   95 %, {robust['method']}",
            *_draw_lines(summary["draws"], summary["spec"]["attack"].get("knowledge")),
            *_said_lines(summary),
            *_certified_lines(summary),
            f"  checks  {_checks_text(summary['checks'])}",
            f"  cost    {_cost_text(summary['cost'])}"
            + (f" · at most {summary['peak_memory']:,} MiB of memory" if "peak_memory" in summary else ""),
            f"  record  {summary['path']}",
            *(f"  note    {note}" for note in notes),
        ]
    )


def forecast_text(forecast: Forecast | None, planned: Plan) -> str:
    """What a run would cost, for people."""
    head = f"{planned.labels['defense']} under {planned.labels['attack']} · {planned.dataset.name} {planned.threat}"
    if forecast is None:
        return (
            f"{head}\n  cost    not foreseen: this attack states no formula for its work\n  nothing was run or stored"
        )
    images = forecast.most.images
    probe = f", as in a probe of {forecast.probed}" if forecast.probed else ""
    return "\n".join(
        [
            f"{head} · {images} images to run, {forecast.done} done",
            f"  likely  {duration(forecast.likely.seconds)}   if {100 * forecast.standing:.0f} % of the images stand{probe}",
            f"  at most {duration(forecast.most.seconds)}   if all of them stand to the end",
            f"  passes  {passes_text(forecast.likely.passes) or 'none'}, likely",
            *(
                ["  note    this attack takes whole shards, so that more images are run"]
                if planned.whole_shards
                else []
            ),
            "  as on an idle machine; nothing was run or stored",
        ]
    )


def curve_text(points: Sequence[Point]) -> str:
    """A security curve for people."""
    rows = [("threat", "robust", "worst so far", "run")] + [
        (str(point.threat), percent(point.robust.as_dict()), percent(point.worst.as_dict()), point.run_id)
        for point in points
    ]
    note = "worst so far: per image the worst over this radius and the smaller ones, whose balls lie in this one"
    return columns(rows) + "\n" + note


def duration(seconds: float) -> str:
    """`42 s`, `3.5 min`, `2.1 h`, `4.0 d`."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size or (unit == "min" and seconds >= 100):
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def columns(rows: Sequence[tuple[str, ...]], width: int | None = None) -> str:
    """Rows of text in aligned columns.

    Arguments:
        rows: As many cells each.
        width: Characters of a line, beyond which words of the last column go on below it; None for lines of any length.
    """
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]) - 1)] if rows else []
    lines = []
    for row in rows:
        lead = "".join(f"{cell:<{size}}  " for cell, size in zip(row, widths, strict=False))
        lines.append(folded(lead, row[-1], width))
    return "\n".join(lines)


def folded(lead: str, text: str, width: int | None = WIDTH) -> str:
    """Text after a lead, its further lines below its first.

    Arguments:
        lead: What the first line begins with.
        text: Words; one that is too long for a line stays whole.
        width: Characters of a line; None for one line of any length.
    """
    if width is None or len(lead) + len(text) <= width:
        return (lead + text).rstrip()
    room = max(width - len(lead), LEAST)
    kept = WHOLE.sub("\N{NO-BREAK SPACE}", text)
    parts = textwrap.wrap(kept, room, break_long_words=False, break_on_hyphens=False)
    return (lead + f"\n{' ' * len(lead)}".join(parts)).replace("\N{NO-BREAK SPACE}", " ").rstrip()


def _said_lines(summary: dict[str, Any]) -> list[str]:
    lines = []
    if "claimed_accuracy" in summary and summary["draws"]["k"] > 1:
        lines.append(
            f"  claimed {100 * summary['claimed_accuracy']:.1f} % by the attack itself, on its own draws: biased, not a score"
        )
    if summary.get("flags"):
        lines.append("  flags   " + ", ".join(f"{flag} ({count} images)" for flag, count in summary["flags"].items()))
    return lines


def _certified_lines(summary: dict[str, Any]) -> list[str]:
    if "certified" not in summary:
        return []
    told = summary["certified"]
    return [
        f"  certified  {100 * told['share']:.1f} % of the images; l2 radius {told['mean_radius']:.3f} on average, median {told['median_radius']:.3f}"
    ]


def _draw_lines(draws: dict[str, Any], knowledge: str | None) -> list[str]:
    if draws["k"] == 1:
        return []
    rules = [
        f"{rule} {100 * draws[rule]:.1f} % (null attack {100 * draws['null_' + rule]:.1f} %)"
        for rule in ("worst", "majority")
    ]
    return [
        f"  draws   mean over {draws['k']} {'draws that the attacker knows' if knowledge == 'known' else 'fresh draws'}; {', '.join(rules)}"
    ]


def _checks_text(checks: dict[str, Any]) -> str:
    from bench.figures.summary import EXACT
    from bench.records.claim import failed_checks

    parts = ["deterministic, as measured" if checks.get("deterministic") else "stochastic, draws reproducible"]
    error, bar = checks.get("gradient_error"), f"{EXACT:.0e}".replace("e-0", "e-")
    if not checks.get("differentiable", True):
        parts.append("not differentiable")
    elif error is None:
        parts.append("gradient error not measured")
    else:
        parts.append(f"gradient error {error:.0e}" + ("" if error < EXACT else f" (NOT EXACT: expected below {bar})"))
    failed = [name for name in failed_checks(checks.get("claims", [])) if name != "gradient"]
    return " · ".join([*parts, *([f"FAILED: {', '.join(failed)}"] if failed else [])])


def _cost_text(cost: dict[str, Any]) -> str:
    passes = passes_text({kind: value for kind, value in cost.items() if kind != "seconds"})
    return " · ".join([f"{cost['seconds']:.1f} s", *([passes] if passes else [])])


def passes_text(passes: Mapping[str, int]) -> str:
    """`12,345 classifier forward · ...`, of those that there are."""
    return " · ".join(f"{value:,} {kind.replace('_', ' ')}" for kind, value in passes.items() if value)
