"""The time that a call takes."""

import time


def seconds(function) -> float:
    """Wall-clock seconds of one call."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started
