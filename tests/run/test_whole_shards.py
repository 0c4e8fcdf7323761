"""An attack that takes whole shards attacks more images than were asked for, and says so before it starts."""

from pathlib import Path

import numpy as np
import pytest

from bench.cli.main import main

LINEAR = """
import torch


def load():
    layer = torch.nn.Linear(16, 10)
    layer.load_state_dict({"weight": torch.linspace(-1, 1, 160).sin().view(10, 16), "bias": torch.zeros(10)})
    return torch.nn.Sequential(torch.nn.Flatten(), layer)
"""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Two data sets of small images and a linear classifier of them."""
    monkeypatch.chdir(tmp_path)
    for count in (70, 100):
        np.savez(f"own{count}.npz", images=np.full((count, 4, 4), 90, np.uint8), labels=np.arange(count) % 10)
    Path("linear.py").write_text(LINEAR)


def words(dataset, attack, n):
    return ["run", "--dataset", dataset, "--classifier", "linear.py:load", "--defense", "none", "--attack", attack, "-n", n, "--threat", "linf:20/255"]  # fmt: skip


CUSTOM = "autoattack-custom"
FAST = ["-A", "attacks=apgd-ce"]


@pytest.mark.parametrize(
    ("dataset", "n", "said"),
    [
        ("npz:own100.npz", "4", "50 images are attacked for the 4 asked for"),
        ("npz:own70.npz", "51", "70 images are attacked for the 51 asked for"),
        ("npz:own70.npz", "50", None),
        ("npz:own70.npz", "70", None),
    ],
)
def test_more_images_are_told_before_they_are_attacked(dataset, n, said, capsys):
    assert main([*words(dataset, CUSTOM, n), *FAST]) == 0
    lines = capsys.readouterr().err.splitlines()
    told = [place for place, line in enumerate(lines) if "whole shards" in line]
    assert len(told) == (said is not None)
    if said:
        assert said in lines[told[0]]
        assert told[0] < next(place for place, line in enumerate(lines) if line.startswith("attacking "))


def test_nothing_is_told_again_where_nothing_is_left_to_attack_nor_of_other_attacks(capsys):
    assert main([*words("npz:own100.npz", CUSTOM, "4"), *FAST]) == 0
    assert "whole shards" in capsys.readouterr().err
    assert main([*words("npz:own100.npz", CUSTOM, "9"), *FAST]) == 0
    assert main(words("npz:own100.npz", "null", "4")) == 0
    assert main([*words("npz:own100.npz", CUSTOM, "4"), *FAST, "--seed", "1", "--quiet"]) == 0
    assert "whole shards" not in capsys.readouterr().err
