"""The claims of a defense, verified on a few images before the run and stored in the record's header."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor

from bench.claims.batch import batch_size, batch_size_in_double
from bench.claims.draws import other_draws
from bench.claims.ends import at_the_ends
from bench.claims.finite import finite
from bench.claims.gradient import SAME, Slope, gradient_error, look, nonzero, of_gradient
from bench.claims.likeness import alike
from bench.claims.logits import outputs
from bench.claims.modes import modes
from bench.claims.operations import SETTLE, keyed, operations
from bench.claims.passes import work
from bench.claims.repetition import Scoring, repetition
from bench.claims.twin import Twin, interior, twin_of
from bench.defended import DefendedClassifier
from bench.errors import CoupledError, UserError
from bench.foreign import blamed, out_of_memory
from bench.gradient import GradientMode
from bench.keyed import ALONE, OPERATIONS, ForeignDrawsError
from bench.keyed.draws import not_keyed
from bench.keyed.generators import restored
from bench.models.inspection import advice_on, inspect_classifier
from bench.noise import Noise
from bench.plan.plan import Plan
from bench.protocols import Images
from bench.records.claim import FAILED, Claim

__all__ = ["IMAGES", "REFUSED", "gradient_error", "interior", "measure_claims", "verify_claims"]

IMAGES = 4
COUPLED = ("batch size", "batch size, float64")
REFUSED = {
    "repeats": "defense-not-repeatable",
    "other seed": "defense-global-seed",
    "global state": "defense-global-state",
    "alone": "defense-mixes-images",
    "permuted": "defense-batch-order",
    **dict.fromkeys(COUPLED, "defense-batch-size"),
    "modes": "defense-train-mode",
    "not softmax": "defense-probabilities",
}
"""Codes of the errors of checks whose failure makes the robust accuracy meaningless, so that the run is refused.

Other failures are recorded and shown.
"""


DRAWN = {"repeats", "other seed", "global state"}
"""Checks that fail if a defense draws from other generators than its noise."""


def verify_claims(plan: Plan, model: DefendedClassifier, scoring: Scoring, x: Images, noise: Noise) -> dict[str, Any]:
    """Verifies determinism, range, gradient and the other cheap claims; returns them as JSON.

    Arguments:
        plan: The parts of the run.
        model: The deployed defense, under full gradients if it has any.
        scoring: Scores a view.
        x: A few images, float32, on the run's device.
        noise: Their draws.

    Raises:
        ForeignDrawsError: A stochastic defense draws elsewhere, and its draws are not keyed, or not by these means.
        CoupledError: An image's result depends on the batch size, so that the run has to go image by image.
        UserError: A claim of `REFUSED` failed, or the defense leaves [0, 1], or the classifier has other classes
            or is no classifier (`inspect_classifier`).
    """
    name = plan.spec.defense.name
    with restored():
        logits = _first_logits(plan, model, scoring, x, noise)
    if not _fits(logits.shape[1], plan.dataset.classes):
        raise UserError(
            "classifier-classes", classes=len(plan.dataset.classes), dataset=plan.dataset.name, outputs=logits.shape[1]
        )
    inspect_classifier(plan.classifier, 0.1 + 0.8 * x, f"the classifier {plan.spec.classifier.name}")
    with restored():
        checks, claims = measure_claims(plan, model, scoring, x, noise)
    for claim in claims:
        if claim.verdict == FAILED and claim.check in REFUSED:
            if plan.spec.keyed == ALONE and claim.check in DRAWN:
                raise not_keyed(name)
            error = CoupledError if claim.check in COUPLED else UserError
            error = error if model.deterministic or claim.check not in _foreign(plan) else ForeignDrawsError
            raise error(REFUSED[claim.check], defense=name, got=_got(claim), advice=claim.meaning.rpartition("; ")[2])
    return checks | {"claims": [claim.as_dict() for claim in claims]}


def _foreign(plan: Plan) -> set[str]:
    """The checks that fail if the draws of a stochastic defense have to be keyed, or by other means than those of the plan."""
    return SETTLE | {*COUPLED} if plan.spec.keyed == OPERATIONS else DRAWN


def measure_claims(
    plan: Plan, model: DefendedClassifier, scoring: Scoring, x: Images, noise: Noise
) -> tuple[dict[str, Any], list[Claim]]:
    """Measures everything, whether it passes or not: the older figures of `checks`, and the claims.

    A claim that needs another one is measured only if that one passed: modes first, then determinism, then the rest. The
    arguments are those of `verify_claims`.

    Raises:
        UserError: The defense leaves [0, 1], or has no gradients although it says so.
    """
    scorer = partial(scoring, model.view(GradientMode.NONE))
    claims = [modes(**{"classifier": plan.classifier, "score model": plan.score, "defense": model.defense})]
    if claims[0].verdict != FAILED:
        claims += repetition(scorer, x, noise)
    if _none_failed(claims):
        twin, more = _batches(plan, model, scoring, x, noise)
        claims += more
    if not _none_failed(claims):
        return {"deterministic": model.deterministic}, claims
    claims += [] if model.deterministic else [other_draws(model, x, noise)]
    logits, passes = _counted(model, lambda: scorer(x, noise), noise)
    results: list[Tensor] = []
    shrunk = 0.1 + 0.8 * x  # a purified image that the classifier returned as it is would not look like probabilities
    claims += operations(lambda: results.extend((_purified(plan, model, x, noise), scorer(shrunk, noise))))
    pure, inner_logits = results
    claims += outputs(inner_logits)
    checks: dict[str, Any] = {
        "deterministic": model.deterministic,
        "range": [float(pure.min()), float(pure.max())],
        "differentiable": model.mode is GradientMode.FULL,
    }
    if model.mode is not GradientMode.FULL:
        return checks, keyed([*claims, work(model.defense, passes, passes, model.ballots)])
    figures, more = _of_gradient(plan, model, scoring, x, noise, logits, passes, twin)
    return checks | figures, keyed(claims + more)


def _batches(
    plan: Plan, model: DefendedClassifier, scoring: Scoring, x: Images, noise: Noise
) -> tuple[Twin | None, list[Claim]]:
    """The copy in double precision, if there is a derivative, and the claims on batch sizes unless the run goes image by image."""
    own, sizes = plan.spec.batch_size, (1, IMAGES)
    claims = [] if own else [batch_size(model, scoring, x, noise, sizes)]
    if not _none_failed(claims):
        return None, claims
    twin = twin_of(plan, x, noise, own or IMAGES) if model.mode is GradientMode.FULL else None
    return twin, claims + ([] if own else [batch_size_in_double(twin, scoring, sizes)])


def _none_failed(claims: list[Claim]) -> bool:
    return all(claim.verdict != FAILED for claim in claims)


def _of_gradient(
    plan: Plan,
    model: DefendedClassifier,
    scoring: Scoring,
    x: Images,
    noise: Noise,
    logits: Tensor,
    passes: dict[str, int],
    twin: Twin | None,
) -> tuple[dict[str, Any], list[Claim]]:
    """Figures and claims of the attacker's view: its forward pass, its work, and its gradient."""
    model.tally.counts.clear()
    slope = _slope(plan, model, x, noise)
    error, exactness = of_gradient(model.sized(plan.spec.batch_size or IMAGES), x, noise, twin, scoring)
    whole, zero = finite(model, x, noise, plan.threat, twin), nonzero(slope.gradient)
    figures = {
        "gradient_finite": whole.verdict != FAILED,
        "gradient_nonzero": 1 - zero.value,
        "gradient_error": error,
    }
    forward = alike("same forward", slope.logits, logits, SAME)
    ends = at_the_ends(twin if _none_failed(exactness) else None)
    passed = work(model.defense, slope.passes, passes, model.ballots)
    return figures, [forward, *exactness, ends, whole, zero, passed]


def _counted(model: DefendedClassifier, evaluate: Callable[[], Tensor], noise: Noise) -> tuple[Tensor, dict[str, int]]:
    """Logits, and the passes that they took for the first image."""
    model.tally.counts.clear()
    return evaluate(), model.tally.of(int(noise.ids[0]))


def _got(claim: Claim) -> str:
    """The measured value of a failed claim."""
    value = claim.value
    if isinstance(value, bool):
        return "probabilities" if value else "it changed"
    if isinstance(value, list):
        return ", ".join(value)
    return f"a difference of {value:.1e}" if isinstance(value, float) else str(value)


def _fits(logits: int, classes: tuple[str, ...]) -> bool:
    """Whether the number of logits fits: equal for named classes, at least as many for numbered ones."""
    numbered = classes == tuple(map(str, range(len(classes))))
    return logits >= len(classes) if numbered else logits == len(classes)


def _first_logits(plan: Plan, model: DefendedClassifier, scoring: Scoring, x: Images, noise: Noise) -> Tensor:
    task = f"the classifier to take images of shape {tuple(x.shape[1:])} as {plan.dataset.name} holds them"
    with blamed(task, lambda: advice_on(plan.classifier, x)):
        return scoring(model.view(GradientMode.NONE), x, noise)


def _purified(plan: Plan, model: DefendedClassifier, x: Images, noise: Noise) -> Images:
    pure = model.purify(x, noise).detach()
    if pure.min() < -1e-6 or pure.max() > 1 + 1e-6:
        raise UserError("defense-range", defense=plan.spec.defense.name, low=float(pure.min()), high=float(pure.max()))
    return pure


def _slope(plan: Plan, model: DefendedClassifier, x: Images, noise: Noise) -> Slope:
    try:
        return look(model, x, noise)
    except RuntimeError as error:
        if out_of_memory(error):
            raise
        raise UserError(
            "defense-no-gradient", defense=plan.spec.defense.name, kind=type(error).__name__, error=error
        ) from error
