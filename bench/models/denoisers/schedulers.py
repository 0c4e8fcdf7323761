"""The convention of a network of diffusers, read from its scheduler; only this file names schedulers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from torch import nn

from bench.errors import UserError
from bench.models.denoisers.converted import ConvertedDenoiser
from bench.models.denoisers.elucidated import ElucidatedDenoiser
from bench.models.denoisers.flow_matching import FlowDenoiser
from bench.models.denoisers.variance_exploding import VarianceExplodingDenoiser
from bench.models.denoisers.variance_preserving import VariancePreservingDenoiser

PRESERVING, ELUCIDATED, FLOW, EXPLODING = "variance preserving", "EDM", "flow matching", "variance exploding"
TABLE: Mapping[str, str] = MappingProxyType(
    {
        "DDPM": PRESERVING, "DDPMParallel": PRESERVING, "DDIM": PRESERVING, "DDIMParallel": PRESERVING, "DDIMInverse": PRESERVING,
        "PNDM": PRESERVING, "DPMSolverSinglestep": PRESERVING, "DPMSolverMultistep": PRESERVING, "DEISMultistep": PRESERVING,
        "UniPCMultistep": PRESERVING, "SASolver": PRESERVING, "EulerDiscrete": PRESERVING, "EulerAncestralDiscrete": PRESERVING,
        "HeunDiscrete": PRESERVING, "LMSDiscrete": PRESERVING, "KDPM2Discrete": PRESERVING, "KDPM2AncestralDiscrete": PRESERVING,
        "EDMEuler": ELUCIDATED, "EDMDPMSolverMultistep": ELUCIDATED,
        "FlowMatchEulerDiscrete": FLOW, "FlowMatchHeunDiscrete": FLOW,
        "ScoreSdeVe": EXPLODING,
    }
)  # fmt: skip
"""The convention by the scheduler's class, without the ending `Scheduler`; steps, spacing and clipping of a sampler do not matter.

Consistency models (CMStochasticIterative, LCM, TCD) are left out: they jump to one image of the data, not to the mean.
"""
ADVICE = "write a module:object that returns a denoiser"
FLOW_PREDICTION, ORIGINAL = "flow_prediction", "original_sample"


def convention(config: Mapping[str, Any], place: str) -> str:
    """The convention of a scheduler's configuration.

    Arguments:
        config: Content of `scheduler_config.json`.
        place: Name of the model in messages.

    Raises:
        UserError: The scheduler is not in `TABLE`, or its settings change the convention.
    """
    name = str(config.get("_class_name")).removesuffix("Scheduler")
    if name not in TABLE:
        raise UserError(
            "scheduler-unknown", schedulers=TABLE, place=place, got=config.get("_class_name"), advice=ADVICE
        )
    flows = (config.get("prediction_type") == FLOW_PREDICTION, bool(config.get("use_flow_sigmas")))
    if any(flows) != all(flows):
        raise UserError("scheduler-flow-sigmas", place=place, advice=ADVICE)
    if config.get("invert_sigmas"):
        raise UserError("scheduler-inverted", place=place, advice=ADVICE)
    if config.get("timestep_type") == "continuous" and config.get("prediction_type") == "v_prediction":
        return ELUCIDATED
    return FLOW if all(flows) else TABLE[name]


def converted(
    network: nn.Module, scheduler: Any, kind: str, image_shape: tuple[int, int, int] | None
) -> ConvertedDenoiser:
    """A network under its scheduler's convention as a denoiser.

    Arguments:
        network: Maps images and times to the prediction that the scheduler takes.
        scheduler: A scheduler of diffusers.
        kind: The result of `convention`.
        image_shape: The shape `(C, H, W)` the network was trained on; None if it takes any.
    """
    config = scheduler.config
    if kind == FLOW:
        return FlowDenoiser(network, times=config["num_train_timesteps"], image_shape=image_shape)
    if kind == EXPLODING:
        smallest, largest = config["sigma_min"], config["sigma_max"]
        return VarianceExplodingDenoiser(network, smallest=smallest, largest=largest, image_shape=image_shape)
    prediction = config.get("prediction_type", "epsilon")
    if kind == ELUCIDATED:  # EulerDiscrete with continuous times is EDM for data of spread 1
        return ElucidatedDenoiser(
            network,
            spread=config.get("sigma_data", 1.0),
            largest=config["sigma_max"] or float(scheduler.sigmas.max()),
            prediction=prediction,
            image_shape=image_shape,
        )
    kept = scheduler.alphas_cumprod
    if config.get("rescale_betas_zero_snr"):
        kept = kept[:-1]  # at the last time no signal is left, which no finite noise level matches
    prediction = "sample" if prediction == ORIGINAL else prediction
    return VariancePreservingDenoiser(network, kept, prediction=prediction, image_shape=image_shape)
