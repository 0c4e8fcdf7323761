"""What the rows of a baseline stand for today: whether their code is still there, and takes their arguments."""

from __future__ import annotations

import copy
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.compare.pairs import names_of, row_name
from bench.errors import BenchError, UserError
from bench.figures.runs import Run
from bench.registry.arguments import adjustable, complete, takes
from bench.registry.entry import FLAGS, KIND_OF
from bench.registry.registry import Found, Registry
from bench.registry.trust import file_of
from bench.text.command import given_arguments, run_command

OWN = ("defense", "attack")
"""The parts whose code a row judges."""


def other_code(run: Run, registry: Registry) -> list[str]:
    """The parts of a run whose code is not today's: `defense content ee079c0a -> 829f6b33`; `gone` where there is none."""
    phrases = []
    for role in OWN:
        recorded, today = run.spec[role].get("sha256"), _today(run.spec[role], role, registry)
        if today is not None and today != recorded:
            phrases.append(f"{role} content {str(recorded)[:8]} -> {today[:8]}")
    return phrases


def _today(part: Mapping[str, Any], role: str, registry: Registry) -> str | None:
    """The hash of a part's code; None for a built-in one, and for an attack whose hash is that of its surrogate."""
    try:
        found = registry.find(KIND_OF[role], part["name"])
        if found.source == "built-in" or takes(found.load(), "surrogate"):
            return None
        return found.source_sha256()
    except (BenchError, SyntaxError, TypeError, ValueError):
        return "gone"


def gone(run: Run, rows: Sequence[Run], registry: Registry) -> Run | None:
    """The row that stands for what a row was: of the same names and arguments, and of today's code, which the row is not."""
    twins = [other for other in rows if other is not run and _asked(other) == _asked(run)]
    if not twins or not other_code(run, registry):
        return None
    return next((other for other in twins if not other_code(other, registry)), None)


def _asked(run: Run) -> tuple[Any, ...]:
    """What the user asked for, by name."""
    spec, labels = run.spec, run.header["labels"]
    models = [str(spec[role] and (spec[role]["name"], spec[role]["args"])) for role in ("classifier", "score_model")]
    return *names_of(run), labels["defense"], labels["attack"], *models, spec["draws"]


def check_row(run: Run, registry: Registry, baseline: Path, results: Path, *, every: bool) -> None:
    """Checks that the parts of a row are found and take its arguments, before anything runs.

    Arguments:
        run: The row.
        registry: What its names stand for.
        baseline: Its folder.
        results: That of the results, for the advice.
        every: Whether all recorded arguments are needed, as where stored images are scored again, or only those that were given.

    Raises:
        UserError: They are not, or do not.
    """
    for role in OWN:
        part = run.spec[role]
        _check_file(part["name"], role)
        found = registry.find(KIND_OF[role], part["name"])
        target = found.load()
        args = part["args"] if every else given_arguments(part, run.header["labels"][role])
        try:
            complete(target, {**found.entry.args, **args}, what=found.name, flag=FLAGS[found.kind])
        except UserError as error:
            raise UserError(
                f"expected the arguments of the baseline's row {row_name(run)} [{run.run_id}] to be those of today, got: {error}; "
                f"the argument comes from the baseline: restore it, or renew the row: {_renewal(run, role, found, baseline, results)}"
            ) from error


def _check_file(name: str, role: str) -> None:
    file = file_of(name)
    if file and not Path(file).is_file():
        raise UserError(
            f"expected the file of the {role} {name!r} in {Path.cwd()}, got no file {file} there; "
            "the baseline names it relative to the folder where it was made: run from that folder"
        )


def _renewal(run: Run, role: str, found: Found, baseline: Path, results: Path) -> str:
    """The commands that make a row anew where its arguments are no more: without them, or with the one that took the place of one."""
    header = copy.deepcopy(run.header)
    part, known = header["spec"][role], adjustable(found.load())
    given = given_arguments(part, header["labels"][role])
    lost, new = (
        [name for name in part["args"] if name not in known],
        [name for name in known if name not in part["args"]],
    )
    kept = {name: value for name, value in given.items() if name in known}
    if len(lost) == len(new) == 1 and lost[0] in given:
        kept[new[0]] = given[lost[0]]
    part["args"], header["labels"][role] = kept, " ".join([part["name"], *(f"{name}=" for name in kept)])
    place = f"{results}-renewed"
    renew = shlex.join(["bench", "check", "--baseline", str(baseline), "--results", place])
    return f'{run_command(header, len(run), results=place)} && {renew} --update --reason "why"'
