"""The parts of a record again, whose objects are given in Python or found in files."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bench.interface.asked import Asked
from bench.interface.parts import Parts, find_parts, images_named
from bench.objects.arguments import parameters_of
from bench.objects.classifiers import FOUND
from bench.objects.data import Loaded
from bench.objects.forms import made
from bench.records.header import Header
from bench.records.spec import Component
from bench.registry.arguments import complete
from bench.registry.entry import KIND_OF
from bench.registry.given import given
from bench.registry.registry import Registry, is_object
from bench.registry.tables import make_registry


def matched(asked: Asked, header: Header) -> Parts:
    """The parts of a record whose objects are given again, under the names of the objects that made it.

    Arguments:
        asked: Objects, or the names of their classes or functions in files, which get the recorded arguments.
        header: The record's header.

    Raises:
        UserError: A part is of the wrong kind.
    """
    spec, data = header.spec, header.labels.dataset or header.spec.dataset.name
    recorded = {role: getattr(spec, role) for role in ("defense", "attack", "classifier", "score_model")}
    ours = {role: _object_for(role, getattr(asked, role), part) for role, part in recorded.items() if part}
    changes: dict[str, Any] = {"data": asked.data or (None if is_object(data) else data)}
    normalize = spec.classifier.args.get("normalize")
    if asked.normalize == FOUND and isinstance(asked.classifier, str):
        changes["normalize"] = normalize
    parts = find_parts(replace(asked, **(ours | changes)))
    names = {KIND_OF[role]: part.name for role, part in recorded.items() if part} | {"datasets": data}
    objects = [replace(found, name=names.get(kind, found.name)) for (kind, _), found in parts.registry.objects.items()]
    if isinstance(asked.data, str) and is_object(data):
        images = replace(
            parts.images or images_named(asked.data, asked.data_dir, parts.registry, parts.cache),
            name=spec.dataset.name,
        )
        objects.append(given("datasets", spec.dataset.name, Loaded(images), values={}, label=spec.dataset.name))
    return replace(parts, registry=Registry(parts.registry.tables, objects))


def _object_for(role: str, part: Any, recorded: Component) -> Any:
    """A part of a record: None for one that its name finds; an object; or what a class in a file makes of the recorded arguments."""
    if not is_object(recorded.name):
        return None
    if not isinstance(part, str):
        return part
    target = make_registry().find(KIND_OF[role], part).load()
    if not isinstance(target, type):
        return target
    readable = {name: value for name, value in recorded.args.items() if name in parameters_of(target)}
    return made(target, role, complete(target, readable, what=part, flag=f"{role}_args"))
