"""The commands that exchange records and rows with others: `bench export` and `bench import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from bench.cli.help import Sectioned
from bench.cli.options import Out, Results, deliver, say
from bench.errors import UserError


def register(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    app.command("export", cls=Sectioned)(export_command)
    app.command("import", cls=Sectioned)(import_command)


def export_command(
    run: Annotated[str, typer.Argument(help="Id of a run, a unique prefix of it, or its folder.")],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="robustbench (its model_info JSON), pt (the adversarial images), csv or parquet (a line per image).",
        ),
    ] = "robustbench",
    results: Results = Path("results"),
    out: Out = None,
    words: Annotated[
        list[str],
        typer.Option(
            "-M", metavar="KEY=VALUE", help="What is not in the record: authors, link, venue, ...; repeatable."
        ),
    ] = [],  # noqa: B006
) -> None:
    """A run in RobustBench's format, its images as a tensor, or its lines as a table.

    Its model_info JSON; the adversarial images in the order of the test set; or predictions, margins and costs of each image.

    Example: bench export 6ba633 --to pt --out adversarial.pt
    """
    if to == "robustbench":
        from bench.registry.arguments import parse_options
        from bench.registry.registry import own_package

        deliver(own_package("leaderboards", "FORMATS").model_info(results, run, parse_options(words, "-M")), out)
        return
    from bench.records.lookup import find_record

    if to == "pt" and out is not None:
        from bench.exchange.tensors import save_tensor
        from bench.figures.runs import read_run

        print(f"{save_tensor(read_run(find_record(results, run)), out)} images in {out}")
        return
    if to not in ("csv", "parquet"):
        raise UserError("export-format", to=to)
    from bench.exchange.tables import as_parquet
    from bench.interface.frames import samples_frame
    from bench.records.record import read_record

    record = read_record(find_record(results, run))
    if not record.lines:
        raise UserError("export-lines-missing", path=record.path)
    frame = samples_frame(record.lines)
    deliver(as_parquet(frame) if to == "parquet" else frame.to_csv().rstrip("\n"), out)


def import_command(
    files: Annotated[
        list[Path], typer.Argument(help="Files that bench pack wrote (.zip), or RobustBench's model_info JSON files.")
    ],
    results: Results = Path("results"),
    threat: Annotated[
        Optional[str], typer.Option(help="JSON: their threat. [default: from the folder's name and eps]")
    ] = None,
) -> None:
    """Add packed records of others, or rows of RobustBench.

    A packed record is stored where bench run would have made it; no code runs (see: bench verify). Rows of RobustBench are
    shown apart, marked as imported, and never ranked.

    Example: bench import dpsam.zip, or: bench import model_info/cifar10/Linf/Standard.json
    """
    from zipfile import is_zipfile

    packed = [file for file in files if file.suffix == ".zip" or is_zipfile(file)]
    for file in packed:
        _import_record(file, results)
    _import_rows([file for file in files if file not in packed], results, threat)


def _import_record(file: Path, results: Path) -> None:
    from bench.console.steps import audit_line, elsewhere, steps_text
    from bench.exchange.unpack import unpack
    from bench.records.header import read_header
    from bench.records.names import code_of
    from bench.records.seal import AUDIT
    from bench.registry.tables import make_registry

    unpacked, at = unpack(file, results), elsewhere(results)
    path = unpacked.path
    code = bool(code_of(make_registry(), read_header(path)))
    steps = [
        (f"bench show {path.name}{at}", "what was attacked, how, on which images"),
        (
            f"bench verify {path.name}{at}{' --allow-code' if code else ''}",
            "if you have not verified the file: does it hold what it claims?",
        ),
    ]
    if not (path / AUDIT).exists():
        left_out = "" if unpacked.known else " An audit in the file was not imported"
        audit = audit_line(path.name, results, allow_code=code)
        steps.append((audit, f"was the attack strong enough?{left_out}"))
    say(f"{path}{'  was there already, unchanged' if unpacked.known else ''}\n{steps_text(steps)}")


def _import_rows(files: list[Path], results: Path, threat: str | None) -> None:
    from bench.files.atomic import write_whole
    from bench.registry.registry import own_package
    from bench.threat import ThreatModel

    level = None if threat is None else str(ThreatModel.parse(threat))
    reference_row = own_package("leaderboards", "FORMATS").reference_row
    for target, text in [reference_row(file, results, level) for file in files]:
        write_whole(target, text)
        print(target)
