"""Attacks. This table of presets is the only place that names them."""

from bench.registry import Entry

_FULL = "https://arxiv.org/abs/1706.06083"
_BPDA = "https://arxiv.org/abs/1802.00420"

TABLE = {
    "pgd-full": Entry(
        "attacks.pgd:pgd", "Projected gradient descent with the exact gradient through the purifier.", cite=_FULL
    ),
    "pgd-bpda": Entry(
        "attacks.pgd:pgd", "The same with the identity for the purifier's derivative.", gradient="bpda", cite=_BPDA
    ),
    "pgd-blind": Entry(
        "attacks.pgd:pgd",
        "The same on the classifier alone: transfer from the undefended model.",
        gradient="blind",
        cite=_BPDA,
    ),
    "null": Entry(
        "attacks.null:null", "Unchanged images: what a scoring rule gives without any attack.", gradient="none"
    ),
    "random": Entry(
        "attacks.random:random", "The worst of many uniform draws from the ball: no gradients.", gradient="none"
    ),
}
