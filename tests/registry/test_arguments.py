"""Text from the command line becomes values of the types that a signature names."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from refused import refused

from bench.registry.arguments import complete, label, parse_options, plain, takes


@dataclass(frozen=True, kw_only=True)
class Purifier:
    score: object
    steps: int = 4
    sigma: float = 0.3
    step_size: float | None = None
    losses: tuple[str, ...] = ("cw", "ce")
    scales: tuple[float, ...] = (1.0,)
    norm: str = "linf"
    quick: bool = False


def fill(**given):
    return complete(Purifier, given, what="purifier", flag="-D")


def test_options_are_split_at_the_first_equals_sign():
    assert parse_options(["steps=4", "step-size=8/255", "where=a=b"], "-D") == {
        "steps": "4",
        "step_size": "8/255",
        "where": "a=b",
    }


@pytest.mark.parametrize("option", ["steps", "=4", "two words=4", "4=4"])
def test_options_that_are_no_pairs(option):
    with refused("argument-form"):
        parse_options([option], "-D")


def test_options_given_twice():
    with refused("argument-repeated"):
        parse_options(["step-size=1", "step_size=2"], "-A")


def test_defaults_are_filled_in_without_the_roles():
    assert fill() == {
        "steps": 4, "sigma": 0.3, "step_size": None, "losses": ("cw", "ce"), "scales": (1.0,), "norm": "linf",
        "quick": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("steps", "12", 12),
        ("sigma", "0.25", 0.25),
        ("sigma", "8/255", 8 / 255),
        ("step_size", "1/4", 0.25),
        ("step_size", "none", None),
        ("losses", "ce", ("ce",)),
        ("losses", "ce, cw", ("ce", "cw")),
        ("scales", "1/2,1", (0.5, 1.0)),
        ("norm", "none", "none"),
        ("quick", "true", True),
        ("steps", 12, 12),
        ("losses", ("ce",), ("ce",)),
    ],
)
def test_converted(name, text, value):
    got = fill(**{name: text})[name]
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("steps", "4.5", "int"),
        ("steps", "8/255", "int"),
        ("steps", "many", "int"),
        ("sigma", "1/0", "float"),
        ("sigma", "", "float"),
        ("quick", "perhaps", "bool"),
        ("step_size", "big", r"float \| None"),
    ],
)
def test_wrong_types(name, text, kind):
    with refused("argument-value", match=f"-D {name}={kind}, got '{text}'"):
        fill(**{name: text})


@pytest.mark.parametrize(
    ("name", "text"),
    [("sigma", "nan"), ("sigma", "-inf"), ("sigma", "1e999"), ("step_size", "inf"), ("scales", "1,nan")],
)
def test_numbers_must_be_finite(name, text):
    with refused("argument-not-finite"):
        fill(**{name: text})


def test_unknown_arguments_are_told_the_close_one():
    with refused("argument-unknown", match="did you mean steps"):
        fill(stepps="3")


def test_roles_are_not_for_the_user():
    with refused("argument-unknown"):
        fill(score="unet")


def test_nothing_to_give():
    with refused("argument-unknown"):
        complete(lambda x, noise: x, {"a": "1"}, what="f", flag="-A")


def test_missing():
    with refused("argument-missing"):
        complete(lambda *, path: path, {}, what="weights", flag="-C")


def test_without_annotations_the_default_decides():
    assert complete(lambda *, k=3, name: None, {"k": "7", "name": "x"}, what="f", flag="-A") == {"k": 7, "name": "x"}
    assert complete(lambda *, path=Path("a"): None, {"path": "b"}, what="f", flag="-A") == {"path": Path("b")}


def test_takes():
    assert takes(Purifier, "score")
    assert not takes(Purifier, "votes")


def test_plain_is_json():
    assert plain({"losses": ("cw", "ce"), "steps": 4}) == {"losses": ["cw", "ce"], "steps": 4}


def test_label_names_what_differs_from_the_defaults():
    assert label("dpsam", Purifier, fill()) == "dpsam"
    assert label("dpsam", Purifier, fill(sigma="0.50", losses="ce,dlr")) == "dpsam sigma=0.5 losses=ce,dlr"


def test_label_leaves_out_what_the_preset_fixes():
    assert label("long", Purifier, fill(steps=40), {"steps": 40}) == "long"
    assert label("long", Purifier, fill(steps=4), {"steps": 40}) == "long steps=4"
