"""The header of a record, `run.json`: what the run was, and what was verified of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.errors import UserError
from bench.files.documents import printable, read_json
from bench.records.spec import RunSpec

FORMAT = 1
KEYS = {"format", "run_id", "spec", "labels", "checks", "environments"}


class _Claim(BaseModel):
    """One of the cheap checks, as data (`bench.claims`); records of before have none."""

    model_config = ConfigDict(extra="allow")

    check: str
    verdict: str
    meaning: str


class _Checks(BaseModel):
    """Those that are shown to people."""

    model_config = ConfigDict(extra="allow")

    deterministic: bool = False
    differentiable: bool = True
    gradient_error: float | None = None
    claims: list[_Claim] = []


class _Environment(BaseModel):
    model_config = ConfigDict(extra="allow")

    purebench: str | None = None
    torch: str | None = None
    device: str | None = None
    batch_size: Annotated[int, Field(ge=1)] | None = None


class _Labels(BaseModel):
    defense: str
    attack: str
    dataset: str = ""


class _Header(BaseModel):
    run_id: Annotated[str, Field(pattern=r"^[\w.-]+$", max_length=100)]
    spec: RunSpec
    labels: _Labels
    notes: list[str] = []
    checks: _Checks
    environments: dict[str, _Environment]


def read_header(path: Path) -> dict[str, Any]:
    """The content of `run.json` in a record's folder.

    Raises:
        UserError: There is none, or it is not what this release writes.
    """
    file = path / "run.json"
    if not file.exists():
        raise UserError(
            f"expected a record with run.json in {printable(path)}, got: No such file or directory; check the path"
        )
    header = read_json(file)
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        got = header.get("format") if isinstance(header, dict) else type(header).__name__
        raise UserError(
            f"expected a record of format {FORMAT} in {printable(path)}, got format {got}; use the purebench release that wrote it or another --results"
        )
    missing = KEYS - header.keys()
    if missing:
        raise UserError(
            f"expected {printable(file)} to hold {', '.join(sorted(missing))}, got none of that; restore the file"
        )
    try:
        _Header.model_validate(header)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise UserError(
            f"expected the header of a run in {printable(file)}, got {'.'.join(map(str, first['loc']))}: {first['msg'].lower()}; restore the file"
        ) from error
    return header
