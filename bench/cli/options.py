"""Options that several commands share."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from bench.cli.help import KEPT, WHERE
from bench.errors import UserError
from bench.files.documents import printable

if TYPE_CHECKING:
    from bench.plan.plan import Plan
    from bench.run.prediction import Forecast


def _silence(quiet: bool) -> bool:
    from bench.console.progress import show_notices

    show_notices(quiet=quiet)
    if quiet:
        warnings.simplefilter("ignore")
    return quiet


Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else there.")]
Quiet = Annotated[bool, typer.Option("--quiet", callback=_silence, help="No progress and no warnings.")]
Out = Annotated[Optional[Path], typer.Option("--out", "-o", help="File to write. [default: stdout]")]
Results = Annotated[Path, typer.Option("--results", help="Folder of all records.", rich_help_panel=KEPT)]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        help="auto, cpu, cuda, cuda:1, mps; several of one machine as cuda:0,cuda:1.",
        rich_help_panel=WHERE,
    ),
]
DataDir = Annotated[
    Optional[Path],
    typer.Option("--data-dir", help="Folder of data sets, also for downloads. [default: the platform's cache folder]"),
]
EngineName = Annotated[str, typer.Option("--engine", help="local or ray: where shards are executed.")]
Workers = Annotated[Optional[int], typer.Option("--workers", help="Shards executed at once. [default: one per device]")]
GpusPerWorker = Annotated[
    Optional[float],
    typer.Option(
        "--gpus-per-worker", help="With ray: GPUs a worker holds, 0.5 for two a GPU. [default: 1 if there are any]"
    ),
]
Address = Annotated[
    Optional[str],
    typer.Option("--address", help="With ray: a running cluster's, or auto. [default: start one on this machine]"),
]
ShardTimeout = Annotated[
    Optional[float],
    typer.Option(
        "--shard-timeout",
        help="Seconds until a shard is tried again. [default with several workers: 20 times the longest so far]",
    ),
]


def arguments_of(part: str, flag: str) -> Any:
    """The repeatable option for the arguments of one part of a run."""
    return typer.Option(flag, metavar="KEY=VALUE", help=f"Argument of the {part}; repeatable.")


def number_or(text: str, option: str, word: str) -> int | None:
    """A whole number; None for the word that is allowed instead."""
    if text == word:
        return None
    try:
        return int(text)
    except ValueError as error:
        raise UserError("option-number", option=option, word=word, text=text) from error


def say(text: str) -> None:
    """Prints a text; escapes control characters, since names may come from a stranger's record."""
    print(printable(text))


def print_json(value: object) -> None:
    """Prints one JSON document."""
    print(json.dumps(value, indent=1, allow_nan=False))


def print_forecasts(costs: list[Forecast | None], plans: list[Plan], as_json: bool) -> None:
    """Prints the predicted costs of runs on stdout."""
    from bench.console.run import forecast_text

    if as_json:
        documents = [
            {"run_id": planned.spec.run_id, "threat": str(planned.threat), "forecast": cost and cost.as_dict()}
            for cost, planned in zip(costs, plans, strict=True)
        ]
        print_json(documents[0] if len(documents) == 1 else documents)
        return
    say("\n".join(forecast_text(cost, planned) for cost, planned in zip(costs, plans, strict=True)))


def deliver(text: str | bytes, out: Path | None, *, folder: bool = False) -> None:
    """Prints a text, or writes it to a file and prints the file's path.

    Arguments:
        text: The text, or the content of a file that is none.
        out: The file; None for stdout.
        folder: Whether to create the file's folder.

    Raises:
        UserError: The file cannot be written.
    """
    if out is None:
        if isinstance(text, bytes):
            raise UserError("output-file")
        print(text)
        return
    try:
        if folder:
            out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(text if isinstance(text, bytes) else f"{text}\n".encode())
        say(str(out))
    except OSError as error:
        raise UserError("output-unwritable", path=out, error=error) from error
