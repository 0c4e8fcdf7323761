"""What the command line shows: progress, summaries, listings. Text in, text out; nothing is computed here."""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.curve import Point
    from bench.pace import TimeToGo
    from bench.plan import Plan
    from bench.prediction import Forecast
    from bench.records import SampleRecord

DEFAULT_IMAGES, MORE_IMAGES = 100, 1_000


class Progress:
    """Images done, robust so far with its interval, and time to go, on stderr; one line a shard where that is no terminal.

    Arguments:
        quiet: Show nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self.console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[images]}"),
            TextColumn("{task.fields[robust]}"), TimeElapsedColumn(), TextColumn("{task.fields[left]}"),
            console=self.console, transient=True, disable=quiet or not self.console.is_terminal,
        )  # fmt: skip
        self.lines: list[SampleRecord] = []
        self.total = 0
        self.clock: TimeToGo | None = None
        self.fields: dict[str, Any] = {}

    def __enter__(self) -> Progress:
        self.bar.start()
        self.task = self.bar.add_task("loading", total=None, images="", robust="", left="")
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def started(self, lines: list[SampleRecord], total: int) -> None:
        """Shows where the run goes on."""
        from bench.pace import TimeToGo
        from bench.records import SHARD

        self.lines, self.total, self.clock = list(lines), total, TimeToGo(total, len(lines))
        self.fields = self._fields()
        self.bar.update(self.task, description="attacking", total=total, completed=len(lines), **self.fields)
        if lines and len(lines) < total:
            self.console.print(f"going on after {len(lines)} of {total} images")
        elif len(lines) < total and not self.console.is_terminal:
            self.console.print(f"attacking {total} images; a line after each shard of {SHARD}")

    def working(self, done: float, standing: int, images: int) -> None:
        """Moves the bar inside a shard."""
        if self.clock:
            self.clock.working(done, images)
        fields = self.fields | {
            "images": f"{len(self.lines)}/{self.total} images, {standing} of {images} stand", "left": self._left(),
        }  # fmt: skip
        self.bar.update(self.task, completed=min(len(self.lines) + done * images, self.total), **fields)

    def finished(self, lines: list[SampleRecord]) -> None:
        """Counts a shard."""
        self.lines += lines
        if self.clock:
            self.clock.finished(len(lines))
        self.fields = fields = self._fields()
        self.bar.update(self.task, completed=len(self.lines), **fields)
        if not self.console.is_terminal:
            left = f", {fields['left']}" if fields["left"] else ""
            self.console.print(f"{fields['images']}, {fields['robust']}{left}")

    def _left(self) -> str:
        seconds = self.clock.seconds() if self.clock and len(self.lines) < self.total else None
        return "" if seconds is None else f"{duration(seconds)} to go"

    def _fields(self) -> dict[str, Any]:
        if not self.lines:
            return {"images": f"0/{self.total} images", "robust": "", "left": ""}
        from bench.stats import mean_share
        from bench.summary import shares

        robust = mean_share(shares(self.lines))
        return {
            "images": f"{len(self.lines)}/{self.total} images",
            "robust": f"robust so far {percent(robust.as_dict())}",
            "left": self._left(),
        }


class Notices(logging.Handler):
    """Writes what the package says on the way (downloads, remarks on models) to stderr, a line each."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one line to whatever stderr is now."""
        sys.stderr.write(self.format(record) + "\n")


def show_notices(*, quiet: bool) -> None:
    """Shows the package's notices from now on, or none of them."""
    log = logging.getLogger("bench")
    log.handlers = [logging.NullHandler() if quiet else Notices()]
    log.setLevel(logging.INFO)


def percent(interval: dict[str, Any]) -> str:
    """`51.0 % [41.3, 60.6]`."""
    value, low, high = (100 * interval[key] for key in ("value", "low", "high"))
    return f"{value:.1f} % [{low:.1f}, {high:.1f}]"


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
            f"  passes  {passes_text(forecast.likely.passes) or 'none'}",
            "  nothing was run or stored",
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


def next_steps(summary: dict[str, Any], command: list[str], *, dataset_size: int, allow_code: bool = False) -> str:
    """What to run next, as commands that can be pasted.

    Arguments:
        summary: The run's.
        command: The words after `bench run`.
        dataset_size: The number of images that there are.
        allow_code: Whether the record names code, which a command that reads it runs only if it is told to.
    """
    from bench.claims.claim import failed_checks

    words = _without([word for word in command if word not in ("--json", "--quiet")], "-n", "--samples")
    base = shlex.join(["bench", "run", *words])
    count = f" -n {summary['n']}" if summary["n"] != DEFAULT_IMAGES else ""
    steps = []
    if failed_checks(summary["checks"].get("claims", [])):
        at, run = elsewhere(Path(summary["path"]).parents[2]), summary["run_id"]
        steps.append(
            (f"bench show {run}{at}", "which checks failed, and what to mend first: this number rests on them")
        )
    if summary["n"] < dataset_size:
        more = min(MORE_IMAGES, dataset_size) if summary["n"] < MORE_IMAGES else dataset_size
        steps.append((f"{base} -n {more}", f"a half-width of {_half_width(more):.1f} points; goes on with this record"))
    args = summary["spec"]["attack"]["args"]
    if {"steps", "restarts"} <= args.keys():
        stronger = f"{_without_arguments(base)}{count} -A steps={2 * args['steps']} -A restarts={2 * args['restarts']}"
        steps.append((stronger, "a stronger attack: does the number hold?"))
    secret = summary["draws"]["k"] > 1 and summary["spec"]["attack"].get("knowledge") != "known"
    if secret and summary["checks"].get("differentiable", True):
        known = shlex.join(["bench", "run", *_without(words, "-A", "--attack"), "--attack", "pgd-known"])
        steps.append((f"{known}{count}", "an attacker who knows the draws that are scored"))
    if summary["spec"]["attack"]["name"] != "null":
        results = Path(summary["path"]).parents[2]
        audit = audit_line(summary["run_id"], results, allow_code=allow_code)
        steps.append((f"bench leaderboard{elsewhere(results)}", "this run beside the others"))
        steps.append((audit, "can this number be believed?"))
    return steps_text(steps)


def audit_line(run: str, results: Path, *, allow_code: bool) -> str:
    """The quick audit of a run, as a command.

    Arguments:
        run: Its id, a prefix of it, or its folder, which needs no `--results`.
        results: The folder of all records.
        allow_code: Whether the record names code.
    """
    at = "" if (Path(run) / "run.json").is_file() else elsewhere(results)
    return f"bench audit {shlex.quote(run)}{at} --quick{' --allow-code' if allow_code else ''}"


def elsewhere(results: Path) -> str:
    """The option that names a folder of records, after a space; nothing for the default."""
    return "" if results == Path("results") else f" --results {shlex.quote(str(results))}"


def steps_text(steps: Sequence[tuple[str, str]]) -> str:
    """Commands, and why, to go on with."""
    width = max(len(step) for step, _ in steps) if steps else 0
    return "next\n" + "\n".join(f"  {step:<{width}}  # {why}" for step, why in steps)


def columns(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows of text in aligned columns."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]) - 1)] if rows else []
    return "\n".join(
        "  ".join([*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    )


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
    from bench.claims.claim import failed_checks
    from bench.summary import EXACT

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


def _half_width(n: int) -> float:
    return 100 * 1.96 * 0.5 / n**0.5


def _without(words: Sequence[str], *options: str) -> list[str]:
    """The words without some options and their values, attached or not."""
    kept, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word in options:
            skip = True
        elif not any(word.startswith(f"{option}=" if option.startswith("--") else option) for option in options):
            kept.append(word)
    return kept


def _without_arguments(base: str) -> str:
    words: list[str] = shlex.split(base)
    kept: list[str] = []
    for word in words:
        attached = word.startswith("-A") and word != "-A"
        if (attached or kept[-1:] == ["-A"]) and word.removeprefix("-A").split("=")[0] in ("steps", "restarts"):
            kept = kept if attached else kept[:-1]
        else:
            kept.append(word)
    return shlex.join(kept)
