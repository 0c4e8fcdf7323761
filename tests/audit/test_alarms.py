"""No check fires on a built-in defense under its right attack: five seeds of each, for hours; `pytest -m slow` runs them.

One alone: `pytest -m slow tests/audit/test_alarms.py -k "tweedie and seed0"`.
"""

from __future__ import annotations

import pytest
from audited import Heard, fired

from bench.audit.right import right_attack
from bench.audit.session import Scope, audit
from bench.plan.plan import plan
from bench.plan.request import Request
from bench.registry.tables import make_registry
from bench.run.local import Local
from bench.run.options import Options
from bench.run.runner import Silent, record_path, run
from defenses import TABLE

IMAGES, SEEDS = 32, range(5)
REGISTRY = make_registry()
SHORT = {"losses": ("cw",), "steps": 10}
"""Arguments of the attack on stochastic defenses, of which some take minutes for a single image."""
LONGER = {"lm": {"losses": ("cw",)}, "scoreopt-small": {"losses": ("cw",)}}
"""Where ten steps are not enough, which the audit says: those that optimise need the twenty of the attack's own."""
LARGE = ("diffpure", "diffpure-ddpm", "diffpure-ode", "gdmp", "adp", "scoreopt")
"""Presets with their papers' constants, of which one audit takes days on a CPU; their small ones stand for them."""
TRUE = {"threshold": {"binarization"}}
"""Findings that are true, by defense: names of checks; docs/believe.md says why."""


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"seed{seed}")
@pytest.mark.parametrize("defense", [name for name in TABLE if name not in LARGE])
def test_no_check_fires_on_a_built_in_defense(defense, seed, tmp_path):
    attack = right_attack(REGISTRY, defense)
    arguments = LONGER.get(defense, SHORT) if attack == "pgd-known" else {}
    planned = plan(Request(defense=defense, attack=attack, seed=seed, arguments={"attacks": arguments}), REGISTRY)
    run(planned, Options(results=tmp_path, samples=IMAGES), Silent(), Local())
    path = record_path(planned, tmp_path)
    document = audit(path, Scope(samples=IMAGES), REGISTRY, Heard(), options=Options(results=tmp_path))
    assert fired(document) <= TRUE.get(defense, set()), [c for c in document["checks"] if c["name"] in fired(document)]
