"""Suggestions for options that do not exist."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.errors import UserError

OF_THE_THREAT = ("--eps", "--epsilon", "--norm", "--radius")
PARTS = ("defense", "attack")
"""The parts of a run whose arguments users may mistake for options."""


def hint(words: Sequence[str], option: str) -> str:
    """`; ` and what to write instead of an unknown option of `bench run`; empty without a suggestion.

    Arguments:
        words: The command line after `bench`.
        option: The option that does not exist.
    """
    if words[:1] != ["run"]:
        return ""
    if option in OF_THE_THREAT:
        return "; the threat model has norm and radius: write --threat linf:8/255"
    name = option.lstrip("-").replace("-", "_")
    owners = [
        f"of the {part} {owner}: write {flag} {name}={_value(words, option) or 'VALUE'}"
        for part, owner, flag in _parts(words, name)
    ]
    return f"; it is an argument {', or '.join(owners)}" if owners else ""


def _parts(words: Sequence[str], argument: str) -> Iterator[tuple[str, str, str]]:
    """The parts of the run that take an argument: the role of each, its name, and its flag."""
    from bench.plan.request import Request
    from bench.registry.arguments import adjustable
    from bench.registry.entry import FLAGS, KIND_OF
    from bench.registry.tables import make_registry

    registry, defaults = make_registry(), Request()
    for part in PARTS:
        owner = _value(words, f"--{part}") or getattr(defaults, part)
        try:
            if argument in adjustable(registry.find(KIND_OF[part], owner).load()):
                yield part, owner, FLAGS[KIND_OF[part]]
        except UserError:
            continue


def _value(words: Sequence[str], option: str) -> str:
    """The last value of an option, after a blank or `=`; empty if there is none."""
    for place, word in reversed(list(enumerate(words))):
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
        if word == option and place + 1 < len(words) and not words[place + 1].startswith("-"):
            return words[place + 1]
    return ""
