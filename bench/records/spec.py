"""The specification of a run: everything that may change a number, and nothing else."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

RUN_ID_LENGTH = 12
UNDEFENDED = "none"
"""The defense that purifies nothing, which every other is compared with."""


class Component(BaseModel):
    """A named part with all of its arguments, and the hash of its weights, data or source.

    Arguments:
        name: As on the command line.
        args: Every argument, defaults filled in.
        sha256: Of weights or data; of the source file for a part that is not built in; None for a built-in algorithm.
        gradient: For an attack: the gradient mode.
        knowledge: For an attack: `known` if it knows the draws that are scored, else None.
        package: For an attack that another package carries out: its name and release.
        code: For an object given in Python: hash of its code; `sha256` is that of its state.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    args: dict[str, Any] = {}
    sha256: str | None = None
    gradient: str | None = None
    knowledge: str | None = None
    package: str | None = None
    code: str | None = None

    @property
    def content(self) -> str | None:
        """One hash of all that the name and the arguments do not tell: `sha256`, with the code of an object."""
        return self.sha256 if self.code is None else hashlib.sha256(f"{self.code} {self.sha256}".encode()).hexdigest()

    @model_serializer(mode="wrap")
    def _without_unset(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves out later fields that are not set, so that run ids of old specs do not change."""
        later = ("knowledge", "package", "code")
        return {name: value for name, value in dump(self).items() if value is not None or name not in later}


class RunSpec(BaseModel):
    """Defense, attack, models, data, threat, draws and seed. Device, batch size, engine and n are not part of it.

    But for a defense whose result depends on the batch: it runs image by image, and its spec says so. The spec also says by
    which means the draws of a defense were keyed that draws from torch, NumPy or Python.

    Arguments:
        threat: Canonical text of the threat model.
        draws: Fresh draws per image in the score.
        seed: Seed of all draws.
        batch_size: 1 for a run that goes image by image, since its number depends on it; else None, and left out.
        keyed: The means by which foreign draws were keyed (`bench.keyed`); None, and left out, if the defense draws from
            its noise alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    defense: Component
    attack: Component
    classifier: Component
    score_model: Component | None
    dataset: Component
    threat: str
    draws: int
    seed: int
    batch_size: Literal[1] | None = None
    keyed: Literal["operations", "image by image"] | None = None

    @model_serializer(mode="wrap")
    def _without_unset(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves out what is not part of the run, so that all other run ids stay as they are."""
        later = ("batch_size", "keyed")
        return {name: value for name, value in dump(self).items() if value is not None or name not in later}

    @property
    def run_id(self) -> str:
        """The first 12 hexadecimal digits of the SHA-256 of the canonical JSON."""
        return hashlib.sha256(canonical(self.model_dump()).encode()).hexdigest()[:RUN_ID_LENGTH]


def canonical(value: object) -> str:
    """JSON with sorted keys and no spaces; NaN is refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def differences(before: RunSpec, after: RunSpec) -> list[str]:
    """The differences of two specs, as phrases: `attack steps 20 -> 5`, `classifier content e598fe93 -> 0a1b2c3d`.

    Arguments:
        before: A spec.
        after: Another.
    """
    return _differences(before.model_dump(), after.model_dump(), ())


def brief_differences(before: RunSpec, after: RunSpec) -> list[str]:
    """The same for people, where a part of another name is one phrase: `defense dpsam -> none`.

    Arguments:
        before: A spec.
        after: Another.
    """
    old, new = before.model_dump(), after.model_dump()
    return [text for name in dict.fromkeys([*old, *new]) for text in _brief(name, old.get(name), new.get(name))]


def of_code(difference: str) -> bool:
    """Whether a phrase of `differences` is about source code only, which may compute the same."""
    return difference.startswith(("defense content ", "attack content ", "defense code ", "attack code "))


def _brief(part: str, before: Any, after: Any) -> list[str]:
    if isinstance(before or after, dict):
        old, new = (value["name"] if value else "none" for value in (before, after))
        if old != new:
            return [f"{_WORDS.get(part, part.replace('_', ' '))} {old} -> {new}"]
    return _differences(before, after, (part,))


def _differences(before: Any, after: Any, path: tuple[str, ...]) -> list[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        names = dict.fromkeys([*before, *after])
        return [text for name in names for text in _differences(before.get(name), after.get(name), (*path, name))]
    if before == after:
        return []
    old, new = (value[:8] if path[-1] in ("sha256", "code") and value else value for value in (before, after))
    words = [_WORDS.get(word, word.replace("_", " ")) for word in path if word != "args"]
    return [f"{' '.join(words)} {old} -> {new}"]


_WORDS = {"sha256": "content", "dataset": "data set"}
