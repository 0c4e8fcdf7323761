"""Attacks. These tables of presets are the only place that names them."""

from bench.registry.entry import Entry

_FULL = "https://arxiv.org/abs/1706.06083"
_BPDA = "https://arxiv.org/abs/1802.00420"
_APGD = "https://arxiv.org/abs/2003.01690"
_SQUARE = "https://arxiv.org/abs/1912.00049"

BASICS = {
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
    "pgd-eot": Entry(
        "attacks.pgd:pgd", "The same with gradients averaged over 20 fresh draws.", {"eot": 20}, cite=_BPDA
    ),
    "pgd-known": Entry(
        "attacks.pgd:pgd",
        "The same on the very draws that are scored, all of them jointly.",
        knowledge="known",
        cite=_FULL,
    ),
    "apgd-ce": Entry("attacks.apgd:apgd", "AutoPGD on cross-entropy.", {"loss": "ce"}, cite=_APGD),
    "apgd-dlr": Entry("attacks.apgd:apgd", "AutoPGD on the ratio of logit differences.", {"loss": "dlr"}, cite=_APGD),
    "apgd-t": Entry(
        "attacks.apgd:apgd", "AutoPGD toward each of the likeliest wrong classes.", {"loss": "target"}, cite=_APGD
    ),
    "apgd-eot": Entry(
        "attacks.apgd:apgd",
        "AutoPGD on cross-entropy averaged over 20 fresh draws.",
        {"loss": "ce", "eot": 20},
        cite=_APGD,
    ),
    "square": Entry(
        "attacks.square:square", "Random squares, scores only: 5,000 queries.", gradient="none", cite=_SQUARE
    ),
    "fgsm": Entry(
        "attacks.pgd:pgd",
        "One step of the length of the radius.",
        {"steps": 1, "start": "zero", "losses": ("ce",)},
        cite="https://arxiv.org/abs/1412.6572",
    ),
    "cw": Entry(
        "attacks.cw:cw",
        "The closest adversarial image in l2, by Adam and a binary search.",
        cite="https://arxiv.org/abs/1608.04644",
    ),
    "transfer": Entry(
        "attacks.transfer:transfer", "PGD on another classifier without a purifier.", parameter="classifier", cite=_FULL
    ),
    "null": Entry(
        "attacks.null:null", "Unchanged images: what a scoring rule gives without any attack.", gradient="none"
    ),
    "random": Entry(
        "attacks.random:random", "The worst of many uniform draws from the ball: no gradients.", gradient="none"
    ),
}

_REFERENCE = "attacks.autoattack:autoattack"

AUTOATTACK = {
    "autoattack": Entry(
        _REFERENCE,
        "AutoAttack standard, the reference code.",
        package="pyautoattack",
        cite=_APGD,
        suits="deterministic",
        instead="autoattack-rand",
    ),
    "autoattack-plus": Entry(
        _REFERENCE,
        "AutoAttack plus, the reference code.",
        {"version": "plus"},
        package="pyautoattack",
        cite=_APGD,
        suits="deterministic",
        instead="autoattack-rand",
    ),
    "autoattack-rand": Entry(
        _REFERENCE,
        "AutoAttack rand, the reference code; scored on fresh draws.",
        {"version": "rand"},
        package="pyautoattack",
        cite=_APGD,
    ),
    "autoattack-custom": Entry(
        _REFERENCE,
        "Parts of the reference code: -A attacks=apgd-ce,square.",
        {"version": "custom"},
        package="pyautoattack",
        cite=_APGD,
    ),
    "autoattack-fast": Entry(
        "attacks.ensemble:ensemble",
        "Own APGD (twice), targeted APGD and Square in turn; images leave as they break; unlike the reference, no FAB.",
        cite=_APGD,
    ),
    "torchattacks": Entry(
        "attacks.torchattacks:attack",
        "Any attack of torchattacks, by its class: torchattacks:PGD.",
        parameter="class",
        family=True,
        package="torchattacks",
        cite="https://arxiv.org/abs/2010.01950",
    ),
}

# Protocols, as the papers' tables state them. The step sizes were set for linf:8/255.
#   name                   gradient  steps  step   eot  start   loss         draws known  verdict
#   bpda-eot               bpda      50     2/255  15   random  ce           fresh        mean
#   lee-kim-2023           full      200    .007   20   zero    ce           fresh        mean, last iterate
#   dw-box-2024            full      20     2/255  -    random  ce           the 1 scored that draw
#   diffhammer-2024        grafted   20     -      10   random  cw, ce, dlr  fresh        mean
#   fixed-autoattack-2024  full      100    auto   20   random  ce, dlr      fresh        mean of 20, again above 0
#   robustbench            full      100    auto   -    random  AutoAttack   -            that of the reference code
PROTOCOLS = {
    "bpda-eot": Entry(
        "attacks.pgd:pgd",
        "BPDA with 15 fresh draws, 50 steps of 2/255 (Athalye, Carlini, Wagner, 2018).",
        {"steps": 50, "step_size": 2 / 255, "schedule": "constant", "losses": ("ce",), "eot": 15},
        gradient="bpda",
        remark="keeps the identity for the purifier's derivative and averages over draws, with the steps that purification papers use; scores the mean over fresh draws instead of the attacked ones",
        cite=_BPDA,
    ),
    "lee-kim-2023": Entry(
        "attacks.pgd:pgd",
        "PGD, 200 steps of .007, EOT 20, from the image (Lee, Kim, 2023).",
        {"steps": 200, "step_size": 0.007, "schedule": "constant", "losses": ("ce",), "start": "zero", "eot": 20},
        remark="keeps steps, step size, EOT, start and last iterate; changes the surrogate gradient through fewer purification steps to the exact one, and the score to the mean over fresh draws",
        cite="https://arxiv.org/abs/2303.09051",
    ),
    "dw-box-2024": Entry(
        "attacks.pgd:pgd",
        "Deterministic white box: the one scored draw is attacked, 20 steps of 2/255 (Liu et al., 2024).",
        {"steps": 20, "step_size": 2 / 255, "schedule": "constant", "losses": ("ce",)},
        knowledge="known",
        draws=1,
        remark="keeps steps, step size and the noise that attack and score share; keys it by image instead of by batch slot, and keeps the best iterate",
    ),
    "diffhammer-2024": Entry(
        "attacks.diffhammer:diffhammer",
        "Selective weights over 10 draws by EM, one grafted gradient (Wang et al., 2024).",
        remark="keeps the weights, 10 draws, 5 rounds, momentum, grafting and the three losses in turn; the back-propagation through the purifier is exact, and the score is taken on fresh draws instead of the attacked ones",
    ),
    "fixed-autoattack-2024": Entry(
        "attacks.ensemble:ensemble",
        "APGD-CE and APGD-DLR with EOT 20, judged by the mean over 20 draws, repeated above zero (Liu et al., 2024).",
        {"members": ("apgd-ce", "apgd-dlr"), "eot": 20, "verdict": 20},
        remark="keeps the verdict over 20 fresh draws and goes on with every image above zero; APGD is this package's, and the published score is taken on further draws",
    ),
    "robustbench": Entry(
        _REFERENCE,
        "RobustBench's protocol: AutoAttack standard (Croce et al., 2021).",
        package="pyautoattack",
        remark="keeps the attack as it is; the images are the first n of this package's order",
        cite="https://arxiv.org/abs/2010.09670",
        suits="deterministic",
        instead="autoattack-rand",
    ),
}

TABLE = {**BASICS, **AUTOATTACK, **PROTOCOLS}
