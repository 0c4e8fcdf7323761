"""The specification of a paper table or figure: the content of its `.toml` file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.errors import UserError

VALUES = (
    "clean",
    "worst_case",
    "eot",
    "delta_null",
    "delta_undefended",
    "score_passes",
    "n",
    "draws",
    "seeds",
    "classifier",
    "score_model",
    "believed",
    "p",
)
MOST_SERIES = 10
"""The most series in a figure: more cannot be told apart."""
READY = Path(__file__).parent.parent / "specs"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class ColumnSpec(_Part):
    """One column, with exactly one of `value`, `attack`, `attack_class` and `argument`.

    Arguments:
        title: Heading of the column.
        value: One of `VALUES`.
        attack: Runs of this attack: its name, or its name and arguments as tables show them.
        attack_class: Runs of this class (`class` in the file).
        argument: An argument of the defense.
    """

    title: str
    value: str | None = None
    attack: str | None = None
    attack_class: str | None = Field(default=None, alias="class")
    argument: str | None = None


class RowSpec(_Part):
    """Some rows of the board.

    Arguments:
        defense: Name, or name and arguments as tables show them.
        title: Name in the table; None for the board's.
        group: Heading of this row and the following ones.
        arguments: Arguments that the defense must have.
    """

    defense: str
    title: str | None = None
    group: str = ""
    arguments: dict[str, Any] = {}


class AblationSpec(_Part):
    """Rows of one defense that differ from its defaults in one argument at a time.

    Arguments:
        defense: Name of the defense.
        vary: The arguments; each gets a group.
    """

    defense: str
    vary: list[str] = Field(min_length=1)


class PaperSpec(_Part):
    """A table or a figure.

    Arguments:
        kind: `table` or `figure`.
        results: Folder of all records, relative to the working folder.
        dataset: Name of the data set; None if there is only one.
        threat: Threat model; None if there is only one. A curve takes its norm, which may be written alone (`linf`), with all
            radii; None for a panel for each norm.
        require: Classes of attacks that every image of a row must have faced; empty for all four.
        caption: Caption of the table.
        label: Label for references in LaTeX.
        columns: The columns, in order, after the defense.
        rows: The rows, in order; empty for all rows of the board, the most robust first. A figure has at most `MOST_SERIES`.
        top: For a figure without `rows`: how many of the ranked rows, the best and the undefended ones; of a board without
            ranked rows, of the others.
        ablation: An ablation instead of `rows`.
        group: Headings for the rows of the board: `classifier`, `score_model` or `kind` (deterministic, stochastic).
        decimals: Decimals of percentages.
        interval: `pm`, `brackets` or `none`.
        bold: Whether the best of a column and every row that is not significantly worse are bold.
        plot: For a figure: `clean-robust`, `cost-robust` or `curve`.
        width: Width of a figure in inches; 3.25 is one column, 6.75 the text of two.
    """

    kind: Literal["table", "figure"] = "table"
    results: Path = Path("results")
    dataset: str | None = None
    threat: str | None = None
    require: list[str] = []
    caption: str = ""
    label: str = ""
    columns: list[ColumnSpec] = []
    rows: list[RowSpec] = []
    top: int = Field(default=MOST_SERIES, ge=1, le=MOST_SERIES)
    ablation: AblationSpec | None = None
    group: Literal["", "classifier", "score_model", "kind"] = ""
    decimals: int = Field(default=1, ge=0, le=3)
    interval: Literal["pm", "brackets", "none"] = "pm"
    bold: bool = True
    plot: Literal["clean-robust", "cost-robust", "curve"] = "clean-robust"
    width: float = Field(default=3.25, ge=2, le=12)


def read_spec(name: str) -> tuple[str, PaperSpec]:
    """The stem and the content of a file, or of one of the ready specs by its name.

    Raises:
        UserError: The file does not exist, is not TOML, or has a wrong key or value.
    """
    path = Path(name)
    if not path.is_file():
        ready = READY / f"{name}.toml"
        if not ready.is_file():
            names = ", ".join(sorted(file.stem for file in READY.glob("*.toml")))
            raise UserError("paper-spec-not-found", names=names, name=name)
        path = ready
    try:
        spec = PaperSpec.model_validate(_load(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError("paper-spec-value", path=path, where=where, problem=first["msg"].lower()) from error
    except ValueError as error:
        raise UserError("paper-spec-damaged", path=path, error=error) from error
    _check(path, spec)
    return path.stem, spec


def _load(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _check(path: Path, spec: PaperSpec) -> None:
    if spec.kind == "table" and not spec.columns:
        raise UserError("paper-columns-missing", path=path)
    for column in spec.columns:
        given = [name for name in ("value", "attack", "attack_class", "argument") if getattr(column, name) is not None]
        if len(given) != 1:
            raise UserError("paper-column-kind", title=column.title, path=path, count=len(given))
        if column.value is not None and column.value not in VALUES:
            raise UserError("paper-column-value", values=VALUES, path=path, value=column.value)
