"""The components of a run, found by name and checked before anything heavy is loaded."""

from __future__ import annotations

from dataclasses import dataclass

from bench.defended import check_differentiable
from bench.errors import UserError
from bench.gradient import GradientMode
from bench.plan.parts import Part, surrogate_of
from bench.plan.request import Request
from bench.plan.rules import (
    check_attack,
    check_defense_class,
    check_suits,
    default_threat,
    gradient_of,
    knowledge_of,
    name_of,
    scored_draws,
)
from bench.registry.arguments import takes
from bench.registry.registry import Registry
from bench.threat import ThreatModel


@dataclass(frozen=True, kw_only=True)
class Components:
    """The components of a run.

    Arguments:
        images: The data set.
        defense: The defense.
        attack: The attack.
        classifier: The classifier.
        score: The score model, if the defense needs one.
        surrogate: The classifier that a transfer attack names.
        threat: The threat model.
        gradient: The attack's gradient mode.
        knowledge: `known` if the attack knows the scored draws, else `fresh`.
        draws: The number of scored draws.
    """

    images: Part
    defense: Part
    attack: Part
    classifier: Part
    score: Part | None
    surrogate: Part | None
    threat: ThreatModel
    gradient: GradientMode
    knowledge: str
    draws: int


def find_components(request: Request, registry: Registry) -> Components:
    """Finds and imports every component; names, arguments and combinations are checked.

    Raises:
        UserError: A name, an argument or a combination is wrong.
    """
    data = registry.find("datasets", request.dataset)
    defense = Part(registry.find("defenses", request.defense), request.arguments, "-D")
    attack = Part(registry.find("attacks", request.attack), request.arguments, "-A")
    classifier = Part(registry.find("classifiers", name_of(request, data, "classifier")), request.arguments, "-C")
    score = None
    if takes(defense.target, "score"):
        score = Part(registry.find("score_models", name_of(request, data, "score_model")), request.arguments, "-S")
    elif request.arguments.get("score_models"):
        raise UserError("score-arguments-unused", defense=defense.found.name)
    threat = request.threat or default_threat(data)
    gradient, knowledge = gradient_of(attack), knowledge_of(attack)
    check_defense_class(defense)
    check_suits(attack, defense)
    check_differentiable(defense.found.name, defense.target, gradient)
    draws = scored_draws(request, attack, defense)
    check_attack(attack)
    return Components(
        images=Part(data, {}, "--dataset"),
        defense=defense,
        attack=attack,
        classifier=classifier,
        score=score,
        surrogate=surrogate_of(attack, registry),
        threat=threat,
        gradient=gradient,
        knowledge=knowledge,
        draws=draws,
    )
