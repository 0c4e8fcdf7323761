"""The largest error that an audit does not exclude, by the number of its images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.audit.finding import BELIEVED, PASS, SKIPPED

EFFORT = "effort"
FEW = 32
"""Images of a quick audit: with at least so many, no fired check means `believed`, with fewer only `passed`."""
PASSED = "passed"
CONFIDENCE = 0.95


def examined(audit: Mapping[str, Any]) -> tuple[str, int]:
    """The least size and the least number of images among the checks of an audit.

    Arguments:
        audit: The content of `audit.json`.
    """
    checks = audit.get("checks")
    parts = [check for check in checks if isinstance(check, Mapping)] if isinstance(checks, list) else []
    made = [check for check in parts if check.get("verdict") != SKIPPED]
    sizes = [check.get("size", audit["size"]) for check in made] or [audit["size"]]
    counts = [count for check in made if isinstance(count := check.get("n"), int)]
    return next((size for size in sizes if size != "full"), "full"), min(counts, default=audit["n"])


def is_few(audit: Mapping[str, Any]) -> bool:
    """Whether too few images were examined for `believed`."""
    count = examined(audit)[1]
    return isinstance(count, int) and count < FEW


def word(audit: Mapping[str, Any]) -> str:
    """The verdict for people: `believed` becomes `passed` if fewer than 32 images were examined."""
    return PASSED if audit["verdict"] == BELIEVED and is_few(audit) else audit["verdict"]


def unseen(audit: Mapping[str, Any]) -> tuple[int, float]:
    """The number of images examined, and the largest share of images with an error that they do not exclude.

    It is the upper end of a one-sided 95 % Clopper-Pearson interval. With no error on `n` images it is `1 - .05^(1/n)`, about
    `3 / n`; else it is computed from the comparison with the most errors.

    Arguments:
        audit: The content of `audit.json`; no check fired.
    """
    from scipy.stats import beta

    _, images = examined(audit)
    seen = [
        value.get("violations") for check in audit["checks"] for value in _values(check) if isinstance(value, Mapping)
    ]
    most = max((count for count in seen if isinstance(count, int)), default=0)
    return images, float(beta.ppf(CONFIDENCE, most + 1, images - most)) if most < images else 1.0


def excluded(audit: Mapping[str, Any]) -> tuple[int, float] | None:
    """The images of the check `effort`, and the largest gain of success in [0, 1] that its 95 % intervals allow.

    Arguments:
        audit: The content of `audit.json`.

    Returns:
        None if the check was not made, does not apply, or fired.
    """
    for check in audit["checks"]:
        if check["name"] == EFFORT and check["verdict"] == PASS:
            highs = [high for high in map(_high, _values(check)) if high is not None]
            return (check["n"], max(0.0, *highs)) if highs else None
    return None


def _values(check: Mapping[str, Any]) -> list[Any]:
    values = check.get("values")
    return list(values.values()) if isinstance(values, Mapping) else []


def _high(value: Any) -> float | None:
    """The upper end of a comparison's gain; None for other values, since the document may come from anybody."""
    gain = value.get("gain") if isinstance(value, Mapping) else None
    high = gain.get("high") if isinstance(gain, Mapping) else None
    return high if isinstance(high, float) else None
