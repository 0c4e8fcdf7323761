"""The sections of a report that state facts: numbers, identity, claims, audit, and the commands that make them again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from html import escape
from typing import Any

from bench.audit.strength import examined, word
from bench.console.show import ROLES, citation
from bench.console.steps import audit_line
from bench.records.command import argument_text, run_command
from bench.records.seal import SEAL, broken_seal
from bench.stats.intervals import Interval
from bench.text.words import duration, passes_text
from leaderboards.reports.markup import Cell, code, section, share, table
from leaderboards.reports.subject import Subject

RULES = (("mean", "mean over draws"), ("worst", "all draws right"), ("majority", "majority of draws"))


def numbers(runs: Sequence[Subject]) -> str:
    """Clean and robust accuracy with intervals, the rules over draws, and a sentence to cite each run."""
    rows: list[list[Cell]] = []
    for title, key in (("clean accuracy %", "clean_accuracy"), ("robust accuracy %", "robust_accuracy")):
        rows.append([title, *(share(Interval(**one.summary[key])) for one in runs)])
    if any(one.summary["draws"]["k"] > 1 for one in runs):
        rows += [[f"robust, {title} %", *(_rule(one, rule) for one in runs)] for rule, title in RULES]
        rows += [[f"clean, {title} %", *(_rule(one, f"null_{rule}") for one in runs)] for rule, title in RULES]
    rows.append(["images · draws each", *(f"{len(one.run)} · {one.summary['draws']['k']}" for one in runs)])
    rows.append(["cost", *(_cost(one) for one in runs)])
    cited = [f"<p>{escape(citation(one.summary, one.run.header.labels.model_dump(), one.audit))}.</p>" for one in runs]
    notes = [f'<p class="note">{escape(note)}</p>' for one in runs for note in one.run.header.notes]
    head = ["", *(one.heading for one in runs)]
    return section(
        "Numbers",
        table("Accuracies", head, rows),
        *cited,
        *notes,
        note="In brackets 95 % intervals, in percent of images.",
    )


def _rule(one: Subject, rule: str) -> str:
    return f"{100 * one.summary['draws'][rule]:.1f}"


def _cost(one: Subject) -> str:
    cost = one.summary["cost"]
    return (
        f"{duration(cost['seconds'])} · {passes_text({key: value for key, value in cost.items() if key != 'seconds'})}"
    )


def identity(runs: Sequence[Subject]) -> str:
    """What was run: every part with its arguments and hash, the environments, and the seal of the record."""
    specs = [one.run.spec for one in runs]
    rows: list[list[Cell]] = [["run id", *(code(one.run.run_id) for one in runs)]]
    for role in ROLES:
        parts = [getattr(spec, role) for spec in specs]
        name = role.replace("_", " ")
        rows.append([name, *(_part(part) for part in parts)])
        if any(part and part.sha256 for part in parts):
            rows.append([f"{name}, SHA-256", *(code(part.sha256) if part and part.sha256 else "" for part in parts)])
    rows.append(["threat", *(spec.threat for spec in specs)])
    rows.append(["seed · draws", *(f"{spec.seed} · {spec.draws}" for spec in specs)])
    rows.append(["made with", *("; ".join(map(_environment, one.run.environments)) for one in runs)])
    rows.append(["seal", *(_seal(one) for one in runs)])
    rows.append([f"{SEAL}, SHA-256", *(_sealed(one) for one in runs)])
    return section("Identity", table("Identity", ["", *(one.heading for one in runs)], rows))


def _part(part: Any) -> str:
    return (
        ""
        if part is None
        else " ".join([part.name, *(f"{key}={argument_text(value)}" for key, value in part.args.items())])
    )


def _environment(environment: Any) -> str:
    found = environment.model_dump(exclude_none=True)
    words = [f"{key} {found[key]}" for key in ("purebench", "torch", "git", "batch_size") if key in found]
    return ", ".join([*words, *(str(found[key]) for key in ("device", "device_name", "instructions") if key in found)])


def _seal(one: Subject) -> str:
    if not one.record.sealed:
        return "none: the run is not complete"
    return "; ".join(broken_seal(one.record.path)) or "every file is unchanged since the run completed"


def _sealed(one: Subject) -> Cell:
    file = one.record.path / SEAL
    return code(hashlib.sha256(file.read_bytes()).hexdigest()) if file.is_file() else ""


def claims(one: Subject) -> str:
    """What was measured before the run, and its outcome."""
    rows: list[list[Cell]] = [
        [claim["check"], claim["verdict"], _value(claim.get("value")), _value(claim.get("threshold")), claim["meaning"]]
        for claim in one.summary["checks"]["claims"]
    ]
    if not rows:
        return ""
    head = ["claim", "outcome", "measured", "compared with", "meaning"]
    return section(_title("Claims measured before the run", one), table(_title("Claims", one), head, rows))


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if value in (None, [], {}):
        return "" if value is None else "none"
    return value if isinstance(value, str) else json.dumps(value)


def audit(one: Subject) -> str:
    """The verdict of the audit and its checks; without an audit, the command that makes one."""
    title = _title("Audit", one)
    if one.audit is None:
        command = audit_line(one.run.run_id, one.run.results, allow_code=False)
        return section(title, f"<p>Not audited. <code>{escape(command)}</code> makes a quick audit.</p>")
    size, images = examined(one.audit)
    rows: list[list[Cell]] = [
        [check["name"], check["verdict"], check["threshold"], check["meaning"]] for check in one.audit["checks"]
    ]
    verdict = (
        f"<p><strong>{escape(word(one.audit))}</strong> by a {escape(size)} audit of the first {images} images.</p>"
    )
    return section(title, verdict, table(title, ["check", "verdict", "threshold", "meaning"], rows))


def _title(title: str, one: Subject) -> str:
    return f"{title}: {one.name}" if one.name else title


def redo(runs: Sequence[Subject]) -> str:
    """The commands that make the runs again and verify the records."""
    lines = []
    for one in runs:
        lines += [f"# {one.title}, again", run_command(one.run.header, len(one.run))]
        lines += ["# the stored adversarial images, scored again", f"bench verify {one.run.run_id}"]
    pair = " ".join(one.run.run_id for one in runs)
    lines += ["# this report", f"bench report {pair}"]
    return section("Make it again", f'<pre tabindex="0">{escape(chr(10).join(lines))}</pre>')
