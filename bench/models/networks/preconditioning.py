"""Preconditioning of a denoising network, so that it works at every noise level."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.errors import UserError


class PreconditionedDenoiser(nn.Module):
    """Turns a network into a score model `denoise(y, sigma) -> E[x | y]` for `y = x + sigma * n`.

    With `q^2 = sigma^2 + s^2` (`s` the spread and `m` the mean of the data):
    `D(y) = m + s^2 / q^2 (y - m) + sigma s / q  F((y - m) / q, log(sigma) / 2)`.

    References:
        Elucidating the Design Space of Diffusion-Based Generative Models (Karras, Aittala, Aila, Laine, 2022)
        https://arxiv.org/abs/2206.00364

    Arguments:
        network: Maps images `(B, C, H, W)` and noise levels `(B,)` or `(1,)` to images.
        mean: Mean of the data, in pixel units.
        spread: Standard deviation of the data, in pixel units.
        low: Smallest noise level the network was trained for, in pixel units.
        high: Largest noise level the network was trained for.
    """

    def __init__(self, network: nn.Module, *, mean: float, spread: float, low: float, high: float) -> None:
        super().__init__()
        self.network = network
        self.mean, self.spread, self.low, self.high = mean, spread, low, high

    def denoise(self, y: Tensor, sigma: float | Tensor) -> Tensor:
        """The expected clean image given a noisy one.

        Arguments:
            y: Noisy images, shape `(B, C, H, W)`, pixel units.
            sigma: Noise level in pixel units, a number or shape `(B,)`.

        Raises:
            UserError: `sigma` is a number outside the range the model was trained for.
        """
        if isinstance(sigma, float | int) and not self.low <= sigma <= self.high:
            raise UserError("score-sigma-range", low=self.low, high=self.high, sigma=sigma)
        return self(y, levels_of(sigma, y, y.dtype))

    def forward(self, y: Tensor, sigma: Tensor) -> Tensor:
        """`denoise` for noise levels of shape `(B,)` or `(1,)`, without the range check."""
        level = sigma.view(-1, 1, 1, 1)
        width = (level**2 + self.spread**2).sqrt()
        centred = y - self.mean
        skip = (self.spread / width) ** 2 * centred
        return self.mean + skip + level * self.spread / width * self.network(centred / width, sigma.log() / 2)


def levels_of(sigma: float | Tensor, y: Tensor, dtype: torch.dtype) -> Tensor:
    """One noise level, or one per image, as a tensor `(1,)` or `(B,)` on the device of `y`.

    A number is filled in on the device; copying it there would wait for a GPU.

    Arguments:
        sigma: A number or shape `(B,)`.
        y: Images on the wanted device.
        dtype: The dtype of the levels.
    """
    if isinstance(sigma, Tensor):
        return sigma.to(y.device, dtype).reshape(-1)
    return torch.full((1,), sigma, dtype=dtype, device=y.device)
