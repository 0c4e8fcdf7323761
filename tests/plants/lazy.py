"""Ten passes of the score model are claimed, two are made."""

from typing import ClassVar

CAUGHT_BY = {"passes"}


class Score:
    def denoise(self, y, sigma):
        return 0.9 * y + 0.05


class Defense:
    deterministic: ClassVar[bool] = True
    evaluations: ClassVar[int] = 10

    def __init__(self, score):
        self.score = score

    def purify(self, x, noise):
        for _ in range(2):
            x = self.score.denoise(x, 0.1)
        return x
