"""Example images: clean, adversarial, the perturbation, and both purified."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import numpy as np

from bench.figures.runs import CLEAN, ROBUST, Run
from bench.records.evidence import Evidence, read_evidence
from leaderboards.reports.markup import section
from leaderboards.reports.subject import Subject

SIDE = 96
"""Largest side of an embedded image, in pixels; larger ones are scaled down."""


def examples(runs: Sequence[Subject], count: int, purifier: Callable[..., Any] | None) -> str:
    """A card for each image: of one run broken and unbroken images in turn; of two runs those that changed sides first."""
    stored = [read_evidence(one.run.path) if count else None for one in runs]
    if any(part is None for part in stored):
        return ""
    evidence = [part for part in stored if part is not None]
    chosen = _chosen([one.run for one in runs], evidence, count)
    if not chosen:
        return ""
    strips = [_Strips(one, part.of(chosen), purifier) for one, part in zip(runs, evidence, strict=True)]
    cards = [_card(runs[0], sample, [strip.of(sample) for strip in strips]) for sample in chosen]
    kind = (
        "Images that the two runs decide differently come first"
        if len(runs) > 1
        else "Broken and unbroken images in turn"
    )
    note = f"{kind}. Below each image what the classifier sees in it, under the first scored draw; a cross marks a wrong class."
    return section("Images", f'<div class="cards">{"".join(cards)}</div>', note=note)


def _chosen(runs: Sequence[Run], evidence: Sequence[Evidence], count: int) -> list[int]:
    """The ids of the images, among those that were right without the attack and are stored by all runs."""
    common = [sample for sample in evidence[0].ids.tolist() if all(sample in part.ids for part in evidence)]
    common = [sample for sample in common if all(sample in run.row_of for run in runs)]
    right = [sample for sample in common if all(run.shares(CLEAN)[run.row_of[sample]] > 0 for run in runs)]
    unbroken = {sample: [run.shares(ROBUST)[run.row_of[sample]] >= 0.5 for run in runs] for sample in right}
    if len(runs) > 1:
        return sorted(right, key=lambda sample: len(set(unbroken[sample])) == 1)[:count]
    broken, kept = ([sample for sample in right if unbroken[sample][0] == state] for state in (False, True))
    turns = [sample for pair in zip(broken, kept, strict=False) for sample in pair]
    return list(dict.fromkeys([*turns, *right]))[:count]


class _Strips:
    """The images of one run."""

    def __init__(self, one: Subject, evidence: Evidence, purifier: Callable[..., Any] | None) -> None:
        self.one, self.evidence = one, evidence
        self.pure = purifier(one.run, evidence) if purifier else None
        self.place_of = {sample: place for place, sample in enumerate(evidence.ids.tolist())}

    def of(self, sample: int) -> str:
        """The images of one sample, in a row."""
        run, row, place = self.one.run, self.one.run.row_of[sample], self.place_of[sample]
        attacked, label = self.evidence.images[place], int(run.labels[row])
        before, after = int(run.clean[row, 0]), int(run.adversarial[row, 0])
        shown = [(attacked, "adversarial", self._seen(after, label))]
        clean = self._clean(sample)
        if clean is not None:
            delta, factor = _magnified(attacked - clean)
            shown = [(clean, "clean", self._seen(before, label)), *shown, (delta, "perturbation", f"× {factor}")]
        if self.pure is not None:
            shown += [
                (part[place], name, "")
                for part, name in zip(self.pure, ("clean, purified", "adv., purified"), strict=True)
            ]
        name = f"<b>{self.one.name}</b>" if self.one.name else ""
        return f'<div class="strip">{name}{"".join(_figure(*part, sample) for part in shown)}</div>'

    def _seen(self, predicted: int, label: int) -> str:
        return f"{'' if predicted == label else '✗ '}{self.one.class_name(predicted)}"

    def _clean(self, sample: int) -> np.ndarray | None:
        if self.one.dataset is None:
            return None
        (position,) = np.flatnonzero(self.one.dataset.ids == sample)
        return self.one.dataset.floats(np.array([position]))[0]


def _card(one: Subject, sample: int, strips: Sequence[str]) -> str:
    label = one.class_name(int(one.run.labels[one.run.row_of[sample]]))
    return f'<article class="card"><h3>image {sample} · {escape(label)}</h3>{"".join(strips)}</article>'


def _figure(image: np.ndarray, name: str, below: str, sample: int) -> str:
    text = f"{escape(name)}<br>{escape(below)}" if below else escape(name)
    return f'<figure><img src="{_png(image)}" alt="image {sample}, {escape(name)}"><figcaption>{text}</figcaption></figure>'


def _magnified(delta: np.ndarray) -> tuple[np.ndarray, int]:
    """A perturbation around grey, times a whole number so that its largest pixel fills most of the range."""
    largest = float(np.abs(delta).max())
    factor = max(1, int(0.5 / largest)) if largest > 0 else 1
    return 0.5 + factor * delta, factor


def _png(image: np.ndarray) -> str:
    """A data URL of an image `(C, H, W)` in [0, 1]."""
    from PIL import Image

    pixels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    picture = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
    picture.thumbnail((SIDE, SIDE))
    content = io.BytesIO()
    picture.save(content, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
