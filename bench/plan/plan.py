"""From names to parts: what a run needs, every argument filled in and every hash taken."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import nn

from bench.data.dataset import Dataset
from bench.defended import check_differentiable, check_signature
from bench.errors import NoGradientError, UserError
from bench.gradient import GradientMode
from bench.pace import Work
from bench.passes import has_gradients
from bench.plan.cache import Shelf
from bench.plan.parts import Part, check_weights, hashed, load_classifier, load_dataset, load_score, make_defense
from bench.protocols import Attack, Defense, ScoreModel
from bench.records.spec import Component, RunSpec
from bench.registry.arguments import takes
from bench.registry.registry import Found, Registry
from bench.threat import ThreatModel

STOCHASTIC_DRAWS, MOST_DRAWS = 10, 10_000
MOST_VOTES = 1000
ATTACK_INPUTS = ("model", "x", "y", "threat", "noise")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked for, by name; None stands for the default of the data set or of the defense.

    Arguments:
        defense: Name of the defense.
        attack: Name of the attack.
        dataset: Name of the data set.
        classifier: Name of the classifier.
        score_model: Name of the score model.
        threat: Threat model.
        draws: Fresh draws per image in the score.
        seed: Seed of all draws.
        data_dir: Where data sets lie or are downloaded to.
        arguments: Arguments by kind of component (`defenses`, `attacks`, `classifiers`, `score_models`).
        image_by_image: Whether the run id holds that every image runs alone, for a defense whose result depends on the batch.
    """

    defense: str = "dpsam"
    attack: str = "pgd-full"
    dataset: str = "fashion-mnist"
    classifier: str | None = None
    score_model: str | None = None
    threat: ThreatModel | None = None
    draws: int | None = None
    seed: int = 0
    data_dir: Path | None = None
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    image_by_image: bool = False


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
    data = registry.find("datasets", request.dataset)
    defense = Part(registry.find("defenses", request.defense), request.arguments, "-D")
    attack = Part(registry.find("attacks", request.attack), request.arguments, "-A")
    classifier = Part(registry.find("classifiers", _default(request, data, "classifier")), request.arguments, "-C")
    needs_score = takes(defense.target, "score")
    if not needs_score and request.arguments.get("score_models"):
        raise UserError(f"expected no -S for {defense.found.name}, which needs no score model, got some; drop them")
    score = (
        Part(registry.find("score_models", _default(request, data, "score_model")), request.arguments, "-S")
        if needs_score
        else None
    )
    threat = request.threat or _default_threat(data)
    gradient, knowledge = _gradient(attack), _knowledge(attack)
    _check_defense_class(defense)
    _check_suits(attack, defense, registry)
    check_differentiable(defense.found.name, defense.target, gradient)
    draws = _draws(request, attack, defense)
    _check_attack(attack)

    shelf, where = shelf or Shelf(), request.data_dir
    images = Part(data, {}, "--dataset")
    dataset = shelf.get((images.key, where), lambda: load_dataset(images, where))
    setting = {"data_dir": where, "run_dataset": dataset, "threat": threat}
    place = (images.key, where, str(threat))
    network, network_sha256 = shelf.get((classifier.key, place), lambda: hashed(load_classifier(classifier, setting)))
    score_model, score_sha256 = (
        shelf.get((score.key, place), lambda: hashed(load_score(score, setting))) if score else (None, None)
    )
    other = _surrogate(attack, registry)
    surrogate, surrogate_sha256 = (
        shelf.get((other.key, place), lambda: hashed(load_classifier(other, setting))) if other else (None, None)
    )
    attacked = classifier if other is None else other
    _check_gradients(attacked, network if other is None else surrogate, gradient, registry)
    spec = RunSpec(
        defense=defense.component(),
        attack=attack.component(
            sha256=surrogate_sha256,
            gradient=gradient.value,
            knowledge="known" if knowledge == "known" else None,
            package=_release(attack),
        ),
        classifier=classifier.component(sha256=network_sha256 or classifier.found.source_sha256()),
        score_model=score.component(sha256=score_sha256 or score.found.source_sha256()) if score else None,
        dataset=Component(name=dataset.name, sha256=dataset.sha256),
        threat=str(threat),
        draws=draws,
        seed=request.seed,
    )
    make = partial(make_defense, defense)
    built = make(score_model)  # the values themselves are checked now, before any work
    check_signature(type(built).__name__, built)
    check_weights(built, defense.found.name)
    _check_votes(built, defense)
    planned = Plan(
        spec=spec, labels={"defense": defense.label, "attack": attack.label, "dataset": data.name}, notes=[*_notes(built, defense, attack), *_remarks(classifier, network), *(f"{dataset.name}: {text}" for text in dataset.remarks)], dataset=dataset, threat=threat, classifier=network,
        score=score_model, make_defense=make, gradient=gradient, known=draws if knowledge == "known" else 0,
        attack=partial(attack.target, **({} if surrogate is None else {"surrogate": surrogate}), **attack.values),
        whole_shards=bool(_trait(attack, "package")),
        work=_work(attack, dataset, deterministic=defense.target.deterministic, known=draws if knowledge == "known" else 0),
        request=request,
    )  # fmt: skip
    return image_by_image(planned) if request.image_by_image else planned


def image_by_image(planned: Plan) -> Plan:
    """The plan of the same run with every image alone in its network calls, which is then part of the run id."""
    if planned.spec.batch_size:
        return planned
    note = f"image by image: what {planned.spec.defense.name} gives depends on the batch, so that a batch size of 1 is part of this run"
    return replace(
        planned, spec=planned.spec.model_copy(update={"batch_size": 1}), notes=[*planned.notes, note],
        request=replace(planned.request, image_by_image=True),
    )  # fmt: skip


def _default(request: Request, data: Found, role: str) -> str:
    name = getattr(request, role) or data.entry.defaults.get(role)
    if name is None:
        flag = role.replace("_", "-")
        raise UserError(
            f"expected --{flag} for the data set {request.dataset}, got none; it has no default (see: bench list {flag}s)"
        )
    return name


def _default_threat(data: Found) -> ThreatModel:
    if not data.entry.threats:
        raise UserError(
            f"expected --threat for the data set {data.name}, got none; write for example --threat linf:8/255"
        )
    return ThreatModel.parse(data.entry.threats[0])


def _trait(attack: Part, name: str) -> Any:
    """What a preset's entry says; an attack given by its path may say it by an attribute of that name."""
    return getattr(attack.target, name, getattr(attack.found.entry, name))


def _gradient(attack: Part) -> GradientMode:
    name = _trait(attack, "gradient")
    try:
        return GradientMode(name)
    except ValueError as error:
        modes = ", ".join(mode.value for mode in GradientMode)
        raise UserError(f"expected the attack's gradient among {modes}, got {name!r}; correct the attack") from error


def _knowledge(attack: Part) -> str:
    knowledge = _trait(attack, "knowledge")
    if knowledge not in ("fresh", "known"):
        raise UserError(f"expected the attack's knowledge to be fresh or known, got {knowledge!r}; correct the attack")
    return knowledge


def _release(attack: Part) -> str | None:
    package = _trait(attack, "package")
    return f"{package} {version(package)}" if package else None


def _surrogate(attack: Part, registry: Registry) -> Part | None:
    """The classifier that a transfer attack names."""
    if not takes(attack.target, "surrogate"):
        return None
    return Part(registry.find("classifiers", attack.values["classifier"]), {}, "-A")


def _work(attack: Part, dataset: Dataset, *, deterministic: bool, known: int) -> Work | None:
    """What the attack's function `work` gives, None without one; with known draws every estimate takes all of them."""
    formula = getattr(sys.modules.get(getattr(attack.target, "__module__", "")), "work", None)
    if not callable(formula):
        return None
    eot = {"eot": known} if known and "eot" in attack.values else {}
    return formula(**(attack.values | eot), deterministic=deterministic, classes=len(dataset.classes))


def _notes(built: Defense, defense: Part, attack: Part) -> list[str]:
    """What a component says of itself in its attribute `provenance`, a preset in its entry, and a defense of its `units`."""
    says = [
        (part.found.name, getattr(part.target, "provenance", "") or part.found.entry.remark)
        for part in (defense, attack)
    ]
    says.insert(1, (defense.found.name, getattr(built, "units", "")))
    return [f"{name}: {text}" for name, text in says if text]


def _remarks(part: Part, model: object) -> list[str]:
    """What a loaded model says of itself in its attribute `provenance`."""
    text = getattr(model, "provenance", "")
    return [f"{part.found.name}: {text}"] if text else []


def _check_votes(built: Defense, defense: Part) -> None:
    votes = getattr(built, "votes", 1)
    if not isinstance(votes, int) or not 1 <= votes <= MOST_VOTES:
        raise UserError(f"expected {defense.found.name} -D votes= in 1..{MOST_VOTES}, got {votes!r}; correct the value")


def _check_defense_class(defense: Part) -> None:
    if not callable(getattr(defense.target, "purify", None)) or not isinstance(
        getattr(defense.target, "deterministic", None), bool
    ):
        raise UserError(
            f"expected {defense.found.name} to be a class with purify(x, noise) and `deterministic: ClassVar[bool]`, got {defense.target!r}; "
            "add what is missing"
        )


def _check_suits(attack: Part, defense: Part, registry: Registry) -> None:
    wanted = attack.found.entry.suits
    kind = "deterministic" if defense.target.deterministic else "stochastic"
    if wanted and wanted != kind:
        raise UserError(
            f"expected a {wanted} defense for {attack.found.name}, got {defense.found.name}, which is {kind}; use --attack {attack.found.entry.instead}"
        )


def _draws(request: Request, attack: Part, defense: Part) -> int:
    """The number of scored draws: asked for, prescribed by a protocol, or the default."""
    stochastic, prescribed = not defense.target.deterministic, attack.found.entry.draws
    most = MOST_DRAWS if stochastic else 1
    if request.draws is not None and not 1 <= request.draws <= most:
        raise UserError(
            f"expected --draws of at least 1, at most {MOST_DRAWS}, and 1 for a deterministic defense, got {request.draws} for {defense.found.name}; leave it out"
        )
    if stochastic and prescribed and request.draws not in (None, prescribed):
        raise UserError(
            f"expected {attack.found.name} to score {prescribed} draws, as its paper does, got --draws {request.draws}; leave it out"
        )
    if not 0 <= request.seed < 1 << 64:
        raise UserError(f"expected --seed in [0, 2^64), got {request.seed}; choose a smaller one")
    return request.draws or (prescribed or STOCHASTIC_DRAWS if stochastic else 1)


def _check_gradients(part: Part, network: object, gradient: GradientMode, registry: Registry) -> None:
    if gradient is not GradientMode.NONE and not has_gradients(network):
        entries = registry.tables["attacks"].items()
        without = [f"--attack {name}" for name, entry in entries if entry.gradient == GradientMode.NONE.value]
        raise NoGradientError(
            f"expected logits with gradients from the classifier {part.found.name} for this attack, got none (no_grad, inference_mode or NumPy inside); "
            f"keep the graph, or use {' or '.join(without)}, which see the logits alone"
        )


def _check_attack(attack: Part) -> None:
    try:
        roles = {"surrogate": None} if takes(attack.target, "surrogate") else {}
        inspect.signature(attack.target).bind(*ATTACK_INPUTS, **roles, **attack.values)
    except TypeError as error:
        raise UserError(
            f"expected {attack.found.name} to be an attack, a function of {', '.join(ATTACK_INPUTS)} and keyword-only arguments, got: {error}; "
            "correct its signature"
        ) from error
