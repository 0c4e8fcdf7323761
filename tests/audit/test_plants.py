"""Every plant is caught by the check that is named, and by no other but those that see the same fault; honest defenses by none."""

from __future__ import annotations

import pytest
from audited import examined, fired, made

from bench.audit import TABLE
from bench.figures.runs import read_run

PLANTS = {
    "secret extra noise when scored": (
        "same-view", set(), {"defense": "secret_noise.py:Defense", "attack": "pgd-eot", "steps": 5, "eot": 2, "samples": 32},
    ),
    "label leak by image hash": ("leak", set(), {"defense": "label_leak.py:Defense"}),
    "clipping that kills gradients": (
        "indicators", {"binarization", "black-box", "compression", "effort", "gradient-order", "random-noise"},
        {"defense": "kills_gradient.py:Defense"},
    ),
    "knows the distance to the clean image": ("radius", set(), {"defense": "knows_distance.py:Defense"}),
    "an attack that stops at the first iterate": (
        "reference-attack", {"black-box", "indicators", "radius", "random-noise"}, {"attack": "first_iterate.py:attack"},
    ),
    "an attack that overfits one draw": (
        "selection-bias", {"black-box", "gradient-order", "reference-attack"},
        {"defense": "one_draw.py:Defense", "attack": "one_draw.py:attack"},
    ),
    "a steep staircase masks the gradient": (
        "gradient-order", {"binarization", "black-box", "compression", "effort", "indicators", "radius", "random-noise"},
        {"defense": "steep.py:Defense"},
    ),
    "guidance by the mean of the batch": ("batch-coupling", {"repetition"}, {"defense": "guided_by_batch.py:Defense"}),
}  # fmt: skip
"""What is wrong; the check that has to catch it; checks that see the same fault; the run."""


@pytest.mark.parametrize("plant", PLANTS)
def test_a_plant_is_caught_by_the_named_check(plant, tmp_path):
    named, related, how = PLANTS[plant]
    document = examined(made(tmp_path, **how))
    assert named in fired(document), {check["name"]: check["values"] for check in document["checks"]}[named]
    assert fired(document) <= {named, *related}
    assert document["verdict"] in ("suspect", "refuted")
    assert any(flag.startswith(f"audit: {named}") for flag in document["flags"])


STOCHASTIC = {"defense": "honest.py:NoisyBlur", "steps": 5, "losses": ("cw",), "samples": 24, "threat": "linf:0.01"}
HONEST = {
    "none": {"threat": "linf:0.01"},
    "blur": {"defense": "honest.py:Blur", "threat": "linf:0.01"},
    "blur in l2": {"defense": "honest.py:Blur", "threat": "l2:0.05"},
    "known draws": {"attack": "pgd-known", **STOCHASTIC},
    "fresh draws": {"attack": "pgd-eot", "eot": 2, **STOCHASTIC},
}


SLOW = ("none", "blur in l2")


@pytest.mark.parametrize(
    "how", [pytest.param(how, id=name, marks=[pytest.mark.slow] * (name in SLOW)) for name, how in HONEST.items()]
)
def test_no_check_fires_on_an_honest_defense(how, tmp_path):
    path = made(tmp_path, **how)
    document = examined(path)
    assert fired(document) == set()
    assert document["verdict"] in ("believed", "passed")
    assert 0.1 < read_run(path).shares().mean() < 0.75  # neither broken nor untouched, so that checks can compare


def test_every_check_is_exercised():
    """A plant that no table names would catch nothing."""
    assert {named for named, _, _ in PLANTS.values()} <= set(TABLE)
