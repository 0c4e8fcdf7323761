"""Errors of the catalogue, in tests: `with refused("threat-radius"): ...`."""

from contextlib import contextmanager

import pytest

from bench.errors import BenchError


@contextmanager
def refused(code, *, kind=BenchError, match=None):
    """Asserts that the body raises an error of this code, and gives pytest's info of it.

    Arguments:
        kind: Class of the error, where the class is the point of the test.
        match: Pattern for the sentence, where a value in it is the point of the test.
    """
    with pytest.raises(kind, match=match) as caught:
        yield caught
    assert caught.value.code == code, caught.value.message
