"""An image's result does not depend on its neighbours.

Every image is purified in batches of the same shape with other neighbours, under the same draw: dealt out over the batches
like cards, and alone, padded with copies of itself. The largest pixel difference has to be below 1e-4: kernels are chosen by shape, so the
same shape gives the same bits. A mean over the batch inside a defense makes its strength depend on the batch size.

References:
    Guided Diffusion Model for Adversarial Purification (Wang et al., 2022), whose published code averages over the batch
    https://arxiv.org/abs/2205.14969
"""

from __future__ import annotations

import torch

from bench.audit.finding import PASS, REFUTED, Finding
from bench.audit.price import Load
from bench.audit.subject import Subject
from bench.gradient import GradientMode
from bench.pace import Work

SAME = 1e-4
ALONE = 4


def why_not(subject: Subject) -> str:
    """Why the check does not apply; empty if it does."""
    return "there is no purifier" if subject.undefended else ""


def loads(subject: Subject) -> list[Load]:
    """What it computes at most."""
    return [Load(subject.n, Work(evaluations=2)), Load(ALONE * subject.worker.batch, Work(evaluations=1))]


def check(subject: Subject) -> Finding:
    """Purifies in two orders and alone."""
    view, x, _, noise = subject.look(GradientMode.NONE)
    noise, dealt = noise.of("score"), _dealt(len(x), subject.worker.batch).to(x.device)
    pure = subject.worker.purified(view, x, noise)
    elsewhere = torch.empty_like(pure)
    elsewhere[dealt] = subject.worker.purified(view, x[dealt], noise[dealt])
    alone = [subject.worker.purified(view, x[k : k + 1], noise[k : k + 1]) for k in range(min(ALONE, len(x)))]
    values = {
        "other neighbours": float((pure - elsewhere).abs().max()),
        "alone": float((pure[: len(alone)] - torch.cat(alone)).abs().max()),
    }
    apart = max(values.values()) > SAME
    return Finding(
        name="", verdict=REFUTED if apart else PASS, values=values, threshold=f"{SAME:g} pixels",
        meaning="An image is purified otherwise beside other images: the number depends on the batch; sum and average per image in the defense."
        if apart
        else f"Every image is purified for itself, to within {SAME:g} pixels.",
        command=subject.again("--batch-size", "1"),
    )  # fmt: skip


def _dealt(count: int, batch: int) -> torch.Tensor:
    """An order in which images that share a batch come into different ones."""
    piles = -(-count // batch)
    return torch.cat([torch.arange(count)[pile::piles] for pile in range(piles)])
