"""From names to parts: what a run needs, every argument filled in and every hash taken."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from bench.data.dataset import Dataset
from bench.defended import check_differentiable, check_signature
from bench.errors import UserError
from bench.gradient import GradientMode
from bench.pace import Work
from bench.plan.cache import Shelf
from bench.plan.parts import (
    Part,
    check_weights,
    hashed,
    load_classifier,
    load_dataset,
    load_score,
    make_defense,
    notes,
    remarks,
    surrogate_of,
)
from bench.plan.request import Request
from bench.plan.rules import (
    check_attack,
    check_defense_class,
    check_gradients,
    check_suits,
    check_votes,
    default_threat,
    gradient_of,
    knowledge_of,
    name_of,
    release_of,
    scored_draws,
    trait,
)
from bench.protocols import Attack, Defense, ScoreModel
from bench.records.spec import Component, RunSpec
from bench.registry.arguments import takes
from bench.registry.registry import Registry
from bench.threat import ThreatModel


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The parts of a run, ready to use, and its spec.

    Arguments:
        spec: What the run id is computed from.
        labels: Short names of defense and attack for tables: the arguments that differ from the defaults.
        notes: What the parts want every record to say, such as whose choice their defaults are.
        dataset: The images.
        threat: The threat model.
        classifier: Images to logits, on the CPU.
        score: The score model, if the defense needs one.
        make_defense: The defense, from a score model.
        attack: The attack with its arguments filled in.
        gradient: What the attacker differentiates.
        known: The number of scored draws that the attacker knows, 0 if it has to draw its own.
        whole_shards: Whether the attack is another package's, whose result depends on the shard: only whole ones run.
        work: What the attack does to an image that never breaks; None if it does not say.
        request: What was asked for, by name: what another process plans the same run from.
    """

    spec: RunSpec
    labels: dict[str, str]
    notes: list[str]
    dataset: Dataset
    threat: ThreatModel
    classifier: nn.Module
    score: ScoreModel | None
    make_defense: Callable[[ScoreModel | None], Defense]
    attack: Attack
    gradient: GradientMode
    known: int = 0
    whole_shards: bool = False
    work: Work | None = None
    request: Request = field(default_factory=Request)


def plan(request: Request, registry: Registry, shelf: Shelf | None = None) -> Plan:
    """Finds, imports and builds every part; all names and arguments are checked before anything heavy is loaded.

    Arguments:
        request: What was asked for.
        registry: What the names stand for.
        shelf: Where other plans of this process leave the networks and data that they share.

    Raises:
        UserError: A name, an argument, a file or a value is wrong.
    """
    parts = _find(request, registry)
    attack, defense, draws = parts.attack, parts.defense, parts.draws
    loaded = _load(parts, request.data_dir, shelf or Shelf())
    attacked = loaded.classifier if loaded.surrogate is None else loaded.surrogate
    check_gradients(parts.surrogate or parts.classifier, attacked, parts.gradient, registry)
    make = partial(make_defense, defense)
    built = make(loaded.score)  # the values themselves are checked now, before any work
    check_signature(type(built).__name__, built)
    check_weights(built, defense.found.name)
    check_votes(built, defense)
    roles = {} if parts.surrogate is None else {"surrogate": loaded.surrogate}
    planned = Plan(
        spec=_spec(parts, loaded, request.seed),
        labels={"defense": defense.label, "attack": attack.label, "dataset": parts.images.found.name},
        notes=[
            *notes(built, defense, attack),
            *remarks(parts.classifier, loaded.classifier),
            *(f"{loaded.dataset.name}: {text}" for text in loaded.dataset.remarks),
        ],
        dataset=loaded.dataset,
        threat=parts.threat,
        classifier=loaded.classifier,
        score=loaded.score,
        make_defense=make,
        attack=partial(attack.target, **roles, **attack.values),
        gradient=parts.gradient,
        known=draws if parts.knowledge == "known" else 0,
        whole_shards=bool(trait(attack, "package")),
        work=_work(parts, classes=len(loaded.dataset.classes)),
        request=request,
    )
    return image_by_image(planned) if request.image_by_image else planned


def image_by_image(planned: Plan) -> Plan:
    """The plan of the same run with each image alone in its network calls, which is then part of the run id."""
    if planned.spec.batch_size:
        return planned
    note = f"image by image: what {planned.spec.defense.name} gives depends on the batch, so that a batch size of 1 is part of this run"
    return replace(
        planned,
        spec=planned.spec.model_copy(update={"batch_size": 1}),
        notes=[*planned.notes, note],
        request=replace(planned.request, image_by_image=True),
    )


@dataclass(frozen=True, kw_only=True)
class _Parts:
    """The parts of a run, found and checked; nothing heavy is loaded yet."""

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


@dataclass(frozen=True, kw_only=True)
class _Loaded:
    """Data and networks of a run, with the hashes of the networks' weights, None for one without weights."""

    dataset: Dataset
    classifier: nn.Module
    score: ScoreModel | None
    surrogate: nn.Module | None
    sha256: Mapping[str, str | None]


def _find(request: Request, registry: Registry) -> _Parts:
    data = registry.find("datasets", request.dataset)
    defense = Part(registry.find("defenses", request.defense), request.arguments, "-D")
    attack = Part(registry.find("attacks", request.attack), request.arguments, "-A")
    classifier = Part(registry.find("classifiers", name_of(request, data, "classifier")), request.arguments, "-C")
    score = None
    if takes(defense.target, "score"):
        score = Part(registry.find("score_models", name_of(request, data, "score_model")), request.arguments, "-S")
    elif request.arguments.get("score_models"):
        raise UserError(f"expected no -S for {defense.found.name}, which needs no score model, got some; drop them")
    threat = request.threat or default_threat(data)
    gradient, knowledge = gradient_of(attack), knowledge_of(attack)
    check_defense_class(defense)
    check_suits(attack, defense)
    check_differentiable(defense.found.name, defense.target, gradient)
    draws = scored_draws(request, attack, defense)
    check_attack(attack)
    return _Parts(
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


def _load(parts: _Parts, data_dir: Path | None, shelf: Shelf) -> _Loaded:
    images = parts.images.key, data_dir
    dataset = shelf.get(images, lambda: load_dataset(parts.images, data_dir))
    setting = {"data_dir": data_dir, "run_dataset": dataset, "threat": parts.threat}

    def load(part: Part | None, factory: Callable[..., Any]) -> tuple[Any, str | None]:
        if part is None:
            return None, None
        return shelf.get((part.key, *images, str(parts.threat)), lambda: hashed(factory(part, setting)))

    classifier, classifier_sha256 = load(parts.classifier, load_classifier)
    score, score_sha256 = load(parts.score, load_score)
    surrogate, surrogate_sha256 = load(parts.surrogate, load_classifier)
    return _Loaded(
        dataset=dataset,
        classifier=classifier,
        score=score,
        surrogate=surrogate,
        sha256={"classifier": classifier_sha256, "score": score_sha256, "surrogate": surrogate_sha256},
    )


def _spec(parts: _Parts, loaded: _Loaded, seed: int) -> RunSpec:
    return RunSpec(
        defense=parts.defense.component(),
        attack=parts.attack.component(
            sha256=loaded.sha256["surrogate"],
            gradient=parts.gradient.value,
            knowledge="known" if parts.knowledge == "known" else None,
            package=release_of(parts.attack),
        ),
        classifier=parts.classifier.component(sha256=loaded.sha256["classifier"]),
        score_model=parts.score.component(sha256=loaded.sha256["score"]) if parts.score else None,
        dataset=Component(name=loaded.dataset.name, sha256=loaded.dataset.sha256),
        threat=str(parts.threat),
        draws=parts.draws,
        seed=seed,
    )


def _work(parts: _Parts, *, classes: int) -> Work | None:
    """The value of the attack's function `work`, None without one; with known draws every estimate takes all of them."""
    attack = parts.attack
    formula = getattr(sys.modules.get(getattr(attack.target, "__module__", "")), "work", None)
    if not callable(formula):
        return None
    known = {"eot": parts.draws} if parts.knowledge == "known" and "eot" in attack.values else {}
    return formula(**(attack.values | known), deterministic=parts.defense.target.deterministic, classes=classes)
