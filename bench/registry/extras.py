"""Optional packages that some components need."""

from __future__ import annotations

from bench.errors import UserError

EXTRAS = {
    "torchattacks": "torchattacks",
    "diffusers": "hub",
    "scikit-learn": "digits",
    "ray": "ray",
    "pyarrow": "parquet",
}
"""The extra of purebench that installs each distribution."""


def missing(package: str, error: Exception) -> UserError:
    """The error that names the missing extra.

    Arguments:
        package: A key of `EXTRAS`.
        error: The error of its import.
    """
    return UserError("package-missing", package=package, error=error, extra=EXTRAS[package])
