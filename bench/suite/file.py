"""A suite file in TOML: a matrix of runs."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.errors import UserError
from bench.files.documents import read_toml
from bench.registry.registry import suggest

AXES = ("dataset", "threat", "classifier", "score_model", "defense", "attack", "seed")
"""The axes of the matrix; the first varies slowest."""


Ranked = Literal["full gradient", "AutoAttack", "black box", "transfer"]
"""Classes of attacks that a board can require."""
Value = str | int | float | bool | list[str | int | float | bool]
Named = str | dict[str, Value]
Names = Named | list[Named]
Samples = Annotated[int, Field(ge=1)] | Literal["all"]


class _Settings(BaseModel):
    """The keys of every part of a suite file."""

    model_config = ConfigDict(extra="forbid")

    samples: Samples | None = None
    draws: Annotated[int, Field(ge=1)] | None = None
    batch_size: Annotated[int, Field(ge=1)] | Literal["auto"] | None = None
    no_evidence: bool | None = None
    defense_args: dict[str, Value] = {}
    attack_args: dict[str, Value] = {}
    classifier_args: dict[str, Value] = {}
    score_args: dict[str, Value] = {}


class Axes(_Settings):
    """The values of each axis; the cells are their product."""

    defense: Names | None = None
    attack: Names | None = None
    dataset: Names | None = None
    classifier: Names | None = None
    score_model: Names | None = None
    threat: str | list[str] | None = None
    seed: int | list[int] | None = None


class Adjust(_Settings):
    """Settings for the cells that match patterns."""

    where: dict[str, str | list[str]]


class SuiteFile(Axes):
    """A whole suite file: axes and settings of all cells; cells to include, to exclude and to adjust.

    Arguments:
        board: Classes of attacks that rank the board which is printed at the end; empty for no board.
    """

    summary: str = ""
    board: list[Ranked] = []
    data_dir: Path | None = None
    results: Path = Path("results")
    device: str = "auto"
    engine: str = "local"
    workers: int | None = None
    mix_environments: bool = False
    include: list[Axes] = []
    exclude: list[dict[str, str | list[str]]] = []
    adjust: list[Adjust] = []


def find_suite(name: str) -> Path:
    """The file of a suite, by its path or by the name of one in the package.

    Raises:
        UserError: There is no such file and no such name.
    """
    inside = {
        file.name.removesuffix(".toml"): Path(str(file))
        for file in files("bench.suite.ready").iterdir()
        if file.name.endswith(".toml")
    }
    if name in inside and not Path(name).is_file():
        return inside[name]
    if not Path(name).is_file():
        raise UserError("suite-not-found", inside=sorted(inside), name=name, near=suggest(name, list(inside)))
    return Path(name)


def read_suite(file: Path) -> SuiteFile:
    """The content of a suite file.

    Raises:
        UserError: The file is no TOML, or has wrong keys or values.
    """
    content = read_toml(file)
    try:
        return SuiteFile.model_validate(content)
    except ValidationError as error:
        raise _first_mistake(file, error) from error


def _first_mistake(file: Path, error: ValidationError) -> UserError:
    first = error.errors(include_url=False)[0]
    keys = {*SuiteFile.model_fields, *Adjust.model_fields}
    extra = first["type"] == "extra_forbidden"
    place = ".".join(str(part) for part in first["loc"] if isinstance(part, int) or part in keys or extra)
    if extra:
        return UserError("suite-key-unknown", file=file, key=place, near=suggest(place, list(SuiteFile.model_fields)))
    got, problem = str(first["input"])[:80], first["msg"].lower()
    return UserError("suite-value-wrong", file=file, key=place, got=got, problem=problem)
