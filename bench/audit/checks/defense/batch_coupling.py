"""An image's result depends neither on its neighbours nor on their number.

Every image is purified under the same draw in batches of the same shape: once with other neighbours, once alone, padded with
copies of itself. The largest pixel difference has to be below 1e-4, since kernels are chosen by shape and the same shape gives
the same bits. An average over the batch, as in published guidance, shows only between two batch sizes: the run's and 1. Their
kernels differ, so the median over images of the root mean square over pixels has to be below 1e-3. If the spec says that the
run goes image by image, other sizes are not compared.

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
    """The work of the check, at most."""
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
        verdict=REFUTED if apart else PASS,
        values=values,
        threshold=f"{SAME:g} pixels; batch size {SINGLE:g}, root mean square",
        meaning="The purified image depends on the other images in its batch, and so does the number; sum and average per image in the defense."
        if apart
        else f"Every image is purified independently of the others, to within {SAME:g} pixels"
        + ("." if "batch size" in values else "; the run goes image by image, as its spec says."),
        command=subject.command_again("--batch-size", "1"),
    )


def _other_size(subject: Subject, view: DefendedClassifier, x: Images, noise: Noise, pure: Images) -> float:
    """The difference of the first images between the run's batch size and 1 (or 4, if the run's is 1)."""
    rows = slice(0, ALONE)
    size = 1 if subject.worker.batch > 1 else ALONE
    other = subject.worker.purified(view.sized(size), x[rows], noise[rows])
    return float(pixel_differences(pure[rows], other).median())


def _dealt(count: int, batch: int) -> torch.Tensor:
    """An order that puts images of one batch into different batches."""
    piles = -(-count // batch)
    return torch.cat([torch.arange(count)[pile::piles] for pile in range(piles)])
