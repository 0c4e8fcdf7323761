"""The report of a gate: for people, for JUnit readers, for a step summary on GitHub, as JSON."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from bench.compare.findings import CLAIMS, Finding, Flip, Report, RowReport, summed_up
from bench.text.columns import folded
from bench.text.words import counted

MOST_FLIPS = 5
COMPARISONS = ("predictions", "change")
"""The check of either tier that compares a row with its baseline."""
_STATES = {True: "ok", False: "FAIL", None: "-"}


def as_text(report: Report) -> str:
    """What failed, could not be checked or compares with the baseline, row by row; what changed image by image."""
    parts = [row_text(row) for row in report.rows]
    failed = [_folded(finding) for finding in report.together if finding.passed is False]
    if report.together:
        others = f"  {_STATES[True]:<5} worst case <= each attack, for {len(report.together) - len(failed)} of {len(report.together)} defenses under several"
        parts.append("\n".join(["all rows", *failed, *([others] if len(failed) < len(report.together) else [])]))
    return "\n\n".join([*parts, verdict(report)])


def row_text(row: RowReport) -> str:
    """What failed on one row first, with its images; the comparison; what could not be checked; all else by its number."""
    judged = f", now {row.result_id}" if row.result_id and row.result_id != row.run_id else ""
    lines = [row.name, folded("  ", f"run {row.run_id}{judged}, {_tier_text(row)}")]
    found = accuracy_text(row)
    failed = failed_once(row.findings)
    for place, finding in enumerate(failed):
        lines += [_folded(finding), *([folded("        ", found)] if found and not place else [])]
        lines += [folded("        ", line) for line in flip_lines(finding.flips)]
    lines += [folded("  ", found)] if found and not failed else []
    said = [finding for finding in row.findings if finding.passed is None or _stands_out(finding)]
    others = [finding for finding in row.findings if finding.passed is True and finding not in said]
    checks = counted(len(others), "other check")
    lines += [
        *map(_folded, said),
        f"  {_STATES[True]:<5} and {checks}; each of them with --json",
    ]
    return "\n".join(lines + ([folded("  power ", row.power)] if row.power else []))


def failed_once(findings: Sequence[Finding]) -> list[Finding]:
    """The failed checks; one that found the same in the baseline and in the result is told once: `same bits (baseline and result)`."""
    told: list[Finding] = []
    for finding in (finding for finding in findings if finding.passed is False):
        base, of_result = finding.check.removesuffix(" (result)"), finding.check.endswith(" (result)")
        twin = replace(finding, check=f"{base} (baseline)")
        if of_result and twin in told:
            told[told.index(twin)] = replace(finding, check=f"{base} (baseline and result)")
        else:
            told.append(finding)
    return told


def accuracy_text(row: RowReport) -> str:
    """Robust and clean accuracy before and now; empty where the results are not of today's code, or there are none."""
    if row.other_code or not row.accuracy:
        return ""
    again = "with the attack run again: " if row.result_id != row.run_id else ""
    return again + ", ".join(f"{what} {_moved(*row.accuracy[what])}" for what in ("robust", "clean"))


def _moved(before: float, after: float) -> str:
    old, new = f"{100 * before:.1f}", f"{100 * after:.1f}"
    return f"{new} % as before" if old == new else f"{old} -> {new} %"


def _tier_text(row: RowReport) -> str:
    if row.tier == "missing":
        return "nothing to compare with"
    compared = "records of other code than today's" if row.other_code else f"{row.tier} tier"
    return f"{compared}, n = {row.n}"


def _stands_out(finding: Finding) -> bool:
    """Whether a check that passed is told by itself: the comparison, and that the code is another."""
    return finding.passed is True and (finding.check in COMPARISONS or "by other code" in finding.detail)


def verdict(report: Report) -> str:
    """One line: passed, or which rows failed and by which checks."""
    failed = [row for row in report.rows if not row.passed]
    count = counted(len(report.rows), "row")
    if report.passed:
        return f"passed: {count} as in the baseline"
    shared = Counter(row.name for row in report.rows)
    names = [
        f"{row.name}{f' {row.run_id}' if shared[row.name] > 1 else ''} [{', '.join(finding.check for finding in failed_once(row.findings))}]"
        for row in failed
    ]
    names += [f"all rows [{summed_up(report.together)}]"] if summed_up(report.together) else []
    return folded(f"FAILED: {len(failed)} of {count}: ", "; ".join(names))


def renewal(report: Report, baseline: Path, results: Path, *, make: bool) -> str:
    """What to run next: makes what is missing, or renews the baseline; nothing if nothing changed."""
    command = shlex.join(["bench", "check", "--baseline", str(baseline), "--results", str(results)])
    stale = any(row.other_code for row in report.rows)
    renew = f'{command}{" --run" if make or stale else ""} --update --reason "why"'
    if report.passed:
        recoded = any(row.result_id != row.run_id for row in report.rows)
        return f"\nthe code is another and does the same; to compare bit by bit again: {renew}" if recoded else ""
    lost = [row.gone for row in report.rows if row.gone]
    if lost and all(row.passed or row.gone for row in report.rows):
        return f"\nremove the rows whose code is gone: {shlex.join(['rm', '-r', *lost])}"
    if any(row.tier == "missing" and not row.gone for row in report.rows) and not make:
        return f"\nmake what is missing: {command} --run"
    if any(finding.check == CLAIMS and finding.passed is False for row in report.rows for finding in row.findings):
        return f"\nmend what the checks of the defense say: a number that rests on a failed check is none; if it is meant all the same: {renew}"
    return f"\nif it is meant: {renew}"


def as_document(report: Report) -> dict[str, Any]:
    """The report as JSON."""
    rows = [{**asdict(row), "passed": row.passed} for row in report.rows]
    return {"passed": report.passed, "rows": rows, "together": [asdict(finding) for finding in report.together]}


def as_junit(report: Report) -> str:
    """JUnit XML: a suite per row, a case per check."""
    root = ElementTree.Element("testsuites", name="purebench")
    for name, run_id, findings in _suites(report):
        suite = ElementTree.SubElement(
            root, "testsuite", name=name, tests=str(len(findings)),
            failures=str(sum(finding.passed is False for finding in findings)),
            skipped=str(sum(finding.passed is None for finding in findings)),
        )  # fmt: skip
        for finding in findings:
            case = ElementTree.SubElement(suite, "testcase", classname=f"purebench.{run_id}", name=finding.check)
            if finding.passed is None:
                ElementTree.SubElement(case, "skipped", message=finding.detail)
            elif not finding.passed:
                failure = ElementTree.SubElement(case, "failure", message=finding.detail)
                failure.text = "\n".join(flip_lines(finding.flips))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def error_junit(sentence: str) -> str:
    """JUnit XML of a check that could not be made: one error."""
    root = ElementTree.Element("testsuites", name="purebench")
    suite = ElementTree.SubElement(root, "testsuite", name="bench check", tests="1", failures="0", errors="1")
    case = ElementTree.SubElement(suite, "testcase", classname="purebench", name="bench check")
    ElementTree.SubElement(case, "error", message=sentence)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def as_step_summary(report: Report) -> str:
    """Markdown for `$GITHUB_STEP_SUMMARY`."""
    head = "## purebench: " + ("robustness as in the baseline" if report.passed else "robustness changed")
    lines = ["| | row | tier | n | before % | after % | what |", "|---|---|---|---|---|---|---|"]
    for row in report.rows:
        before, after = (f"{100 * share:.1f}" for share in row.accuracy["robust"]) if accuracy_text(row) else ("", "")
        what = summed_up(failed_once(row.findings)) or "as in the baseline"
        lines.append(
            f"| {'✅' if row.passed else '❌'} | {row.name} | {row.tier} | {row.n} | {before} | {after} | {what} |"
        )
    together = [f"- ❌ {finding.check}: {finding.detail}" for finding in report.together if finding.passed is False]
    flips = [_flip_block(row) for row in report.rows if not row.passed]
    return "\n".join([head, "", *lines, "", *together, *(block for block in flips if block)]) + "\n"


def _suites(report: Report) -> list[tuple[str, str, list[Finding]]]:
    together = [("all rows", "all", report.together)] if report.together else []
    return [(row.name, row.run_id, row.findings) for row in report.rows] + together


def _folded(finding: Finding) -> str:
    """A check and what it found, in lines of a terminal."""
    return folded(finding_lead(finding), f"{finding.check}: {finding.detail}")


def finding_lead(finding: Finding) -> str:
    """The first column of a check: ok, FAIL, or a dash where it could not be made."""
    return f"  {_STATES[finding.passed]:<5} "


def flip_lines(flips: Sequence[Flip]) -> list[str]:
    """The first images behind a finding, a line each, and how many more there are."""
    shown = [
        f"image {flip.sample} (class {flip.label}), {flip.which}: {_classes(flip.before)} -> {_classes(flip.after)}"
        + ("" if flip.margin is None else f", recorded margin {flip.margin:.2g}")
        for flip in flips[:MOST_FLIPS]
    ]
    return shown + ([f"and {len(flips) - MOST_FLIPS} more"] if len(flips) > MOST_FLIPS else [])


def _classes(predictions: Sequence[int]) -> str:
    return " ".join(map(str, predictions))


def _flip_block(row: RowReport) -> str:
    lines = [line for finding in failed_once(row.findings) for line in flip_lines(finding.flips)]
    return (
        f"<details><summary>{row.name}: image by image</summary>\n\n"
        + "\n".join(f"- {line}" for line in lines)
        + "\n\n</details>"
        if lines
        else ""
    )
