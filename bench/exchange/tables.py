"""Records as tables of pandas, and tables as files of Parquet."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bench.errors import UserError
from bench.figures.summary import CLEAN, shares
from bench.records.lines import SampleRecord
from bench.registry.extras import missing

if TYPE_CHECKING:
    import pandas


def samples_frame(lines: Sequence[SampleRecord]) -> pandas.DataFrame:
    """The lines of a record, one row per image, whose index is its id.

    Columns: `label`; `clean` and `adversarial`, the predictions (a list where several draws are scored); `clean_right` and
    `robust`, the shares of right draws; `margin`, the smallest over draws; `distance`; passes of each network; `seconds`.

    Arguments:
        lines: At least one.

    Raises:
        UserError: There is none.
    """
    import pandas

    if not lines:
        raise UserError(
            "table-no-images", expected="finished images", got="none yet", do="repeat the command that began the run"
        )
    columns: dict[str, Any] = {
        "label": [line.label for line in lines],
        "clean": [_one(line.clean) for line in lines],
        "adversarial": [_one(line.adversarial) for line in lines],
        "clean_right": shares(lines, CLEAN),
        "robust": shares(lines),
        "margin": [min(line.margin) for line in lines],
        "distance": [line.distance for line in lines],
        **{kind: [line.cost[kind] for line in lines] for kind in lines[0].cost},
        "seconds": [line.seconds for line in lines],
    }
    return pandas.DataFrame(columns, index=pandas.Index([line.id for line in lines], name="id"))


def _one(predictions: list[int]) -> int | list[int]:
    return predictions[0] if len(predictions) == 1 else predictions


def as_parquet(frame: pandas.DataFrame) -> bytes:
    """A table as the content of a Parquet file.

    Raises:
        UserError: pyarrow is not installed.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise missing("pyarrow", error) from error
    content = io.BytesIO()
    frame.to_parquet(content, engine="pyarrow")
    return content.getvalue()
