"""Suites, gates, paper tables, packed records and lists of names: the commands that take no objects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bench.console.progress import Progress
from bench.console.suite import SuiteProgress, outcome_documents, outcome_text
from bench.engines.make import make_engine
from bench.engines.options import EngineOptions
from bench.errors import UserError
from bench.exchange.pack import pack as packed
from bench.exchange.unpack import unpack
from bench.gate.check import Bars, read_baseline
from bench.gate.report import as_document, as_text
from bench.gate.session import Session
from bench.interface.checking import show
from bench.interface.report import Report
from bench.interface.reporters import is_shown
from bench.interface.result import Result
from bench.registry.entry import KINDS
from bench.registry.registry import own_package
from bench.registry.tables import make_registry
from bench.suite.choice import check_names, chosen
from bench.suite.file import find_suite, read_suite
from bench.suite.finished_cells import FinishedCells
from bench.suite.suite import Execution, Suite
from bench.threat import ThreatModel

if TYPE_CHECKING:
    import pandas


def suite(
    file: str | Path,
    *,
    only: Sequence[str] = (),
    n: int | Literal["all"] | None = None,
    results: str | Path | None = None,
    data_dir: str | Path | None = None,
    device: str | None = None,
    workers: int | None = None,
    keep_going: bool = False,
    allow_code: bool = False,
    progress: bool | None = None,
) -> Report:
    """Makes the missing runs of a matrix; one document per cell.

    Arguments:
        file: A TOML file, or the name of a ready suite.
        only: Patterns `AXIS=PATTERN`, such as `defense=dpsam*`.
        n: Images of every cell; None for what the file says.
        results: Folder of all records; None for the file's.
        data_dir: Folder of data sets; None for the file's.
        device: Where to compute; None for the file's.
        workers: Shards executed at once, in processes; None for the file's.
        keep_going: Whether to continue after a cell that failed.
        allow_code: Whether code that the file names by path or module may run.
        progress: Whether to show the progress; None for terminals and notebooks.

    Raises:
        UserError: The file is wrong, or names code without permission.
    """
    registry, path = make_registry(), find_suite(str(file))
    content = read_suite(path)
    cells = chosen(content, path, only, n, Path(data_dir) if data_dir is not None else None)
    check_names(registry, cells, str(file), allow_code=allow_code, keep_going=keep_going)
    folder = content.results if results is None else Path(results)
    devices = device or content.device
    execution = Execution(
        results=folder, device=devices, mix_environments=content.mix_environments, keep_going=keep_going
    )
    options = EngineOptions(name=content.engine, workers=workers or content.workers, devices=tuple(devices.split(",")))
    with SuiteProgress(cells, quiet=not is_shown(progress)) as shown, make_engine(options, registry) as engine:
        outcomes = Suite(cells, execution, registry, FinishedCells(folder, registry), shown).run(engine)
    return Report(outcome_documents(outcomes), outcome_text(outcomes))


def check(
    baseline: str | Path,
    *,
    results: str | Path = "results",
    run: bool = False,
    margin: float = 1.0,
    alpha: float = 0.01,
    data_dir: str | Path | None = None,
    device: str = "auto",
    progress: bool | None = None,
) -> Report:
    """The gate: is robustness still that of the baseline?

    Arguments:
        baseline: Folder of the baseline's records.
        results: Folder of the results.
        run: Whether to make the runs that are missing.
        margin: Smallest change that fails, in percentage points.
        alpha: Two-sided level of the tests, after Holm.
        data_dir: Folder of data sets.
        device: Where to compute.
        progress: Whether to show the progress; None for terminals and notebooks.

    Raises:
        UserError: There is no such baseline, or runs are missing.
    """
    session = Session(
        baseline=Path(baseline),
        results=Path(results),
        bars=Bars(alpha=alpha, margin=margin),
        registry=make_registry(),
        progress=lambda: Progress(quiet=not is_shown(progress)),
        data_dir=Path(data_dir) if data_dir is not None else None,
        device=device,
    )
    found = session.check(read_baseline(Path(baseline)), make=run)
    return Report(as_document(found), as_text(found))


def table(
    spec: str | Path,
    *,
    results: str | Path | None = None,
    format: str | None = None,
    out: str | Path | None = None,
    dataset: str | None = None,
    threat: str | None = None,
) -> str:
    """The text of a paper table, or the path of a figure.

    Arguments:
        spec: A `.toml` file, or `main`, `ablation`, `clean-robust`, `cost-robust`, `curve`.
        results: Folder of all records; None for the file's.
        format: `md`, `latex` or `csv`; `pdf` or `png` for figures.
        out: File to write.
        dataset: Only this data set.
        threat: Only this threat.

    Raises:
        UserError: There is no such spec, or no run fits.
    """
    level = None if threat is None else str(ThreatModel.parse(threat))
    folder, file = (None if path is None else Path(path) for path in (results, out))
    text, written = own_package("leaderboards", "FORMATS").paper(
        str(spec), results=folder, output=format, out=file, dataset=dataset, threat=level
    )
    if file is not None and not written:
        file.write_text(text + "\n", encoding="utf-8")
    return text


def pack(run: str | Path | Result, out: str | Path | None = None, *, results: str | Path = "results") -> Path:
    """Packs a complete record into one file, to pass it on; returns the file.

    Arguments:
        run: A result, or the id or folder of a run.
        out: The zip file; None for `RUN_ID.zip`.
        results: Folder of all records.

    Raises:
        UserError: There is no such run, or it is not complete.
    """
    result = show(run, results=results)
    return packed(result.path, Path(out) if out is not None else Path(f"{result.run_id}.zip"))


def load(file: str | Path, *, results: str | Path = "results") -> Result:
    """Adds a packed record of somebody else to one's own, and gives its result.

    Arguments:
        file: A file that `pack` wrote.
        results: Folder of all records.

    Raises:
        UserError: It is no packed record, or another one of its id exists.
    """
    return Result(unpack(Path(file), Path(results)).path)


def components(kind: str) -> pandas.DataFrame:
    """Names of components, one line about each, and where they come from.

    Arguments:
        kind: `defenses`, `attacks`, `datasets`, `classifiers` or `score_models`.

    Raises:
        UserError: There is no such kind.
    """
    import pandas

    wanted = kind.replace("-", "_")
    if wanted not in KINDS:
        raise UserError("kind-unknown", kinds=", ".join(KINDS), got=repr(kind))
    registry = make_registry()
    rows = [
        (found.name, found.entry.summary, found.source) for found in [*registry.all(wanted), *registry.members(wanted)]
    ]
    return pandas.DataFrame(rows, columns=["name", "summary", "source"])
