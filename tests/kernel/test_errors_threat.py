"""Errors carry a code, a sentence and an exit code; a threat model keeps its radius exact."""

import pickle
from fractions import Fraction

import numpy as np
import pytest
from refused import refused

from bench.errors import AttackError, BenchError, GateError, InterruptedRunError, UserError
from bench.threat import ThreatModel


@pytest.mark.parametrize(
    ("error", "code"), [(GateError, 1), (UserError, 2), (InterruptedRunError, 3), (AttackError, 4), (BenchError, 4)]
)
def test_exit_codes(error, code):
    assert error("a sentence").exit_code == code
    assert issubclass(error, BenchError)


def test_a_code_becomes_a_sentence_and_survives_pickling():
    error = UserError("engine-unknown", engines=["process", "ray"], name="dask")
    for one in (error, pickle.loads(pickle.dumps(error))):
        assert (one.code, type(one)) == ("engine-unknown", UserError)
        assert "expected --engine process, ray, got 'dask'" in str(one)


def test_a_sentence_of_a_third_party_has_no_code():
    assert (UserError("expected {x}").code, str(UserError("expected {x}"))) == ("", "expected {x}")


def test_an_os_error_is_printed_by_its_reason():
    text = str(UserError("file-unwritable", path="a/b", error=OSError(13, "Permission denied", "a/b")))
    assert "got: Permission denied;" in text


def test_an_error_of_foreign_code_is_printed_whole():
    error = FileNotFoundError(2, "No such file or directory", "absent.pt")
    text = str(UserError("component-build-failed", name="own.py:Own", kind="FileNotFoundError", error=error, flag="-D"))
    assert "absent.pt" in text


def test_tables_are_printed_by_their_keys_and_values_of_the_user_as_they_are():
    text = str(UserError("weights-architecture", architectures={"a": 1, "b": 2}, architecture="c"))
    assert "among a, b, got 'c'" in text
    text = str(UserError("weights-arguments", architecture="a", arguments={"depth": 3}, error="no depth"))
    assert "got {'depth': 3} (no depth)" in text


def test_the_helper_of_tests_notices_another_code():
    with pytest.raises(AssertionError, match="expected eps"), refused("threat-form"):
        ThreatModel.parse("linf:8")


@pytest.mark.parametrize(
    ("text", "norm", "eps"),
    [
        ("linf:8/255", "linf", Fraction(8, 255)),
        ("linf:0.1", "linf", Fraction(1, 10)),
        ("linf:1", "linf", Fraction(1)),
        ("l2:0.5", "l2", Fraction(1, 2)),
        ("l2:100", "l2", Fraction(100)),
        (" LINF : 8/255 ", "linf", Fraction(8, 255)),
    ],
)
def test_parsed_exactly(text, norm, eps):
    threat = ThreatModel.parse(text)
    assert (threat.norm, threat.eps) == (norm, eps)
    assert threat.radius == float(eps)


@pytest.mark.parametrize(
    ("text", "canonical", "slug"),
    [
        ("linf:8/255", "linf:8/255", "linf-8-255"),
        ("linf:16/510", "linf:8/255", "linf-8-255"),
        ("linf:0.2", "linf:51/255", "linf-51-255"),
        ("linf:0.1", "linf:0.1", "linf-0.1"),
        ("linf:1/7", "linf:1/7", "linf-1-7"),
        ("l2:1.50", "l2:1.5", "l2-1.5"),
        ("l2:2.0", "l2:2", "l2-2"),
        ("l2:1e-5", "l2:1/100000", "l2-1-100000"),
    ],
)
def test_one_spelling(text, canonical, slug):
    threat = ThreatModel.parse(text)
    assert (str(threat), threat.slug) == (canonical, slug)
    assert ThreatModel.parse(str(threat)) == threat


@pytest.mark.parametrize("text", ["", "linf", "linf:", ":0.5", "linf:x", "linf:1/0", "linf:nan", "l2:inf", "l2:1e400"])
def test_malformed(text):
    with refused("threat-form"):
        ThreatModel.parse(text)


@pytest.mark.parametrize("text", ["linf:8", "linf:0", "linf:-8/255", "linf:256/255"])
def test_radius_out_of_range(text):
    with refused("threat-radius"):
        ThreatModel.parse(text)


def test_l2_has_a_larger_range():
    assert ThreatModel.parse("l2:8").eps == 8
    with refused("threat-radius", match=r"\[1e-6, 100\]"):
        ThreatModel.parse("l2:101")


def test_another_norm():
    with refused("threat-norm"):
        ThreatModel.parse("l0:0.5")


@pytest.mark.parametrize(("text", "length"), [("linf:0.5", 4.0), ("l2:0.5", 5.0), ("l1:0.5", 7.0)])
def test_the_order_of_a_norm(text, length):
    assert np.linalg.norm([3.0, 4.0], ord=ThreatModel.parse(text).order) == length
