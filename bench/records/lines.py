"""The lines of a record: one JSON object per image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)  # fmt: skip

from bench.errors import UserError
from bench.files.documents import printable

MOST = 2**63 - 1
MOST_CLASSES = 100_000
LONGEST = 8 * 1024 * 1024
"""Bytes of a line: 10,000 draws take one."""
Prediction = Annotated[int, Field(ge=0, lt=MOST_CLASSES)]


def _plain_flags(said: dict[str, Any]) -> dict[str, Any]:
    """What figures are made of: flags are texts."""
    flags = said.get("flags", [])
    if not isinstance(flags, list) or not all(isinstance(flag, str) for flag in flags):
        raise ValueError("flags have to be a list of texts")
    return said


Said = Annotated[dict[str, Any], AfterValidator(_plain_flags)]
Count = Annotated[int, Field(ge=0, le=MOST)]


class SampleRecord(BaseModel):
    """What one image gave.

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
        said: What the attack says of the image, such as whether it claims to have broken it, and warnings.
        certified: l2 radius within which the label is certified, pixel units, 0 if it is not; None, and left out of the line, for
            a defense without a certificate.
        memory: Peak memory in MiB while its shard was made, of the device on CUDA and of the process elsewhere.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    id: Count
    label: Prediction
    clean: Annotated[list[Prediction], Field(min_length=1)]
    adversarial: Annotated[list[Prediction], Field(min_length=1)]
    margin: Annotated[list[float], Field(min_length=1)]
    distance: float
    cost: dict[str, Count]
    seconds: float
    environment: str
    said: Said = {}
    certified: Annotated[float, Field(ge=0)] | None = None
    memory: Count | None = None

    @model_serializer(mode="wrap")
    def _without_unset(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        later = ("certified", "memory")
        return {name: value for name, value in dump(self).items() if value is not None or name not in later}

    def fits(self, other: SampleRecord) -> bool:
        """Whether two lines can be of one record: as many draws, and the same things counted."""
        sizes = {len(row) for line in (self, other) for row in (line.clean, line.adversarial, line.margin)}
        same = self.cost.keys() == other.cost.keys() and (self.certified is None) == (other.certified is None)
        return len(sizes) == 1 and same


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
        return place.get(SampleRecord.model_validate_json(text).id, len(place))

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
                line = SampleRecord.model_validate_json(text)
            except (ValidationError, RecursionError) as error:
                raise _damaged(self.file, number) from error
            first = first or line
            if not line.fits(first):
                raise _damaged(self.file, number)
            if line.id in seen:
                raise UserError(
                    f"expected each image once in {printable(self.file)}, got id {line.id} again in line {number}; move the record away to run again"
                )
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
    return UserError(
        f"expected one JSON object per line in {printable(file)}, got a damaged line {number}; restore the file, or move the record away to run again"
    )
