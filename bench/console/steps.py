"""The commands that a result suggests next, ready to paste."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.records.lookup import results_of

DEFAULT_IMAGES, MORE_IMAGES = 100, 1_000


def next_steps(summary: dict[str, Any], command: list[str], *, dataset_size: int, allow_code: bool = False) -> str:
    """The commands to run after a run, ready to paste.

    Arguments:
        summary: Summary of the run.
        command: The words after `bench run`.
        dataset_size: Number of images in the data set.
        allow_code: Whether the record names code, so that commands on it need `--allow-code`.
    """
    from bench.records.claim import failed_checks
    from bench.records.header import Checks

    words = _without([word for word in command if word not in ("--json", "--quiet")], "-n", "--samples")
    base = shlex.join(["bench", "run", *words])
    count = f" -n {summary['n']}" if summary["n"] != DEFAULT_IMAGES else ""
    if failed_checks(Checks.model_validate(summary["checks"])):
        at, run = elsewhere(results_of(Path(summary["path"]))), summary["run_id"]
        return steps_text(
            [
                (f"bench show {run}{at}", "which checks failed, and how to fix them: this number depends on them"),
                (f"{base}{count}", "after the fix: a new record"),
            ]
        )
    steps = []
    if summary["n"] < dataset_size:
        more = min(MORE_IMAGES, dataset_size) if summary["n"] < MORE_IMAGES else dataset_size
        steps.append((f"{base} -n {more}", f"a half-width of {_half_width(more):.1f} points; continues this record"))
    args = summary["spec"]["attack"]["args"]
    if {"steps", "restarts"} <= args.keys():
        stronger = f"{_without_arguments(base)}{count} -A steps={2 * args['steps']} -A restarts={2 * args['restarts']}"
        steps.append((stronger, "a stronger attack: does the number hold?"))
    secret = summary["draws"]["k"] > 1 and summary["spec"]["attack"].get("knowledge") != "known"
    if secret and summary["checks"].get("differentiable", True):
        attacker = shlex.join(["bench", "run", *_without(words, "-A", "--attack"), "--attack", "pgd-known"])
        steps.append((f"{attacker}{count}", "an attacker who knows the draws that are scored"))
    if summary["spec"]["attack"]["name"] != "null":
        results = results_of(Path(summary["path"]))
        audit = audit_line(summary["run_id"], results, allow_code=allow_code)
        steps.append((f"bench leaderboard{elsewhere(results)}", "this run beside the others"))
        steps.append((audit, "can this number be believed?"))
    return steps_text(steps)


def audit_line(run: str, results: Path, *, allow_code: bool, quick: bool = True) -> str:
    """The command that audits a run.

    Arguments:
        run: Id of the run, a prefix of it, or its folder (which needs no `--results`).
        results: Folder of all records.
        allow_code: Whether the record names code.
        quick: Whether the audit is the quick one.
    """
    at = "" if (Path(run) / "run.json").is_file() else elsewhere(results)
    return f"bench audit {shlex.quote(run)}{at}{' --quick' if quick else ''}{' --allow-code' if allow_code else ''}"


def elsewhere(results: Path) -> str:
    """The option `--results` after a space; empty for the default folder."""
    return "" if results == Path("results") else f" --results {shlex.quote(str(results))}"


def steps_text(steps: Sequence[tuple[str, str]]) -> str:
    """Commands to run next, each below its reason, so that the lines can be pasted together."""
    return "\n".join(["next", *(f"  # {why}\n  {step}" for step, why in steps)])


def _half_width(n: int) -> float:
    return 100 * 1.96 * 0.5 / n**0.5


def _without(words: Sequence[str], *options: str) -> list[str]:
    """The words without some options and their values, whether attached or separate."""
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
    """The command without the arguments `steps` and `restarts` of the attack."""
    words: list[str] = shlex.split(base)
    kept: list[str] = []
    for word in words:
        attached = word.startswith("-A") and word != "-A"
        if (attached or kept[-1:] == ["-A"]) and word.removeprefix("-A").split("=")[0] in ("steps", "restarts"):
            kept = kept if attached else kept[:-1]
        else:
            kept.append(word)
    return shlex.join(kept)
