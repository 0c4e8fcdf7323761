"""Packages that only some components need, and how to get them."""

from __future__ import annotations

from bench.errors import UserError

EXTRAS = {"torchattacks": "torchattacks", "diffusers": "hub", "scikit-learn": "digits", "ray": "ray"}
"""The extra of purebench that installs a distribution."""


def missing(package: str, error: Exception) -> UserError:
    """The sentence that says which extra a component needs.

    Arguments:
        package: A key of `EXTRAS`.
        error: What its import said.
    """
    return UserError(f'expected the package {package}, got "{error}"; pip install "purebench[{EXTRAS[package]}]"')
