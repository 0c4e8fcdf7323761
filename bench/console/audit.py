"""What the command line shows of audits. Text in, text out; nothing is computed here."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from bench.audit.finding import BELIEVED, PASS, REFUTED, SKIPPED, SUSPECT
from bench.console.progress import Progress
from bench.files.documents import printable
from bench.text.columns import WIDTH, columns, folded
from bench.text.words import counted, duration, passes_text

if TYPE_CHECKING:
    from bench.audit.finding import Finding
    from bench.records.lines import SampleRecord
    from bench.run.runner import Reporter

MARKS = {PASS: "ok", SUSPECT: "SUSPECT", REFUTED: "REFUTED", SKIPPED: "-"}
FIRED = (SUSPECT, REFUTED)
AGREE = 0.9
"""Share of what a check costs at most from which its likely cost is no other figure."""


class AuditProgress:
    """What is loaded, and each check before it starts and when it is done, on stderr; where that is a terminal, the attacks inside too.

    Arguments:
        quiet: Show nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.begun, self.count = 0, 0

    def loads(self, run: str) -> None:
        """Says what takes its time before the first check."""
        self._say("", f"{run}: loading torch, the networks and the data")

    def opens(self, run: str, size: str, images: int) -> None:
        """Says what is examined, and how much of it."""
        self._say(
            "", f"{run}: {size} audit, first {images} images{'' if size == 'quick' else '; --quick takes minutes'}"
        )
        self._say("", "pricing the checks, as on an idle machine: timing an evaluation and a gradient")

    def prices_run(self) -> None:
        """Says that the run which has to be made first is timed and probed."""
        self._say("", "pricing the run, as on an idle machine: timing a few gradient steps")

    def priced(self, total: dict[str, Any]) -> None:
        """Says what all checks that will be made cost together."""
        self.begun, self.count = 0, total["checks"]
        if total["checks"]:
            self._say("", _total(total))

    def begins(self, name: str, summary: str, predicted: dict[str, Any]) -> None:
        """Says what a check asks, and what it costs."""
        self.begun += 1
        cost = _cost(predicted)
        self._say(f"[{self.begun}/{self.count}] ", f"{name}: {summary} {cost[0].upper()}{cost[1:]}")

    def attacking(self, label: str) -> AbstractContextManager[Reporter]:
        """A line that moves and vanishes; nothing where stderr is no terminal."""
        return _Attack(label, quiet=self.quiet or not sys.stderr.isatty())

    def ends(self, finding: Finding, *, new: bool) -> None:
        """Says what came out."""
        took = (
            f" ({duration(finding.seconds)})" if new and finding.verdict != SKIPPED else "" if new else " (done before)"
        )
        self._say("  ", f"{finding.name}: {finding.verdict}{took}")

    def _say(self, lead: str, text: str) -> None:
        if not self.quiet:
            sys.stderr.write(folded(lead, printable(text)) + "\n")
            sys.stderr.flush()


class _Attack(Progress):
    """The progress of an attack inside a check, which names it; without a bar, since 80 columns have no room for both."""

    def __init__(self, label: str, *, quiet: bool) -> None:
        from rich.progress import TextColumn

        super().__init__(quiet=quiet)
        self.label = label
        shown = ("{task.description}", "{task.percentage:.0f} %", "{task.fields[images]}", "{task.fields[left]}")
        self.bar.columns = tuple(TextColumn(part, markup=False) for part in shown)

    def started(self, lines: list[SampleRecord], total: int) -> None:
        """Shows where the run goes on."""
        super().started(lines, total)
        self.bar.update(self.task, description=f"  {printable(self.label)}")

    def working(self, done: float, standing: int, images: int) -> None:
        """Moves on inside a shard."""
        super().working(done, standing, images)
        self.bar.update(self.task, images=f"{standing} of {images} stand")


def audit_text(audit: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    """An audit for people: verdict, what was examined, which checks fired, every check, and what would settle those that fired.

    Arguments:
        audit: The content of `audit.json`.
        labels: Names of the run's defense and attack.
    """
    checks: Sequence[Mapping[str, Any]] = audit["checks"]
    rows = [(f"  {MARKS.get(check['verdict'], '?')}", check["name"], check["meaning"]) for check in checks]
    head = f"audit   {audit['verdict']} · {audit['size']}, first {audit['n']} images"
    fired = [f"{check['name']} ({check['verdict']})" for check in checks if check["verdict"] in FIRED]
    found = [folded("  examined  ", _examined(audit, labels)), *_strength(audit)]
    found += [folded("  fired     ", ", ".join(fired))] if fired else []
    missing = audit.get("missing", [])
    left = [folded("  not made yet: ", ", ".join(missing))] if missing else []
    commands = [f"  {check['command']}  # {check['name']}" for check in checks if check["command"]]
    settle = ["what would settle it", *commands] if commands else []
    return "\n".join([head, *found, columns(rows, WIDTH), *left, *settle])


def outlook_text(outlook: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    """What an audit would make, for people."""
    rows = [(f"  {check['name']}", _becomes(check)) for check in outlook["checks"]]
    head = folded("audit   ", f"{outlook['size']}, {_examined(outlook, labels)}")
    total = outlook["total"]
    passes = passes_text(total["passes"])
    spent = [folded("  passes, at most: ", passes)] if passes else []
    return "\n".join([head, columns(rows, WIDTH), _total(total), *spent, "nothing was run or stored"])


def _strength(audit: Mapping[str, Any]) -> list[str]:
    """What a believed number's images exclude, and what they cannot."""
    from bench.audit.strength import excluded

    found = excluded(audit) if audit["verdict"] == BELIEVED else None
    if found is None:
        return []
    images, most = found
    can = f"a drop of more than about {100 * most:.0f} points under more of the same attack (95 %)"
    cannot = "not a smaller one or a stronger attack"
    return [folded("  strength  ", f"{images} images exclude {can}, {cannot}")]


def _examined(audit: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    return f"first {audit['n']} images of run {audit['run_id']}: {labels['defense']} under {labels['attack']}"


def _becomes(check: Mapping[str, Any]) -> str:
    said = {"done": "done before", "skipped": f"does not apply: {check['why']}"}
    return said.get(check["state"]) or _cost(check["predicted"])


def _total(total: Mapping[str, Any]) -> str:
    count = total["checks"]
    if not count:
        return "no check is left to make"
    return f"{counted(count, 'check')} to make: {_cost(total)}"


def _cost(predicted: Mapping[str, Any]) -> str:
    """`likely 3.1 min, at most 9.0 min`: one figure where they agree."""
    most, unforeseen = predicted["seconds"], predicted.get("unforeseen", 0)
    likely = predicted.get("likely", most)
    both = likely < AGREE * most and duration(likely) != duration(most)
    attacks = f"{counted(unforeseen, 'attack')} without a bound on the work"
    return (
        (f"likely {duration(likely)}, " if both else "")
        + f"at most {duration(most)}"
        + (f", beside {attacks}" if unforeseen else "")
    )
