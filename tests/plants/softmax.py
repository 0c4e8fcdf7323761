"""A classifier that ends in probabilities."""

from torch import nn

CAUGHT_BY = {"not softmax"}


class Classifier(nn.Module):
    def forward(self, x):
        return (4 * (20 * x).sin().view(len(x), 10, 10).mean(dim=2)).softmax(dim=1)
