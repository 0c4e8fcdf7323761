"""An image's result depends neither on its neighbours nor on their number.

Every image is purified in batches of the same shape with other neighbours, under the same draw: dealt out over the batches
like cards, and alone, padded with copies of itself. The largest pixel difference has to be below 1e-4: kernels are chosen by shape, so the
same shape gives the same bits. A factor of one over the batch, which published guidance has, shows between two batch sizes alone: the run's
and 1. There kernels differ, so that the median over images of the root mean square over pixels has to be below 1e-3. A run that goes image by
image says so in its spec, and is not asked for other sizes.

References:
    Guided Diffusion Model for Adversarial Purification (Wang et al., 2022), whose published code averages over the batch
    https://arxiv.org/abs/2205.14969
"""

from __future__ import annotations

import torch

from bench.audit.finding import PASS, REFUTED, Finding
from bench.audit.price import Load
from bench.audit.subject import Subject
from bench.claims.batch import SINGLE, pixel_differences
from bench.defended import DefendedClassifier
from bench.gradient import GradientMode
from bench.noise import Noise
from bench.pace import Work
from bench.protocols import Images

SAME = 1e-4
ALONE = 4


def why_not(subject: Subject) -> str:
    """Why the check does not apply; empty if it does."""
    return "there is no purifier" if subject.undefended else ""


def loads(subject: Subject) -> list[Load]:
    """What it computes at most."""
    return [Load(subject.n, Work(evaluations=2)), Load(ALONE * (subject.worker.batch + 1), Work(evaluations=1))]


def check(subject: Subject) -> Finding:
    """Purifies in two orders, alone, and in batches of another size."""
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
    if not subject.run.spec.batch_size:
        values["batch size"] = _other_size(subject, view, x, noise, pure)
        apart = apart or not values["batch size"] <= SINGLE
    return Finding(
        name="", verdict=REFUTED if apart else PASS, values=values,
        threshold=f"{SAME:g} pixels; batch size {SINGLE:g}, root mean square",
        meaning="An image is purified otherwise beside other images: the number depends on the batch; sum and average per image in the defense."
        if apart
        else f"Every image is purified for itself, to within {SAME:g} pixels"
        + ("." if "batch size" in values else "; the run goes image by image, as its spec says."),
        command=subject.again("--batch-size", "1"),
    )  # fmt: skip


def _other_size(subject: Subject, view: DefendedClassifier, x: Images, noise: Noise, pure: Images) -> float:
    """How far the first images are apart between the run's batch size and 1, or a few where that is the run's."""
    rows = slice(0, ALONE)
    size = 1 if subject.worker.batch > 1 else ALONE
    other = subject.worker.purified(view.sized(size), x[rows], noise[rows])
    return float(pixel_differences(pure[rows], other).median())


def _dealt(count: int, batch: int) -> torch.Tensor:
    """An order in which images that share a batch come into different ones."""
    piles = -(-count // batch)
    return torch.cat([torch.arange(count)[pile::piles] for pile in range(piles)])
