"""Purifiers. This table is the only place that names them."""

from bench.registry import Entry

TABLE = {
    "none": Entry("defenses.identity:Identity", "No purifier: the undefended classifier, the row to compare with."),
    "dpsam": Entry(
        "defenses.dpsam:DPSAM",
        "Deterministic descent of the reconstruction error, guided by sharpness-aware minimization.",
    ),
    "tweedie": Entry("defenses.tweedie:Tweedie", "One pass of the denoiser, without noise."),
    "denoise-once": Entry(
        "defenses.denoise_once:DenoiseOnce", "Adds Gaussian noise and denoises once: the smallest stochastic purifier."
    ),
}
