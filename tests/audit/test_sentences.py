"""Every finding's sentence follows from its numbers, on both sides of each boundary; and few images are not believed."""

import numpy as np
import pytest
from records_for_tables import header, record

from bench.audit.bar import order
from bench.audit.checks.attack import binarization, flags, indicators, radius, selection_bias
from bench.audit.checks.defense import compression, eot_convergence, gradient_path, leak, same_view
from bench.audit.ordered import judge
from bench.audit.strength import examined, unseen, word
from bench.console.audit import audit_text
from bench.console.show import citation
from bench.figures.runs import read_run
from bench.stats.intervals import Interval
from leaderboards.columns import believed_text
from leaderboards.entries import entry


def gap(value, low, high):
    return Interval(value, low, high, value * 8, 8, "bootstrap")


@pytest.mark.parametrize(
    ("values", "options", "said", "unsaid"),
    [
        ((0.15, 0.025, 0.325), {}, "better on its own draws than on fresh ones", "as well"),
        ((0.05, 0.001, 0.09), {}, "better on its own draws", "as well"),
        ((0.02, -0.05, 0.099), {}, "does as well on fresh draws as on its own, to within 10 points", "not exclude"),
        ((0.02, -0.05, 0.101), {}, "do not exclude one of 10 points", "as well"),
        ((0.0, -0.3, 0.3), {}, "do not exclude one of 10 points", "as well"),
        ((-0.1, -0.2, -0.01), {}, "does as well on fresh draws", "not exclude"),
        ((0.3, 0.2, 0.4), {"fitted": True}, "it fitted them", "as well"),
        ((0.3, 0.2, 0.4), {"knows": True}, "Knowing the scored draws is worth +30.0", "as well"),
    ],
)
def test_selection_bias(values, options, said, unsaid):
    text = selection_bias._meaning(gap(*values), **{"knows": False, "fitted": False} | options)
    assert said in text
    assert unsaid not in text


def judged(weak, strong, good="Breaks at least as many images."):
    orders = {"Square": order(np.asarray(strong, float), np.asarray(weak, float))}
    return judge(orders, {"Square": "bench run"}, broken="Fell to {names}.", good=good, verdicts={"Square": "refuted"})


ONES = np.ones(32)


@pytest.mark.parametrize(
    ("weak", "strong", "verdict", "said"),
    [
        (ONES, ONES, "pass", "Breaks at least as many images ("),
        (ONES, np.r_[np.zeros(4), np.ones(28)], "pass", "Breaks at least as many images ("),
        (np.r_[0, np.ones(31)], ONES, "pass", "No difference beyond chance ("),
        (np.r_[0, 1, np.ones(30)], np.r_[1, 0, np.ones(30)], "pass", "No difference beyond chance ("),
        (np.full(32, 0.985), ONES, "pass", "A gain shows (Square), too small or on too few images"),
        (np.full(4, 0.7), np.ones(4), "pass", "A gain shows (Square), too small or on too few"),
        (np.r_[np.zeros(8), np.ones(24)], ONES, "refuted", "Fell to Square ("),
    ],
)
def test_comparisons_of_attacks(weak, strong, verdict, said):
    found = judged(weak, strong)
    assert (found.verdict, said in found.meaning) == (verdict, True), found.meaning


@pytest.mark.parametrize(
    ("left", "p", "holds", "said", "unsaid"),
    [
        (0, 1.0, True, "no image survives", "chance"),
        (1, 0.3, True, "no more survive than chance allows", "no image"),
        (0, 1.0, False, "no ball of this norm", "no image"),
        (9, 1e-6, False, "no ball of this norm", "chance"),
    ],
)
def test_the_unbounded_ball(left, p, holds, said, unsaid):
    text = radius._left(left, p, holds=holds)
    assert said in text
    assert unsaid not in text


@pytest.mark.parametrize(
    ("median", "noisy", "said"),
    [
        (0.06, False, "points where another average points"),
        (0.05, False, "points where another"),
        (0.049, False, "hardly agree, on too few images to tell from chance"),
        (-0.2, False, "hardly agree, on too few"),
        (float("nan"), False, "hardly agree, on too few"),
        (0.01, True, "steps along noise"),
    ],
)
def test_averages_of_draws(median, noisy, said):
    assert said in eot_convergence._meaning(f"median cosine {median:.2f}", median, noisy=noisy)


@pytest.mark.parametrize(
    ("raised", "zero", "warned", "said", "unsaid"),
    [
        ([], 0.0, {}, "AutoAttack would not warn.", "zero"),
        ([], 0.125, {}, "would warn of gradients of zero, on 12 %", "not warn"),
        ([], 0.0, {"square": 3}, "the run's own attack warned: square", "zero"),
        (["its logits are probabilities"], 1.0, {}, "its logits are probabilities; correct", "not warn"),
    ],
)
def test_the_warnings_of_autoattack(raised, zero, warned, said, unsaid):
    text = flags._meaning(raised, zero, warned)
    assert said in text
    assert unsaid not in text


@pytest.mark.parametrize(
    ("failed", "n", "fires", "said"),
    [
        (0, 8, False, "finds all 8"),
        (1, 8, False, "finds 7 of the 8"),
        (2, 8, False, "finds 6 of the 8"),
        (3, 8, True, "misses planted adversarial images on 3 of 8"),
    ],
)
def test_planted_images(failed, n, fires, said):
    assert said in binarization._meaning(failed, n, fires=fires)


@pytest.mark.parametrize(
    ("magnified", "n", "fires", "said"),
    [
        (0, 8, False, "0 of 8 unbroken images are magnified"),
        (5, 8, False, "5 of 8 unbroken images are magnified"),
        (7, 7, False, "7 are unbroken, too few"),
        (8, 8, True, "on 8 of 8 images"),
    ],
)
def test_compression(magnified, n, fires, said):
    assert said in compression._meaning(0.5, None, magnified, n, fires=fires)


@pytest.mark.parametrize(
    ("growth", "said"),
    [
        (1e-3, "comes through"), (999.0, "comes through all steps of the purifier: its norm changes by a factor of 1e+03"),
        (9e-4, "vanishes"), (1001.0, "explodes"), (0.0, "vanishes"), (float("nan"), "is not finite"),
    ],
)  # fmt: skip
def test_the_path_of_the_gradient(growth, said):
    low, high = gradient_path.RANGE
    assert said in gradient_path._meaning(growth, lost=not low <= growth <= high)


@pytest.mark.parametrize(
    ("counts", "raised", "said"),
    [
        ({"I1": (0, 16), "I2": (0, 16)}, [], "works as it should"),
        ({"I1": (0, 16), "I2": (5, 16)}, [], "raised beyond its limit and chance (I2 on 5 of 16 images)"),
        ({"I4": (3, 3)}, [], "I4 on 3 of 3"),
        ({"I1": (9, 16)}, ["I1"], "(I1)"),
    ],
)
def test_indicators(counts, raised, said):
    assert said in indicators._meaning(counts, raised)


def test_grey_images_and_invisible_noise():
    same, one = order(ONES, ONES), order(ONES, np.r_[0, np.ones(31)])
    assert "0 of 32 grey images" in leak._meaning([], 0, 32, same)
    assert "invisible noise costs nothing" in leak._meaning([], 5, 32, same)
    text = leak._meaning([], 5, 32, one)
    assert "5 of 32 grey images are classified as theirs" in text
    assert "costs no more than chance (points of clean accuracy: +3.1 [" in text
    assert "recognises test images" in leak._meaning(["x"], 30, 32, same)


@pytest.mark.parametrize(
    ("strength", "said"),
    [
        (None, "is the one that is scored"),
        (0.049, "is the one"),
        (-0.051, "seems weaker"),
        (0.4, "seems stronger than the attack's (log ratio +0.40), on too few images"),
    ],
)
def test_what_is_scored_is_what_was_attacked(strength, said):
    assert said in same_view._meaning([], strength)
    assert "acts differently" in same_view._meaning(["with a graph and without"], strength)


def document(n, *, verdict="believed", violations=0, size="quick", skipped=()):
    checks = [
        {"name": "flags", "verdict": "pass", "meaning": "", "command": "", "n": n, "size": size, "values": {}},
        {
            "name": "effort", "verdict": "pass", "meaning": "", "command": "", "n": n, "size": size,
            "values": {"twice the steps": {"violations": violations, "gain": {"value": 0.0, "low": -0.1, "high": 0.1}}},
        },
        *({"name": "leak", "verdict": "skipped", "meaning": "", "command": "", "n": count, "size": "quick"} for count in skipped),
    ]  # fmt: skip
    return {"verdict": verdict, "size": size, "n": n, "run_id": "4c11", "checks": checks}


def test_so_many_images_exclude_so_rare_an_error():
    """The rule of three, exactly: `1 - .05^(1/n)`; with k errors the upper end of Clopper and Pearson."""
    assert unseen(document(8)) == (8, pytest.approx(1 - 0.05 ** (1 / 8)))
    assert unseen(document(300))[1] == pytest.approx(3 / 300, rel=0.01)
    assert unseen(document(8, violations=1))[1] == pytest.approx(0.4707, abs=1e-4)
    assert unseen(document(2, violations=2)) == (2, 1.0)


@pytest.mark.parametrize(
    ("n", "size", "head"),
    [
        (8, "quick", "audit   passed, quick, 8 images"),
        (31, "full", "audit   passed, full, 31 images"),
        (32, "quick", "audit   believed · quick, first 32 images"),
        (128, "full", "audit   believed · full, first 128 images"),
    ],
)
def test_few_images_pass_and_are_not_believed(n, size, head):
    lines = audit_text(document(n, size=size), {"defense": "d", "attack": "a"}).splitlines()
    assert lines[0] == head
    said = " ".join(" ".join(lines).split())
    assert (f"{n} images exclude an error on more than" in said) == (n < 32)
    assert f"{n} images exclude a drop of more than about 10 points" in said
    if n == 8:
        assert "more than 31 % of the images (95 %)" in said


def test_bad_news_stays_whatever_the_number_of_images():
    assert word(document(8, verdict="refuted")) == "refuted"
    assert "strength" not in audit_text(document(8, verdict="suspect"), {"defense": "d", "attack": "a"})


def test_an_audit_is_as_large_as_the_least_of_its_checks():
    mixed = document(128, size="full")
    mixed["checks"][0] |= {"n": 8, "size": "quick"}
    assert (examined(mixed), word(mixed)) == (("quick", 8), "passed")
    assert examined(document(32, skipped=(4,))) == ("quick", 32)
    assert examined({"size": "quick", "n": 7, "checks": []}) == ("quick", 7)


def test_the_sentence_to_cite():
    interval = {"value": 0.5, "low": 0.4, "high": 0.6}
    summary = {
        "spec": {"threat": "linf:8/255", "dataset": {"name": "toy"}}, "draws": {"k": 1}, "robust_accuracy": interval, "n": 100, "run_id": "aa",
    }  # fmt: skip
    labels = {"defense": "d", "attack": "a"}
    assert "; passed by a quick audit of the first 8 images (" in citation(summary, labels, document(8))
    assert "; believed by a quick audit of the first 32 images (" in citation(summary, labels, document(32))


@pytest.mark.parametrize(
    ("audit", "verdict", "believed", "audited", "text"),
    [
        (document(8), "passed", None, "quick, 8 images", "passed"),
        (document(32), "believed", True, "quick, 32 images", "yes"),
        (document(8, verdict="suspect"), "suspect", False, "quick, 8 images", "suspect"),
        ({"verdict": "believed"}, "believed", True, "", "yes"),
        ({"verdict": "believed", "size": "quick", "n": "many", "checks": 3}, "believed", True, "quick, many images", "yes"),
    ],
)  # fmt: skip
def test_the_board_tells_passed_from_believed(tmp_path, audit, verdict, believed, audited, text):
    path = record(tmp_path, header("aa", "dp"), "1" * 20)
    run = read_run(path)
    found = entry(type(run)(**{**vars(run), "audit": audit}))
    assert (found.verdict, found.believed, found.audited, believed_text(found.verdict)) == (
        verdict,
        believed,
        audited,
        text,
    )
