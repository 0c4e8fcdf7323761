"""How much an audit can exclude: what its images would not show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.audit.finding import BELIEVED, PASS, SKIPPED

EFFORT = "effort"
FEW = 32
"""Images of a quick audit: from so many on that nothing fired is called `believed`, below it only `passed`."""
PASSED = "passed"
CONFIDENCE = 0.95


def examined(audit: Mapping[str, Any]) -> tuple[str, int]:
    """The size and the number of images that every check of an audit had at least: the least of those that were made.

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
    """Whether fewer images were examined than `believed` takes."""
    count = examined(audit)[1]
    return isinstance(count, int) and count < FEW


def word(audit: Mapping[str, Any]) -> str:
    """The verdict, of which `believed` is but `passed` where fewer than 32 images were examined."""
    return PASSED if audit["verdict"] == BELIEVED and is_few(audit) else audit["verdict"]


def unseen(audit: Mapping[str, Any]) -> tuple[int, float]:
    """Images examined, and the largest share of images with an error that they do not exclude (Clopper-Pearson, one-sided 95 %).

    With no error on any of n images it is `1 - .05^(1/n)`, about `3 / n`; with some, as in the comparison that had the most.

    Arguments:
        audit: The content of `audit.json`, of which no check fired.
    """
    from scipy.stats import beta

    _, images = examined(audit)
    seen = [
        value.get("violations") for check in audit["checks"] for value in _values(check) if isinstance(value, Mapping)
    ]
    most = max((count for count in seen if isinstance(count, int)), default=0)
    return images, float(beta.ppf(CONFIDENCE, most + 1, images - most)) if most < images else 1.0


def excluded(audit: Mapping[str, Any]) -> tuple[int, float] | None:
    """Images of the check of more effort, and the largest gain of success in [0, 1] that its 95 % intervals allow.

    Arguments:
        audit: The content of `audit.json`.

    Returns:
        None if that check was not made, does not apply, or fired.
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
    """The upper end of a comparison's gain; None for a value that is none: the document may be a stranger's."""
    gain = value.get("gain") if isinstance(value, Mapping) else None
    high = gain.get("high") if isinstance(gain, Mapping) else None
    return high if isinstance(high, float) else None
