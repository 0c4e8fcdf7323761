"""Tables as files of Parquet."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from bench.registry.extras import missing

if TYPE_CHECKING:
    import pandas


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
