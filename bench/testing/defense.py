"""Checks of one defense: each method returns what is wrong, or an empty text."""

from __future__ import annotations

import copy
from functools import cached_property
from typing import cast

import torch
from torch import Tensor, nn

from bench.claims.ends import BORDER, INWARD, inward_error
from bench.claims.finite import ARISES
from bench.claims.gradient import gradient_error
from bench.claims.single_precision import CLOSE, single_error
from bench.claims.twin import interior, resolves
from bench.defended import DefendedClassifier
from bench.errors import BenchError, UserError
from bench.figures.summary import EXACT
from bench.gradient import GradientMode, spoiled_rows
from bench.keyed import ForeignDrawsError, Keyed, WithoutNoise, keyed, taking_noise
from bench.noise import ForbiddenNoise, Noise
from bench.protocols import Defense, Images
from bench.testing.classifiers import TwoClasses
from bench.testing.images import default_images, probes
from bench.testing.invariance import check_batches, check_global_randomness, check_input_unchanged, check_repeats

NO_GRAPH = ("does not require grad", "not have been used in the graph")
"""Parts of autograd's messages when no path leads from an output back to its input."""
ROUGH = (
    "expected a gradient that can be measured, got a function too rough for differences in float32; let purify compute in the dtype of x, so that "
    "it is measured in float64"
)


class DefenseSubject:
    """A defense under test: its images, its draws, and a copy of it in double precision.

    Arguments:
        defense: The defense.
        images: The images to purify; None for `default_images`.
    """

    def __init__(self, defense: Defense, images: Images | None = None) -> None:
        self.x = default_images() if images is None else images
        self.noise = Noise(7, torch.arange(100, 100 + len(self.x)))
        self.defense, self.unkeyed = _with_keyed_draws(defense, self.x, self.noise)
        self.advice = ""
        if images is None:
            self.advice = (
                f"; for other images than {tuple(self.x.shape)} give your own: "
                "check_defense(..., images=...), float32 (B, C, H, W) in [0, 1]"
            )
        self.double = _doubled(self.defense)

    def purify(self, x: Images, noise: Noise, *, double: bool = False) -> Images:
        """Purified images; a defense that claims to be deterministic gets a noise that raises when drawn from."""
        if self.defense.deterministic:
            noise = ForbiddenNoise(noise.seed, noise.ids, noise.purpose, noise.draw)
        return _images((self.double if double else self.defense).purify(x.clone(), noise))

    def output(self) -> str:
        """Checks that the output has the shape and dtype of the images and finite pixels in [0, 1]."""
        try:
            y = _images(self.defense.purify(self.x.clone(), self.noise))
        except BenchError:
            raise
        except Exception as error:
            raised = f"{type(error).__name__}: {error}".removesuffix(": ")
            return f"expected purify to take images of shape {tuple(self.x.shape)}, got {raised}{self.advice}"
        if y.shape != self.x.shape or y.dtype != self.x.dtype:
            return f"expected {self.x.dtype} of shape {tuple(self.x.shape)}, got {y.dtype} of shape {tuple(y.shape)}; keep shape and dtype"
        if not torch.isfinite(y).all():
            return "expected finite pixels, got NaN or infinity; look for divisions and logarithms of 0"
        inside = y.min() >= 0 and y.max() <= 1
        return "" if inside else f"expected pixels in [0, 1], got [{y.min():g}, {y.max():g}]; clamp them"

    def leaves_input_unchanged(self) -> str:
        """Checks that purify does not write into the images."""
        return check_input_unchanged(lambda x: self.defense.purify(x, self.noise), self.x)

    def determinism(self) -> str:
        """Checks that the same draw gives the same output, and another draw another one if the defense is stochastic."""
        problem = self.unkeyed or check_repeats(lambda: self.purify(self.x, self.noise), "output for the same draw")
        if problem or self.defense.deterministic:
            return problem
        if torch.equal(self.purify(self.x, self.noise), self.purify(self.x, self.noise.at(1))):
            return "expected another output for another draw, got the same; claim `deterministic = True`"
        return ""

    def independence(self) -> str:
        """Checks that other images in the batch change nothing: in double precision if possible, else in float32."""
        if self.doubled is None:
            return check_batches(lambda rows: self.purify(self.x[rows], self.noise[rows]), len(self.x), single=True)
        x = self.x.double()
        return check_batches(lambda rows: self.purify(x[rows], self.noise[rows], double=True), len(x))

    @cached_property
    def doubled(self) -> DefendedClassifier | None:
        """The defense in double precision before a linear classifier; None if its code computes or rounds in float32."""
        model = self._before_classes(self.double)
        try:
            return model if resolves(model, interior(self.x, self.noise), self.noise) else None
        except Exception:  # code for float32 may raise anything when it gets float64
            return None

    def _before_classes(self, defense: Defense) -> DefendedClassifier:
        mode = GradientMode.FULL if getattr(defense, "differentiable", True) else GradientMode.NONE
        return DefendedClassifier(TwoClasses(self.x[0].numel()), defense, mode=mode, chunk=len(self.x))

    def global_randomness(self) -> str:
        """Checks that the global generators are neither used nor changed."""
        return check_global_randomness(lambda: self.purify(self.x, self.noise))

    def finite_gradient(self) -> str:
        """Checks that the gradient is finite, on flat, black, white and 8-bit images as well."""
        if not self.differentiable:
            return ""
        spoiled = [name for name, x in probes(self.x).items() if self._spoiled(x)]
        return (
            f"expected a finite gradient, got NaN, infinity or a norm that overflows on {', '.join(spoiled)}; {ARISES}"
            if spoiled
            else ""
        )

    @property
    def differentiable(self) -> bool:
        """Whether the defense claims to have a derivative."""
        return getattr(self.defense, "differentiable", True)

    def _spoiled(self, x: Images) -> bool:
        readout = self.noise.of("check").normal(x)
        slope = self._slope(x, readout)
        return slope is not None and spoiled_rows(slope) is not None

    def _slope(self, x: Images, readout: Tensor) -> Tensor | None:
        """The gradient of a projection of the purified images; None without a path back to the input."""
        noise = self.noise
        if self.defense.deterministic:
            noise = ForbiddenNoise(noise.seed, noise.ids, noise.purpose, noise.draw)
        leaf = x.clone().requires_grad_()
        y = self.defense.purify(leaf, noise)
        return torch.autograd.grad(y, leaf, readout, allow_unused=True)[0] if y.requires_grad else None

    def gradient(self) -> str:
        """Checks that autograd gives the exact derivative, and that it is not zero."""
        if not self.differentiable:
            return ""
        double, inner = self.doubled, interior(self.x, self.noise)
        bar = CLOSE if double is None else EXACT
        error: float | None
        try:
            if double is None:
                error = single_error(self._before_classes(self.defense), inner.to(self.x.dtype), self.noise)
            else:
                error = gradient_error(double, inner, self.noise)
        except RuntimeError as lost:
            if any(words in str(lost) for words in NO_GRAPH):
                return (
                    "expected a gradient through purify, got none: nothing leads from its output back to x, which detach, no_grad, .data, "
                    "numpy and integers cut; keep the graph, or say `differentiable = False`"
                )
            raise
        if error is None:
            return ROUGH
        slope = self._slope(inner.to(self.x.dtype), self.noise.of("check").normal(self.x))
        zero = 0 if slope is None else int((slope.flatten(1) == 0).all(dim=1).sum())
        if zero:
            return f"expected a gradient that is not zero, got zero in every pixel on {zero} of {len(inner)} images, which rounding, comparisons and clipping cause; say `differentiable = False`, or give it a derivative"
        if not error < bar:
            return (
                f"expected a relative error below {bar:g} against a central difference, got {error:.1e}; "
                "look for detach, no_grad, rounding, or random numbers that a recomputation draws anew"
            )
        return "" if double is None else _at_the_ends(inward_error(double, inner, self.noise))


def _at_the_ends(error: float) -> str:
    """Checks the error of the gradient on the way inward from black and white pixels."""
    return (
        ""
        if error < INWARD
        else f"expected a relative error below {INWARD:g} on the way inward from black and white pixels, got {error:.1e}; {BORDER}"
    )


def _images(value: object) -> Images:
    if not isinstance(value, Tensor):
        raise UserError("kit-purify-output", kind=type(value).__name__)
    return value.detach()


def _with_keyed_draws(defense: Defense, x: Images, noise: Noise) -> tuple[Defense, str]:
    """The defense as it runs, and why its draws cannot be keyed."""
    try:
        return keyed(defense, x.clone(), noise), ""
    except ForeignDrawsError as error:
        return taking_noise(defense), str(error)
    except Exception:  # which the first check reports
        return taking_noise(defense), ""


def _doubled(defense: Defense) -> Defense:
    """A copy whose networks compute in float64."""
    if isinstance(defense, Keyed):
        return Keyed(_doubled(defense.inner), defense.means)
    if isinstance(defense, WithoutNoise):
        return cast(Defense, WithoutNoise(_doubled(defense.inner)))
    twin = copy.deepcopy(defense)
    for value in vars(twin).values():
        if isinstance(value, nn.Module):
            value.double()
    return twin
