"""Denoisers made from networks with the preconditioning of EDM."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.models.denoisers.converted import ConvertedDenoiser, column

SIGNS = {"epsilon": 1, "v_prediction": -1}
"""Sign of the network's output in the result, by diffusers' name of the prediction."""


class ElucidatedDenoiser(ConvertedDenoiser):
    """Turns a network F trained with EDM's preconditioning, on images in [-1, 1], into `denoise(y, sigma) -> E[x | y]`.

    With `s = 2 sigma` the noise level in [-1, 1], `d` the spread of the data there, `q^2 = s^2 + d^2` and `z = 2 y - 1`:
    `2 D(y) - 1 = d^2 / q^2 z +- s d / q F(z / q, log(s) / 4)`, with a minus for `v_prediction`.

    References:
        Elucidating the Design Space of Diffusion-Based Generative Models (Karras, Aittala, Aila, Laine, 2022)
        https://arxiv.org/abs/2206.00364

    Arguments:
        network: A network as in `ConvertedDenoiser`; its time is `log(s) / 4`.
        spread: Standard deviation `d` of the data in [-1, 1] (`sigma_data`).
        largest: Largest noise level in [-1, 1] (`sigma_max`).
        prediction: `epsilon` or `v_prediction`.
        image_shape: The shape `(C, H, W)` the network was trained on; None if it takes any.

    Raises:
        UserError: Another kind of prediction.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        spread: float = 0.5,
        largest: float = 80.0,
        prediction: str = "epsilon",
        image_shape: tuple[int, int, int] | None = None,
    ) -> None:
        if prediction not in SIGNS:
            raise UserError("edm-prediction", predictions=SIGNS, prediction=prediction)
        constants = torch.tensor([spread, SIGNS[prediction]])
        super().__init__(network, ("spread_and_sign", constants), high=largest / 2, image_shape=image_shape)
        self.spread_and_sign: Tensor

    def forward(self, y: Tensor, sigma: Tensor) -> Tensor:
        """`denoise` for noise levels of shape `(B,)` or `(1,)`, without the checks."""
        spread, sign = self.spread_and_sign
        level = (2 * sigma.to(spread)).expand(len(y))
        width = (level**2 + spread**2).sqrt()
        z = 2 * y - 1
        output = self.predict(z / column(width, y), level.log() / 4)
        clean = column((spread / width) ** 2, y) * z + column(sign * level * spread / width, y) * output
        return (clean + 1) / 2
