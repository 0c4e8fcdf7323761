"""The command `bench audit`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from bench.cli.help import Sectioned
from bench.cli.options import DataDir, Device, Json, Quiet, Results, arguments_of, print_json, say
from bench.errors import UserError

if TYPE_CHECKING:
    from bench.audit.session import Scope
    from bench.console.audit import AuditProgress
    from bench.registry.registry import Registry
    from bench.run.options import Options


def register(app: typer.Typer) -> None:
    """Adds the command to the application."""
    app.command("audit", cls=Sectioned)(audit_command)


def audit_command(
    run: Annotated[Optional[str], typer.Argument(help="Id of a run, a unique prefix of it, or its folder.")] = None,
    defense: Annotated[
        Optional[str],
        typer.Option(
            help="Run this defense under its right attack first, then audit that run.",
            rich_help_panel="Instead of a run, one to make",
        ),
    ] = None,
    defense_args: Annotated[list[str], arguments_of("defense", "-D")] = [],  # noqa: B006
    dataset: Annotated[str, typer.Option(help="With --defense, as for bench run.")] = "fashion-mnist",
    classifier: Annotated[Optional[str], typer.Option(help="As for bench run. [default: the data set's]")] = None,
    score_model: Annotated[Optional[str], typer.Option(help="As for bench run. [default: the data set's]")] = None,
    threat: Annotated[Optional[str], typer.Option(help="As for bench run. [default: the data set's]")] = None,
    draws: Annotated[
        Optional[int], typer.Option(help="As for bench run. [default: 10 for stochastic defenses, else 1]")
    ] = None,
    seed: Annotated[int, typer.Option(help="As for bench run.")] = 0,
    samples: Annotated[
        Optional[int],
        typer.Option(
            "--samples",
            "-n",
            help="Examine only the first n images of the run. [default: 32 with --quick, else 128]",
            rich_help_panel="What is examined",
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer images and shorter attacks: minutes.")] = False,
    only: Annotated[
        list[str], typer.Option("--only", metavar="CHECK", help="Only this check (see: bench list checks); repeatable.")
    ] = [],  # noqa: B006
    allow_code: Annotated[
        bool, typer.Option("--allow-code", help="Run the code that the record names by path or module.")
    ] = False,
    device: Device = "auto",
    data_dir: DataDir = None,
    results: Results = Path("results"),
    again: Annotated[
        bool, typer.Option("--again", help="Recompute finished checks, for example those of somebody else.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Predict the cost of each check and of all, and stop.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Can this number be believed: each check, stored beside the run.

    Exit code 1 if it is suspect or refuted.

    The same command again makes the missing checks. Checks that compare attacks make ordinary runs below RESULTS/audits,
    which no table counts; `bench show --results RESULTS/audits` shows them.

    Example: bench audit 6ba633 --quick
    """
    from bench.registry.arguments import parse_options
    from bench.registry.tables import make_registry

    _check_target(run, defense)
    _check_names(only)
    registry, options = make_registry(), parse_options(defense_args, "-D")
    if run is None:
        registry.find("defenses", str(defense))
    elif options:
        raise UserError("audit-arguments")
    else:
        _permit(registry, results, run, allow_code)

    from bench.console.audit import AuditProgress

    progress = AuditProgress(quiet=quiet)
    progress.loads(Path(run).name if run else str(defense))
    from bench.audit.finding import FULL, QUICK
    from bench.audit.session import Scope
    from bench.cli.first_run import FirstRun
    from bench.records.lookup import find_record
    from bench.run.options import Options

    scope = Scope(size=QUICK if quick else FULL, samples=samples, only=tuple(only), again=again)
    settings = Options(results=results, device=device)
    if run is None:
        parts = {"defense": defense, "dataset": dataset, "classifier": classifier, "score_model": score_model}
        arguments = {"defenses": options}
        wanted = {**parts, "threat": threat, "draws": draws, "seed": seed, "data_dir": data_dir, "arguments": arguments}
        first = FirstRun.of(registry, wanted, settings, scope.images, quiet=quiet)
        if dry_run and first.is_missing():
            progress.prices_run()
            first.print_cost(as_json)
            return
        path = first.make()
    else:
        path = find_record(results, run)
    work = _Work(path, scope, registry, settings, data_dir, progress, allow_code)
    if dry_run:
        _show_outlook(work, as_json)
    else:
        _show_audit(work, as_json, run or path.name)


@dataclass(frozen=True)
class _Work:
    path: Path
    scope: Scope
    registry: Registry
    options: Options
    data_dir: Path | None
    progress: AuditProgress
    allow_code: bool


def _show_audit(work: _Work, as_json: bool, asked: str) -> None:
    from bench.audit.session import audit
    from bench.console.audit import FIRED, audit_text
    from bench.records.header import read_header

    found = audit(work.path, work.scope, work.registry, work.progress, options=work.options, data_dir=work.data_dir)
    if as_json:
        print_json(found)
    else:
        say(audit_text(found, read_header(work.path).labels.model_dump()))
        if not work.progress.quiet:
            say(_next(work, found, asked))
    raise typer.Exit(1 if found["verdict"] in FIRED else 0)


def _next(work: _Work, found: dict[str, Any], asked: str) -> str:
    """What to do after an audit: for whoever doubts the number, and for whoever made it."""
    from bench.audit.finding import BELIEVED, QUICK
    from bench.audit.session import FULL_IMAGES
    from bench.audit.strength import PASSED
    from bench.console.steps import audit_line, elsewhere, steps_text
    from bench.figures.runs import read_run

    at, steps = elsewhere(work.options.results), []
    if found["verdict"] in (BELIEVED, PASSED) and found["size"] == QUICK:
        full = audit_line(asked, work.options.results, allow_code=work.allow_code, quick=False)
        images = min(FULL_IMAGES, len(read_run(work.path)))
        steps.append((full, f"to exclude more: longer attacks on {images} images"))
    steps.append((f"bench leaderboard{at}", "the verdict beside the others"))
    steps.append((f"bench pack {work.path.name}{at}", "to pass it on: one file, with this audit"))
    return steps_text(steps)


def _show_outlook(work: _Work, as_json: bool) -> None:
    from bench.audit.session import foresee
    from bench.console.audit import outlook_text
    from bench.records.header import read_header

    outlook = foresee(work.path, work.scope, work.registry, work.progress, options=work.options, data_dir=work.data_dir)
    if as_json:
        print_json(outlook)
    else:
        say(outlook_text(outlook, read_header(work.path).labels.model_dump()))


def _check_target(run: str | None, defense: str | None) -> None:
    """Refuses a command with neither a run nor a defense, or with both."""
    if (run is None) == (defense is None):
        got = "none" if run is None else "both"
        raise UserError("audit-target", got=got)


def _check_names(only: list[str]) -> None:
    """Refuses unknown names of checks, before anything is loaded."""
    from bench.audit import find_check

    for name in only:
        find_check(name)


def _permit(registry: Registry, results: Path, run: str, allowed: bool) -> None:
    """Refuses to run code that the record names unless it is allowed, since the record may be a stranger's."""
    from bench.records.header import read_header
    from bench.records.lookup import find_record
    from bench.records.names import names_of
    from bench.registry.trust import require_permission

    header = read_header(find_record(results, run))
    require_permission(registry, names_of(header), asker=f"the run {header.run_id}", allowed=allowed)
