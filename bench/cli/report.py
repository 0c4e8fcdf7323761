"""The command `bench report`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from bench.cli.help import Sectioned
from bench.cli.options import Quiet, Results, deliver
from bench.errors import UserError
from bench.files.documents import printable

if TYPE_CHECKING:
    import numpy as np

    from bench.figures.runs import Run
    from bench.records.evidence import Evidence


def register(app: typer.Typer) -> None:
    """Adds the command to the application."""
    app.command("report", cls=Sectioned)(report_command)


def report_command(
    run: Annotated[str, typer.Argument(help="Id of a run, a unique prefix of it, or its folder.")],
    other: Annotated[Optional[str], typer.Argument(help="Another run on the same images, to compare it with.")] = None,
    images: Annotated[int, typer.Option(min=0, help="Example images, of runs that store them.")] = 8,
    no_purified: Annotated[
        bool, typer.Option("--no-purified", help="Leave out the purified images, which need torch and the networks.")
    ] = False,
    allow_code: Annotated[
        bool, typer.Option("--allow-code", help="Run the code that a record names by path or module, to purify images.")
    ] = False,
    results: Results = Path("results"),
    out: Annotated[Optional[Path], typer.Option("--out", "-o", help="File to write. [default: report-ID.html]")] = None,
    quiet: Quiet = False,
) -> None:
    """One HTML file of a run, or of two, for a supplement or a review.

    Identity with hashes, numbers with intervals, claims, audit, classes, margins and images; for two runs the paired table and the
    images that changed sides. It needs no script and no network.

    Example: bench report 6ba633 b07476
    """
    from bench.records.lookup import find_record
    from bench.registry.registry import own_package

    paths = [find_record(results, part) for part in (run, other) if part is not None]
    purifier = None if no_purified else purify(allow_code=allow_code, quiet=quiet)
    text = own_package("leaderboards", "FORMATS").report(paths, images=images, purifier=purifier)
    deliver(text, out or Path(f"report-{'-'.join(path.name for path in paths)}.html"))


def purify(*, allow_code: bool, quiet: bool = False) -> Any:
    """A function that purifies images of a run by its own parts; if it cannot, it says why on stderr and returns None.

    Arguments:
        allow_code: Whether code that a record names by path or module may run.
        quiet: Say nothing.
    """
    from bench.registry.tables import make_registry

    registry = make_registry()

    def purifier(run: Run, evidence: Evidence) -> tuple[np.ndarray, np.ndarray] | None:
        from bench.records.names import code_of

        try:
            code = [] if allow_code else code_of(registry, run.header)
            if code:
                raise UserError("report-code", names=code)
            from bench.run.replay import purified

            return purified(run, evidence, registry)
        except UserError as error:
            if not quiet:
                print(f"bench: no purified images of run {run.run_id}: {printable(str(error))}", file=sys.stderr)
            return None

    return purifier
