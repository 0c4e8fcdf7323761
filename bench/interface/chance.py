"""Tries a classifier on clean images before a run: labels that it cannot know, and accuracy near chance."""

from __future__ import annotations

import warnings
from collections import Counter

import numpy as np
import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.machine.device import pick_device
from bench.models.torchvision import Normalised
from bench.objects.normalisation import KNOWN, Normalisation
from bench.plan.plan import Plan
from bench.run.job import images_asked
from bench.run.options import Options
from bench.run.scoring import plain_logits
from bench.stats.intervals import mean_share

LOOKED_AT = 100
"""Images on which the classifier is tried."""
LEAST = 20
"""Images from which on its accuracy is compared with chance."""
BETTER = 0.25
"""A normalisation is named if it makes at least this share of the images right that were wrong before."""


class ChanceWarning(UserWarning):
    """A classifier is right no more often than a guess."""


def check_classifier(planned: Plan, options: Options, *, own: bool) -> None:
    """Compares labels with the number of logits, and warns if clean accuracy is near chance.

    Arguments:
        planned: The plan of the run.
        options: Its options.
        own: Whether the classifier was given as an object, which may expect images of another scale.

    Raises:
        UserError: A label is larger than the classifier has logits.
    """
    if not own:
        return
    dataset, device = planned.dataset, pick_device(options.device)
    rows = np.arange(min(LOOKED_AT, images_asked(options.samples, len(dataset))))
    x, y = torch.from_numpy(dataset.floats(rows)).to(device), torch.from_numpy(dataset.labels[rows]).to(device)
    logits = plain_logits(planned.classifier.to(device), x[:1])
    if logits.shape[1] <= int(dataset.labels.max()):
        raise UserError(
            "labels-range", most=logits.shape[1] - 1, logits=logits.shape[1], high=int(dataset.labels.max())
        )
    right = _right(planned.classifier, x, y)
    chance = max(Counter(y.tolist()).values()) / len(y)
    interval = mean_share(right)
    if len(rows) >= LEAST and interval.low <= chance < 1:
        advice = _advice(planned.classifier, x, y, right.mean())
        warnings.warn(
            f"expected a classifier that is better than a guess ({100 * chance:.0f} %), got {interval} right on {len(rows)} "
            f"clean images; {advice}",
            ChanceWarning,
            stacklevel=4,
        )


def _right(classifier: nn.Module, x: Tensor, y: Tensor) -> np.ndarray:
    return (plain_logits(classifier, x).argmax(dim=1) == y).double().cpu().numpy()


def _advice(classifier: nn.Module, x: Tensor, y: Tensor, share: float) -> str:
    """What to do: the normalisation under which the classifier is much better, if there is one."""
    found: list[tuple[float, str, Normalisation]] = []
    for name, (mean, std) in KNOWN.items():
        size = slice(0, x.shape[1])
        tried = Normalised(classifier, mean=list(mean[size]), spread=list(std[size])).eval().to(x.device)
        found.append((float(_right(tried, x, y).mean()), name, Normalisation(mean[size], std[size])))
    best, name, values = max(found, key=lambda item: item[0])
    if best >= share + BETTER:
        return f"it seems to expect normalised images: with {name}'s normalize={values} it reaches {100 * best:.0f} %"
    return (
        "if it expects normalised images, give normalize=(mean, std); else check its weights, the order of the classes "
        "and the images"
    )
