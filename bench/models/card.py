"""The model card and the loss curve that `bench train` writes beside the weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.files.atomic import write_whole

WIDTH, HEIGHT, MARGIN = 640, 320, 48


def write_card(out: Path, card: dict[str, Any], usage: str) -> Path:
    """Writes `README.md` with architecture, data, recipe, quality and use of a network; returns its path.

    Arguments:
        out: The folder of the weights.
        card: The content of `model.json`.
        usage: The option of `bench run` that takes the weights.
    """
    recipe, figures = card["recipe"], card["figures"]
    hyper = {key: value for key, value in recipe.items() if key not in ("architecture", "arguments")}
    facts = {
        "architecture": f"{recipe['architecture']}, {card['parameters']:,} parameters",
        "arguments": f"`{json.dumps(recipe['arguments'])}`",
        "trained on": f"{card['trained_on']:,} images of {' x '.join(map(str, card['image_shape']))} from {card['dataset'] or 'a data set'}",
        "recipe": f"`{json.dumps(hyper)}`",
        "sha256": f"`{card['sha256']}`",
    }
    quality = {name.replace("_", " "): value for name, value in figures.items()}
    paragraphs = [
        "# Trained by `bench train`",
        _table(facts),
        "## On images that it was not trained on",
        _table(quality),
        "## Training",
        f"Mean loss of each epoch, from {card['curve'][0]:g} to {card['curve'][-1]:g} (`curve.csv`):",
        "![loss by epoch](curve.svg)",
        "## Use",
        f"`bench run {usage}`",
    ]
    write_whole(out / "README.md", "\n\n".join(paragraphs) + "\n")
    return out / "README.md"


def write_curve(out: Path, curve: list[float]) -> None:
    """Writes the mean loss of each epoch so far as `curve.csv` and drawn as `curve.svg`.

    Arguments:
        out: An existing folder.
        curve: Mean losses, one per epoch.
    """
    rows = ["epoch,loss", *(f"{epoch},{loss:g}" for epoch, loss in enumerate(curve, start=1))]
    write_whole(out / "curve.csv", "\n".join(rows) + "\n")
    write_whole(out / "curve.svg", _drawn(curve))


def _table(rows: dict[str, Any]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {_cell(value)} |" for name, value in rows.items())])


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_cell(part)}" for name, part in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _drawn(curve: list[float]) -> str:
    low, high = min(curve), max(curve)
    across, up = (WIDTH - 2 * MARGIN) / max(len(curve) - 1, 1), (HEIGHT - 2 * MARGIN) / ((high - low) or 1)
    points = " ".join(
        f"{MARGIN + across * k:.1f},{HEIGHT - MARGIN - up * (loss - low):.1f}" for k, loss in enumerate(curve)
    )
    right, bottom = WIDTH - MARGIN, HEIGHT - MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n'
        f'<path d="M{MARGIN} {MARGIN}V{bottom}H{right}" fill="none" stroke="grey"/>\n'
        f'<text x="4" y="{MARGIN + 4}">{high:.4g}</text>\n<text x="4" y="{bottom}">{low:.4g}</text>\n'
        f'<text x="{MARGIN}" y="{bottom + 18}">epoch 1</text>\n<text x="{right}" y="{bottom + 18}" text-anchor="end">{len(curve)}</text>\n'
        f'<text x="{MARGIN}" y="{MARGIN - 12}">mean loss by epoch</text>\n'
        f'<polyline points="{points}" fill="none" stroke="#1f77b4" stroke-width="2"/>\n</svg>\n'
    )
