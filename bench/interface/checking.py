"""Checks of finished runs: `bench show`, `verify` and `audit` for results, records and objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.audit.finding import FULL, QUICK
from bench.audit.session import Scope
from bench.audit.session import audit as examine
from bench.console.audit import AuditProgress, audit_text
from bench.console.verify import Counter, verification_text
from bench.figures.summary import summarise
from bench.interface.again import matched
from bench.interface.asked import Asked
from bench.interface.report import Report
from bench.interface.reporters import is_shown
from bench.interface.result import Result
from bench.objects.classifiers import untouched
from bench.records.header import read_header
from bench.records.lookup import find_record, results_of
from bench.records.names import names_of
from bench.records.record import read_record
from bench.registry.registry import Registry
from bench.registry.tables import make_registry
from bench.registry.trust import require_permission
from bench.run.options import Options
from bench.verify.verification import Options as VerifyOptions
from bench.verify.verify import opened
from bench.verify.verify import verify as check


def show(run: str | Path | Result, *, results: str | Path = "results") -> Result:
    """The result in a record.

    Arguments:
        run: Its id, a unique prefix of it, or its folder.
        results: Folder of all records.

    Raises:
        UserError: There is no such record.
    """
    return run if isinstance(run, Result) else Result(find_record(Path(results), str(run)))


def audit(
    run: str | Path | Result,
    *,
    quick: bool = False,
    n: int | None = None,
    only: Sequence[str] = (),
    again: bool = False,
    defense: Any = None,
    attack: Any = None,
    classifier: Any = None,
    score_model: Any = None,
    data: Any = None,
    results: str | Path = "results",
    data_dir: str | Path | None = None,
    device: str | None = None,
    allow_code: bool = False,
    progress: bool | None = None,
) -> Report:
    """Can this number be believed: runs other attacks on the same images and looks for masked gradients; `["verdict"]` sums up.

    Arguments:
        run: A result of this session, whose objects are known; or the id or folder of a record.
        quick: Fewer images and shorter attacks: minutes.
        n: Examine the first n images only; None for 32 if quick, else 128.
        only: Names of checks; empty for all.
        again: Whether finished checks run again.
        defense: The purifier of a record whose purifier was an object in another session; or the name of its class in a file.
        attack: Likewise the attack.
        classifier: Likewise the classifier.
        score_model: Likewise the score model.
        data: Likewise `(images, labels)`, or a name.
        results: Folder of all records.
        data_dir: Folder of data sets.
        device: Where to compute; None for where the objects are.
        allow_code: Whether code that the record names by path or module may run.
        progress: Whether to show the progress; None for terminals and notebooks.

    Raises:
        UserError: The record cannot be read, or its parts are missing or changed.
    """
    path = show(run, results=results).path
    header = read_header(path)
    asked = _asked(
        run, device, data_dir, defense=defense, attack=attack, classifier=classifier, score_model=score_model, data=data
    )
    parts = matched(asked, header)
    allowed = allow_code or _made_here(run)
    require_permission(parts.registry, names_of(header), asker=f"the run {header.run_id}", allowed=allowed)
    scope = Scope(size=QUICK if quick else FULL, samples=n, only=tuple(only), again=again)
    options = Options(results=results_of(path), device=parts.device)
    listener = AuditProgress(quiet=not is_shown(progress))
    with untouched(*asked.objects):
        found = examine(
            path, scope, parts.registry, listener, options=options, data_dir=asked.data_dir, cache=parts.cache
        )
    return Report(found, audit_text(found, header.labels.model_dump()))


def verify(
    run: str | Path | Result,
    *,
    defense: Any = None,
    attack: Any = None,
    classifier: Any = None,
    score_model: Any = None,
    data: Any = None,
    results: str | Path = "results",
    data_dir: str | Path | None = None,
    device: str | None = None,
    batch_size: int | None = None,
    allow_code: bool = False,
    progress: bool | None = None,
) -> Report:
    """Scores the stored images of a record again, without any attack; `["verified"]` says whether all is as recorded.

    Arguments:
        run: A result of this session, whose objects are known; or the id, the folder or the packed file of a record.
        defense: The purifier of a record whose purifier was an object in another session; or the name of its class in a file.
        attack: Likewise the attack.
        classifier: Likewise the classifier.
        score_model: Likewise the score model.
        data: Likewise `(images, labels)`, or a name.
        results: Folder of all records.
        data_dir: Folder of data sets.
        device: Where to compute; None for where the objects are.
        batch_size: Images in one network call; None for the record's.
        allow_code: Whether code that the record names by path or module may run.
        progress: Whether to show a bar; None for terminals and notebooks.

    Raises:
        UserError: There is no such record, or it names objects or code that were not given.
    """
    asked = _asked(
        run, device, data_dir, defense=defense, attack=attack, classifier=classifier, score_model=score_model, data=data
    )
    named = str(run.path if isinstance(run, Result) else run)
    options = VerifyOptions(
        device=device or "auto",
        batch_size=batch_size,
        data_dir=asked.data_dir,
        allow_code=allow_code or _made_here(run),
    )
    bar = Counter(quiet=not is_shown(progress))
    with opened(Path(results), named) as (path, packing), bar as counter, untouched(*asked.objects):
        registry, options = parts_for(path, asked, options)
        found = check(path, packing, named, registry, options, counter)
        record = read_record(path) if found.run_id else None
        claim = (
            (summarise(record, record.lines), record.header.labels.model_dump()) if record and record.lines else None
        )
    return Report(found.as_dict(), verification_text(found, claim))


def parts_for(path: Path, asked: Asked, options: VerifyOptions) -> tuple[Registry, VerifyOptions]:
    """The registry with the objects that were given for a record, and the options with their device.

    Arguments:
        path: The record's folder.
        asked: The objects, or names of their classes in files.
        options: How to verify.
    """
    if asked.is_empty or not (path / "run.json").is_file():
        return make_registry(), options
    parts = matched(asked, read_header(path))
    return parts.registry, replace(options, device=parts.device)


def _made_here(run: str | Path | Result) -> bool:
    """Whether a run was made in this session, so that its code ran already."""
    return isinstance(run, Result) and run.asked is not None


def _asked(run: str | Path | Result, device: str | None, data_dir: str | Path | None, **given: Any) -> Asked:
    """The objects that were given, else those that made the result."""
    made = run.asked if isinstance(run, Result) and run.asked is not None else Asked()
    folder = Path(data_dir) if data_dir is not None else made.data_dir
    chosen = {role: part for role, part in given.items() if part is not None}
    return replace(made, **chosen, device=device or made.device, data_dir=folder)
