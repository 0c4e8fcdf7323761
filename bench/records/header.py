"""The header of a record, `run.json`: what the run was, and what was verified of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from bench.errors import UserError
from bench.files.documents import read_json
from bench.records.spec import RunSpec

FORMAT = 1
KEYS = {"format", "run_id", "spec", "labels", "checks", "environments"}
SAME = ("device", "torch", "purebench")
"""Keys of an environment that have to stay the same while a record is made."""


class _Part(BaseModel):
    """A part of a header; keys that this release does not know are kept."""

    model_config = ConfigDict(frozen=True, extra="allow")


class RecordedClaim(_Part):
    """One of the cheap checks (`bench.claims`) as a record holds it; older records have none.

    Arguments:
        check: Its name.
        value: The measured value.
        threshold: The value that it was compared with.
        verdict: `passed`, `failed` or `not measured`.
        meaning: The consequence of a failure and what to do, in one sentence.
    """

    check: str
    value: Any = None
    threshold: Any = None
    verdict: str
    meaning: str


class Checks(_Part):
    """The measurements on the defense before the first image.

    Arguments:
        deterministic: Whether it gave the same result twice.
        range: Smallest and largest value of purified images; None if it was not measured.
        differentiable: Whether the attacker gets its gradient.
        gradient_finite: Whether it is finite everywhere.
        gradient_nonzero: Share of images on which it is not zero.
        gradient_error: Relative error of the gradient against a central difference; None if it was not measured.
        claims: The cheap checks.
    """

    deterministic: bool = False
    range: list[float] | None = None
    differentiable: bool = True
    gradient_finite: bool | None = None
    gradient_nonzero: float | None = None
    gradient_error: float | None = None
    claims: list[RecordedClaim] = []


class Environment(_Part):
    """Where images were made; older records lack some of it.

    Arguments:
        purebench: Release.
        torch: Release.
        device: Kind, such as `cpu`.
        device_name: Name of the device.
        instructions: Instruction set and processor, or the GPU's architecture.
        tf32: Whether matrices were multiplied in TF32 on a GPU.
        batch_size: Images in one network call.
        git: Commit of the checkout, if it was one.
    """

    purebench: str | None = None
    torch: str | None = None
    device: str | None = None
    device_name: str | None = None
    instructions: str | None = None
    tf32: bool | None = None
    batch_size: Annotated[int, Field(ge=1)] | None = None
    git: str | None = None


class Labels(_Part):
    """Short names of defense and attack for tables, and the name by which the data set was asked for."""

    defense: str
    attack: str
    dataset: str = ""


class Header(_Part):
    """The content of `run.json`.

    Arguments:
        format: Of the record.
        run_id: The run's id.
        spec: The content of the run id.
        labels: Short names.
        notes: Remarks of the parts that every table should carry.
        checks: Measured before the first image.
        environments: By the keys that lines name.
    """

    format: int
    run_id: Annotated[str, Field(pattern=r"^[\w.-]+$", max_length=100)]
    spec: RunSpec
    labels: Labels
    notes: list[str] = []
    checks: Checks
    environments: dict[str, Environment]
    _document: dict[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def deterministic(self) -> bool:
        """Whether the defense was found deterministic; in records without that check, whether one draw is scored."""
        return self.checks.deterministic if "deterministic" in self.checks.model_fields_set else self.spec.draws == 1

    @classmethod
    def of(cls, document: dict[str, Any]) -> Header:
        """The header with this content; raises pydantic's `ValidationError` if it is none."""
        header = cls.model_validate(document)
        header._document = document
        return header

    @property
    def document(self) -> dict[str, Any]:
        """The content of `run.json` as it was read: older records have other keys, in another order."""
        return self._document


def read_header(path: Path) -> Header:
    """The header in a record's folder, from its `run.json`.

    Raises:
        UserError: There is none, or it is not what this release writes.
    """
    file = path / "run.json"
    if not file.exists():
        raise UserError("record-missing", path=path)
    document = read_json(file)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        got = document.get("format") if isinstance(document, dict) else type(document).__name__
        raise UserError("record-format", format=FORMAT, path=path, got=got)
    missing = KEYS - document.keys()
    if missing:
        raise UserError("record-keys-missing", file=file, missing=sorted(missing))
    try:
        return Header.of(document)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise UserError(
            "record-header-damaged", file=file, key=".".join(map(str, first["loc"])), problem=first["msg"].lower()
        ) from error


def check_environment(header: Header, now: dict[str, Any], path: Path) -> None:
    """Raises `UserError` if a record was made under another device kind, torch or purebench than this.

    Arguments:
        header: The record's header.
        now: The environment in which it is to go on.
        path: The record's folder.
    """
    for before in header.environments.values():
        for key in SAME:
            if getattr(before, key) != now[key]:
                raise UserError("record-environment", path=path, key=key, before=getattr(before, key), now=now[key])
