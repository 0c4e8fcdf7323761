"""Purifiers given as objects: functions of images, networks, and objects with `purify`."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bench.errors import UserError
from bench.foreign import blamed
from bench.keyed.generators import held_by, restored
from bench.noise import DrawnError, ForbiddenNoise, Noise
from bench.objects.arguments import arguments_of, label_of, name_of
from bench.objects.classifiers import check_mode
from bench.objects.forms import inputs_of, is_factory, is_tokenizer, kind_of, made, refuse
from bench.objects.identity import code_sha256, state_sha256
from bench.protocols import Defense, Images
from bench.registry.given import Given, given

FORMS = "a name, a function x -> x, a torch.nn.Module, or an object with purify(x) or purify(x, noise)"
TRAITS = ("differentiable", "votes", "evaluations", "certify", "certified_radius", "provenance", "units")
"""Attributes by which a defense may describe itself."""


class Held:
    """Gives the defense that it holds, with its traits: what the class of a defense is for one given by name.

    Arguments:
        defense: The defense.
    """

    def __init__(self, defense: Defense) -> None:
        self.defense, self.deterministic = defense, defense.deterministic
        for trait in TRAITS:
            if hasattr(defense, trait):
                setattr(self, trait, getattr(defense, trait))

    def purify(self, x: Images, noise: Noise) -> Images:
        """Purifies as the defense does."""
        return self.defense.purify(x, noise)

    def __call__(self, **_: object) -> Defense:
        """The defense; its arguments were read from it, so that they need not be set."""
        return self.defense


class HeldWithScore(Held):
    """The same for a defense with a score model in its attribute `score`, which a run replaces by one whose passes are counted."""

    def __call__(self, *, score: object, **_: object) -> Defense:  # type: ignore[override]
        """A copy of the defense with another score model."""
        clone = copy.copy(self.defense)
        object.__setattr__(clone, "score", score)  # also where the dataclass is frozen
        return clone


class Purifier:
    """A purifier of another form as a defense; its subclasses carry the name of what they wrap.

    Arguments:
        wrapped: The object that was given.
        function: Purifies images, or images with their noise.
        draws: Whether the function takes the noise.
        deterministic: Whether it draws no random numbers.
    """

    def __init__(self, wrapped: Any, function: Callable[..., Images], *, draws: bool, deterministic: bool) -> None:
        self.wrapped, self.function, self.draws, self.deterministic = wrapped, function, draws, deterministic
        for trait in TRAITS:
            if hasattr(wrapped, trait):
                setattr(self, trait, getattr(wrapped, trait))

    def purify(self, x: Images, noise: Noise) -> Images:
        """Purifies images."""
        return self.function(x, noise) if self.draws else self.function(x)


def find_defense(part: Any, arguments: dict[str, Any], x: Images) -> Given:
    """The component of a purifier in any form.

    Arguments:
        part: A purifier, or a class or function that makes one.
        arguments: Arguments for the class or function.
        x: A few images on the device of the run, on which an object without a claim is tried.

    Raises:
        UserError: It is no purifier.
    """
    if isinstance(part, type) and _is_defense(part):
        target = part
        return given("defenses", name_of(part), target, code=code_sha256(part))
    held = made(part, "defense", arguments)
    if is_factory(held):
        refuse("defense", held, FORMS)
    check_mode("defense", held)
    values = arguments_of(held)
    score = _has_score(held)
    defense = held if _is_defense(held) else _wrapped(held, x)
    return given(
        "defenses",
        name_of(held),
        (HeldWithScore if score else Held)(defense),
        values={name: value for name, value in values.items() if not (score and name == "score")},
        label=label_of(held, values),
        sha256=state_sha256(_without_score(held) if score else held),
        code=code_sha256(held),
    )


def score_of(part: Any) -> Any:
    """The score model in a purifier's attribute `score`; None if it has none, or still needs one."""
    return part.score if not isinstance(part, type) and _has_score(part) else None


def _has_score(part: Any) -> bool:
    return _is_defense(part) and callable(getattr(getattr(part, "score", None), "denoise", None))


def _without_score(part: Any) -> Any:
    return HeldWithScore(part)(score=None)


def _is_defense(part: Any) -> bool:
    """Whether an object or class is a defense as `bench.protocols` describes it."""
    purify, claim = getattr(part, "purify", None), getattr(part, "deterministic", None)
    if not callable(purify) or not isinstance(claim, bool):
        return False
    return _takes_noise(purify, skip=1 if isinstance(part, type) else 0)


def _takes_noise(function: Callable[..., Any], skip: int = 0) -> bool:
    """Whether the second parameter of a function has to be given, or is called noise."""
    second = inputs_of(function)[skip + 1 : skip + 2]
    return bool(second) and (second[0].default is second[0].empty or second[0].name == "noise")


def _wrapped(part: Any, x: Images) -> Defense:
    function = getattr(part, "purify", None) or part
    if not callable(function) or isinstance(part, str) or is_tokenizer(part):
        refuse("defense", part, FORMS)
    draws, claim = _takes_noise(function), getattr(part, "deterministic", None)
    deterministic = claim if isinstance(claim, bool) else _measured(function, draws, x, name_of(part))
    kind = type(name_of(part), (Purifier,), {})
    return kind(part, function, draws=draws, deterministic=deterministic)


def _measured(function: Callable[..., Any], draws: bool, x: Images, name: str) -> bool:
    """Whether a purifier is deterministic: it draws nothing from its noise and gives the same images twice.

    One that gives others draws elsewhere, and a run keys its draws or refuses it.

    Raises:
        UserError: It returns no images.
    """
    noise = Noise(0, torch.arange(len(x), device=x.device))
    inputs = (x, ForbiddenNoise(0, noise.ids)) if draws else (x,)
    with restored(held_by(function)):
        try:
            first, again = (_images(_called(function, inputs, name), x, name) for _ in range(2))
        except DrawnError:
            _images(_called(function, (x, noise), name), x, name)
            return False
    return torch.equal(first, again)


def _called(function: Callable[..., Any], inputs: tuple[Any, ...], name: str) -> Any:
    with blamed(f"{name} to purify images of shape {tuple(inputs[0].shape)}", "try it on a batch of your images"):
        return function(inputs[0].clone(), *inputs[1:])


def _images(pure: Any, x: Images, name: str) -> Tensor:
    if isinstance(pure, Tensor) and pure.shape == x.shape:
        return pure.detach()
    got = f"a tensor of shape {tuple(pure.shape)}" if isinstance(pure, Tensor) else kind_of(pure)
    logits = isinstance(pure, Tensor) and pure.dim() == 2 and len(pure) == len(x)
    raise UserError(
        "purified-shape",
        name=name,
        shape=tuple(x.shape),
        got=got,
        advice="these look like logits: give a classifier as classifier="
        if logits
        else "return one image for each image",
    )
