"""Records of objects: verified and audited with the objects, or with their classes in files; else exit code 2."""

import inspect
import json
import re
import shutil

import notebook
import numpy as np
import pytest
import torch
from notebook import Blur, classifier, images_and_labels
from refused import refused

import bench
from bench.cli.main import main

IMPORTS = """
from dataclasses import dataclass
from torch.nn.functional import avg_pool2d
from notebook import classifier
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of an object in front of the embedded classifier, on tensors."""
    folder = tmp_path_factory.mktemp("objects")
    parts = {"classifier": classifier(), "data": images_and_labels(12), "attack_args": {"steps": 2}}
    return bench.evaluate(Blur(steps=2), **parts, threat="linf:8/255", results=folder / "results")


def test_the_record_says_what_the_object_was(made):
    spec = made.spec
    assert spec["defense"]["name"] == "python:Blur"
    assert spec["defense"]["args"] == {"steps": 2}
    assert made.header.labels.defense == "Blur steps=2"
    assert spec["classifier"]["name"] == "python:SmallConvNet"
    assert spec["classifier"]["args"]["widths"] == "unreadable"


def test_this_session_verifies_and_audits_it(made):
    verified = bench.verify(made)
    assert verified["verified"]
    assert "margins" in str(verified)
    audited = bench.audit(made, quick=True, only=["same-view", "leak"])
    assert {check["name"]: check["verdict"] for check in audited["checks"]}["same-view"] == "pass"


def test_another_session_gives_the_objects_again(made):
    parts = {"defense": Blur(steps=2), "classifier": classifier(), "data": images_and_labels(12)}
    assert bench.verify(made.path, **parts)["verified"]
    with refused("object-not-here"):
        bench.verify(made.path, defense=Blur(steps=2), data=images_and_labels(12))
    for wrong in ({"defense": Blur(steps=3)}, {"data": (images_and_labels(12)[0] * 0.5, images_and_labels(12)[1])}):
        found = bench.verify(made.path, **(parts | wrong))
        assert not found["verified"]
        assert "parts" in [part["check"] for part in found["findings"] if part["passed"] is False]
    other = classifier()
    with torch.no_grad():
        next(other.parameters()).add_(1e-3)
    assert "classifier content" in str(bench.verify(made.path, **(parts | {"classifier": other})))


def test_the_command_line_says_what_it_needs_and_takes_it_from_files(made, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    record = str(made.path)
    assert main(["verify", record]) == 2
    assert "--defense FILE.py:Blur" in capsys.readouterr().err
    assert main(["audit", record, "--quick"]) == 2
    (tmp_path / "mine.py").write_text(IMPORTS + inspect.getsource(Blur))
    images, labels = images_and_labels(12)
    np.savez("mine.npz", images=images.numpy(), labels=labels.numpy())
    words = ["--defense", "mine.py:Blur", "--classifier", "mine.py:classifier", "--data", "npz:mine.npz"]
    assert main(["verify", record, *words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verified"]
    (tmp_path / "other.py").write_text((tmp_path / "mine.py").read_text().replace("3, 1, 1)", "5, 1, 2)"))
    assert main(["verify", record, "--defense", "other.py:Blur", *words[2:]]) == 1
    assert "defense code" in capsys.readouterr().out


def test_shown_packed_compared_and_ranked_like_any_other(made, tmp_path, capsys):
    results = str(made.path.parents[2])
    for words in (["show", made.run_id], ["pack", made.run_id, "--out", str(tmp_path / "run.zip")]):
        assert main([*words, "--results", results]) == 0
    assert main(["leaderboard", "--results", results]) == 0
    assert "Blur steps=2" in capsys.readouterr().out
    parts = {"classifier": classifier(), "data": images_and_labels(12), "attack_args": {"steps": 2}}
    bare = bench.evaluate(None, **parts, threat="linf:8/255", results=made.path.parents[2])
    (pair,) = bench.compare(made, bare)
    assert pair["n"] == 12
    assert "defense python:Blur -> none" in pair["differ"]
    board = bench.leaderboard([made, bare])
    assert set(board.table.defense) == {"Blur steps=2", "none"}
    assert set(bench.leaderboard(results).table.defense) == set(board.table.defense)
    capsys.readouterr()
    assert main(["leaderboard", "--commands", "--results", results]) == 0
    commands = capsys.readouterr().out
    assert "--defense FILE.py:Blur -D steps=2" in " ".join(commands.replace("\\\n", " ").split())
    assert not re.search(r"--[\w-]+ python:", commands)
    assert bench.show(made.run_id, results=results).robust == made.robust


def test_code_in_a_helper_or_a_global_counts_and_the_rest_of_the_file_does_not(tmp_path):
    from importlib.util import module_from_spec, spec_from_file_location

    from bench.objects.identity import code_sha256

    def module(text):
        file = tmp_path / "made.py"
        file.write_text(text)
        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
        import linecache

        linecache.clearcache()
        spec = spec_from_file_location("made_module", file)
        loaded = module_from_spec(spec)
        spec.loader.exec_module(loaded)
        return loaded

    text = "K = 2\ndef helper(x):\n    return x * K\nclass P:\n    def purify(self, x):\n        return helper(x)\nOTHER = 1\n"
    texts = [
        text,
        text.replace("OTHER = 1", "OTHER = 2"),
        text.replace("K = 2", "K = 3"),
        text.replace("x * K", "x + K"),
    ]
    same, unrelated, constant, helper = [code_sha256(module(part).P()) for part in texts]
    assert same == unrelated
    assert len({same, constant, helper}) == 3


def test_a_lambda_counts_without_its_line():
    from bench.objects.identity import code_sha256

    first, second = [lambda x: x * 2, 1], [lambda x: x * 2, 2]
    other = [lambda x: x * 3, 1]
    assert code_sha256(first[0]) == code_sha256(second[0]) != code_sha256(other[0])


def test_state_counts_weights_attributes_and_buffers_and_never_addresses():
    from bench.objects.identity import state_sha256

    class Net(torch.nn.Module):
        def __init__(self, scale=1.0):
            super().__init__()
            self.inner, self._scale, self.other = torch.nn.Linear(2, 2), scale, object()
            self.register_buffer("mean", torch.zeros(2), persistent=False)

    def net(**changes):
        made = Net()
        torch.nn.init.ones_(made.inner.weight)
        torch.nn.init.zeros_(made.inner.bias)
        for name, value in changes.items():
            setattr(made, name, value)
        return made

    plain = state_sha256(net())
    assert plain == state_sha256(net()) == state_sha256(net().eval())
    changed = [net(_scale=2.0), net(mean=torch.ones(2)), net(inner=torch.nn.Linear(2, 2, bias=False))]
    assert len({plain, *map(state_sha256, changed)}) == 4
    assert state_sha256(notebook.Blur(steps=1)) != state_sha256(notebook.Blur(steps=2))
