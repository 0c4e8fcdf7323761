"""Errors carry a code, a sentence and an exit code; a threat model keeps its radius exact."""

import pickle
from fractions import Fraction

import numpy as np
import pytest

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
    with pytest.raises(UserError, match=r"expected a threat like linf:8/255 or l2:0\.5, got "):
        ThreatModel.parse(text)


@pytest.mark.parametrize("text", ["linf:8", "linf:0", "linf:-8/255", "linf:256/255"])
def test_radius_out_of_range(text):
    with pytest.raises(UserError, match=r"expected eps in \[1e-6, 1\] for linf, got .*; .* write 8/255 and not 8"):
        ThreatModel.parse(text)


def test_l2_has_a_larger_range():
    assert ThreatModel.parse("l2:8").eps == 8
    with pytest.raises(UserError, match=r"expected eps in \[1e-6, 100\] for l2, got 101"):
        ThreatModel.parse("l2:101")


def test_another_norm():
    with pytest.raises(UserError, match="expected a threat norm among linf, l2, l1, got 'l0'"):
        ThreatModel.parse("l0:0.5")


@pytest.mark.parametrize(("text", "length"), [("linf:0.5", 4.0), ("l2:0.5", 5.0), ("l1:0.5", 7.0)])
def test_the_order_of_a_norm(text, length):
    assert np.linalg.norm([3.0, 4.0], ord=ThreatModel.parse(text).order) == length
