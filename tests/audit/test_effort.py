"""More effort is the run's own effort raised: its own step, and a budget that lets it through."""

from __future__ import annotations

import pytest
from audited import examined, made

from bench.figures.runs import read_run
from bench.records.lookup import record_paths

EPS = 0.03


def rivals(path):
    """The runs that an audit made beside this one."""
    return [read_run(other) for other in record_paths(path.parents[2] / "audits")]


def step_sizes(path):
    return {run.spec.attack.args["step_size"] for run in rivals(path)}


@pytest.mark.parametrize(
    ("attack", "arguments", "longer"),
    [
        ("pgd-full", {"steps": 2}, 2 * EPS),
        ("pgd-full", {"steps": 2, "step_size": 0.004}, 0.008),
        ("pgd-full", {"steps": 4, "schedule": "constant"}, 2 * EPS),
        ("diffhammer-2024", {"steps": 2, "losses": ("cw",)}, 2 * EPS),
    ],
)
def test_the_longer_step_is_twice_the_step_given_or_twice_the_radius(attack, arguments, longer, tmp_path):
    path = made(tmp_path, attack=attack, threat=f"linf:{EPS}", samples=4, **arguments)
    examined(path, "effort", size="full", samples=4)
    own = arguments.get("step_size")
    assert sorted(step_sizes(path) - {own}) == pytest.approx([longer])


def test_a_budget_is_raised_with_what_it_would_cut(tmp_path):
    """In so small a ball every image that is right stands, and takes all the gradients that its attack is allowed."""
    path = made(tmp_path, threat="linf:0.0001", samples=4, steps=20, losses=("cw",), budget=12)
    examined(path, "effort", samples=4)
    taken = {
        (args["steps"], args["restarts"]): int(run.cost["classifier_backward"].max())
        for run in [read_run(path), *rivals(path)]
        for args in [run.spec.attack.args]
    }
    assert taken == {(20, 1): 4, (40, 1): 8, (20, 2): 8}
