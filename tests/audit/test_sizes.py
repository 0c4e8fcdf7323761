"""A finding names the size of what it measured, with its interval."""

from __future__ import annotations

import re

import numpy as np
from audited import examined, made

from bench.audit.bar import order
from bench.audit.ordered import judge

SIZE = r"[+-]?[0-9]+\.[0-9] \[[+-]?[0-9.]+, [+-]?[0-9.]+\]"


def test_a_comparison_names_its_sizes_whatever_it_comes_to():
    parts = {"Square": order(np.ones(32), np.ones(32))}
    told = {
        "commands": {"Square": "bench run"},
        "broken": "Fell to {names}: mend it.",
        "good": "Nothing more.",
        "verdicts": {"Square": "refuted"},
    }
    assert judge(parts, **told).meaning == "Nothing more (points of success: Square 0.0 [-5.8, +5.8])."
    weak = np.r_[np.zeros(8), np.ones(24)]
    found = judge({"Square": order(np.ones(32), weak)}, **told, unit="points", beside="2 stand")
    assert re.fullmatch(r"Fell to Square: mend it \(points: Square \+25.0 \[.*\]; 2 stand\)\.", found.meaning)


SAID = {
    "effort": rf"points of success above the run's: twice the steps {SIZE}; 2 times the restarts {SIZE}",
    "reference-attack": rf"points of success above the run's: pgd-eot {SIZE}",
    "black-box": rf"points of success above the run's: Square {SIZE}; transfer {SIZE}",
    "radius": rf"points of success: half of eps above eps {SIZE}; eps above twice eps {SIZE}; [0-9]+ of 24 images are unbroken in linf:0.5",
    "known-draws": rf"points of success: EOT above known draws {SIZE}",
    "selection-bias": rf"points of success on its own above fresh ones: {SIZE}",
    "eot-convergence": r"median cosine 0\.[0-9]{2} at 2 draws",
}  # fmt: skip


def test_every_check_that_measures_an_effect_names_it(tmp_path):
    path = made(
        tmp_path, "honest.py:NoisyBlur", "pgd-eot", eot=2, steps=5, losses=("cw",), samples=24, threat="linf:0.01"
    )
    checks = {check["name"]: check["meaning"] for check in examined(path, *SAID)["checks"]}
    for name, said in SAID.items():
        assert re.search(rf"\({said}\)\.$", checks[name]), checks[name]
