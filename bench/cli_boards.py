"""The commands that read records: tables, comparisons, the gate, exchange with others. Each command one call."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from bench.cli_help import KEPT, Sectioned
from bench.cli_options import DataDir, Device, Json, Quiet, Results, print_json, say
from bench.documents import printable
from bench.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from bench.evidence import Evidence
    from bench.gate.session import Update
    from bench.runs import Run

Out = Annotated[Optional[Path], typer.Option("--out", help="File to write. [default: stdout]")]


def register(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    for name, command in COMMANDS.items():
        app.command(name, cls=Sectioned)(command)


def leaderboard_command(
    dataset: Annotated[
        Optional[str], typer.Option(help="Only this data set.", rich_help_panel="Which rows, and how they are ranked")
    ] = None,
    threat: Annotated[Optional[str], typer.Option(help="Only this threat.")] = None,
    against: Annotated[
        Optional[str],
        typer.Option(
            help="Defense (as the table names it) to test the others against, paired on the same images. [default: the first row]"
        ),
    ] = None,
    require: Annotated[
        list[str],
        typer.Option(
            metavar="CLASS",
            help="Class of attacks that a row needs to be ranked; repeatable. [default: full gradient, AutoAttack, black box, transfer]",
        ),
    ] = [],  # noqa: B006
    output: Annotated[
        str, typer.Option("--format", help="md, latex, csv, json or html.", rich_help_panel="How they are written")
    ] = "md",
    brief: Annotated[bool, typer.Option("--brief", help="md, latex: leave out the runs behind the rows.")] = False,
    width: Annotated[
        Optional[int],
        typer.Option(
            min=40,
            help="md: leave out the least important columns until lines of so many characters fit. [default: the terminal's; all in a file]",
        ),
    ] = None,
    images: Annotated[int, typer.Option(help="html: images shown of each run that stores them.")] = 8,
    purified: Annotated[
        bool, typer.Option("--purified", help="html: also purify the images shown, which takes torch and the defenses.")
    ] = False,
    results: Annotated[
        list[Path],
        typer.Option(
            metavar="<path>",
            help="Folder of records; repeatable, to see one's own beside others. [default: results]",
            rich_help_panel=KEPT,
            show_default=False,
        ),
    ] = [Path("results")],  # noqa: B006
    out: Annotated[
        Optional[Path], typer.Option("--out", help="File to write; for html a folder or a file. [default: stdout]")
    ] = None,
    as_json: Json = False,
) -> None:
    """Clean and robust accuracy of every defense, ranked.

    A row counts an image only if it survives every attack on it; a rank is one more than the number of rows that are significantly better.

    Example: bench leaderboard --threat linf:16/255 --format html --out site
    """
    from bench.registry import own_package
    from bench.threat import ThreatModel

    leaderboards = own_package("leaderboards", "FORMATS")
    wanted = "json" if as_json else output
    if wanted not in leaderboards.FORMATS:
        raise UserError(f"expected --format {' or '.join(leaderboards.FORMATS)}, got {output!r}; choose one of them")
    level = None if threat is None else str(ThreatModel.parse(threat))
    purifier = _purifier() if purified and wanted == "html" else None
    text = leaderboards.render(
        results, wanted, dataset=dataset, threat=level, against=against, required=require, images=images, purifier=purifier,
        brief=brief, width=width or _terminal(out),
    )  # fmt: skip
    page = out is not None and wanted == "html" and out.suffix.lower() not in (".html", ".htm")
    _deliver(text, out / "index.html" if out is not None and page else out, folder=page)


def table_command(
    spec: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="A .toml file, or a ready spec: main, ablation, clean-robust, cost-robust, curve."
        ),
    ],
    results: Annotated[
        Optional[Path], typer.Option("--results", help="Folder of all records. [default: the file's]")
    ] = None,
    output: Annotated[Optional[str], typer.Option("--format", help="md, latex or csv; pdf or png for figures.")] = None,
    out: Out = None,
    dataset: Annotated[Optional[str], typer.Option(help="Only this data set. [default: the file's]")] = None,
    threat: Annotated[Optional[str], typer.Option(help="Only this threat. [default: the file's]")] = None,
) -> None:
    """One paper table or figure from a spec.

    Example: bench table main --format latex --out main.tex
    """
    from bench.registry import own_package
    from bench.threat import ThreatModel

    level = None if threat is None else str(ThreatModel.parse(threat))
    leaderboards = own_package("leaderboards", "FORMATS")
    text, written = leaderboards.paper(spec, results=results, output=output, out=out, dataset=dataset, threat=level)
    _deliver(text, None if written else out)


def compare_command(
    a: Annotated[str, typer.Argument(metavar="A", help="Id of a run, a prefix, its folder, or a folder of results.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Likewise.")],
    results: Results = Path("results"),
    as_json: Json = False,
) -> None:
    """Two runs, or folders of runs, paired on the same images.

    Example: bench compare 6ba633 b07476
    """
    from bench.compare import compare
    from bench.console_compare import comparison_text

    comparisons = compare(a, b, results)
    if as_json:
        print_json([part.as_dict() for part in comparisons])
    else:
        print("\n\n".join(map(comparison_text, comparisons)))


def check_command(
    baseline: Annotated[
        Path,
        typer.Option(
            "--baseline", help="Folder of the baseline's records.", rich_help_panel="What is compared, and how"
        ),
    ],
    make: Annotated[bool, typer.Option("--run", help="Make the runs that are missing.")] = False,
    margin: Annotated[float, typer.Option(help="Smallest change that fails the gate, in percentage points.")] = 1.0,
    alpha: Annotated[float, typer.Option(help="Two-sided level of the tests, after Holm.")] = 0.01,
    update: Annotated[
        bool,
        typer.Option(
            "--update", help="Put the results in the baseline's place.", rich_help_panel="A new baseline instead"
        ),
    ] = False,
    reason: Annotated[str, typer.Option(help="Why, with --update; kept in the baseline.")] = "",
    add: Annotated[
        list[str],
        typer.Option("--add", metavar="RUN", help="A run of the results to make a row of, with --update; repeatable."),
    ] = [],  # noqa: B006
    samples: Annotated[
        Optional[int],
        typer.Option("--samples", "-n", min=1, help="Images to keep of each row, with --update. [default: all]"),
    ] = None,
    device: Device = "auto",
    data_dir: DataDir = None,
    results: Results = Path("results"),
    junit: Annotated[Optional[Path], typer.Option(help="JUnit XML to write.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """The gate in CI: is robustness still that of the baseline?

    Exit code 1 if it changed, in either direction.

    Example: bench check --baseline baseline --run --junit report.xml
    """
    from bench.cli import make_registry
    from bench.gate.check import Bars, read_baseline
    from bench.gate.session import Session

    session = Session(
        baseline=baseline, results=results, bars=Bars(alpha=alpha, margin=margin), registry=make_registry(),
        data_dir=data_dir, device=device, quiet=quiet, announce=lambda text: None if quiet else typer.echo(text, err=True),
    )  # fmt: skip
    if update:
        done = session.update(reason, make=make, add=add, samples=samples)
        document = {"changed": done.changed, "left_out": done.left_out, "notes": done.notes}
        print_json(document) if as_json else say(_updated(done, baseline, results))
        return
    if add or samples or reason:
        raise UserError("expected --add, --samples and --reason with --update, got them alone; add --update")
    from bench.gate.report import as_document, as_text, error_junit, renewal

    try:
        report = session.check(read_baseline(baseline), make=make)
    except UserError as error:
        if junit:
            from bench.records import write_whole

            write_whole(junit, error_junit(str(error)).encode())
        raise

    session.publish(report, junit=junit, summary=os.environ.get("GITHUB_STEP_SUMMARY"))
    print_json(as_document(report)) if as_json else print(
        as_text(report) + renewal(report, baseline, results, make=make)
    )
    raise typer.Exit(0 if report.passed else 1)


def _updated(done: Update, baseline: Path, results: Path) -> str:
    """What changed in a baseline, what its maker should know, and what to do next."""
    from bench.console import WIDTH, folded
    from bench.console_steps import elsewhere, steps_text

    count = f"{len(done.changed)} row{'s' if len(done.changed) != 1 else ''} {'made' if done.first else 'changed'} in {baseline}"
    if not done.changed and done.stale:
        return f"{count}: your code is not that of these results; add --run"
    if not done.changed:
        return f"{count}: the results of its rows are as they were; --add RUN makes a row of one more run"
    lines = [folded("", phrase, WIDTH - 2).replace("\n", "\n  ") for phrase in done.changed]
    lines += [folded("left out, made by other code than today's: ", folder) for folder in done.left_out]
    lines += [folded("note  ", note) for note in done.notes]
    check = f"bench check --baseline {shlex.quote(str(baseline))}{elsewhere(results)} --run"
    return "\n".join([*lines, count, steps_text([(check, f"from now on, in CI; commit {baseline}")])])


def export_command(
    run: Annotated[str, typer.Argument(help="Id of a run, a unique prefix of it, or its folder.")],
    to: Annotated[
        str, typer.Option("--to", help="robustbench (its model_info JSON) or pt (a tensor of the adversarial images).")
    ] = "robustbench",
    results: Results = Path("results"),
    out: Out = None,
    words: Annotated[
        list[str],
        typer.Option(
            "-M", metavar="KEY=VALUE", help="What the record does not know: authors, link, venue, ...; repeatable."
        ),
    ] = [],  # noqa: B006
) -> None:
    """A run in RobustBench's format, or its images as a tensor.

    Its model_info JSON, or the adversarial images in the order of the test set.

    Example: bench export 6ba633 --to pt --out adversarial.pt
    """
    if to == "robustbench":
        from bench.arguments import parse_options
        from bench.registry import own_package

        _deliver(own_package("leaderboards", "FORMATS").model_info(results, run, parse_options(words, "-M")), out)
        return
    if to != "pt" or out is None:
        raise UserError(f"expected --to robustbench, or --to pt with --out FILE.pt, got {to!r}; correct the command")
    from bench.lookup import find_record
    from bench.runs import read_run
    from bench.tensors import save_tensor

    print(f"{save_tensor(read_run(find_record(results, run)), out)} images in {out}")


def import_command(
    files: Annotated[
        list[Path], typer.Argument(help="Files that bench pack wrote (.zip), or RobustBench's model_info JSON files.")
    ],
    results: Results = Path("results"),
    threat: Annotated[
        Optional[str], typer.Option(help="JSON: their threat. [default: from the folder's name and eps]")
    ] = None,
) -> None:
    """Packed records of others, or RobustBench's rows, to see here.

    A packed record lands where bench run would have made it; no code runs (see: bench verify). RobustBench's rows are shown
    apart, marked as imported, never ranked.

    Example: bench import dpsam.zip, or: bench import model_info/cifar10/Linf/Standard.json
    """
    from zipfile import is_zipfile

    packed = [file for file in files if file.suffix == ".zip" or is_zipfile(file)]
    for file in packed:
        _import_record(file, results)
    _import_rows([file for file in files if file not in packed], results, threat)


def _import_record(file: Path, results: Path) -> None:
    from bench.cli import make_registry
    from bench.console_steps import audit_line, elsewhere, steps_text
    from bench.header import read_header
    from bench.seal import AUDIT
    from bench.trust import code_of
    from bench.unpack import unpack

    unpacked, at = unpack(file, results), elsewhere(results)
    path = unpacked.path
    code = bool(code_of(make_registry(), read_header(path)))
    steps = [
        (f"bench show {path.name}{at}", "what was attacked, how, on which images"),
        (
            f"bench verify {path.name}{at}{' --allow-code' if code else ''}",
            "is it what it says? If you have not verified the file",
        ),
    ]
    if not (path / AUDIT).exists():
        left_out = "" if unpacked.known else " An audit in the file was left out"
        audit = audit_line(path.name, results, allow_code=code)
        steps.append((audit, f"was the attack strong enough?{left_out}"))
    say(f"{path}{'  was there already, unchanged' if unpacked.known else ''}\n{steps_text(steps)}")


def _import_rows(files: list[Path], results: Path, threat: str | None) -> None:
    from bench.records import write_whole
    from bench.registry import own_package
    from bench.threat import ThreatModel

    level = None if threat is None else str(ThreatModel.parse(threat))
    reference_row = own_package("leaderboards", "FORMATS").reference_row
    for target, text in [reference_row(file, results, level) for file in files]:
        write_whole(target, text.encode())
        print(target)


COMMANDS: dict[str, Any] = {
    "leaderboard": leaderboard_command, "table": table_command, "compare": compare_command, "check": check_command,
    "export": export_command, "import": import_command,
}  # fmt: skip


def _terminal(out: Path | None) -> int | None:
    """The width of the terminal that gets the text, if one does."""
    return shutil.get_terminal_size().columns if out is None and sys.stdout.isatty() else None


def _deliver(text: str, out: Path | None, *, folder: bool = False) -> None:
    if out is None:
        print(text)
        return
    try:
        if folder:
            out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"expected to write {out}, got: {error.strerror}; choose another --out") from error


def _purifier() -> Any:
    """What purifies the images of a run, by its own parts; None, and a word on stderr, where these are not as they were."""
    from bench.cli import make_registry
    from bench.replay import purified

    registry = make_registry()

    def purifier(run: Run, evidence: Evidence) -> tuple[np.ndarray, np.ndarray] | None:
        try:
            return purified(run, evidence, registry)
        except UserError as error:
            print(f"bench: no purified images of run {run.run_id}: {printable(str(error))}", file=sys.stderr)
            return None

    return purifier
