"""What an audit is said to cost: at most, and if as many images stand as under the run's own attack."""

from __future__ import annotations

import numpy as np
import pytest
from audited import REGISTRY, Heard, examined, made

from bench.audit.price import Load, priced, summed
from bench.audit.rival import Rival
from bench.audit.session import Scope, foresee
from bench.audit.subject import Subject
from bench.figures.runs import read_run
from bench.gradient import GradientMode
from bench.pace import Work
from bench.run.options import Options
from bench.run.prediction import Costs, Trial
from bench.run.replay import replan


def clock(mode):
    """A second for an evaluation, ten for a gradient."""
    if mode is GradientMode.NONE:
        return Trial(seconds=1.0, passes={"forward": 1.0, "backward": 0.0})
    return Trial(seconds=10.0, passes={"forward": 1.0, "backward": 1.0})


def test_a_likely_price_stands_beside_the_highest():
    most, likely = Work(evaluations=2, gradients=20), Work(evaluations=2, gradients=5)
    price = priced(Costs(clock), [Load(4, most, likely=likely), Load(1, Work(evaluations=3)), Load(2, None)])
    assert price == {
        "seconds": 4 * (2 + 200) + 3.0, "likely": 4 * (2 + 50) + 3.0, "passes": {"forward": 4 * 22 + 3, "backward": 80},
        "unforeseen": 1,
    }  # fmt: skip
    assert summed([price, price])["likely"] == 2 * price["likely"]


def test_a_padded_chunk_costs_as_much_as_a_full_one():
    costs = Costs(clock, 16)
    assert priced(costs, [Load(8, Work(evaluations=1))])["seconds"] == 16.0
    assert priced(costs, [Load(33, Work(evaluations=1))])["seconds"] == 48.0
    assert priced(costs, [Load(8, Work(evaluations=1))])["passes"] == {"forward": 8}


def subject(path):
    run = read_run(path)
    return Subject(
        run, replan(run.header, REGISTRY), REGISTRY, samples=32, size="quick", options=Options(results=path.parents[2])
    )


def share(values):
    return float((np.asarray(values) > 0).mean())


def test_another_attack_is_kept_at_work_by_the_images_that_the_own_one_left_standing(tmp_path):
    """Nothing differentiated breaks late, and a blind attacker may not rest."""
    part = subject(made(tmp_path, "honest.py:Blur", samples=32, threat="linf:0.01"))
    stand, right = share(part.shares), share(part.clean)
    assert 0 < stand < right <= 1
    for attack, kept, mode in [
        ("pgd-full", stand, GradientMode.FULL), ("pgd-bpda", stand, GradientMode.BPDA),
        ("pgd-blind", right, GradientMode.BLIND), ("square", right, GradientMode.NONE),
    ]:  # fmt: skip
        load, work = part.load(Rival(attack, {})), part.plan(Rival(attack, {})).work
        scored = Work(evaluations=2)
        assert (load.images, load.work, load.mode) == (32, work + scored, mode)
        assert load.likely.gradients == pytest.approx(kept * work.gradients)
        assert load.likely.evaluations == pytest.approx(kept * work.evaluations + 2)


@pytest.mark.parametrize(("attack", "rests"), [("pgd-known", True), ("pgd-eot", False)])
def test_only_who_knows_the_draws_lets_broken_images_rest(attack, rests, tmp_path):
    arguments = {"steps": 5, "losses": ("cw",), "samples": 24, "threat": "linf:0.01"}
    part = subject(made(tmp_path, "honest.py:NoisyBlur", attack, **arguments))
    other = Rival(attack, {"steps": 8})
    kept = share(part.shares if rests else part.clean)
    assert share(part.shares) < share(part.clean)
    assert part.load(other).likely.gradients == pytest.approx(kept * part.plan(other).work.gradients)


def test_the_likely_seconds_are_data(tmp_path):
    path, heard = made(tmp_path, samples=8), Heard()
    outlook = foresee(path, Scope(only=("effort",)), REGISTRY, heard, options=Options(results=tmp_path, device="cpu"))
    (price,) = outlook["checks"]
    assert 0 <= price["predicted"]["likely"] <= price["predicted"]["seconds"]
    assert {"checks", "seconds", "likely", "passes"} == set(outlook["total"])
    assert heard.opened == [(path.name, "quick", 8)]
    document = examined(path, "effort", samples=8, heard=heard)
    assert set(document["checks"][0]["predicted"]) == {"seconds", "likely", "passes"}
    assert len(heard.attacks) == 2
