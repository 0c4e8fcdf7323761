"""The names in a record, which a plan of its run would look up, and those that run code."""

from __future__ import annotations

from bench.errors import UserError
from bench.records.header import Header
from bench.registry.entry import KIND_OF
from bench.registry.registry import Registry
from bench.registry.trust import file_of, runs_code


def names_of(header: Header) -> list[tuple[str, str]]:
    """Everything that a plan of a recorded run would look up, with its kind.

    Arguments:
        header: The record's header.
    """
    spec = header.spec
    parts = ((kind, getattr(spec, role)) for role, kind in KIND_OF.items() if role != "dataset")
    names = [(kind, part.name) for kind, part in parts if part]
    names.append(("datasets", header.labels.dataset or spec.dataset.name))
    surrogate = spec.attack.args.get("classifier")
    return names + ([("classifiers", surrogate)] if isinstance(surrogate, str) else [])


def code_of(registry: Registry, header: Header) -> list[str]:
    """The names by which a recorded run would import code when it is run again, whether or not their file exists here.

    Names that no longer exist are left out.

    Arguments:
        registry: What names stand for.
        header: The record's header.
    """

    def is_code(kind: str, name: str) -> bool:
        try:
            return runs_code(registry, kind, name)
        except UserError:
            return bool(file_of(name))

    return list(dict.fromkeys(name for kind, name in names_of(header) if is_code(kind, name)))
