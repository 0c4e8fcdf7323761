"""Checks of one attack: each method returns what is wrong, or an empty text."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from bench.ball import uniform_in_ball
from bench.defended import DefendedClassifier
from bench.errors import UserError
from bench.gradient import GradientMode
from bench.margin import margin
from bench.noise import Noise
from bench.protocols import Attack, Images
from bench.run.attack import check_in_ball
from bench.testing.classifiers import FourClasses
from bench.testing.images import default_images
from bench.testing.invariance import check_batches, check_global_randomness, check_input_unchanged, check_repeats
from bench.threat import ThreatModel

NEAR = 1.0
"""Margin of the images that an attack has to break."""


class AttackSubject:
    """An attack under test, on an undefended linear classifier whose worst point is known in closed form.

    Arguments:
        attack: The attack.
        mode: The gradient mode that it is meant for.
        threats: Threat models as text, at least one.

    Raises:
        UserError: There is no threat model, or one is not well formed.
    """

    def __init__(self, attack: Attack, mode: GradientMode, threats: tuple[str, ...]) -> None:
        self.attack, self.mode = attack, mode
        self.name = getattr(attack, "__name__", type(attack).__name__)
        self.threats = [ThreatModel.parse(text) for text in threats]
        if not threats:
            raise UserError("kit-threats")
        self.x = default_images().double()
        self.inner = 0.3 + 0.4 * self.x
        self.classifier = FourClasses(self.x[0].numel())
        self.y = self.classifier(self.inner).argmax(dim=1)
        self.noise = Noise(7, torch.arange(100, 100 + len(self.x)), "attack")

    def run(self, x: Images, y: Tensor, threat: ThreatModel, noise: Noise) -> Images:
        """Adversarial images."""
        model = DefendedClassifier(self.classifier, _Undefended(), mode=self.mode, chunk=len(self.x))
        return self.attack(model, x, y, threat, noise)

    def ball(self) -> str:
        """Checks that the result has the shape and dtype of the images and lies in the ball and in [0, 1]."""
        for threat in self.threats:
            for start in (self.x, uniform_in_ball(self.inner, threat, self.noise)):
                result = self.run(start.clone(), self.y, threat, self.noise)
                if result.shape != start.shape or result.dtype != start.dtype:
                    return f"expected {start.dtype} of shape {tuple(start.shape)}, got {result.dtype} of shape {tuple(result.shape)}; keep shape and dtype"
                check_in_ball(self.name, result, start, threat, self.noise.ids)
        return ""

    def leaves_input_unchanged(self) -> str:
        """Checks that the attack does not write into the images."""
        return check_input_unchanged(lambda x: self.run(x, self.y, self.threats[0], self.noise), self.x)

    def reproducible(self) -> str:
        """Checks that the same noise gives the same result."""
        return check_repeats(self._once, "result for the same noise")

    def independence(self) -> str:
        """Checks that other images in the batch change nothing."""
        threat = self.threats[0]
        return check_batches(lambda rows: self.run(self.x[rows], self.y[rows], threat, self.noise[rows]), len(self.x))

    def global_randomness(self) -> str:
        """Checks that the global generators are neither used nor changed."""
        return check_global_randomness(self._once)

    def optimum(self) -> str:
        """Checks that every image breaks in a ball 1 % larger than its distance from the border between two classes."""
        slope = self.classifier.weight[1] - self.classifier.weight[0]
        clean = margin(self.classifier(self.inner), self.y)
        toward = (1 - 2 * self.y)[:, None] * slope / slope.square().sum()
        near = self.inner + ((clean - NEAR)[:, None] * toward).view_as(self.inner)
        duals = {"linf": slope.abs().sum(), "l2": slope.norm(), "l1": slope.abs().max()}
        for norm, dual in ((norm, duals[norm]) for norm in dict.fromkeys(threat.norm for threat in self.threats)):
            threat = ThreatModel.parse(f"{norm}:{1.01 * NEAR / float(dual):.9f}")
            unbroken = margin(self.classifier(self.run(near.clone(), self.y, threat, self.noise)), self.y) >= 0
            if unbroken.any():
                return f"expected every image to break in a ball 1 % larger than needed under {norm}, got {int(unbroken.sum())} of {len(near)} unbroken"
        return ""

    def _once(self) -> Images:
        return self.run(self.x.clone(), self.y, self.threats[0], self.noise)


class _Undefended:
    deterministic: ClassVar[bool] = True

    def purify(self, x: Images, noise: Noise) -> Images:
        return x
