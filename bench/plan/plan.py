"""The plan of a run: all components loaded, every argument filled in, every hash taken."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from torch import nn

from bench.data.dataset import Dataset
from bench.gradient import GradientMode
from bench.keyed import Keyed, Means
from bench.pace import Work
from bench.plan.cache import Cache
from bench.plan.components import Components, find_components
from bench.plan.loaded import Loaded, load_components
from bench.plan.parts import check_weights, make_defense, notes, remarks
from bench.plan.request import Request
from bench.plan.rules import check_gradients, check_votes, release_of, trait
from bench.protocols import Attack, Defense, ScoreModel
from bench.records.spec import Component, RunSpec
from bench.registry.registry import Registry
from bench.threat import ThreatModel


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The parts of a run, ready to use, and its spec.

    Arguments:
        spec: What the run id is computed from.
        labels: Short names of defense and attack for tables: the name and the arguments that differ from the defaults.
        notes: Remarks of the components for the record, such as where their defaults come from.
        dataset: The images.
        threat: The threat model.
        classifier: Images to logits, on the CPU.
        score: The score model, if the defense needs one.
        make_defense: Builds the defense from a score model.
        attack: The attack with its arguments filled in.
        gradient: What the attacker differentiates.
        known: The number of scored draws that the attacker knows, 0 if it has to draw its own.
        whole_shards: Whether only whole shards run, since the result of another package's attack depends on the shard.
        work: The attack's work on an image that never breaks; None if the attack states none.
        request: The request by names, from which another process makes the same plan.
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


def plan(request: Request, registry: Registry, cache: Cache | None = None) -> Plan:
    """Finds, imports and builds every part; all names and arguments are checked before anything heavy is loaded.

    Arguments:
        request: The request by names.
        registry: Maps names to components.
        cache: Cache of the networks and data that plans of this process share.

    Raises:
        UserError: A name, an argument, a file or a value is wrong.
    """
    components = find_components(request, registry)
    attack, defense, draws = components.attack, components.defense, components.draws
    loaded = load_components(components, request.data_dir, cache or Cache())
    attacked = loaded.classifier if loaded.surrogate is None else loaded.surrogate
    check_gradients(components.surrogate or components.classifier, attacked, components.gradient, registry)
    make = partial(make_defense, defense)
    built = make(loaded.score)  # checks the defense's values before any work
    check_weights(built, defense.found.name)
    check_votes(built, defense)
    roles = {} if components.surrogate is None else {"surrogate": loaded.surrogate}
    planned = Plan(
        spec=_spec(components, loaded, request.seed),
        labels={"defense": defense.label, "attack": attack.label, "dataset": components.images.found.name},
        notes=_notes(built, components, loaded),
        dataset=loaded.dataset,
        threat=components.threat,
        classifier=loaded.classifier,
        score=loaded.score,
        make_defense=make,
        attack=partial(attack.target, **roles, **attack.values),
        gradient=components.gradient,
        known=draws if components.knowledge == "known" else 0,
        whole_shards=bool(trait(attack, "package")),
        work=_work(components, classes=len(loaded.dataset.classes)),
        request=request,
    )
    planned = with_keyed_draws(planned, request.keyed) if request.keyed else planned
    return image_by_image(planned) if request.image_by_image else planned


def with_keyed_draws(planned: Plan, means: Means) -> Plan:
    """The plan of the same run with foreign draws keyed by some means, which is then part of the run id."""
    note = f"{planned.spec.defense.name} draws from torch, NumPy or Python; its draws are keyed by image and number ({means})"
    return replace(
        planned,
        spec=planned.spec.model_copy(update={"keyed": means}),
        notes=[*planned.notes, note],
        make_defense=partial(_keyed, planned.make_defense, means),
        request=replace(planned.request, keyed=means),
    )


def _keyed(make: Callable[[ScoreModel | None], Defense], means: Means, score: ScoreModel | None) -> Defense:
    return Keyed(make(score), means)


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


def _notes(built: Defense, components: Components, loaded: Loaded) -> list[str]:
    return [
        *notes(built, components.defense, components.attack),
        *remarks(components.classifier, loaded.classifier),
        *(f"{loaded.dataset.name}: {text}" for text in loaded.dataset.remarks),
    ]


def _spec(components: Components, loaded: Loaded, seed: int) -> RunSpec:
    return RunSpec(
        defense=components.defense.component(),
        attack=components.attack.component(
            sha256=loaded.sha256["surrogate"],
            gradient=components.gradient.value,
            knowledge="known" if components.knowledge == "known" else None,
            package=release_of(components.attack),
        ),
        classifier=components.classifier.component(sha256=loaded.sha256["classifier"]),
        score_model=components.score.component(sha256=loaded.sha256["score"]) if components.score else None,
        dataset=Component(name=loaded.dataset.name, sha256=loaded.dataset.sha256),
        threat=str(components.threat),
        draws=components.draws,
        seed=seed,
    )


def _work(components: Components, *, classes: int) -> Work | None:
    """The work that the attack states by its function `work`; None without one. With known draws every estimate uses all of them."""
    attack = components.attack
    formula = getattr(sys.modules.get(getattr(attack.target, "__module__", "")), "work", None)
    if not callable(formula):
        return None
    known = {"eot": components.draws} if components.knowledge == "known" and "eot" in attack.values else {}
    return formula(**(attack.values | known), deterministic=components.defense.target.deterministic, classes=classes)
