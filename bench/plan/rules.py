"""The rules of a run: which components fit together, and how many draws are scored.

All but `check_gradients` are applied before anything heavy is loaded.
"""

from __future__ import annotations

import inspect
from importlib.metadata import version
from typing import Any

from bench.errors import NoGradientError, UserError
from bench.gradient import GradientMode
from bench.passes import has_gradients
from bench.plan.parts import Part
from bench.plan.request import Request
from bench.protocols import Defense
from bench.registry.arguments import takes
from bench.registry.registry import Found, Registry
from bench.threat import ThreatModel

STOCHASTIC_DRAWS, MOST_DRAWS = 10, 10_000
MOST_VOTES = 1000
ATTACK_INPUTS = ("model", "x", "y", "threat", "noise")


def trait(attack: Part, name: str) -> Any:
    """A field of the attack's entry; an attack given by its path may have it as an attribute instead."""
    return getattr(attack.target, name, getattr(attack.found.entry, name))


def gradient_of(attack: Part) -> GradientMode:
    """The gradient mode that an attack names."""
    name = trait(attack, "gradient")
    try:
        return GradientMode(name)
    except ValueError as error:
        modes = ", ".join(mode.value for mode in GradientMode)
        raise UserError("attack-gradient", modes=modes, name=name) from error


def knowledge_of(attack: Part) -> str:
    """`known` if an attack knows the draws that are scored, else `fresh`."""
    knowledge = trait(attack, "knowledge")
    if knowledge not in ("fresh", "known"):
        raise UserError("attack-knowledge", knowledge=knowledge)
    return knowledge


def release_of(attack: Part) -> str | None:
    """Name and release of the package that an attack comes from; None for an attack of purebench."""
    package = trait(attack, "package")
    return f"{package} {version(package)}" if package else None


def check_votes(built: Defense, defense: Part) -> None:
    """Raises `UserError` if a built defense votes too often."""
    votes = getattr(built, "votes", 1)
    if not isinstance(votes, int) or not 1 <= votes <= MOST_VOTES:
        raise UserError("defense-votes", defense=defense.found.name, most=MOST_VOTES, votes=votes)


def check_defense_class(defense: Part) -> None:
    """Raises `UserError` if a defense lacks what the harness calls or reads."""
    if not callable(getattr(defense.target, "purify", None)) or not isinstance(
        getattr(defense.target, "deterministic", None), bool
    ):
        raise UserError("defense-class", defense=defense.found.name, got=defense.target)


def check_suits(attack: Part, defense: Part) -> None:
    """Raises `UserError` if an attack is only for deterministic or only for stochastic defenses, and the defense is not one."""
    wanted = attack.found.entry.suits
    kind = "deterministic" if defense.target.deterministic else "stochastic"
    if wanted and wanted != kind:
        raise UserError(
            "attack-unsuitable",
            wanted=wanted,
            attack=attack.found.name,
            defense=defense.found.name,
            kind=kind,
            instead=attack.found.entry.instead,
        )


def scored_draws(request: Request, attack: Part, defense: Part) -> int:
    """The number of scored draws: requested, prescribed by a protocol, or the default."""
    stochastic, prescribed = not defense.target.deterministic, attack.found.entry.draws
    most = MOST_DRAWS if stochastic else 1
    if request.draws is not None and not 1 <= request.draws <= most:
        raise UserError("draws-range", most=MOST_DRAWS, draws=request.draws, defense=defense.found.name)
    if stochastic and prescribed and request.draws not in (None, prescribed):
        raise UserError("draws-prescribed", attack=attack.found.name, prescribed=prescribed, draws=request.draws)
    if not 0 <= request.seed < 1 << 64:
        raise UserError("seed-range", seed=request.seed)
    return request.draws or (prescribed or STOCHASTIC_DRAWS if stochastic else 1)


def check_attack(attack: Part) -> None:
    """Raises `UserError` if an attack cannot be called as the harness calls it."""
    try:
        roles = {"surrogate": None} if takes(attack.target, "surrogate") else {}
        inspect.signature(attack.target).bind(*ATTACK_INPUTS, **roles, **attack.values)
    except TypeError as error:
        raise UserError("attack-signature", attack=attack.found.name, inputs=ATTACK_INPUTS, error=error) from error


def check_gradients(part: Part, network: object, gradient: GradientMode, registry: Registry) -> None:
    """Raises `NoGradientError` if an attack needs gradients and the attacked classifier, loaded from `part`, has none."""
    if gradient is not GradientMode.NONE and not has_gradients(network):
        entries = registry.tables["attacks"].items()
        without = [f"--attack {name}" for name, entry in entries if entry.gradient == GradientMode.NONE.value]
        raise NoGradientError("classifier-gradients-missing", name=part.found.name, attacks=" or ".join(without))


def name_of(request: Request, data: Found, role: str) -> str:
    """The requested name, or the default of the data set; `role` is `classifier` or `score_model`."""
    name = getattr(request, role) or data.entry.defaults.get(role)
    if name is None:
        flag = role.replace("_", "-")
        raise UserError("component-required", flag=flag, dataset=request.dataset)
    return name


def default_threat(data: Found) -> ThreatModel:
    """The first threat model of a data set."""
    if not data.entry.threats:
        raise UserError("threat-required", dataset=data.name)
    return ThreatModel.parse(data.entry.threats[0])
