"""The report of a gate as text, JSON, JUnit XML or a step summary on GitHub."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from bench.compare.findings import OTHER_CODE, Finding, Flip, Report, RowReport, summed_up
from bench.errors import UserError
from bench.files.atomic import write_whole
from bench.text.columns import folded
from bench.text.words import counted

MOST_FLIPS = 5
COMPARISONS = ("predictions", "change")
"""The names of the checks that compare a row with its baseline, one per tier."""
_STATES = {True: "ok", False: "FAIL", None: "-"}


def as_text(report: Report) -> str:
    """The report for people, row by row."""
    parts = [row_text(row) for row in report.rows]
    if report.together:
        parts.append("\n".join(["all rows", *map(_folded, report.together)]))
    return "\n\n".join([*parts, verdict(report)])


def row_text(row: RowReport) -> str:
    """The failed checks of a row with their images, its comparison, and the checks that were not possible."""
    result = f", now {row.result_id}" if row.result_id and row.result_id != row.run_id else ""
    lines = [row.name, folded("  ", f"run {row.run_id}{result}, {row.tier} tier, n = {row.n}")]
    if row.accuracy:
        lines.append(folded("  ", "; ".join(_moved(what, *row.accuracy[what]) for what in ("robust", "clean"))))
    for finding in sorted(row.findings, key=lambda finding: finding.passed is not False):
        if finding.passed is not True or finding.check in COMPARISONS or OTHER_CODE in finding.detail:
            lines.append(_folded(finding))
        if finding.passed is False:
            lines += [folded("        ", line) for line in flip_lines(finding.flips)]
    passed = sum(finding.passed is True for finding in row.findings)
    lines.append(f"  {passed} of {counted(len(row.findings), 'check')} passed; all of them with --json")
    return "\n".join(lines + ([folded("  power ", row.power)] if row.power else []))


def _moved(what: str, before: float, after: float) -> str:
    return f"{what} accuracy {100 * before:.1f} -> {100 * after:.1f} %"


def verdict(report: Report) -> str:
    """The verdict: passed, or the failed rows with their failed checks."""
    count = counted(len(report.rows), "row")
    if report.passed:
        return f"passed: {count} as in the baseline"
    failed = [row for row in report.rows if not row.passed]
    checks = ([finding.check for finding in row.findings if finding.passed is False] for row in failed)
    names = [f"{row.name} {row.run_id} [{', '.join(found)}]" for row, found in zip(failed, checks, strict=True)]
    names += [f"all rows [{summed_up(report.together)}]"] if summed_up(report.together) else []
    return folded(f"FAILED: {len(failed)} of {count}: ", "; ".join(names))


def renewal(report: Report, baseline: Path, results: Path) -> str:
    """The command that updates the baseline after a failure; empty if the gate passed."""
    command = shlex.join(["bench", "check", "--baseline", str(baseline), "--results", str(results)])
    return "" if report.passed else f'\nif the change is intended: {command} --run --update --reason "why"'


def as_document(report: Report) -> dict[str, Any]:
    """The report as JSON; `gone` is always null, kept for readers of earlier reports."""
    rows = [{**asdict(row), "gone": None, "passed": row.passed} for row in report.rows]
    return {"passed": report.passed, "rows": rows, "together": [asdict(finding) for finding in report.together]}


def publish(report: Report, *, junit: Path | None, summary: str | None) -> None:
    """Writes JUnit XML, and appends to the file of a step summary.

    Raises:
        UserError: The step summary cannot be written.
    """
    if junit is not None:
        write_whole(junit, as_junit(report).encode())
    if not summary:
        return
    try:
        with open(summary, "a", encoding="utf-8") as file:
            file.write(as_step_summary(report))
    except OSError as error:
        raise UserError("gate-summary-unwritable", path=summary, error=error) from error


def as_junit(report: Report) -> str:
    """JUnit XML: a suite per row, a case per check."""
    root = ElementTree.Element("testsuites", name="purebench")
    suites = [(row.name, row.run_id, row.findings) for row in report.rows]
    for name, run_id, findings in [*suites, *([("all rows", "all", report.together)] if report.together else [])]:
        failures, skipped = (str(sum(finding.passed is state for finding in findings)) for state in (False, None))
        counts = {"name": name, "tests": str(len(findings)), "failures": failures, "skipped": skipped}
        suite = ElementTree.SubElement(root, "testsuite", counts)
        for finding in findings:
            case = ElementTree.SubElement(suite, "testcase", classname=f"purebench.{run_id}", name=finding.check)
            if finding.passed is None:
                ElementTree.SubElement(case, "skipped", message=finding.detail)
            elif not finding.passed:
                failure = ElementTree.SubElement(case, "failure", message=finding.detail)
                failure.text = "\n".join(flip_lines(finding.flips))
    return _xml(root)


def error_junit(sentence: str) -> str:
    """JUnit XML of a gate that could not run: one error."""
    root = ElementTree.Element("testsuites", name="purebench")
    suite = ElementTree.SubElement(root, "testsuite", name="bench check", tests="1", failures="0", errors="1")
    case = ElementTree.SubElement(suite, "testcase", classname="purebench", name="bench check")
    ElementTree.SubElement(case, "error", message=sentence)
    return _xml(root)


def _xml(root: ElementTree.Element) -> str:
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def as_step_summary(report: Report) -> str:
    """Markdown for `$GITHUB_STEP_SUMMARY`."""
    head = "## purebench: " + ("robustness as in the baseline" if report.passed else "robustness changed")
    lines = [head, "", "| | row | tier | n | before % | after % | what |", "|---|---|---|---|---|---|---|"]
    for row in report.rows:
        before, after = (f"{100 * share:.1f}" for share in row.accuracy.get("robust", ())) if row.accuracy else ("", "")
        what, mark = summed_up(row.findings) or "as in the baseline", "✅" if row.passed else "❌"
        lines.append(f"| {mark} | {row.name} | {row.tier} | {row.n} | {before} | {after} | {what} |")
    lines += ["", *(f"- ❌ {found.check}: {found.detail}" for found in report.together if found.passed is False)]
    return "\n".join(lines) + "\n"


def _folded(finding: Finding) -> str:
    """A check and its detail, folded for a terminal."""
    return folded(finding_lead(finding), f"{finding.check}: {finding.detail}")


def finding_lead(finding: Finding) -> str:
    """The first column of a check: ok, FAIL, or a dash if it was not possible."""
    return f"  {_STATES[finding.passed]:<5} "


def flip_lines(flips: Sequence[Flip]) -> list[str]:
    """The first images of a finding, a line each, and the number of the others."""
    shown = [
        f"image {flip.sample} (class {flip.label}), {flip.which}: {_classes(flip.before)} -> {_classes(flip.after)}"
        + ("" if flip.margin is None else f", recorded margin {flip.margin:.2g}")
        for flip in flips[:MOST_FLIPS]
    ]
    return shown + ([f"and {len(flips) - MOST_FLIPS} more"] if len(flips) > MOST_FLIPS else [])


def _classes(predictions: Sequence[int]) -> str:
    return " ".join(map(str, predictions))
