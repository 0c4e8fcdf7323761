"""The registry of all built-in components."""

from __future__ import annotations

from bench.registry.registry import Registry, own_package


def make_registry() -> Registry:
    """The registry with all built-in tables.

    Raises:
        UserError: A foreign package shadows one of ours.
    """
    models, data = own_package("bench.models", "CLASSIFIERS"), own_package("bench.data", "TABLE")
    return Registry(
        {
            "defenses": own_package("defenses", "TABLE").TABLE,
            "attacks": own_package("attacks", "TABLE").TABLE,
            "datasets": data.TABLE,
            "classifiers": models.CLASSIFIERS,
            "score_models": models.SCORE_MODELS,
        }
    )
