"""Attacks of torchattacks: equal to the package's own calls, in every threat they fit, refused in every other."""

from __future__ import annotations

import inspect
import sys
from functools import partial
from typing import ClassVar

import pytest
import torch
from refused import refused
from torch import nn

from attacks.torchattacks import attack
from attacks.wrapped import global_seed, seed_of
from bench.defended import DefendedClassifier
from bench.errors import UserError
from bench.noise import Noise
from bench.passes import Tally
from bench.registry.arguments import complete
from bench.run.attack import check_in_ball
from bench.testing import check_attack
from bench.threat import ThreatModel
from defenses.identity import Identity


def test_a_missing_package_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchattacks", None)
    with refused("torchattacks-missing"):
        attack("PGD")


def package():
    return pytest.importorskip("torchattacks")


NAMES = [
    "VANILA", "GN", "FGSM", "BIM", "RFGSM", "PGD", "EOTPGD", "FFGSM", "TPGD", "MIFGSM", "UPGD", "APGD", "APGDT", "DIFGSM",
    "TIFGSM", "Jitter", "NIFGSM", "PGDRS", "SINIFGSM", "VMIFGSM", "VNIFGSM", "SPSA", "PIFGSM", "PIFGSMPP", "CW", "PGDL2",
    "DeepFool", "PGDRSL2", "EADL1", "EADEN", "FAB", "AutoAttack", "Square", "SparseFool", "OnePixel", "Pixle", "JSMA",
]  # fmt: skip
PIXELS = {"SparseFool", "OnePixel", "Pixle", "JSMA"}
QUICK = {"steps": 2, "n_queries": 20, "nb_sample": 4, "num_iter_set": 2, "max_iterations": 10, "binary_search_steps": 2}
"""Arguments that make an attack short, by name."""
THREATS = {"linf": ThreatModel.parse("linf:0.1"), "l2": ThreatModel.parse("l2:1"), "l1": ThreatModel.parse("l1:4")}
NOISE = Noise(3, torch.arange(10, 14), "attack")


class Noisy:
    deterministic: ClassVar[bool] = False

    def __init__(self):
        self.drawn = []

    def purify(self, x, noise):
        self.drawn.append((noise.purpose, noise.draw, *noise.ids.tolist()))
        return x + 0.01 * noise.normal(x)


class Bent(nn.Module):
    """Ten classes, logits that are not linear in the image, weights from fixed noise."""

    def __init__(self, classes=10):
        super().__init__()
        self.weight = Noise(1, torch.arange(classes), "check").normal(torch.empty(classes, 3 * 8 * 8)) / 4

    def forward(self, x):
        return torch.tanh(x.flatten(1) - 0.5) @ self.weight.to(x).T


def inputs(dtype=torch.float32):
    x = 0.1 + 0.8 * Noise(2, NOISE.ids, "check").uniform(torch.empty(4, 3, 8, 8, dtype=dtype))
    return x, Bent()(x).argmax(dim=1)


def view(defense=None, **arguments):
    return DefendedClassifier(Bent(), defense or Identity(), chunk=4, **arguments)


def quick(name):
    run = attack(name)
    return partial(run, **{key: value for key, value in QUICK.items() if key in inspect.signature(run).parameters})


def norms(name):
    """The norms in which the attack does not refuse the threat."""
    x, y = inputs()
    fitting = set()
    for norm, threat in THREATS.items():
        try:
            quick(name)(view(), x, y, threat, NOISE)
        except UserError as error:
            if error.code != "torchattacks-norm":
                raise
        else:
            fitting.add(norm)
    return fitting


def test_every_attack_is_there():
    assert sorted(NAMES) == sorted(set(package().__all__) - set(package().__wrapper__))


@pytest.mark.parametrize("name", sorted(set(NAMES) - PIXELS - {"AutoAttack"}))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_attack_stays_in_the_ball_and_repeats(name, dtype):
    package()
    x, y = inputs(dtype)
    for norm in norms(name):
        before = torch.get_rng_state()
        found = [quick(name)(view(Noisy()), x, y, THREATS[norm], NOISE) for _ in range(2)]
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.equal(*found)
        assert found[0].dtype == dtype
        assert not found[0].requires_grad
        check_in_ball(name, found[0], x, THREATS[norm], NOISE.ids)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("PGD", {"linf"}), ("PGDL2", {"l2"}), ("CW", {"l2"}), ("DeepFool", {"l2"}), ("EADL1", {"l1"}), ("EADEN", {"l1", "l2"}),
        ("APGD", {"linf", "l2"}), ("FAB", {"linf", "l2"}), ("GN", {"linf", "l2", "l1"}), ("JSMA", set()),
    ],
)  # fmt: skip
def test_the_norm_must_fit(name, expected):
    package()
    assert norms(name) == expected


def test_a_misfit_names_what_fits():
    package()
    x, y = inputs()
    with refused("torchattacks-norm", match="l2 .* got linf:0.1; write --threat l2:EPS"):
        attack("CW")(view(), x, y, THREATS["linf"], NOISE)
    with refused("torchattacks-norm", match="l0 .* got l2:1; choose another attack"):
        attack("JSMA")(view(), x, y, THREATS["l2"], NOISE)


def test_pgd_is_what_the_package_gives():
    torchattacks = package()
    x, y = inputs()
    wrapped = attack("PGD")(view(), x, y, THREATS["linf"], NOISE, steps=5, alpha=0.03)
    theirs = torchattacks.PGD(Bent(), eps=0.1, alpha=0.03, steps=5)
    theirs.set_device(x.device)
    with global_seed(seed_of(NOISE)):
        direct = theirs(x, y)
    torch.testing.assert_close(wrapped, direct, rtol=0, atol=1e-6)
    assert float((wrapped - x).abs().max()) == pytest.approx(0.1, abs=1e-6)


def test_the_radius_of_every_name_is_the_threats():
    """One step of FGSM on a model with non-zero gradients moves each pixel by eps; PIFGSM calls it max_epsilon."""
    package()
    x, y = inputs()
    small = ThreatModel.parse("linf:0.05")
    moved = (attack("FGSM")(view(), x, y, small, NOISE) - x).abs()
    torch.testing.assert_close(moved, torch.full_like(x, 0.05), rtol=0, atol=1e-6)
    assert float((attack("PIFGSM")(view(), x, y, small, NOISE) - x).abs().max()) == pytest.approx(0.05, abs=1e-6)


def test_a_minimal_perturbation_that_is_too_long_is_shortened():
    package()
    x, y = inputs()
    free, tight = (
        attack("DeepFool")(view(), x, y, ThreatModel("l2", eps), NOISE) - x
        for eps in (100, ThreatModel.parse("l2:0.01").eps)
    )
    lengths = free.flatten(1).norm(dim=1)
    assert bool((Bent()(x + free).argmax(dim=1) != y).all())
    assert float(lengths.min()) > 0.01
    torch.testing.assert_close(tight, free * (0.01 / lengths).view(-1, 1, 1, 1), rtol=0, atol=1e-6)


def test_each_call_has_draws_of_its_own_and_no_scored_ones():
    package()
    x, y = inputs()
    defense = Noisy()
    attack("EOTPGD")(view(defense), x, y, THREATS["linf"], NOISE, steps=2, eot_iter=3)
    assert defense.drawn == [("attack", call, *NOISE.ids.tolist()) for call in range(6)]


def test_the_passes_are_shared_by_the_images():
    package()
    x, y = inputs()
    tally = Tally()
    attack("PGD")(view(tally=tally), x, y, THREATS["linf"], NOISE, steps=3)
    counts = [tally.of(sample) for sample in NOISE.ids.tolist()]
    assert [(count["classifier_forward"], count["classifier_backward"]) for count in counts] == [(3, 3)] * 4
    tally = Tally()
    attack("DeepFool")(view(tally=tally), x, y, THREATS["l2"], NOISE)
    counts = [tally.of(sample)["classifier_forward"] for sample in NOISE.ids.tolist()]
    assert min(counts) > 1
    assert max(counts) - min(counts) <= 1


def test_the_seed_is_the_shards():
    package()
    x, y = inputs()
    one, other = (attack("GN")(view(), x, y, THREATS["linf"], Noise(seed, NOISE.ids)) for seed in (3, 4))
    assert not torch.equal(one, other)


def test_a_seeded_attack_takes_the_runs_seed():
    """APGD seeds the global generator itself, by default with 0 for every shard."""
    package()
    x, y = inputs()
    one, other = (attack("APGD")(view(), x, y, THREATS["linf"], Noise(seed, NOISE.ids), steps=1) for seed in (3, 4))
    assert not torch.equal(one, other)


def test_the_number_of_classes_is_the_models():
    package()
    x, _ = inputs()
    model = DefendedClassifier(Bent(5), Identity(), chunk=4)
    y = Bent(5)(x).argmax(dim=1)
    tally = model.tally
    attack("APGDT")(model, x, y, ThreatModel.parse("linf:0.000001"), NOISE, steps=1)
    counts = [tally.of(sample)["classifier_backward"] for sample in NOISE.ids.tolist()]
    assert counts == [2 * 4] * 4  # two gradients for each of the other classes


def test_parts_of_an_attack_compute_where_the_images_are():
    package()
    import attacks.torchattacks as adapter

    x, _ = inputs()
    built = adapter._build(
        "AutoAttack", package().AutoAttack, adapter.KeyedRows(view(), NOISE, x), x, THREATS["linf"], NOISE, {}
    )
    assert {part.device for part in built._autoattack.attacks} == {x.device}


def test_nothing_is_printed(capfd):
    package()
    x, y = inputs()
    attack("PGD")(view(), x, y, THREATS["linf"], NOISE, steps=1)
    assert capfd.readouterr() == ("", "")


def test_the_signature_is_the_constructors():
    package()
    run = attack("PGD")
    assert complete(run, {"alpha": "1/255"}, what="PGD", flag="-A") == {
        "alpha": 1 / 255,
        "steps": 10,
        "random_start": True,
    }
    assert (run.__module__, run.__name__) == ("attacks.torchattacks", "PGD")
    assert list(inspect.signature(run).parameters)[:5] == ["model", "x", "y", "threat", "noise"]


def test_whole_numbers_may_be_fractions_where_the_package_says_so():
    package()
    assert complete(attack("CW"), {"c": "0.5"}, what="CW", flag="-A")["c"] == 0.5
    values = complete(attack("PIFGSM"), {"num_iter_set": "5"}, what="PIFGSM", flag="-A")
    assert type(values["num_iter_set"]) is int
    with refused("argument-value", match="steps="):
        complete(attack("CW"), {"steps": "2.5"}, what="CW", flag="-A")


@pytest.mark.parametrize("name", ["model", "eps", "max_epsilon", "norm", "seed", "n_classes", "verbose"])
def test_what_the_run_decides_is_no_argument(name):
    package()
    assert all(name not in list(inspect.signature(attack(known)).parameters)[5:] for known in NAMES)


def test_a_wrong_argument_is_one_sentence():
    package()
    x, y = inputs()
    with refused("torchattacks-arguments"):
        attack("AutoAttack")(view(), x, y, THREATS["linf"], NOISE, version="best")


@pytest.mark.parametrize(
    ("name", "hint"), [("pgd", "did you mean PGD"), ("APGT", "APGDT"), ("", "the names are VANILA, GN")]
)
def test_an_unknown_class_suggests_close_names(name, hint):
    package()
    with refused("torchattacks-unknown", match=hint):
        attack(name)


@pytest.mark.parametrize("name", ["MultiAttack", "LGV", "Attack"])
def test_wrappers_are_no_attacks(name):
    package()
    with refused("torchattacks-unknown"):
        attack(name)


def test_the_contract():
    """But for the optimum: it returns images that it could not break as they were."""
    package()
    check_attack(partial(attack("APGD"), steps=20), optimal=False, independent=False)
