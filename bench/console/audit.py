"""The progress and the results of audits, as text; nothing is computed here."""

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
"""If the likely cost is at least this share of the largest, only the largest is shown."""


class AuditProgress:
    """Shows on stderr what is loaded, each check and its result; on a terminal also the attacks inside a check.

    Arguments:
        quiet: Show nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.begun, self.count = 0, 0

    def loads(self, run: str) -> None:
        """Shows that the parts of the run are loaded, which takes a while."""
        self._say("", f"{run}: loading torch, the networks and the data")

    def opens(self, run: str, size: str, images: int) -> None:
        """Shows what is examined, and on how many images."""
        hint = "" if size == "quick" else "; --quick takes minutes"
        self._say("", f"{run}: {size} audit, first {images} images{hint}")
        self._say("", "pricing the checks, as on an idle machine: timing an evaluation and a gradient")

    def prices_run(self) -> None:
        """Shows that the run itself, which has to be made first, is timed."""
        self._say("", "pricing the run, as on an idle machine: timing a few gradient steps")

    def priced(self, total: dict[str, Any]) -> None:
        """Shows the cost of all checks that are still missing."""
        self.begun, self.count = 0, total["checks"]
        if total["checks"]:
            self._say("", _total(total))

    def begins(self, name: str, summary: str, predicted: dict[str, Any]) -> None:
        """Shows what a check tests, and its cost."""
        self.begun += 1
        cost = _cost(predicted)
        self._say(f"[{self.begun}/{self.count}] ", f"{name}: {summary} {cost[0].upper()}{cost[1:]}")

    def attacking(self, label: str) -> AbstractContextManager[Reporter]:
        """A temporary progress line; nothing if stderr is no terminal."""
        return _Attack(label, quiet=self.quiet or not sys.stderr.isatty())

    def ends(self, finding: Finding, *, new: bool) -> None:
        """Shows the verdict of a check."""
        note = "" if new else " (done before)"
        if new and finding.verdict != SKIPPED:
            note = f" ({duration(finding.seconds)})"
        self._say("  ", f"{finding.name}: {finding.verdict}{note}")

    def _say(self, lead: str, text: str) -> None:
        if not self.quiet:
            sys.stderr.write(folded(lead, printable(text)) + "\n")
            sys.stderr.flush()


class _Attack(Progress):
    """The progress of an attack inside a check: its name instead of a bar, since 80 columns have no room for both."""

    def __init__(self, label: str, *, quiet: bool) -> None:
        from rich.progress import TextColumn

        super().__init__(quiet=quiet)
        self.label = label
        shown = ("{task.description}", "{task.fields[state]}")
        self.bar.columns = tuple(TextColumn(part, markup=False) for part in shown)

    def started(self, lines: list[SampleRecord], total: int) -> None:
        """Shows the attack and where its run resumes."""
        super().started(lines, total)
        self.bar.update(self.task, description=f"  {printable(self.label)}")


def audit_text(audit: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    """An audit for people: verdict, what was examined, every check, and the commands that settle those that fired.

    Arguments:
        audit: The content of `audit.json`.
        labels: Names of the run's defense and attack.
    """
    checks: Sequence[Mapping[str, Any]] = audit["checks"]
    rows = [(f"  {MARKS.get(check['verdict'], '?')}", check["name"], check["meaning"]) for check in checks]
    head = f"audit   {_head(audit)}"
    fired = [f"{check['name']} ({check['verdict']})" for check in checks if check["verdict"] in FIRED]
    found = [folded("  examined  ", _examined(audit, labels)), *_strength(audit)]
    found += [folded("  fired     ", ", ".join(fired))] if fired else []
    missing = audit.get("missing", [])
    left = [folded("  not made yet: ", ", ".join(missing))] if missing else []
    commands = [f"  # {check['name']}\n  {check['command']}" for check in checks if check["command"]]
    settle = ["what would settle it", *commands] if commands else []
    return "\n".join([head, *found, columns(rows, WIDTH), *left, *settle])


def _head(audit: Mapping[str, Any]) -> str:
    """`believed · quick, first 32 images`, or `passed, quick, 8 images`."""
    from bench.audit.strength import PASSED, examined, word

    verdict, (size, images) = word(audit), examined(audit)
    return f"{verdict}, {size}, {images} images" if verdict == PASSED else f"{verdict} · {size}, first {images} images"


def outlook_text(outlook: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    """The checks that an audit would make and their cost, for people."""
    rows = [(f"  {check['name']}", _becomes(check)) for check in outlook["checks"]]
    head = folded("audit   ", f"{outlook['size']}, {_examined(outlook, labels)}")
    total = outlook["total"]
    passes = passes_text(total["passes"])
    spent = [folded("  passes, at most: ", passes)] if passes else []
    return "\n".join([head, columns(rows, WIDTH), _total(total), *spent, "nothing was run or stored"])


def _strength(audit: Mapping[str, Any]) -> list[str]:
    """The errors that the images of a believed audit exclude, and those that they cannot."""
    from bench.audit.strength import FEW, PASSED, excluded, unseen

    if audit["verdict"] not in (BELIEVED, PASSED):
        return []
    found, (count, share) = excluded(audit), unseen(audit)
    texts = []
    if count < FEW:
        error = f"an error on more than {100 * share:.0f} % of the images (95 %), not a rarer one"
        texts.append(f"{count} images exclude {error}; believed takes {FEW} or more")
    if found is not None:
        images, most = found
        drop = f"a drop of more than about {100 * most:.0f} points under more of the same attack (95 %)"
        texts.append(f"{images} images exclude {drop}, not a smaller one or a stronger attack")
    return [folded("  strength  ", text) for text in texts]


def _examined(audit: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    from bench.audit.strength import examined

    return f"first {examined(audit)[1]} images of run {audit['run_id']}: {labels['defense']} under {labels['attack']}"


def _becomes(check: Mapping[str, Any]) -> str:
    states = {"done": "done before", "skipped": f"does not apply: {check['why']}"}
    return states.get(check["state"]) or _cost(check["predicted"])


def _total(total: Mapping[str, Any]) -> str:
    count = total["checks"]
    if not count:
        return "no check is left to make"
    return f"{counted(count, 'check')} to make: {_cost(total)}"


def _cost(predicted: Mapping[str, Any]) -> str:
    """`likely 3.1 min, at most 9.0 min`; one figure if both are about the same."""
    most, unforeseen = predicted["seconds"], predicted.get("unforeseen", 0)
    likely = predicted.get("likely", most)
    text = f"at most {duration(most)}"
    if likely < AGREE * most and duration(likely) != duration(most):
        text = f"likely {duration(likely)}, {text}"
    return f"{text}, beside {counted(unforeseen, 'attack')} without a bound on the work" if unforeseen else text
