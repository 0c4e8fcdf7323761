"""The command that reproduces a run, from its record."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from bench.records.header import Header
from bench.records.spec import Component
from bench.registry.registry import is_object


def run_words(header: Header, samples: int, *, attack: str | None = None, results: str | None = None) -> list[str]:
    """The words of `bench run` for a recorded run, or for the same run under another attack.

    Arguments:
        header: The record's header.
        samples: Number of images.
        attack: A preset that replaces the recorded attack and its arguments.
        results: The folder for `--results`.
    """
    spec, labels = header.spec, header.labels
    words = ["bench", "run", "--defense", _spelled(spec.defense.name), *_changed(spec.defense, labels.defense, "-D")]
    if attack is None:
        words += ["--attack", _spelled(spec.attack.name), *_changed(spec.attack, labels.attack, "-A")]
    else:
        words += ["--attack", attack]
    data = labels.dataset or spec.dataset.name
    words += ["--dataset", "npz:FILE" if is_object(data) else data, "--threat", spec.threat, "-n", str(samples)]
    words += ["--classifier", _spelled(spec.classifier.name), *_all(spec.classifier, "-C")]
    if spec.score_model:
        words += ["--score-model", _spelled(spec.score_model.name), *_all(spec.score_model, "-S")]
    words += ["--draws", str(spec.draws)] if spec.draws > 1 else []
    words += ["--seed", str(spec.seed)] if spec.seed else []
    words += ["--batch-size", str(spec.batch_size)] if spec.batch_size else []
    return words + (["--results", results] if results not in (None, "results") else [])


def run_command(header: Header, samples: int, **options: str | None) -> str:
    """`run_words` as one line that can be pasted into a shell."""
    return shlex.join(run_words(header, samples, **options))


def given_arguments(part: Component, label: str) -> dict[str, Any]:
    """The arguments that differ from the defaults: the label names them, the spec has their values."""
    named = {word.partition("=")[0] for word in label.removeprefix(part.name).split() if "=" in word}
    return {key: value for key, value in part.args.items() if key in named}


def _spelled(name: str) -> str:
    """A name as the command line takes it; an object of a Python session is asked for in a file of the user's."""
    return f"FILE.py:{name.partition(':')[2]}" if is_object(name) else name


def _changed(part: Component, label: str, flag: str) -> list[str]:
    return _options(given_arguments(part, label), flag)


def _all(part: Component, flag: str) -> list[str]:
    """All arguments except one that the name already contains, as in `weights:PATH`; none of an object, whose file makes it."""
    if is_object(part.name):
        return []
    rest = part.name.partition(":")[2]
    return _options({key: value for key, value in part.args.items() if value != rest or not rest}, flag)


def _options(arguments: Mapping[str, Any], flag: str) -> list[str]:
    return [word for key, value in arguments.items() for word in (flag, f"{key}={argument_text(value)}")]


def argument_text(value: Any) -> str:
    """A value as it is written on the command line."""
    if isinstance(value, list | tuple):
        return ",".join(map(argument_text, value))
    return "none" if value is None else str(value)
