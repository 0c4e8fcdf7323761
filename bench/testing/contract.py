"""What the conformance kit looks at: a defense or an attack, of which each method says what is wrong, or nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor, nn

from bench.ball import uniform_in_ball
from bench.claims.batch import SINGLE, pixel_differences
from bench.claims.ends import BORDER, INWARD, inward_error
from bench.claims.finite import ARISES
from bench.claims.gradient import gradient_error
from bench.claims.repetition import global_state, same_state
from bench.claims.single_precision import CLOSE, single_error
from bench.claims.twin import interior, resolves
from bench.defended import LEAVE_X, DefendedClassifier
from bench.errors import BenchError, UserError
from bench.figures.summary import EXACT
from bench.gradient import GradientMode, spoiled_rows
from bench.margin import margin
from bench.noise import ForbiddenNoise, Noise
from bench.protocols import Attack, Defense, Images
from bench.run.attack import check_in_ball
from bench.threat import ThreatModel

SAME = 1e-9
"""Largest difference, in float64, between results that should be equal but for the order of sums."""
NEAR = 1.0
"""Margin of the images that an attack has to break."""
CHANGED = f"expected the input to be left alone, got it changed in place; {LEAVE_X}"
DREW_GLOBALLY = ", and the global random state changed, as torch.randn changes it"
NO_GRAPH = ("does not require grad", "not have been used in the graph")
"""What autograd says where nothing leads from an output back to its input."""
ROUGH = (
    "expected a gradient that can be measured, got a function too rough for differences in float32; let purify compute in the dtype of x, so that "
    "it is measured in float64"
)


def default_images(count: int = 6) -> Images:
    """Smooth random grey images of 28 x 28 with pixels from 0 to 1, some at either end; float32 `(count, 1, 28, 28)`."""
    noise = Noise(0, torch.arange(count), "check").normal(torch.empty(count, 1, 7, 7))
    return nn.functional.interpolate(noise, scale_factor=4, mode="bicubic").mul(0.4).add(0.5).clamp(0, 1)


def probes(x: Images) -> dict[str, Images]:
    """Images on which derivatives go wrong: by name, of the number, shape and type of `x`."""
    grey = torch.arange(len(x), device=x.device).view(-1, 1, 1, 1).expand_as(x) * 17 / 255
    striped = torch.where(torch.arange(x.shape[3], device=x.device) % 4 < 2, x.round(), 0)
    return {
        "the images": x, "8-bit images": (255 * x).round() / 255, "images with flat parts": (4 * x).round() / 4,
        "images of one grey": grey.to(x.dtype), "black images": torch.zeros_like(x), "white images": torch.ones_like(x),
        "black and white stripes": striped,
    }  # fmt: skip


class DefenseSubject:
    """A defense, the images that it purifies, and a copy of it in double precision.

    Arguments:
        defense: The defense.
        images: What it purifies; None for `default_images`.
    """

    def __init__(self, defense: Defense, images: Images | None = None) -> None:
        self.defense, self.x = defense, default_images() if images is None else images
        self.others = "" if images is not None else f"; for other images than {tuple(self.x.shape)} give your own: check_defense(..., images=...), float32 (B, C, H, W) in [0, 1]"  # fmt: skip
        self.double = _doubled(defense)
        self.noise = Noise(7, torch.arange(100, 100 + len(self.x)))

    def purify(self, x: Images, noise: Noise, *, double: bool = False) -> Images:
        """Purified images; a defense that says it never draws is handed a noise that raises."""
        if self.defense.deterministic:
            noise = ForbiddenNoise(noise.seed, noise.ids, noise.purpose, noise.draw)
        return _images((self.double if double else self.defense).purify(x.clone(), noise))

    def output(self) -> str:
        """Whether it gives images, whatever it claims of its draws."""
        try:
            y = _images(self.defense.purify(self.x.clone(), self.noise))
        except BenchError:
            raise
        except Exception as error:
            told = f"{type(error).__name__}: {error}".removesuffix(": ")
            return f"expected purify to take images of shape {tuple(self.x.shape)}, got {told}{self.others}"
        if y.shape != self.x.shape or y.dtype != self.x.dtype:
            return f"expected {self.x.dtype} of shape {tuple(self.x.shape)}, got {y.dtype} of shape {tuple(y.shape)}; keep shape and dtype"
        if not torch.isfinite(y).all():
            return "expected finite pixels, got NaN or infinity; look for divisions and logarithms of 0"
        inside = y.min() >= 0 and y.max() <= 1
        return "" if inside else f"expected pixels in [0, 1], got [{y.min():g}, {y.max():g}]; clamp them"

    def input_unchanged(self) -> str:
        """Whether it leaves the images that it is given as they are."""
        x = self.x.clone()
        self.defense.purify(x, self.noise)
        return "" if torch.equal(x, self.x) else CHANGED

    def determinism(self) -> str:
        """Whether a draw, or none, settles the output."""
        before = global_state()
        first = self.purify(self.x, self.noise)
        touched = not same_state(before, global_state())
        if not torch.equal(first, self.purify(self.x, self.noise)):
            return f"expected the same output for the same draw, got another{DREW_GLOBALLY * touched}; draw from `noise` only"
        other = self.purify(self.x, self.noise.at(1))
        if not self.defense.deterministic and torch.equal(first, other):
            return "expected another output for another draw, got the same; claim `deterministic = True`"
        return ""

    def independence(self) -> str:
        """Whether other images change nothing: in double precision, or in float32 up to what rounding explains."""
        if self.doubled is None:
            return _independent(lambda rows: self.purify(self.x[rows], self.noise[rows]), len(self.x), single=True)
        x = self.x.double()
        return _independent(lambda rows: self.purify(x[rows], self.noise[rows], double=True), len(x))

    @cached_property
    def doubled(self) -> DefendedClassifier | None:
        """A linear classifier after the copy in double precision; None where code, or rounding on its way, is of float32."""
        model = self._before_classes(self.double)
        try:
            return model if resolves(model, interior(self.x, self.noise), self.noise) else None
        except Exception:  # whatever float32 code ends in, given float64
            return None

    def _before_classes(self, defense: Defense) -> DefendedClassifier:
        mode = GradientMode.FULL if getattr(defense, "differentiable", True) else GradientMode.NONE
        return DefendedClassifier(_Linear(self.x[0].numel()), defense, mode=mode, chunk=len(self.x))

    def global_randomness(self) -> str:
        """Whether the global generators are neither used nor changed."""
        return _global_randomness(lambda: self.purify(self.x, self.noise))

    def finite_gradient(self) -> str:
        """Whether the gradient is finite, if it says that it has one, on flat, black, white and 8-bit images as well."""
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
        """Whether it says that it has a derivative."""
        return getattr(self.defense, "differentiable", True)

    def _spoiled(self, x: Images) -> bool:
        readout = self.noise.of("check").normal(x)
        slope = self._slope(x, readout)
        return slope is not None and spoiled_rows(slope) is not None

    def _slope(self, x: Images, readout: Tensor) -> Tensor | None:
        """The gradient of a projection of the purified images; None if nothing leads back to them."""
        noise = self.noise
        if self.defense.deterministic:
            noise = ForbiddenNoise(noise.seed, noise.ids, noise.purpose, noise.draw)
        leaf = x.clone().requires_grad_()
        y = self.defense.purify(leaf, noise)
        return torch.autograd.grad(y, leaf, readout, allow_unused=True)[0] if y.requires_grad else None

    def gradient(self) -> str:
        """Whether autograd gives the derivative, if it says that it has one, and one that is not zero."""
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


class AttackSubject:
    """The subject attacks an undefended linear classifier, two of whose classes can win: its worst point is known in closed form."""

    def __init__(self, attack: Attack, mode: GradientMode, threats: tuple[str, ...]) -> None:
        self.attack, self.mode = attack, mode
        self.name = getattr(attack, "__name__", type(attack).__name__)
        self.threats = [ThreatModel.parse(text) for text in threats]
        if not threats:
            raise UserError('expected at least one threat to check under, got none; write threats=("l2:0.5",)')
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
        """Whether it gives images of the ball."""
        for threat in self.threats:
            for start in (self.x, uniform_in_ball(self.inner, threat, self.noise)):
                result = self.run(start.clone(), self.y, threat, self.noise)
                if result.shape != start.shape or result.dtype != start.dtype:
                    return f"expected {start.dtype} of shape {tuple(start.shape)}, got {result.dtype} of shape {tuple(result.shape)}; keep shape and dtype"
                check_in_ball(self.name, result, start, threat, self.noise.ids)
        return ""

    def input_unchanged(self) -> str:
        """Whether it leaves the images that it is given as they are."""
        x = self.x.clone()
        self.run(x, self.y, self.threats[0], self.noise)
        return "" if torch.equal(x, self.x) else CHANGED

    def reproducible(self) -> str:
        """Whether the noise settles the result."""
        before = global_state()
        first = self._once()
        touched = not same_state(before, global_state())
        if torch.equal(first, self._once()):
            return ""
        return (
            f"expected the same result for the same noise, got another{DREW_GLOBALLY * touched}; draw from `noise` only"
        )

    def independence(self) -> str:
        """Whether other images change nothing."""
        threat = self.threats[0]
        return _independent(lambda rows: self.run(self.x[rows], self.y[rows], threat, self.noise[rows]), len(self.x))

    def global_randomness(self) -> str:
        """Whether the global generators are neither used nor changed."""
        return _global_randomness(self._once)

    def optimum(self) -> str:
        """In a ball one percent larger than every image's distance from the border between two classes, each has to break."""
        slope = self.classifier.weight[1] - self.classifier.weight[0]
        clean = margin(self.classifier(self.inner), self.y)
        toward = (1 - 2 * self.y)[:, None] * slope / slope.square().sum()
        near = self.inner + ((clean - NEAR)[:, None] * toward).view_as(self.inner)
        duals = {"linf": slope.abs().sum(), "l2": slope.norm(), "l1": slope.abs().max()}
        for norm, dual in ((norm, duals[norm]) for norm in dict.fromkeys(threat.norm for threat in self.threats)):
            threat = ThreatModel.parse(f"{norm}:{1.01 * NEAR / float(dual):.9f}")
            standing = margin(self.classifier(self.run(near.clone(), self.y, threat, self.noise)), self.y) >= 0
            if standing.any():
                return f"expected every image to break in a ball 1 % larger than needed under {norm}, got {int(standing.sum())} of {len(near)} standing"
        return ""

    def _once(self) -> Images:
        return self.run(self.x.clone(), self.y, self.threats[0], self.noise)


class _Linear(nn.Module):
    """Two classes, float64, weights from the fixed noise of this kit."""

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.weight = Noise(11, torch.arange(2), "check").normal(torch.empty(2, pixels, dtype=torch.float64))

    def forward(self, x: Images) -> Tensor:
        return (x.flatten(1) - 0.5) @ self.weight.T.to(x.dtype) + torch.tensor([0.0, 3.0], dtype=x.dtype)


class FourClasses(_Linear):
    """Two more classes, of constant logits so low that they never win, for losses that need three classes or four."""

    def forward(self, x: Images) -> Tensor:
        """Logits `(B, 4)`."""
        logits = super().forward(x)
        return torch.cat([logits, logits.new_tensor([-1000.0, -1001.0]).expand(len(x), 2)], dim=1)


class _Undefended:
    deterministic: ClassVar[bool] = True

    def purify(self, x: Images, noise: Noise) -> Images:
        return x


def _at_the_ends(error: float) -> str:
    """What is wrong with the gradient on the way inward from black and white pixels."""
    return (
        ""
        if error < INWARD
        else f"expected a relative error below {INWARD:g} on the way inward from black and white pixels, got {error:.1e}; {BORDER}"
    )


def _images(value: object) -> Images:
    if not isinstance(value, Tensor):
        raise UserError(f"expected purify to return images, got {type(value).__name__}; return them")
    return value.detach()


def _doubled(defense: Defense) -> Defense:
    """A copy whose networks compute in float64."""
    twin = copy.deepcopy(defense)
    for value in vars(twin).values():
        if isinstance(value, nn.Module):
            value.double()
    return twin


def _independent(function: Callable[[Tensor], Images], count: int, *, single: bool = False) -> str:
    """Whether each row of `function(rows)` is the same alone, in another order and among other neighbours.

    In single precision the root mean square over pixels decides, since rounding at a kink may move a few far.
    """
    together = function(torch.arange(count))
    orders = {
        "alone": torch.tensor([1]),
        "reversed": torch.arange(count).flip(0),
        "among fewer": torch.arange(1, count, 2),
    }
    for name, rows in orders.items():
        one, other = function(rows), together[rows]
        difference = float((pixel_differences(one, other) if single else (one - other).abs()).max())
        if not difference <= (SINGLE if single else SAME):
            return f"expected an image to give the same {name} as in its batch, got a difference of {difference:.1e}; sum per image, never over the batch"
    return ""


def _global_randomness(function: Callable[[], Images]) -> str:
    before = global_state()
    first = function()
    if not same_state(before, global_state()):
        return "expected the global random state to be left alone, got it changed; draw from `noise` only"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(12345)  # noqa: TID251 - to see that it changes nothing
        second = function()
    return (
        ""
        if torch.equal(first, second)
        else "expected the same result under another global seed, got another; draw from `noise` only"
    )
