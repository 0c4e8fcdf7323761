"""Every plant is caught by the check that is named, and by no other but those that see the same fault; honest defenses by none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.audit import TABLE
from bench.runs import read_run

sys.path.append(str(Path(__file__).parent))
from audited import examined, fired, made

PLANTS = {
    "secret extra noise when scored": (
        "same-view", set(), {"defense": "secret_noise.py:Defense", "attack": "pgd-eot", "steps": 5, "eot": 2},
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
        "gradient-order", {"binarization", "black-box", "compression", "effort", "indicators", "random-noise"},
        {"defense": "steep.py:Defense"},
    ),
    "guidance by the mean of the batch": ("batch-coupling", set(), {"defense": "guided_by_batch.py:Defense"}),
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


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"defense": "honest.py:Blur"},
        {"defense": "honest.py:Blur", "threat": "l2:0.2"},
        {"defense": "honest.py:NoisyBlur", "attack": "pgd-known", "steps": 10, "losses": ("cw",)},
        {"defense": "honest.py:NoisyBlur", "attack": "pgd-eot", "steps": 10, "eot": 3, "losses": ("cw",)},
    ],
    ids=["none", "blur", "blur in l2", "known draws", "fresh draws"],
)
def test_no_check_fires_on_an_honest_defense(how, tmp_path):
    path = made(tmp_path, **how)
    document = examined(path)
    assert fired(document) == set()
    assert document["verdict"] == "believed"
    assert 0.1 < read_run(path).shares().mean() < 0.6  # neither broken nor untouched, so that checks can compare


def test_every_check_is_exercised():
    """A plant that no table names would catch nothing."""
    assert {named for named, _, _ in PLANTS.values()} <= set(TABLE)
