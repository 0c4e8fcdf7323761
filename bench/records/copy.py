"""Copies of a record below another folder of results."""

from __future__ import annotations

import shutil
from pathlib import Path

from bench.files.atomic import unwritten
from bench.records.evidence import read_evidence
from bench.records.lookup import results_of
from bench.records.record import SHARD, read_record
from bench.records.writer import RecordWriter


def copy_record(source: Path, results: Path, *, replacing: Path | None = None, samples: int | None = None) -> Path:
    """Copies a record to the same place below another folder of results, in place of one that is there.

    Arguments:
        source: The record's folder.
        results: The other folder of results.
        replacing: A record to remove.
        samples: Copies the first so many images of a complete record, as if no more had been run, and no audit; None copies all.

    Raises:
        UserError: The folder cannot be written.
    """
    target = results / source.absolute().relative_to(results_of(source).absolute())
    temporary = target.with_name(target.name + ".tmp")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        if samples is None:
            shutil.copytree(source, temporary)
        else:
            _copy_first(source, temporary, samples)
        for old in {target, replacing or target}:
            shutil.rmtree(old, ignore_errors=True)
        temporary.replace(target)
    except OSError as error:
        raise unwritten(target, error) from error
    return target


def _copy_first(source: Path, target: Path, samples: int) -> None:
    record, evidence = read_record(source), read_evidence(source)
    with RecordWriter(target, record.header.document) as writer:
        for start in range(0, min(samples, len(record.lines)), SHARD):
            lines = record.lines[start : min(start + SHARD, samples)]
            images = None if evidence is None else evidence.of([line.id for line in lines]).images
            writer.append(start // SHARD, lines, images)
        writer.seal()
