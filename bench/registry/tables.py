"""The registry of everything that is built in."""

from __future__ import annotations

from bench.registry.registry import Registry, own_package


def make_registry() -> Registry:
    """The registry with all built-in tables.

    Raises:
        UserError: A foreign package of one of our names was imported instead.
    """
    models = own_package("bench.models", "CLASSIFIERS")
    return Registry(
        {
            "defenses": own_package("defenses", "TABLE").TABLE, "attacks": own_package("attacks", "TABLE").TABLE,
            "datasets": own_package("bench.data", "TABLE").TABLE, "classifiers": models.CLASSIFIERS, "score_models": models.SCORE_MODELS,
        }
    )  # fmt: skip
