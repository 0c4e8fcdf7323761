"""The typed header: what it gives by name, and that no key is lost."""

import json
from pathlib import Path

import pytest
from records_for_tables import header
from refused import refused

from bench.records.header import Header, read_header

BASELINE = Path(__file__).parent.parent / "baseline"


def test_every_stored_header_is_given_back():
    files = [*BASELINE.rglob("run.json")]
    assert files
    for file in files:
        document = json.loads(file.read_text())
        assert json.dumps(Header.of(document).document, indent=1) + "\n" == file.read_text()


def test_keys_of_other_releases_are_kept():
    document = header("r", "none") | {"later": {"a": [1]}}
    document["environments"]["e"]["cores"] = 8
    document["labels"]["other"] = "x"
    typed = Header.of(document)
    assert (typed.environments["e"].torch, typed.labels.defense, typed.notes) == ("2", "none", [])
    assert typed.document == document


@pytest.mark.parametrize(
    ("checks", "draws", "expected"),
    [({"deterministic": False}, 1, False), ({"deterministic": True}, 5, True), ({}, 1, True), ({}, 2, False)],
)
def test_whether_a_defense_was_deterministic(checks, draws, expected):
    assert Header.of(header("r", "none", draws=draws, checks=checks)).deterministic is expected


@pytest.mark.parametrize("environment", [{"instructions": []}, {"instructions": {"a": 1}}, {"device": 3}, {"git": [1]}])
def test_environments_of_other_types_are_refused(environment, tmp_path):
    (tmp_path / "run.json").write_text(json.dumps(header("r", "none", environments={"e": environment})))
    with refused("record-header-damaged", match="environments"):
        read_header(tmp_path)
