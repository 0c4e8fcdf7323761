"""Runs, forecasts and security curves, as text; nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.spoiled import GRADIENT, IMAGE
from bench.text.columns import WIDTH, columns, folded
from bench.text.words import counted, duration, passes_text, percent

if TYPE_CHECKING:
    from bench.figures.curve import Point
    from bench.plan.plan import Plan
    from bench.records.header import Checks
    from bench.run.prediction import Forecast

NOTED = {
    GRADIENT: "NOTE    {count} of {n} images had gradients that are not finite, where the attack is weak",
    IMAGE: "NOTE    {count} of {n} images became not finite in the attack, and were put back",
}
"""Sentences for the flags that concern the number itself."""


LEAD = 10
"""Characters before the text of a line of a summary."""
WHOLE_SHARDS = "  note    this attack takes whole shards, so more images are run"


def headline(summary: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    """`dpsam under pgd-full · fashion-mnist linf:20/255 · n = 250`."""
    spec, status = summary["spec"], "" if summary["status"] == "complete" else " (partial)"
    return f"{labels['defense']} under {labels['attack']} · {spec['dataset']['name']} {spec['threat']} · n = {summary['n']}{status}"


def summary_text(summary: dict[str, Any], labels: dict[str, str], notes: Sequence[str] = ()) -> str:
    """The summary of a run for people, with the notes of its parts."""
    clean, robust = summary["clean_accuracy"], summary["robust_accuracy"]
    return "\n".join(
        _wrapped(line)
        for line in [
            headline(summary, labels),
            f"  clean   {percent(clean)}",
            f"  robust  {percent(robust)}   95 %, {robust['method']}",
            *_draw_lines(summary["draws"], summary["spec"]["attack"].get("knowledge")),
            *_remark_lines(summary),
            *_certified_lines(summary),
            f"  checks  {_checks_text(_checks(summary))}",
            f"  cost    {_cost_text(summary)}",
            f"  record  {summary['path']}",
            *(f"  note    {note}" for note in notes),
        ]
    )


def _wrapped(line: str) -> str:
    """A line of a summary, wrapped below itself after one of its parts; the path of a record stays whole."""
    if len(line) <= WIDTH or line.startswith("  record"):
        return line
    lead, text = line[:LEAD], line[LEAD:]
    parts = [part.replace(" ", "\N{NO-BREAK SPACE}") if "·" in text else part for part in text.split(" · ")]
    return folded(lead, "\N{NO-BREAK SPACE}· ".join(parts))


def forecast_text(forecast: Forecast | None, planned: Plan) -> str:
    """The predicted cost of a run, for people."""
    head = f"{planned.labels['defense']} under {planned.labels['attack']} · {planned.dataset.name} {planned.threat}"
    if forecast is None:
        return f"{head}\n  cost    not predicted: this attack states no bound on its work\n  nothing was run or stored"
    images = forecast.most.images
    probe = f", as in a probe of {forecast.probed}" if forecast.probed else ""
    return "\n".join(
        [
            f"{head} · {images} images to run, {forecast.done} done",
            f"  likely  {duration(forecast.likely.seconds)}   if {100 * forecast.standing:.0f} % of the images stay unbroken{probe}",
            f"  at most {duration(forecast.most.seconds)}   if none of them breaks",
            f"  passes  {passes_text(forecast.likely.passes) or 'none'}, likely",
            *([WHOLE_SHARDS] if planned.whole_shards else []),
            "  as on an idle machine; nothing was run or stored",
        ]
    )


def curve_text(points: Sequence[Point]) -> str:
    """A security curve for people."""
    rows = [("threat", "robust", "worst so far", "run")] + [
        (str(point.threat), percent(point.robust.as_dict()), percent(point.worst.as_dict()), point.run_id)
        for point in points
    ]
    note = "worst so far: per image the worst over this radius and all smaller ones, whose balls it contains"
    return columns(rows) + "\n" + note


def _remark_lines(summary: dict[str, Any]) -> list[str]:
    lines = []
    if "claimed_accuracy" in summary and summary["draws"]["k"] > 1:
        lines.append(
            f"  claimed {100 * summary['claimed_accuracy']:.1f} % by the attack itself, on its own draws: biased, not a score"
        )
    flags = dict(summary.get("flags", {}))
    lines += [f"  {NOTED[flag].format(count=flags.pop(flag), n=summary['n'])}" for flag in NOTED if flag in flags]
    if flags:
        lines.append("  flags   " + ", ".join(f"{flag} ({count} images)" for flag, count in flags.items()))
    for name, values in summary.get("remarks", {}).items():
        listed = ", ".join(f"{value} ({counted(count, 'image')})" for value, count in values.items())
        lines.append(f"  remarks {name.replace('_', ' ')}: {listed}")
    return lines


def _certified_lines(summary: dict[str, Any]) -> list[str]:
    if "certified" not in summary:
        return []
    found = summary["certified"]
    radius = f"l2 radius {found['mean_radius']:.3f} on average, median {found['median_radius']:.3f}"
    return [f"  certified  {100 * found['share']:.1f} % of the images; {radius}"]


def _draw_lines(draws: dict[str, Any], knowledge: str | None) -> list[str]:
    if draws["k"] == 1:
        return []
    rules = [
        f"{rule} {100 * draws[rule]:.1f} % (null attack {100 * draws['null_' + rule]:.1f} %)"
        for rule in ("worst", "majority")
    ]
    kind = "draws that the attacker knows" if knowledge == "known" else "fresh draws"
    return [f"  draws   mean over {draws['k']} {kind}; {', '.join(rules)}"]


def _checks(summary: dict[str, Any]) -> Checks:
    from bench.records.header import Checks

    return Checks.model_validate(summary["checks"])


def _checks_text(checks: Checks) -> str:
    from bench.records.claim import IN_DOUBLE, IN_SINGLE, failed_checks

    parts = ["deterministic, as measured" if checks.deterministic else "stochastic, draws reproducible"]
    failed = [name for name in failed_checks(checks) if name not in (IN_DOUBLE, IN_SINGLE)]
    return " · ".join([*parts, _gradient_text(checks), *([f"FAILED: {', '.join(failed)}"] if failed else [])])


def _gradient_text(checks: Checks) -> str:
    """The measured error of the gradient, and the precision of the measurement."""
    from bench.figures.summary import EXACT
    from bench.records.claim import gradient_bar, gradient_open

    error, bar = checks.gradient_error, gradient_bar(checks, EXACT)
    if not checks.differentiable:
        return "not differentiable"
    if error is None:
        return "gradient error NOT MEASURED" if gradient_open(checks) else "gradient error not measured"
    text = f"gradient error {error:.0e}" + (" in float32" if bar > EXACT else "")
    return text + ("" if error < bar else f" (NOT EXACT: expected below {bar:.0e})".replace("e-0", "e-"))


def _cost_text(summary: Mapping[str, Any]) -> str:
    cost = summary["cost"]
    memory = [f"at most {summary['peak_memory']:,} MiB of memory"] if "peak_memory" in summary else []
    passes = passes_text({kind: value for kind, value in cost.items() if kind != "seconds"})
    return " · ".join([f"{cost['seconds']:.1f} s", *([passes] if passes else []), *memory])
