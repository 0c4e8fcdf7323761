"""What the commands find: their JSON documents, with the text that the terminal shows."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas


class Report:
    """A document and its text: `report["verdict"]`, `print(report)`.

    Arguments:
        document: What the command prints with `--json`.
        text: What it prints without.
        table: Its rows, for a report that is a table.
    """

    def __init__(self, document: Any, text: str, table: pandas.DataFrame | None = None) -> None:
        self.document, self.text, self.table = document, text, table

    def __getitem__(self, key: Any) -> Any:
        return self.document[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.document)

    def __len__(self) -> int:
        return len(self.document)

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{escape(self.text)}</pre>"
