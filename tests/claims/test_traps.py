"""No trap in a derivative makes a defense look robust unseen: it is attacked as its twin without the trap, or a claim fails."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import traps
from traps import COUNT, KINKS, TRAPS, Purifier, Stage, black, no_grad, purifier, shrink

from bench.errors import UserError
from bench.machine.device import pick_device
from bench.plan.plan import plan
from bench.plan.request import Request
from bench.registry.tables import make_registry
from bench.run.worker import Worker
from bench.threat import ThreatModel

FILE = str(Path(traps.__file__))
THREATS = ("linf:0.06", "l2:0.3")
POINTS = 0.05
"""By which a trap may make a defense look more robust than it is: two of the forty images."""


@pytest.fixture(scope="module")
def plans():
    """The plan of a short attack under each threat, on a defense that is to be put in."""
    return [
        plan(
            Request(
                defense="none", attack="pgd-full", dataset=f"{FILE}:images", classifier=f"{FILE}:Linear",
                threat=ThreatModel.parse(threat), arguments={"attacks": {"steps": 5, "losses": "cw"}},
            ),
            make_registry(),
        )
        for threat in THREATS
    ]  # fmt: skip


def worker(planned, defense):
    return Worker(replace(planned, make_defense=lambda score: defense), pick_device("cpu"), COUNT, lambda *_: None)


def failed(planned, defense):
    """Names of the claims that fail of a defense before its run; one that is refused has failed too."""
    try:
        claims = worker(planned, defense).claims()["claims"]
    except UserError as error:
        return [str(error)]
    return [claim["check"] for claim in claims if claim["verdict"] == "failed"]


def robust(planned, defense):
    """Robust accuracy under the plan's attack; 1 where the attack ends in an error that blames the defense."""
    try:
        lines, _ = worker(planned, defense).execute(np.arange(COUNT))
    except UserError:
        return 1.0
    return float(np.mean([line.adversarial[0] == line.label for line in lines]))


def gain(plans, number, kinds):
    """By how much more robust a purifier looks than its twin while no claim of it failed; 0 where one did."""
    planned, (defense, twin) = plans[number % len(THREATS)], purifier(number, kinds)
    return 0.0 if failed(planned, defense) else robust(planned, defense) - robust(planned, twin)


def silent(plans, numbers, kinds=TRAPS):
    """The purifiers that look more robust than they are, and nobody says so; as text."""
    return [
        f"{number}: {purifier(number, kinds)[0]} under {THREATS[number % len(THREATS)]} looks {100 * more:.0f} points more robust"
        for number in numbers
        if (more := gain(plans, number, kinds)) > POINTS
    ]


@pytest.mark.parametrize("first", range(0, 500, 50))
def test_none_of_five_hundred_is_silent(plans, first):
    assert silent(plans, range(first, first + 50)) == []


@pytest.mark.parametrize("first", [0, 50])
def test_none_of_a_hundred_kinks_is_silent(plans, first):
    assert silent(plans, range(first, first + 50), KINKS) == []


@pytest.mark.parametrize("kinds", [TRAPS, KINKS])
def test_every_trap_occurs(kinds):
    used = {stage.trap for number in range(50) for stage in purifier(number, kinds)[0].stages}
    assert used >= set(kinds)


@pytest.mark.parametrize("number", range(40))
def test_a_twin_has_the_same_values_and_passes_every_claim(plans, number):
    planned, (defense, twin) = plans[number % len(THREATS)], purifier(number)
    view, x, _, noise = worker(planned, defense).look(planned.gradient, np.arange(COUNT))
    apart = (view.shown(x, noise) - view.through(twin).shown(x, noise)).abs().max()
    assert apart < 2 / 255
    assert failed(planned, twin) == []


def test_a_trap_that_is_known_is_seen(plans):
    """A step unseen by autograd fails the claim of the exact gradient; the same step that is seen does not."""
    hidden = Purifier((Stage(shrink, 0.1, black, no_grad),))
    assert failed(plans[0], hidden) == ["gradient"]
    assert failed(plans[0], replace(hidden, trapped=False)) == []


@pytest.mark.parametrize("place", range(len(THREATS)))
def test_the_attack_breaks_much_of_what_is_right_without_it(plans, place):
    """Else a gradient that is lost would show nowhere."""
    nothing = Purifier(())
    lines, _ = worker(plans[place], nothing).execute(np.arange(COUNT))
    assert np.mean([line.clean[0] == line.label for line in lines]) > 0.9
    assert robust(plans[place], nothing) < 0.3
