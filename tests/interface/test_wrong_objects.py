"""Each wrong object has an error code of its own, and a sentence with what to do."""

import itertools

import numpy as np
import pytest
import torch
from notebook import Blur, Jitter, classifier, images_and_labels
from refused import refused

import bench

COUNT = itertools.count()
IMAGES, LABELS = images_and_labels(8)


class BertTokenizer:
    """Can be called, as tokenizers can."""

    def __call__(self, text):
        return text


class Network(torch.nn.Module):
    def forward(self, x):
        return x.flatten(1)[:, :10] * 3 - 1


class Shuffled(torch.utils.data.Dataset):
    def __len__(self):
        return 3

    def __getitem__(self, place):
        return torch.zeros(1, 28 + place, 28), 0


def loader(**options):
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(IMAGES, LABELS), **options)


WRONG = {
    "object-kind": [
        {"defense": BertTokenizer()}, {"defense": [Blur(), Blur()]}, {"defense": 3}, {"defense": {"a": 1}},
        {"classifier": BertTokenizer()}, {"classifier": {"fc.weight": LABELS}}, {"classifier": 5},
        {"score_model": Network().eval()}, {"score_model": 3},
        {"attack": 3}, {"attack": Network()},
        {"data": 3}, {"data": [IMAGES]}, {"data": {"x": IMAGES}},
    ],
    "object-in-train-mode": [{"defense": torch.nn.Dropout()}, {"classifier": Network()}],
    "array-kind": [{"data": (list(IMAGES), LABELS)}, {"data": (IMAGES, "012")}],
    "purified-shape": [{"defense": Network().eval()}, {"defense": lambda x: x[:, :, 1:]}, {"defense": lambda x: 3}],
    "draws-not-keyed": [{"defense": lambda x: x * (1 - 2**-20 * next(COUNT))}],
    "arguments-for-object": [{"defense": Blur(), "defense_args": {"steps": 2}}],
    "classifier-missing": [{"classifier": None}],
    "score-model-missing": [{"defense": "dpsam"}],
    "threat-missing": [{"threat": None}],
    "samples-kind": [{"n": "some"}, {"n": 2.5}],
    "normalize-kind": [{"normalize": 3}, {"normalize": "imagenet"}],
    "normalize-values": [{"normalize": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))}, {"normalize": ((0.5,), (0.0,))}],
    "data-without-labels": [{"data": IMAGES}],
    "images-channels-last": [{"data": (IMAGES.permute(0, 2, 3, 1), LABELS)}],
    "images-shape": [{"data": (IMAGES[:, 0], LABELS)}, {"data": (IMAGES.repeat(1, 4, 1, 1), LABELS)}],
    "images-none": [{"data": (IMAGES[:0], LABELS[:0])}],
    "images-dtype": [{"data": ((IMAGES * 255).byte(), LABELS)}, {"data": (IMAGES.long().numpy(), LABELS)}],
    "images-range": [{"data": (IMAGES * 255, LABELS)}],
    "images-normalised": [{"data": ((IMAGES - 0.5) / 0.5, LABELS)}],
    "images-not-finite": [{"data": (IMAGES * np.inf, LABELS)}],
    "labels-length": [{"data": (IMAGES, LABELS[:5])}, {"data": (IMAGES, torch.nn.functional.one_hot(LABELS))}],
    "labels-dtype": [{"data": (IMAGES, LABELS.float())}],
    "labels-negative": [{"data": (IMAGES, LABELS - 1)}],
    "labels-range": [{"data": (IMAGES, LABELS + 3)}],
    "images-sizes": [{"data": Shuffled()}],
    "loader-shuffles": [{"data": loader(shuffle=True)}],
    "data-none": [{"data": torch.utils.data.TensorDataset(IMAGES[:0], LABELS[:0])}],
    "data-rows": [{"data": torch.utils.data.TensorDataset(IMAGES)}],
    "devices-differ": [{"classifier": torch.nn.Linear(2, 2, device="meta").eval(), "defense": torch.nn.Conv2d(1, 1, 1).eval()}],
    "model-elsewhere": [{"classifier": torch.nn.Linear(2, 2, device="meta").eval(), "device": "cpu"}],
}  # fmt: skip


@pytest.mark.parametrize(("code", "changes"), [(code, part) for code, parts in WRONG.items() for part in parts])
def test_wrong_object(code, changes, tmp_path):
    parts = {"defense": Blur(), "classifier": classifier(), "data": (IMAGES, LABELS), "threat": "linf:8/255"}
    with refused(code):
        bench.evaluate(**(parts | changes), results=tmp_path)
    assert not list(tmp_path.iterdir())


def test_score_model_twice(tmp_path):
    purifier = Jitter()
    purifier.deterministic, purifier.score = False, type("Score", (), {"denoise": lambda self, y, sigma: y})()
    with refused("score-model-twice"):
        bench.evaluate(purifier, score_model="fashion-mnist-unet", results=tmp_path)


@pytest.mark.parametrize(("name", "code"), [("no-such-run", "component-unknown"), ("python:Blur", "object-not-here")])
def test_names_that_do_not_exist(name, code, tmp_path):
    with refused("record-results-empty"):
        bench.show(name, results=tmp_path)
    with refused(code):
        bench.evaluate(name, results=tmp_path)
