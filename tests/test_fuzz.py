"""A few seconds of the fuzzing that `tests/faults/fuzz.py` does for ten minutes."""

from __future__ import annotations

import pytest

NAMES = ("run.json", "samples.jsonl", "evidence", "npz", "zip", "weights", "card", "suite")


@pytest.fixture(scope="module")
def targets(faults, tmp_path_factory):
    module = faults("fuzz")
    made = module.Targets(tmp_path_factory.mktemp("fuzz"))
    assert set(made.all()) == set(NAMES)
    return module, made


@pytest.mark.parametrize("name", NAMES)
def test_readers_give_documented_errors_only(name, targets):
    module, made = targets
    module.fuzz(made, name, 60, same=True)


def test_the_fuzzer_notices_another_error(targets, monkeypatch):
    module, made = targets
    monkeypatch.setattr(module, "read_suite", lambda file: {}["key"])
    with pytest.raises(KeyError):
        module.fuzz(made, "suite", 5, same=True)
