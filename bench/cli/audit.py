"""The command `bench audit`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from bench.cli.help import Sectioned
from bench.cli.options import DataDir, Device, Json, Quiet, Results, arguments_of, print_json, say
from bench.errors import UserError

if TYPE_CHECKING:
    from bench.audit.session import Scope
    from bench.console.audit import AuditProgress
    from bench.plan.plan import Plan
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
            help="Make the run of this defense under its right attack first, then audit it.",
            rich_help_panel="Instead of a run, one to make",
        ),
    ] = None,
    defense_args: Annotated[list[str], arguments_of("defense", "-D")] = [],  # noqa: B006
    dataset: Annotated[str, typer.Option(help="As for bench run, with --defense.")] = "fashion-mnist",
    classifier: Annotated[Optional[str], typer.Option(help="Likewise. [default: the data set's]")] = None,
    score_model: Annotated[Optional[str], typer.Option(help="Likewise. [default: the data set's]")] = None,
    threat: Annotated[Optional[str], typer.Option(help="Likewise. [default: the data set's]")] = None,
    draws: Annotated[
        Optional[int], typer.Option(help="Likewise. [default: 10 for stochastic defenses, else 1]")
    ] = None,
    seed: Annotated[int, typer.Option(help="Likewise.")] = 0,
    samples: Annotated[
        Optional[int],
        typer.Option(
            "--samples",
            "-n",
            help="Examine the run's first so many images. [default: 32 with --quick, else 128]",
            rich_help_panel="What is examined",
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Minutes: fewer images, shorter attacks.")] = False,
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
        bool, typer.Option("--again", help="Make anew what is done, for example by somebody else.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what each check and all of them would cost, and stop.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Can this number be believed: each check, beside the run.

    Exit code 1 if it is suspect or refuted.

    The same command again makes what is missing. Checks that compare attacks make ordinary runs below RESULTS/audits, where
    no table counts them; `bench show --results RESULTS/audits` reads them.

    Example: bench audit 6ba633 --quick
    """
    from bench.registry.arguments import parse_options
    from bench.registry.registry import suggest
    from bench.registry.tables import make_registry

    if (run is None) == (defense is None):
        raise UserError(
            "expected a run or --defense, got "
            + ("none" if run is None else "both")
            + "; write for example: bench audit --defense dpsam --quick"
        )
    _check_names(only, suggest)
    registry, options = make_registry(), parse_options(defense_args, "-D")
    if run is not None:
        if options:
            raise UserError("expected -D with --defense only, got it with a run; the record names its arguments")
        _permit(registry, results, run, allow_code)
    else:
        registry.find("defenses", str(defense))

    from bench.console.audit import AuditProgress

    progress = AuditProgress(quiet=quiet)
    progress.loads(Path(run).name if run else str(defense))
    from bench.audit.session import Scope
    from bench.audit.subject import FULL, QUICK
    from bench.run.options import Options

    scope = Scope(size=QUICK if quick else FULL, samples=samples, only=tuple(only), again=again)
    settings = Options(results=results, device=device)
    if run is None:
        wanted = {
            "defense": defense, "dataset": dataset, "classifier": classifier, "score_model": score_model, "threat": threat,
            "draws": draws, "seed": seed, "data_dir": data_dir, "arguments": {"defenses": options},
        }  # fmt: skip
        planned = _planned(registry, wanted, quiet)
        if dry_run and _is_missing(planned, settings, scope.images):
            progress.prices_run()
            _show_run_first(planned, settings, scope.images, as_json)
            return
        path = _made(planned, settings, scope.images, quiet)
    else:
        from bench.records.lookup import find_record

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
    from bench.audit.finding import BELIEVED
    from bench.audit.session import FULL_IMAGES
    from bench.audit.subject import QUICK
    from bench.console.steps import audit_line, elsewhere, steps_text
    from bench.figures.runs import read_run

    at, steps = elsewhere(work.options.results), []
    if found["verdict"] == BELIEVED and found["size"] == QUICK:
        full = audit_line(asked, work.options.results, allow_code=work.allow_code, quick=False)
        images = min(FULL_IMAGES, len(read_run(work.path)))
        steps.append((full, f"to exclude more: longer attacks on {images} images"))
    steps.append((f"bench leaderboard{at}", "the verdict beside the others"))
    steps.append((f"bench pack {work.path.name}{at}", "to hand it on: one file, with this audit"))
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


def _check_names(only: list[str], suggest: Any) -> None:
    """Wrong names end the command before anything is loaded."""
    from bench.audit import TABLE

    for name in only:
        if name not in TABLE:
            raise UserError(
                f"expected the name of a check, got {name!r}{suggest(name, list(TABLE))}; see: bench list checks"
            )


def _permit(registry: Registry, results: Path, run: str, allowed: bool) -> None:
    """A record may be a stranger's: the code that it names runs only if that was allowed."""
    from bench.records.header import read_header
    from bench.records.lookup import find_record
    from bench.records.names import names_of
    from bench.registry.trust import require_permission

    header = read_header(find_record(results, run))
    require_permission(registry, names_of(header), asker=f"the run {header.run_id}", allowed=allowed)


def _planned(registry: Registry, wanted: dict[str, Any], quiet: bool) -> Plan:
    """The run of the defense under its right attack."""
    from bench.audit.right import right_attack
    from bench.console.progress import Progress
    from bench.plan.plan import plan
    from bench.plan.request import Request
    from bench.threat import ThreatModel

    level = None if wanted["threat"] is None else ThreatModel.parse(wanted["threat"])
    attack = right_attack(registry, wanted["defense"])
    with Progress(quiet=quiet):
        return plan(Request(**{**wanted, "attack": attack, "threat": level}), registry)


def _cut(planned: Plan, options: Options, samples: int) -> Options:
    """The options of that run, which the data set may be too small for."""
    return replace(options, samples=min(samples, len(planned.dataset)))


def _made(planned: Plan, options: Options, samples: int, quiet: bool) -> Path:
    """Its record, made or completed."""
    from bench.console.progress import Progress
    from bench.run.job import record_path
    from bench.run.runner import run

    with Progress(quiet=quiet) as progress:
        run(planned, _cut(planned, options, samples), progress)
    return record_path(planned, options.results)


def _is_missing(planned: Plan, options: Options, samples: int) -> bool:
    """Whether images of that run are still to be attacked."""
    from bench.run.job import images_missing

    return images_missing(planned, _cut(planned, options, samples))[0] > 0


def _show_run_first(planned: Plan, options: Options, samples: int, as_json: bool) -> None:
    """What the run would cost that has to be made before its checks can be priced."""
    from bench.cli.forecasts import print_forecasts
    from bench.run.runner import foresee

    print_forecasts([foresee(planned, _cut(planned, options, samples))], [planned], as_json)
    if not as_json:
        say("the checks of the audit are priced when this run is made")
