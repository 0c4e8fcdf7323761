"""A small world in which an honest defense passes every check: 64 grey images of four classes, a network of two layers."""

import numpy as np
import torch
from torch import nn

from bench.data.dataset import Dataset

SIZE, CLASSES, PIXELS, HIDDEN = 64, 4, 64, 32
WRONG = 8
"""Every so many images have another label than the network gives, so that clean accuracy is below 100 %."""


def _numbers(key, *shape):
    return np.random.Generator(np.random.Philox(key=key)).normal(size=shape).astype(np.float32)


class Network(nn.Module):
    """Two layers with fixed weights."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(PIXELS, HIDDEN), nn.Linear(HIDDEN, CLASSES)
        for key, layer in enumerate((self.first, self.last)):
            layer.weight.data = torch.from_numpy(_numbers(key, *layer.weight.shape)) / layer.weight.shape[1] ** 0.5
            layer.bias.data.zero_()
        grey = self.last(torch.nn.functional.softplus(self.first.bias))
        self.last.bias.data = -grey.detach()  # no class is likelier than another

    def forward(self, x):
        return 10 * self.last(torch.nn.functional.softplus(self.first(4 * (x.flatten(1) - 0.5))))


def images():
    """The images, labelled by the network but for every eighth."""
    grey = np.clip(0.5 + 0.15 * _numbers(7, SIZE, 1, 8, 8), 0.05, 0.95)
    with torch.no_grad():
        labels = Network()(torch.from_numpy(grey)).argmax(dim=1).numpy()
    labels[::WRONG] = (labels[::WRONG] + 1) % CLASSES
    return Dataset(name="world", ids=np.arange(100, 100 + SIZE), images=grey, labels=labels, classes=tuple("abcd"))
