"""What was loaded last, so that the runs of one process load what they share once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any


class Shelf:
    """Keeps the things that were used last, and forgets the others.

    Arguments:
        places: How many things are kept.
    """

    def __init__(self, places: int = 8) -> None:
        self.places = places
        self.kept: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The thing of that key, made if it is not here."""
        if key not in self.kept:
            self.kept[key] = make()
        self.kept.move_to_end(key)
        while len(self.kept) > self.places:
            self.kept.popitem(last=False)
        return self.kept[key]
