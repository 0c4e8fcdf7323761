"""Transfer: adversarial images made on another classifier, without the purifier."""

from __future__ import annotations

from torch import Tensor, nn

from attacks.pgd import pgd
from bench.defended import DefendedClassifier
from bench.noise import Noise
from bench.pace import Work
from bench.protocols import Images
from bench.threat import ThreatModel


def transfer(
    model: DefendedClassifier,
    x: Images,
    y: Tensor,
    threat: ThreatModel,
    noise: Noise,
    *,
    classifier: str,
    surrogate: nn.Module,
    steps: int = 20,
    losses: tuple[str, ...] = ("cw", "ce"),
    restarts: int = 1,
) -> Images:
    """Runs projected gradient descent on another classifier alone; neither the defense nor its classifier is queried.

    No image stops early, since the attacker cannot see what the score will see. Each image keeps the end of a run with the
    smallest margin under the other classifier.

    References:
        Transferability in Machine Learning: from Phenomena to Black-Box Attacks using Adversarial Samples (Papernot, McDaniel, Goodfellow, 2016)
        https://arxiv.org/abs/1605.07277

    Arguments:
        model: The attacker's view; only its counts are used.
        x: Images `(B, C, H, W)`.
        y: Labels `(B,)`.
        threat: The ball.
        noise: One stream per image.
        classifier: Name of the other classifier, for the record.
        surrogate: The other classifier itself, images to logits; it is moved to the device of `x`.
        steps: Gradient steps per loss and restart, at least 1.
        losses: Tried one after the other: `cw` (margin), `ce` (cross-entropy), `dlr` (ratio of logit differences).
        restarts: Starts per loss, at least 1.

    Raises:
        UserError: An argument is out of its range.
    """
    view = model.replaced(surrogate.to(x.device))
    return pgd(view, x, y, threat, noise, steps=steps, losses=losses, restarts=restarts)


def work(*, steps: int, losses: tuple[str, ...], restarts: int, **_: object) -> Work:
    """The work of `transfer` on any image, all of it on the other classifier."""
    runs = restarts * len(losses)
    return Work(evaluations=runs, gradients=runs * steps)
