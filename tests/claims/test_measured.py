"""No stored value is forgotten: each is judged somewhere or shown to people, as `measurements.TABLE` says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from measurements import AUDIT, LINES, RUN, TABLE, Judged, Shown, fits, leaves, rows_of

from bench.cli.main import main
from bench.records.seal import OWN_HASH, SEAL, own_hash, seal_text

HERE = Path(__file__).parent.parent
PLANTS = f"{HERE}/plants"
SUPPORT = f"{HERE}/support"
WORLD = (
    f"--dataset {PLANTS}/world.py:images --classifier {PLANTS}/world.py:Network --threat linf:0.03 --device cpu --quiet"
)
RECORDS = {
    "deterministic": f"--defense {PLANTS}/honest.py:Blur --attack pgd-full -A steps=2 -n 6 {WORLD}",
    "stochastic": f"--defense {PLANTS}/honest.py:NoisyBlur --attack pgd-eot -A steps=1 -A eot=2 --draws 2 -n 3 {WORLD}",
    "known": f"--defense {PLANTS}/honest.py:NoisyBlur --attack pgd-known -A steps=1 --draws 2 -n 3 {WORLD}",
    "certified": f"--defense smoothing -D certify=20 -D votes=2 --attack null --draws 2 -n 3 {WORLD}",
    "flagged": f"--defense {PLANTS}/quantised.py:Defense --attack autoattack-custom -A attacks=apgd-ce -n 6 {WORLD}",
    "in turn": f"--defense none --attack autoattack-fast -A steps=2 -A queries=5 -n 6 {WORLD}",
    "trapped": f"--defense {__file__}:Trapped --attack pgd-full -A steps=1 -n 6 {WORLD}",
    "scores only": f"--defense {__file__}:Opaque --attack square -A queries=3 -n 3 {WORLD}",
    "foreign draws": f"--defense {SUPPORT}/foreign_purifiers.py:Latent --attack null --draws 2 -n 3 {WORLD}",
    "score model": "--defense tweedie --attack null -n 2 --device cpu --quiet",
}
"""Small records of every kind."""
MARKS = {str: "marker7", int: 987654, float: 0.987654}


class Trapped:
    """Its derivative is NaN."""

    deterministic: ClassVar[bool] = True

    def purify(self, x, noise):
        zero = x - x.detach()
        return x * torch.where(zero > 0, zero / zero, 1)


class Opaque:
    """Has no derivative, and says so."""

    deterministic: ClassVar[bool] = True
    differentiable: ClassVar[bool] = False

    def purify(self, x, noise):
        return (255 * x).round() / 255


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """The folders of the records by kind; the first is audited too."""
    folder, paths = tmp_path_factory.mktemp("records"), {}
    for kind, words in RECORDS.items():
        results = folder / kind.replace(" ", "-")
        assert main(["run", *words.split(), "--results", str(results)]) == 0
        (paths[kind],) = results.glob("*/*/*")
    for kind, checks in (("deterministic", ("flags", "leak", "effort")), ("trapped", ("indicators",))):
        only = [word for check in checks for word in ("--only", check)]
        words = [
            "--quick",
            "-n",
            "6",
            "--allow-code",
            "--quiet",
            "--device",
            "cpu",
            "--results",
            paths[kind].parents[2],
        ]
        assert main(["audit", *map(str, [paths[kind], *only, *words])]) in (0, 1)
    return paths


def documents(path):
    """The content of a record's files: the header, the first line, and the audit if there is one."""
    found = {RUN: json.loads((path / RUN).read_text()), LINES: [json.loads(text) for text in (path / LINES).read_text().splitlines()]}  # fmt: skip
    return found | ({AUDIT: json.loads((path / AUDIT).read_text())} if (path / AUDIT).exists() else {})


def stored(path):
    """Path, file, place and value of everything that a record stores."""
    found = []
    for file, document in documents(path).items():
        parts = enumerate(document) if file == LINES else [(None, document)]
        for number, part in parts:
            start = () if number is None else (number,)
            found += [(where, file, place, value) for where, place, value in leaves(part, file, start)]
    return found


def changed(path, folder, file, place, value):
    """A copy of a record in which one value is another, sealed as if it had always been."""
    target = folder / "results" / Path(*path.parts[-3:])
    shutil.copytree(path, target)
    document = documents(target)[file]
    part = document
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    if file == AUDIT and place != (OWN_HASH,):
        document[OWN_HASH] = own_hash(document)
    texts = [json.dumps(line) for line in document] if file == LINES else [json.dumps(document, indent=1)]
    (target / file).write_text("\n".join(texts) + "\n")
    (target / SEAL).write_bytes(seal_text(target))
    return target


def said(capsys, *words):
    """The exit code of a command, and what it prints."""
    capsys.readouterr()
    code = main([str(word) for word in words])
    return code, capsys.readouterr().out


def shown(capsys, path):
    """All that people are shown of a record."""
    return "".join(said(capsys, "show", path, *more)[1] for more in ([], ["--json"])).replace(str(path.parents[2]), "")


def board(capsys, path):
    """Exit code, flags and verdict of the only row of a board."""
    code, out = said(capsys, "leaderboard", "--results", path.parents[2], "--json")
    return code, [(row["flags"], row["verdict"]) for row in json.loads(out)] if code == 0 else []


def verdict(by, capsys, path, before, kind):
    """What a command makes of a record, beside the one before it was changed: the exit code, or what its row says."""
    words = {
        "read": ["show", path],
        "resume": ["run", *RECORDS[kind].replace("-n 6", "-n 7").split(), "--results", path.parents[2]],
        "verify": ["verify", path, "--allow-code", "--quiet", "--device", "cpu"],
        "gate": ["check", "--baseline", before.parents[2], "--results", path.parents[2], "--device", "cpu", "--quiet"],
        "audit": ["audit", path, "--quick", "-n", "6", "--only", "flags", "--allow-code", "--quiet", "--device", "cpu", "--results", path.parents[2]],
    }  # fmt: skip
    return board(capsys, path) if by == "board" else said(capsys, *words[by])[0]


def found(records, row):
    """The first place at which a record stores what a row names."""
    for kind, path in records.items():
        for where, file, place, value in stored(path):
            if row in rows_of(where) and value is not None:
                return kind, path, file, place, value
    return next(
        (kind, path, *rest) for kind, path in records.items() for where, *rest in stored(path) if row in rows_of(where)
    )


def test_every_stored_value_is_in_the_table_once(records):
    paths = {where for path in records.values() for where, *_ in stored(path)}
    assert {where: len(rows_of(where)) for where in paths if len(rows_of(where)) != 1} == {}


def test_every_row_of_the_table_is_stored(records):
    paths = {where for path in records.values() for where, *_ in stored(path)}
    assert [row.path for row in TABLE if not any(row in rows_of(where) for where in paths)] == []


def test_a_new_key_is_in_no_row():
    assert [where for where, *_ in leaves({"checks": {"new": 1}}, RUN) if not rows_of(where)] == [f"{RUN}/checks/new"]
    assert fits("a/b/c", "a/**")
    assert not fits("a", "a/**")


@pytest.mark.parametrize("row", [row for row in TABLE if isinstance(row, Judged)], ids=lambda row: row.path)
def test_a_bad_value_changes_a_verdict(row, records, tmp_path, capsys):
    if row.by.startswith("claim "):
        _check_claim(row, records)
        return
    kind, path, file, place, value = found(records, row)
    assert row.bad != value
    target = changed(path, tmp_path, file, place, row.bad)
    same = changed(path, tmp_path / "same", file, place, value)
    before, after = (verdict(row.by, capsys, one, path, kind) for one in (same, target))
    assert before != after
    assert row.by == "board" or (before, after > 0) == (0, True)


def _check_claim(row, records):
    """Of all records, the value is bad in some, and the claim failed in just these."""
    name, key = row.by.removeprefix("claim "), row.path.rpartition("/")[2]
    checks = [documents(path)[RUN]["checks"] for path in records.values()]
    bad = [one for one in checks if one.get(key) == row.bad]
    failing = [
        one for one in checks if (name, "failed") in {(claim["check"], claim["verdict"]) for claim in one["claims"]}
    ]
    assert bad == failing != []


@pytest.mark.parametrize("row", [row for row in TABLE if isinstance(row, Shown)], ids=lambda row: row.path)
def test_what_is_shown_follows_the_value(row, records, tmp_path, capsys):
    _, path, file, place, value = found(records, row)
    other = (not value) if isinstance(value, bool) else MARKS[type(value)] if value is not None else "marker7"
    before = shown(capsys, changed(path, tmp_path / "same", file, place, value))
    after = shown(capsys, changed(path, tmp_path, file, place, other))
    assert before != after
    assert not row.alone or isinstance(value, bool) or str(other) in after


def test_every_environment_is_shown(records, tmp_path, capsys):
    """Where a record has two, the machine of the first and its rounding too."""
    path = records["deterministic"]
    (key, first), *_ = documents(path)[RUN]["environments"].items()
    two = {"other": first | {"device_name": "marker7", "tf32": True}, key: first}
    text = said(capsys, "show", changed(path, tmp_path, RUN, ("environments",), two))[1]
    assert text.count("marker7") == text.count("TF32 on") == 1
