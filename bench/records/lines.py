"""The lines of a record: one JSON object per image."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from bench.errors import UserError

MOST = 2**63 - 1
MOST_CLASSES = 100_000
LONGEST = 8 * 1024 * 1024
"""Bytes of a line: 10,000 draws take one."""
Prediction = Annotated[int, Meta(ge=0, lt=MOST_CLASSES)]
Count = Annotated[int, Meta(ge=0, le=MOST)]
Cost = dict[str, Count]


class SampleRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The result on one image: the schema of a line, whose keys are written in this order.

    Arguments:
        id: Sample id.
        label: Its class.
        clean: Predictions on the image, one per draw.
        adversarial: Predictions on the adversarial image, the same draws.
        margin: Logit of the label minus the largest other on the adversarial image, one per draw.
        distance: Distance of the adversarial image in the threat's norm, pixel units.
        cost: Passes through each network.
        seconds: The image's share of its shard's time.
        environment: Key of the header's `environments`.
        said: Remarks of the attack on the image, such as whether it claims to have broken it, and warnings.
        certified: l2 radius within which the label is certified, pixel units, 0 if it is not; None, and left out of the line, for
            a defense without a certificate.
        memory: Peak memory in MiB while its shard was made, of the device on CUDA and of the process elsewhere.
    """

    id: Count
    label: Prediction
    clean: Annotated[list[Prediction], Meta(min_length=1)]
    adversarial: Annotated[list[Prediction], Meta(min_length=1)]
    margin: Annotated[list[float], Meta(min_length=1)]
    distance: float
    cost: Cost
    seconds: float
    environment: str
    said: dict[str, Any] = msgspec.field(default_factory=lambda: {})  # `dict` itself would leave out an empty one
    certified: Annotated[float, Meta(ge=0)] | None = None
    memory: Count | None = None

    def __post_init__(self) -> None:
        if not plain_flags(self.said):
            raise ValueError("expected flags to be a list of texts")

    def fits(self, other: SampleRecord) -> bool:
        """Whether two lines can be of one record: as many draws, and the same things counted."""
        sizes = {len(row) for line in (self, other) for row in (line.clean, line.adversarial, line.margin)}
        same = self.cost.keys() == other.cost.keys() and (self.certified is None) == (other.certified is None)
        return len(sizes) == 1 and same


def plain_flags(said: dict[str, Any]) -> bool:
    """Whether the flags among the remarks on an image, which figures count, are a list of texts."""
    flags = said.get("flags", [])
    return isinstance(flags, list) and all(isinstance(flag, str) for flag in flags)


def checked_line(**values: Any) -> SampleRecord:
    """A line of these values, with whole numbers turned into floats where the schema has floats.

    Raises:
        ValueError: A value does not fit the schema.
    """
    return msgspec.convert(values, SampleRecord)


def encoded(line: SampleRecord) -> bytes:
    """A line as it is written, with its line feed.

    Raises:
        ValueError: It could not be read again, such as a margin that is not a number.
    """
    text = msgspec.json.encode(line)
    _decoder().decode(text)
    return text + b"\n"


def read_fields(content: bytes, names: Collection[str], *, raw: Collection[str] = ()) -> list[Any]:
    """Whole lines with some of their fields only, several times faster than `read_lines`.

    Arguments:
        content: Lines of a record, each with its line feed.
        names: The fields.
        raw: Those of them that are given as JSON text.

    Raises:
        ValueError: A line is damaged; `read_lines` names it.
    """
    return _partial_decoder(frozenset(names), frozenset(raw)).decode_lines(content)


@cache
def _decoder() -> msgspec.json.Decoder[SampleRecord]:
    return msgspec.json.Decoder(SampleRecord)


@cache
def _partial_decoder(names: frozenset[str], raw: frozenset[str]) -> msgspec.json.Decoder[Any]:
    default: Any = msgspec.field
    fields: list[Any] = [
        (
            field.name,
            msgspec.Raw if field.name in raw else field.type,
            *(() if field.required else [default(default=field.default, default_factory=field.default_factory)]),
        )
        for field in msgspec.structs.fields(SampleRecord)
        if field.name in names
    ]
    return msgspec.json.Decoder(msgspec.defstruct("Fields", fields, gc=False))


def read_lines(file: Path) -> tuple[list[SampleRecord], int]:
    """The whole lines, and the length of the file up to the end of the last one: a torn last line is left out.

    Raises:
        UserError: A line is damaged, does not fit the first one, or repeats an image.
    """
    reader = _Reader(file)
    return list(reader.lines()), reader.size


def in_order(content: bytes, ids: Sequence[int]) -> bytes:
    """Whole lines sorted by the place of their image in `ids`; those of other images come last.

    Arguments:
        content: Lines that `read_lines` accepts, each with its line feed.
        ids: Sample ids in a data set's order.
    """
    place = {sample: number for number, sample in enumerate(ids)}

    def where(text: bytes) -> int:
        return place.get(_decoder().decode(text).id, len(place))

    return b"".join(text + b"\n" for text in sorted(content.split(b"\n")[:-1], key=where))


class _Reader:
    """Reads line by line, so that a file of any size or a line of any length fills no memory."""

    def __init__(self, file: Path) -> None:
        self.file, self.size = file, 0

    def lines(self) -> Iterator[SampleRecord]:
        seen: set[int] = set()
        first: SampleRecord | None = None
        for number, text in enumerate(self._texts(), start=1):
            try:
                line = _decoder().decode(text)
            except (ValueError, RecursionError) as error:
                raise _damaged(self.file, number) from error
            first = first or line
            if not line.fits(first):
                raise _damaged(self.file, number)
            if line.id in seen:
                raise UserError("record-id-repeated", file=self.file, id=line.id, number=number)
            seen.add(line.id)
            yield line

    def _texts(self) -> Iterator[bytes]:
        try:
            with open(self.file, "rb") as stream:
                number = 0
                while text := stream.readline(LONGEST):
                    number += 1
                    if not text.endswith(b"\n"):
                        if len(text) == LONGEST:
                            raise _damaged(self.file, number)
                        return
                    self.size += len(text)
                    yield text[:-1]
        except FileNotFoundError:
            return


def _damaged(file: Path, number: int) -> UserError:
    return UserError("record-line-damaged", file=file, number=number)
