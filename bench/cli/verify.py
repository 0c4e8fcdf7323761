"""The commands on one record: `bench show`, `bench verify` and `bench pack`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from bench.cli.help import Sectioned
from bench.cli.options import DataDir, Device, Json, Quiet, Results, number_or, print_json, say
from bench.files.documents import printable

OBJECTS = "For a record whose parts were objects of a Python session"


def object_of(part: str) -> Any:
    """The option for the class or function of a part in a file."""
    return typer.Option(
        metavar="FILE.py:OBJECT",
        help=f"The {part}'s class or function; gets the recorded arguments.",
        rich_help_panel=OBJECTS,
    )


def register(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    app.command("show")(show_command)
    app.command("verify", cls=Sectioned)(verify_command)
    app.command("pack")(pack_command)


def show_command(
    run: Annotated[str, typer.Argument(help="Id of a run, a unique prefix of it, or its folder.")],
    results: Results = Path("results"),
    as_json: Json = False,
) -> None:
    """One record: accuracies, cost, audit, parts, checks, and the command that makes it again.

    In full with --json.

    Example: bench show 6ba633
    """
    from bench.audit.document import read_audit
    from bench.console.audit import audit_text
    from bench.console.run import summary_text
    from bench.console.show import record_text
    from bench.console.steps import audit_line, steps_text
    from bench.figures.summary import summarise
    from bench.records.command import run_command
    from bench.records.lookup import find_record
    from bench.records.names import code_of
    from bench.records.record import no_images, read_record
    from bench.registry.tables import make_registry

    record = read_record(find_record(results, run))
    audit = read_audit(record.path)
    if not record.lines:
        raise no_images(record.path)
    header, summary = record.header, summarise(record, record.lines)
    if as_json:
        print_json(summary | ({"audit": audit} if audit else {}))
        return
    say(summary_text(summary, header.labels.model_dump(), header.notes))
    if audit:
        say(f"\n{audit_text(audit, header.labels.model_dump())}")
    say(f"\n{record_text(record, summary, audit)}")
    steps = [(run_command(header, len(record.lines)), "the same run again")]
    if not audit:
        command = audit_line(run, results, allow_code=bool(code_of(make_registry(), header)))
        steps.append((command, "no audit yet: can this number be believed?"))
    say(f"\n{steps_text(steps)}")


def verify_command(
    run: Annotated[
        str, typer.Argument(help="Id of a run, a unique prefix of it, its folder, or a file that bench pack wrote.")
    ],
    results: Results = Path("results"),
    allow_code: Annotated[
        bool, typer.Option("--allow-code", help="Run the code that the record names by path or module.")
    ] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
    quiet: Quiet = False,
    device: Device = "auto",
    batch_size: Annotated[str, typer.Option(help="Images in one network call, or auto: the record's.")] = "auto",
    defense: Annotated[Optional[str], object_of("purifier")] = None,
    attack: Annotated[Optional[str], object_of("attack")] = None,
    classifier: Annotated[Optional[str], object_of("classifier")] = None,
    score_model: Annotated[Optional[str], object_of("score model")] = None,
    data: Annotated[
        Optional[str],
        typer.Option(help="The images that were given as tensors: a name or npz:PATH.", rich_help_panel=OBJECTS),
    ] = None,
) -> None:
    """Score a record's stored images again, without any attack.

    Exit code 1 if the record does not hold what it claims.

    Example: bench verify 6ba633, or: bench verify 6ba633a07c2e.zip
    """
    from bench.console.steps import steps_text
    from bench.console.verify import Counter, verification_text
    from bench.registry.tables import make_registry
    from bench.verify.verification import Options
    from bench.verify.verify import opened, verify

    options = Options(
        device=device,
        batch_size=number_or(batch_size, "--batch-size", "auto"),
        data_dir=data_dir,
        allow_code=allow_code,
    )
    with opened(results, run) as (path, packing), Counter(quiet=quiet) as counter:
        registry = make_registry()
        if any((defense, attack, classifier, score_model, data)):
            from bench.interface.asked import Asked
            from bench.interface.checking import parts_for

            asked = Asked(
                defense=defense,
                attack=attack,
                classifier=classifier,
                score_model=score_model,
                data=data,
                data_dir=data_dir,
            )
            registry, options = parts_for(path, asked, options)
        found = verify(path, packing, run, registry, options, counter)
        claim = _claim(path) if found.run_id else None
    claimed = {key: claim[0][key] for key in ("n", "clean_accuracy", "robust_accuracy")} if claim else None
    print_json(found.as_dict() | {"claimed": claimed}) if as_json else say(verification_text(found, claim))
    if found.passed and Path(run).is_file() and not (as_json or quiet):
        say(steps_text([(f"bench import {shlex.quote(run)}", "add it to your own records")]))
    raise typer.Exit(0 if found.passed else 1)


def _claim(path: Path) -> tuple[dict[str, Any], dict[str, str]] | None:
    """The summary and the labels of a record with an intact seal; None if it has no lines."""
    from bench.figures.summary import summarise
    from bench.records.record import read_record

    record = read_record(path)
    return (summarise(record, record.lines), record.header.labels.model_dump()) if record.lines else None


def _not_included(name: str) -> str:
    """A note on code that is not in a packed record but that its verification needs, and on where to put it."""
    from bench.registry.trust import file_of

    file = file_of(name)
    if not file:
        return f"not in it: the code of {name}; whoever verifies the record installs its package first"
    place = "at that path" if Path(file).is_absolute() else "in the folder where bench verify is run"
    return (
        f"not in it: {file}, the code of {name}, and the modules beside it that it imports; send them too:\n"
        f"  {file} has to be {place}"
    )


def pack_command(
    run: Annotated[str, typer.Argument(help="Id of a run, a unique prefix of it, or its folder.")],
    out: Annotated[Optional[Path], typer.Option("--out", help="The zip file to write. [default: RUN_ID.zip]")] = None,
    results: Results = Path("results"),
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Pack a complete record into one file, to pass it on.

    With its evidence, seal and audit; the same bytes on every machine.

    Example: bench pack 6ba633 --out dpsam.zip, then bench verify dpsam.zip
    """
    from bench.console.steps import steps_text
    from bench.exchange.pack import pack
    from bench.records.header import read_header
    from bench.records.lookup import find_record
    from bench.records.names import code_of
    from bench.records.seal import AUDIT, sha256
    from bench.registry.tables import make_registry

    path = find_record(results, run)
    target = pack(path, out or Path(f"{read_header(path).run_id}.zip"))
    digest, size = sha256(target), target.stat().st_size
    if as_json:
        print_json({"path": target.as_posix(), "bytes": size, "sha256": digest})
        return
    say(f"{printable(target)}  {size:,} bytes  sha256 {digest}")
    own = code_of(make_registry(), read_header(path))
    if own:
        say("\n".join(map(_not_included, own)))
    if not quiet:
        allow_code = " --allow-code" if own else ""
        audited = "" if (path / AUDIT).exists() else "; no audit is in it: bench audit, then pack again"
        say(steps_text([(f"bench verify {shlex.quote(str(target))}{allow_code}", f"for the recipient{audited}")]))
