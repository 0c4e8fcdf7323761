"""Checks whether a number can be believed. This table alone lists the checks; it imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bench.errors import UserError
from bench.registry.registry import suggest


@dataclass(frozen=True)
class Entry:
    """One check.

    Arguments:
        target: The module with the functions `why_not`, `loads` and `check`, each of a subject.
        summary: One line: what it asks.
        source: Title, authors, year and URL of its reference.
    """

    target: str
    summary: str
    source: str


_CARLINI = "On Evaluating Adversarial Robustness (Carlini et al., 2019) https://arxiv.org/abs/1902.06705"
_ATHALYE = "Obfuscated Gradients Give a False Sense of Security (Athalye, Carlini, Wagner, 2018) https://arxiv.org/abs/1802.00420"
_CROCE = "Evaluating the Adversarial Robustness of Adaptive Test-time Defenses (Croce et al., 2022) https://arxiv.org/abs/2202.13711"
_PINTOR = "Indicators of Attack Failure (Pintor et al., 2022) https://arxiv.org/abs/2106.09947"
_APGD = "Reliable Evaluation of Adversarial Robustness (Croce, Hein, 2020) https://arxiv.org/abs/2003.01690"
_ZIMMERMANN = "Increasing Confidence in Adversarial Robustness Evaluations (Zimmermann et al., 2022) https://arxiv.org/abs/2206.13991"
_LEE = "Robust Evaluation of Diffusion-Based Adversarial Purification (Lee, Kim, 2023) https://arxiv.org/abs/2303.09051"
_YUEZHANG = (
    "How Do Diffusion Models Improve Adversarial Robustness? (Yuezhang, Wei, 2025) https://arxiv.org/abs/2505.22839"
)
_GDMP = "Guided Diffusion Model for Adversarial Purification (Wang et al., 2022) https://arxiv.org/abs/2205.14969"
_LIU = "Towards Understanding the Robustness of Diffusion-Based Purification: A Stochastic Perspective (Liu et al., 2024) https://arxiv.org/abs/2404.14309"

TABLE: Mapping[str, Entry] = MappingProxyType(
    {
        "same-view": Entry("bench.audit.checks.defense.same_view", "Is the defense that was scored the one that was attacked?", _CARLINI),
        "batch-coupling": Entry("bench.audit.checks.defense.batch_coupling", "Does an image's result depend on its neighbours?", _GDMP),
        "leak": Entry("bench.audit.checks.defense.leak", "Does the defense know labels that are not in the pixels?", _CARLINI),
        "flags": Entry("bench.audit.checks.attack.flags", "The warnings of AutoAttack, as data.", _APGD),
        "indicators": Entry("bench.audit.checks.attack.indicators", "The six indicators of a failing attack.", _PINTOR),
        "gradient-path": Entry("bench.audit.checks.defense.gradient_path", "Does the gradient vanish or explode along the purifier's steps?", _LEE),
        "eot-convergence": Entry("bench.audit.checks.defense.eot_convergence", "Do two averages over fresh draws agree on the gradient?", _ATHALYE),
        "compression": Entry("bench.audit.checks.defense.compression", "Does the purifier shrink what it is robust to?", _YUEZHANG),
        "selection-bias": Entry("bench.audit.checks.attack.selection_bias", "Does the attack succeed on draws that it did not choose?", _LIU),
        "repetition": Entry("bench.audit.checks.attack.repetition", "Does the attack, repeated on some images, give the recorded results?", _CARLINI),
        "random-noise": Entry("bench.audit.checks.attack.random_noise", "Does noise break what gradients did not?", _CARLINI),
        "gradient-order": Entry("bench.audit.checks.attack.gradient_order", "Full gradient at least as strong as BPDA, BPDA as blind.", _CROCE),
        "black-box": Entry("bench.audit.checks.attack.black_box", "Does Square or transfer break what the white box did not?", _CARLINI),
        "reference-attack": Entry("bench.audit.checks.attack.reference_attack", "Is the attack at least as strong as plain PGD with the right gradient?", _CARLINI),
        "known-draws": Entry("bench.audit.checks.attack.known_draws", "Known randomness helps the attacker, or a gradient is wrong.", _CARLINI),
        "radius": Entry("bench.audit.checks.attack.radius", "Success grows with eps, and no image survives an unbounded ball.", _CARLINI),
        "effort": Entry("bench.audit.checks.attack.effort", "What more steps, more restarts and (in a full audit) a longer step add.", _CARLINI),
        "binarization": Entry("bench.audit.checks.attack.binarization", "Does the attack find an adversarial image that was planted?", _ZIMMERMANN),
    }
)  # fmt: skip


def find_check(name: str) -> Entry:
    """The check of this name.

    Raises:
        UserError: There is none.
    """
    if name not in TABLE:
        raise UserError("check-unknown", name=name, near=suggest(name, list(TABLE)))
    return TABLE[name]
