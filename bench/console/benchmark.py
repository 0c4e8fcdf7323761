"""The result of `bench doctor --benchmark`, as text."""

from __future__ import annotations

from typing import Any

from bench.text.columns import columns
from bench.text.words import duration

WORDS = {"forward": "forward", "backward": "backward", "hvp": "Hessian-vector"}


def benchmark_text(document: dict[str, Any]) -> str:
    """The milliseconds of every pass, then the cost of each cell that follows from them."""
    return "\n".join(
        [
            f"{document['device']}; the networks are untrained, since the weights do not change the time; nothing was stored",
            "",
            columns([("data set", "network", "parameters", "images", "pass", "ms an image"), *_passes(document)]),
            "",
            columns([("suite", "cell", "images", "at least", "at most"), *_cells(document)]),
            "",
            "at least: every image breaks at once; at most: no image breaks; one worker, from the passes above alone",
        ]
    )


def _passes(document: dict[str, Any]) -> list[tuple[str, ...]]:
    rows = list[tuple[str, ...]]()
    for network in document["networks"]:
        head: tuple[str, ...] = network["dataset"], network["text"], f"{network['parameters']:,}", str(network["batch"])
        for kind, seconds in network["seconds"].items():
            rows.append((*head, WORDS[kind.rpartition("_")[2]], f"{1000 * seconds:.2f}"))
            head = "", "", "", ""
    return rows


def _cells(document: dict[str, Any]) -> list[tuple[str, ...]]:
    rows, sums = [], dict[str, list[float]]()
    for cell in document["cells"]:
        costs = [cell[bound]["seconds"] if cell[bound] else None for bound in ("least", "most")]
        rows.append((cell["suite"], cell["cell"], str(cell["images"]), *(_time(cost) for cost in costs)))
        previous = sums.get(cell["suite"], [0.0, 0.0])
        sums[cell["suite"]] = [total + (cost or 0.0) for total, cost in zip(previous, costs, strict=True)]
    return [*rows, *((suite, "in all", "", *map(_time, total)) for suite, total in sums.items())]


def _time(seconds: float | None) -> str:
    return "no formula" if seconds is None else duration(seconds)
