"""Purifiers: this table is the only place that names them."""

from bench.registry.entry import Entry
from defenses import citations

_OURS = "its noise level and steps are purebench's, chosen on the last 100 test images"

TABLE = {
    "none": Entry("defenses.identity:Identity", "No purifier: the undefended classifier, the row to compare with."),
    "dpsam": Entry(
        "defenses.dpsam:DPSAM",
        "Deterministic descent of the reconstruction error, guided by sharpness-aware minimization.",
        source=citations.PURSAMERE,
    ),
    "dp": Entry(
        "defenses.dpsam:DPSAM",
        "The same descent without sharpness-aware minimization: half the cost.",
        {"rho": 0.0},
        source=citations.PURSAMERE,
    ),
    "tweedie": Entry(
        "defenses.tweedie:Tweedie",
        "One pass of the denoiser, without noise.",
        source=citations.TWEEDIE,
    ),
    "denoise-once": Entry(
        "defenses.denoise_once:DenoiseOnce",
        "Adds Gaussian noise and denoises once: the smallest stochastic purifier.",
        source=citations.DENOISED,
    ),
    "diffpure": Entry(
        "defenses.diffusion.diffpure:DiffPure",
        "DiffPure: noise to t = 100, 100 steps of the reverse SDE.",
        source=citations.DIFFPURE,
    ),
    "diffpure-small": Entry(
        "defenses.diffusion.diffpure:DiffPure",
        "The same in 10 steps.",
        {"t": 150, "steps": 10},
        remark=_OURS,
        source=citations.DIFFPURE,
    ),
    "diffpure-ddpm": Entry(
        "defenses.diffusion.diffpure_ddpm:DiffPureDDPM",
        "DiffPure by ancestral sampling: noise to t = 100, 100 steps.",
        source=citations.DIFFPURE,
    ),
    "diffpure-ddpm-small": Entry(
        "defenses.diffusion.diffpure_ddpm:DiffPureDDPM",
        "The same in 10 steps.",
        {"t": 150, "steps": 10},
        remark=_OURS,
        source=citations.DIFFPURE,
    ),
    "diffpure-ode": Entry(
        "defenses.diffusion.diffpure_ode:DiffPureODE",
        "DiffPure by the probability flow: noise to t = 100, 100 steps.",
        source=citations.DIFFPURE,
    ),
    "diffpure-ode-small": Entry(
        "defenses.diffusion.diffpure_ode:DiffPureODE",
        "The same in 10 steps.",
        {"t": 150, "steps": 10},
        remark=_OURS,
        source=citations.DIFFPURE,
    ),
    "lm": Entry(
        "defenses.lm:LikelihoodMaximization",
        "Likelihood maximisation: 5 steps of Adam under fresh noise.",
        source=citations.LIKELIHOOD,
    ),
    "smoothing": Entry(
        "defenses.smoothing:Smoothing",
        "Randomized smoothing: Gaussian noise and 10 votes, certified in l2.",
        source=citations.SMOOTHING,
    ),
    "gdmp": Entry(
        "defenses.diffusion.gdmp:GDMP",
        "Guided diffusion: 4 rounds of 36 ancestral steps, pulled toward the input.",
        source=citations.GUIDED,
    ),
    "gdmp-small": Entry(
        "defenses.diffusion.gdmp:GDMP",
        "The same in 2 rounds of 5 steps.",
        {"rounds": 2, "t": 150, "steps": 5, "scale": 100.0},
        remark=_OURS,
        source=citations.GUIDED,
    ),
    "scoreopt": Entry(
        "defenses.scoreopt:ScoreOpt",
        "Score-based optimisation (-O): 20 small steps of Adam.",
        source=citations.SCOREOPT,
    ),
    "scoreopt-small": Entry(
        "defenses.scoreopt:ScoreOpt",
        "The paper's other setting: 5 large steps of Adam.",
        {"steps": 5, "step_size": 0.1, "sigma": 0.5},
        source=citations.SCOREOPT,
    ),
    "adp": Entry(
        "defenses.adp:ADP",
        "Noise, then 10 adaptive steps up the score, 10 votes.",
        source=citations.ADP,
    ),
    "adp-small": Entry(
        "defenses.adp:ADP",
        "The same in 5 longer steps, without votes.",
        {"steps": 5, "rate": 0.3, "votes": 1},
        remark=_OURS,
        source=citations.ADP,
    ),
    "jpeg": Entry(
        "defenses.transforms.jpeg:JPEG",
        "JPEG by the real codec, quality 75; not differentiable.",
        source=citations.TRANSFORMS,
    ),
    "jpeg-differentiable": Entry(
        "defenses.transforms.jpeg_differentiable:DifferentiableJPEG",
        "JPEG with cubic instead of hard rounding.",
        source=citations.SOFT_JPEG,
    ),
    "bit-depth": Entry(
        "defenses.transforms.bit_depth:BitDepth",
        "Pixels rounded to 3 bits; not differentiable.",
        source=citations.TRANSFORMS,
    ),
    "median": Entry(
        "defenses.transforms.median:Median",
        "The median of each 3 x 3 neighbourhood.",
        source=citations.SQUEEZING,
    ),
    "total-variation": Entry(
        "defenses.transforms.total_variation:TotalVariation",
        "Total-variation denoising.",
        source=citations.TRANSFORMS,
    ),
    "threshold": Entry(
        "defenses.transforms.threshold:Threshold",
        "Black or white, for MNIST-like data; not differentiable.",
        source=citations.SQUEEZING,
    ),
}
