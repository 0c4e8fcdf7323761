"""The run id is the hash of the canonical JSON of everything that may change a number."""

import hashlib
import json

import pytest
from pydantic import ValidationError

from bench.records.spec import Component, RunSpec, canonical

PARTS = {
    "defense": {"name": "dpsam", "args": {"steps": 4, "rho": 0.1}},
    "attack": {"name": "pgd-full", "args": {"losses": ["cw", "ce"]}, "gradient": "full"},
    "classifier": {"name": "cnn", "sha256": "aa"},
    "score_model": {"name": "unet", "sha256": "bb"},
    "dataset": {"name": "fashion-mnist", "sha256": "cc"},
    "threat": "linf:8/255",
    "draws": 1,
    "seed": 0,
}


def test_canonical_json_is_sorted_and_tight():
    assert canonical({"b": [1, 2.5], "a": None}) == '{"a":null,"b":[1,2.5]}'


def test_canonical_json_refuses_nan():
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical({"a": float("nan")})


def test_run_id_is_the_start_of_a_sha256():
    spec = RunSpec.model_validate(PARTS)
    text = json.dumps(spec.model_dump(), sort_keys=True, separators=(",", ":"))
    assert spec.run_id == hashlib.sha256(text.encode()).hexdigest()[:12]


def test_run_id_of_a_fixed_spec_never_changes():
    assert RunSpec.model_validate(PARTS).run_id == "c2d2a7b13fa4"


def test_run_id_ignores_key_order():
    other = {key: PARTS[key] for key in reversed(PARTS)}
    other["defense"] = {"args": {"rho": 0.1, "steps": 4}, "name": "dpsam"}
    assert RunSpec.model_validate(other).run_id == RunSpec.model_validate(PARTS).run_id


@pytest.mark.parametrize(
    "change",
    [
        {"defense": {"name": "dpsam", "args": {"steps": 5, "rho": 0.1}}},
        {"defense": {"name": "dpsam", "args": {"steps": 4, "rho": 0.1}, "sha256": "dd"}},
        {"attack": {"name": "pgd-full", "args": {"losses": ["cw", "ce"]}, "gradient": "bpda"}},
        {"attack": {"name": "pgd-full", "args": {"losses": ["ce", "cw"]}, "gradient": "full"}},
        {"classifier": {"name": "cnn", "sha256": "ab"}},
        {"score_model": None},
        {"dataset": {"name": "fashion-mnist", "sha256": "cd"}},
        {"threat": "linf:16/255"},
        {"draws": 10},
        {"seed": 1},
    ],
)
def test_run_id_changes_with_every_field(change):
    assert RunSpec.model_validate(PARTS | change).run_id != RunSpec.model_validate(PARTS).run_id


def test_fields_that_are_not_part_of_a_run_are_refused():
    with pytest.raises(ValidationError, match="Extra inputs"):
        RunSpec.model_validate(PARTS | {"device": "cuda"})


def test_values_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        Component(name="dpsam").name = "other"
