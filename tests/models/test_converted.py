"""Score models under every convention of diffusers' schedulers: against the posterior mean of a Gaussian, and its slope."""

import pytest
import torch
from refused import refused
from torch import nn

from bench.models.denoisers.schedulers import TABLE, convention, converted

diffusers = pytest.importorskip("diffusers")

MEAN = torch.tensor([-0.3, 0.5, 0.1, 0.9], dtype=torch.float64).view(1, 1, 2, 2)  # in [-1, 1]
SPREAD = torch.tensor([0.2, 0.6, 1.0, 0.05], dtype=torch.float64).view(1, 1, 2, 2)
Y = torch.linspace(-0.5, 1.5, 12, dtype=torch.float64).view(3, 1, 2, 2)
SIGMAS = (0.05, 0.1, 0.3, 0.5)


def exact(y, sigma):
    """E[x | y] in pixel units: data N((MEAN + 1) / 2, (SPREAD / 2)^2)."""
    mean, variance = (MEAN + 1) / 2, (SPREAD / 2) ** 2
    return mean + variance / (variance + sigma**2) * (y - mean)


def clean_of(y, level):
    """E[x | y] in [-1, 1], for `y = x + level n`."""
    return MEAN + SPREAD**2 / (SPREAD**2 + level**2) * (y - MEAN)


class Preserving(nn.Module):
    """The best predictor given `sqrt(a_t) x + sqrt(1 - a_t) n`, with the betas of a scheduler; between its times the logarithm is linear."""

    def __init__(self, scheduler):
        super().__init__()
        self.kept = (1 - scheduler.betas.double()).cumprod(dim=0).clamp(1e-30)
        self.prediction = scheduler.config.get("prediction_type", "epsilon")

    def forward(self, x, time):
        ratio = (self.kept / (1 - self.kept)).log()
        low = time.floor().long().clamp(max=len(ratio) - 2)
        kept = (ratio[low] + (time - low) * (ratio[low + 1] - ratio[low])).sigmoid().view(-1, 1, 1, 1)
        clean = clean_of(x / kept.sqrt(), ((1 - kept) / kept).sqrt())
        noise = (x - kept.sqrt() * clean) / (1 - kept).sqrt()
        speed = kept.sqrt() * noise - (1 - kept).sqrt() * clean
        return {"epsilon": noise, "v_prediction": speed}.get(self.prediction, clean)


class Elucidated(nn.Module):
    """The F for which `c_skip y + c_out F(c_in y, log(s) / 4)` is the posterior mean (Karras et al. 2022, eq. 7)."""

    def __init__(self, scheduler, spread=None):
        super().__init__()
        self.spread = spread or scheduler.config["sigma_data"]
        self.sign = -1 if scheduler.config["prediction_type"] == "v_prediction" else 1

    def forward(self, x, time):
        level = (4 * time).exp().view(-1, 1, 1, 1)
        width = (level**2 + self.spread**2).sqrt()
        y = width * x
        return self.sign * (clean_of(y, level) - (self.spread / width) ** 2 * y) / (level * self.spread / width)


class Velocity(nn.Module):
    """`E[n - x | x_t]` for `x_t = (1 - t) x + t n`."""

    def __init__(self, scheduler):
        super().__init__()
        self.times = scheduler.config["num_train_timesteps"]

    def forward(self, x, time):
        t = (time / self.times).view(-1, 1, 1, 1)
        clean = clean_of(x / (1 - t), t / (1 - t))
        return (x - (1 - t) * clean) / t - clean


class Score(nn.Module):
    """The score of noisy images, images in [0, 1]."""

    def __init__(self, scheduler):
        super().__init__()

    def forward(self, x, sigma):
        return -(x - (MEAN + 1) / 2) / ((SPREAD / 2) ** 2 + sigma.view(-1, 1, 1, 1) ** 2)


def case(scheduler, network, **options):
    return pytest.param(scheduler, options, network, id=f"{scheduler}-{'-'.join(map(str, options.values()))[:40]}")


PRESERVING = [name for name in TABLE if TABLE[name] == "variance preserving"]
CASES = [
    *(case(name, Preserving) for name in PRESERVING),
    case("DDPM", Preserving, prediction_type="v_prediction"),
    case("DDIM", Preserving, prediction_type="sample"),
    case("DDPM", Preserving, beta_schedule="squaredcos_cap_v2"),
    case("DDPM", Preserving, beta_schedule="sigmoid"),
    case("PNDM", Preserving, beta_schedule="scaled_linear", prediction_type="v_prediction"),
    case("DDPM", Preserving, num_train_timesteps=100, beta_end=0.2),
    case("DDPM", Preserving, trained_betas=torch.linspace(1e-3, 1e-2, 500).tolist(), num_train_timesteps=500),
    case("DDIM", Preserving, rescale_betas_zero_snr=True, prediction_type="v_prediction"),
    case("DPMSolverMultistep", Preserving, rescale_betas_zero_snr=True, prediction_type="sample"),
    case("DDPM", Preserving, rescale_betas_zero_snr=True),
    case("EulerDiscrete", Preserving, use_karras_sigmas=True),
    case("EulerDiscrete", Preserving, prediction_type="original_sample"),
    case("EulerDiscrete", lambda scheduler: Elucidated(scheduler, 1.0), timestep_type="continuous", prediction_type="v_prediction"),
    case("EDMEuler", Elucidated), case("EDMDPMSolverMultistep", Elucidated),
    case("EDMEuler", Elucidated, prediction_type="v_prediction"), case("EDMEuler", Elucidated, sigma_data=1.0),
    case("EDMDPMSolverMultistep", Elucidated, prediction_type="v_prediction", sigma_data=0.25),
    case("FlowMatchEulerDiscrete", Velocity), case("FlowMatchEulerDiscrete", Velocity, shift=3.0),
    case("FlowMatchHeunDiscrete", Velocity), case("FlowMatchEulerDiscrete", Velocity, num_train_timesteps=50),
    case("UniPCMultistep", Velocity, prediction_type="flow_prediction", use_flow_sigmas=True),
    case("ScoreSdeVe", Score), case("ScoreSdeVe", Score, sigma_max=50.0),
]  # fmt: skip


def model(scheduler, options, network):
    made = getattr(diffusers, f"{scheduler}Scheduler")(**options)
    config = {"_class_name": f"{scheduler}Scheduler", **made.config}
    return converted(network(made), made, convention(config, "here"), None).double()


@pytest.mark.parametrize(("scheduler", "options", "network"), CASES)
def test_every_convention_gives_the_posterior_mean_and_its_slope(scheduler, options, network):
    found = model(scheduler, options, network)
    for sigma in SIGMAS:
        y = Y.clone().requires_grad_()
        denoised = found.denoise(y, sigma)
        torch.testing.assert_close(denoised, exact(Y, sigma), rtol=0, atol=1e-5)
        (slope,) = torch.autograd.grad(denoised.sum(), y)
        variance = (SPREAD / 2) ** 2
        expected = (variance / (variance + sigma**2)).expand_as(Y)
        torch.testing.assert_close(slope, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["EDMEuler", "FlowMatchEulerDiscrete", "ScoreSdeVe"])
def test_each_row_has_its_own_noise_level(name):
    network = {"EDMEuler": Elucidated, "FlowMatchEulerDiscrete": Velocity, "ScoreSdeVe": Score}[name]
    sigma = torch.tensor([0.05, 0.3, 2.0], dtype=torch.float64)
    rows = torch.cat([exact(Y[k : k + 1], float(sigma[k])) for k in range(3)])
    torch.testing.assert_close(model(name, {}, network).denoise(Y, sigma), rows, rtol=0, atol=1e-5)


def test_levels_beyond_the_training_are_refused():
    assert model("EDMEuler", {}, Elucidated).high == 40
    assert model("ScoreSdeVe", {"sigma_max": 50.0}, Score).high == 50
    with refused("score-sigma", match=r"\(0, 40\]"):
        model("EDMEuler", {}, Elucidated).denoise(Y, 41.0)


def test_below_the_smallest_level_the_exploding_score_stays():
    found = model("ScoreSdeVe", {"sigma_min": 0.1}, Score)
    score = (exact(Y, 0.1) - Y) / 0.1**2
    torch.testing.assert_close(found.denoise(Y, 0.01) - Y, 0.01**2 * score, rtol=1e-6, atol=1e-12)


def test_the_constants_are_part_of_the_state():
    """Two models of the same weights and other constants have other hashes."""
    states = [model("EDMEuler", options, Elucidated).state_dict() for options in ({}, {"sigma_data": 1.0}, {"prediction_type": "v_prediction"})]  # fmt: skip
    assert len({str(state) for state in states}) == 3


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"_class_name": "CMStochasticIterativeScheduler"}, "scheduler-unknown"),
        ({"_class_name": "LCMScheduler"}, "scheduler-unknown"),
        ({"_class_name": "TCDScheduler"}, "scheduler-unknown"),
        ({"_class_name": "FlowMatchLCMScheduler"}, "scheduler-unknown"),
        ({"_class_name": "UnCLIPScheduler"}, "scheduler-unknown"),
        ({"_class_name": "CosineDPMSolverMultistepScheduler"}, "scheduler-unknown"),
        ({}, "scheduler-unknown"),
        ({"_class_name": "FlowMatchEulerDiscreteScheduler", "invert_sigmas": True}, "scheduler-inverted"),
        ({"_class_name": "UniPCMultistepScheduler", "use_flow_sigmas": True, "prediction_type": "epsilon"}, "scheduler-flow-sigmas"),
        ({"_class_name": "DEISMultistepScheduler", "prediction_type": "flow_prediction"}, "scheduler-flow-sigmas"),
    ],
)  # fmt: skip
def test_schedulers_that_mean_something_else_are_refused(config, code):
    with refused(code):
        convention(config, "here")
