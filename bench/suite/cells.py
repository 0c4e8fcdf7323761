"""The cells of a suite: one run each."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.registry.entry import KIND_OF
from bench.registry.registry import suggest
from bench.suite.file import AXES, Axes, Named, SuiteFile
from bench.threat import ThreatModel

MOST_CELLS = 100_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Cell:
    """One run of a suite, by name.

    Arguments:
        names: Names by axis: `defense`, `attack`, `dataset`, `classifier`, `score_model`; those left out have defaults.
        arguments: Arguments by kind of component.
        threat: The threat model; None for the data set's.
        seed: Seed of all draws.
        draws: Fresh draws per image in the score; None for the default.
        samples: Number of images; None for all.
        batch_size: Images in one network call; None for auto.
        evidence: Whether adversarial images are stored.
        data_dir: Folder of the data sets.
    """

    names: Mapping[str, str]
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    threat: ThreatModel | None = None
    seed: int = 0
    draws: int | None = None
    samples: int | None = 100
    batch_size: int | None = None
    evidence: bool = True
    data_dir: Path | None = None

    def text(self, axis: str) -> str:
        """The text of an axis, for patterns: a name and its arguments (`dpsam rho=0`), a threat or a seed."""
        if axis == "threat":
            return "" if self.threat is None else str(self.threat)
        if axis == "seed":
            return str(self.seed)
        given = self.arguments.get(KIND_OF[axis], {})
        return " ".join([self.names.get(axis, ""), *(f"{key}={_text(value)}" for key, value in given.items())])

    @property
    def label(self) -> str:
        """The name of the cell for people."""
        where = " ".join(part for part in (self.text("dataset"), self.text("threat")) if part)
        others = [f"{axis} {self.text(axis)}" for axis in ("classifier", "score_model") if axis in self.names]
        seed = [f"seed {self.seed}"] if self.seed else []
        return " · ".join([self.text("defense"), self.text("attack"), where, *others, *seed])

    def fits(self, patterns: Mapping[str, str | list[str]]) -> bool:
        """Whether every pattern (shell style), or one of a list of patterns, matches the text of its axis."""
        return all(
            any(fnmatchcase(self.text(axis), one) for one in ([wanted] if isinstance(wanted, str) else wanted))
            for axis, wanted in patterns.items()
        )


def cells_of(suite: SuiteFile, file: Path) -> list[Cell]:
    """The cells of a suite in the file's order, each once.

    Raises:
        UserError: A pattern names no axis, or there are no cells, or too many.
    """
    _check_patterns(file, [*suite.exclude, *(adjust.where for adjust in suite.adjust)])
    cells: list[Cell] = []
    for axes in (suite, *suite.include):
        for cell in _product(suite, axes):
            if axes is not suite or not any(cell.fits(patterns) for patterns in suite.exclude):
                cells.append(_adjusted(cell, suite))
            if len(cells) > MOST_CELLS:
                raise UserError("suite-too-large", most=MOST_CELLS, file=file)
    unique = list({repr(cell): cell for cell in cells}.values())
    if not unique:
        raise UserError("suite-empty", file=file)
    return unique


def patterns_of(only: list[str]) -> dict[str, str | list[str]]:
    """`["defense=dpsam*", ...]` as patterns by axis; several of one axis are alternatives.

    Raises:
        UserError: A text without `=`, or one that names no axis.
    """
    patterns: dict[str, list[str]] = {}
    for text in only:
        axis, equals, pattern = text.partition("=")
        axis = axis.strip().replace("-", "_")
        if not equals or axis not in AXES:
            raise UserError("suite-only-form", axes=AXES, text=text)
        patterns.setdefault(axis, []).append(pattern)
    return {**patterns}


def _product(suite: SuiteFile, axes: Axes) -> Iterator[Cell]:
    """The cells of one part of a suite; values that the part leaves out come from the whole file."""

    def value(key: str) -> Any:
        own = getattr(axes, key)
        return getattr(suite, key) if own is None else own

    values = [_values(axis, value(axis)) for axis in AXES]
    if not (values[AXES.index("defense")][0] and values[AXES.index("attack")][0]):
        return
    settings = {key: value(key) for key in ("samples", "draws", "batch_size", "no_evidence")}
    shared = {kind: {**getattr(suite, key), **getattr(axes, key)} for kind, key in _ARGUMENTS.items()}
    for choice in itertools.product(*values):
        yield _cell(dict(zip(AXES, choice, strict=True)), settings, shared, suite.data_dir)


def _cell(
    choice: dict[str, Any], settings: dict[str, Any], shared: dict[str, dict[str, Any]], data_dir: Path | None
) -> Cell:
    names, arguments = {"dataset": "fashion-mnist"}, dict(shared)
    for axis, kind in KIND_OF.items():
        if choice[axis] is not None:
            name, own = choice[axis]
            names[axis] = name
            arguments[kind] = {**arguments.get(kind, {}), **own}
    threat = choice["threat"]
    return Cell(
        names=names,
        arguments={kind: given for kind, given in arguments.items() if given},
        threat=None if threat is None else ThreatModel.parse(threat),
        seed=choice["seed"] or 0,
        draws=settings["draws"],
        samples=_number(settings["samples"], "all", 100),
        batch_size=_number(settings["batch_size"], "auto", None),
        evidence=not settings["no_evidence"],
        data_dir=data_dir,
    )


def _adjusted(cell: Cell, suite: SuiteFile) -> Cell:
    """The cell with the settings of every `adjust` that fits it; they override all others."""
    for adjust in suite.adjust:
        if cell.fits(adjust.where):
            arguments = {**cell.arguments}
            for kind, key in _ARGUMENTS.items():
                if getattr(adjust, key):
                    arguments[kind] = {**arguments.get(kind, {}), **getattr(adjust, key)}
            cell = replace(
                cell,
                arguments=arguments,
                draws=adjust.draws or cell.draws,
                samples=_number(adjust.samples, "all", cell.samples),
                batch_size=_number(adjust.batch_size, "auto", cell.batch_size),
                evidence=cell.evidence if adjust.no_evidence is None else not adjust.no_evidence,
            )
    return cell


_ARGUMENTS = {
    "defenses": "defense_args",
    "attacks": "attack_args",
    "classifiers": "classifier_args",
    "score_models": "score_args",
}


def _values(axis: str, given: Any) -> list[Any]:
    """The values of an axis: names with their arguments, or plain texts and numbers."""
    values = given if isinstance(given, list) else [given]
    return [None if one is None else _named(axis, one) for one in values] if axis in KIND_OF else values


def _named(axis: str, one: Named) -> tuple[str, dict[str, Any]]:
    if isinstance(one, str):
        return one, {}
    name = one.get("name")
    if not isinstance(name, str):
        raise UserError("suite-name-missing", axis=axis, entry=one)
    return name, {key: value for key, value in one.items() if key != "name"}


def _number(given: Any, word: str, otherwise: int | None) -> int | None:
    if given is None:
        return otherwise
    return None if given == word else given


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _check_patterns(file: Path, patterns: list[dict[str, str | list[str]]]) -> None:
    for axis in (axis for pattern in patterns for axis in pattern):
        if axis not in AXES:
            raise UserError("suite-pattern-axis", axes=AXES, file=file, axis=axis, near=suggest(axis, list(AXES)))
