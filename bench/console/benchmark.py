"""What the command line shows of a benchmark. Text in, text out."""

from __future__ import annotations

from typing import Any

from bench.text.columns import columns
from bench.text.words import duration

WORDS = {"forward": "forward", "backward": "backward", "hvp": "Hessian-vector"}


def benchmark_text(document: dict[str, Any]) -> str:
    """Milliseconds of every pass, then what each cell would cost with them."""
    return "\n".join(
        [
            f"{document['device']}; the networks are untrained, since a pass takes as long whatever the weights are; nothing was stored",
            "",
            columns([("data set", "network", "parameters", "images", "pass", "ms an image"), *_passes(document)]),
            "",
            columns([("suite", "cell", "images", "at least", "at most"), *_cells(document)]),
            "",
            "at least: every image falls at once; at most: every image stands to the end; one worker, from the passes above alone",
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
        known = [cost or 0.0 for cost in costs]
        sums[cell["suite"]] = [a + b for a, b in zip(sums.get(cell["suite"], [0.0, 0.0]), known, strict=True)]
    return [*rows, *((suite, "in all", "", *map(_time, total)) for suite, total in sums.items())]


def _time(seconds: float | None) -> str:
    return "no formula" if seconds is None else duration(seconds)
