"""`audit.json`: the audit of a run, in the run's folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from bench.audit.finding import Finding, flags_of, verdict_of
from bench.audit.strength import word
from bench.errors import UserError
from bench.files.atomic import write_whole
from bench.files.documents import read_json
from bench.records.seal import AUDIT, OWN_HASH, own_hash

FORMAT = 1


class _Check(BaseModel):
    model_config = ConfigDict(extra="allow")

    name: str
    verdict: str
    meaning: str
    threshold: str
    command: str
    n: int
    size: str


class _Document(BaseModel):
    """The keys that are shown to people."""

    model_config = ConfigDict(extra="allow")

    format: int
    run_id: str
    verdict: str
    n: int
    size: str
    missing: list[str]
    checks: list[_Check]


def read_audit(path: Path) -> dict[str, Any] | None:
    """The audit of the run in this folder; None if there is none.

    Raises:
        UserError: The file is damaged, or its hash is wrong.
    """
    file = path / AUDIT
    if not file.exists():
        return None
    document = read_json(file)
    try:
        _Document.model_validate(document)
    except ValidationError as error:
        raise _damaged(file, "other content") from error
    if document.get(OWN_HASH) != own_hash(document):
        raise _damaged(file, "one that was changed after it was written")
    return document


def findings_in(document: Mapping[str, Any] | None) -> list[Finding]:
    """The findings of an audit."""
    try:
        return [Finding(**check) for check in document["checks"]] if document else []
    except TypeError as error:
        raise UserError("audit-other-release") from error


def write_audit(
    path: Path, head: Mapping[str, Any], findings: Sequence[Finding], wanted: Sequence[str]
) -> dict[str, Any]:
    """Writes the audit of a run, whole or not at all, and returns it.

    Arguments:
        path: The run's folder.
        head: `run_id`, `spec_sha256`, `n`, `size`, `environment`.
        findings: All findings so far.
        wanted: Names of the checks of a complete audit.
    """
    document: dict[str, Any] = {
        "format": FORMAT,
        **head,
        "verdict": verdict_of(findings, wanted),
        "flags": flags_of(findings),
        "missing": [name for name in wanted if name not in {finding.name for finding in findings}],
        "checks": [finding.as_dict() for finding in findings],
    }
    document["verdict"] = word(document)
    document[OWN_HASH] = own_hash(document)
    write_whole(path / AUDIT, json.dumps(document, indent=1, allow_nan=False) + "\n")
    return document


def _damaged(file: Path, got: str) -> UserError:
    return UserError("audit-damaged", file=file, got=got)
