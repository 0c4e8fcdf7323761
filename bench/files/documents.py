"""Untrusted JSON and TOML: limited in size and depth, and free of terminal control characters."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.errors import UserError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MOST_BYTES = 16 * 1024 * 1024
"""Largest size of a document; those of this package have some kilobytes."""
DEEPEST = 32
"""Largest depth of nested tables and lists."""
PLAIN = "\n\t"
"""Control characters that are allowed."""
DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
"""Bidirectional classes of characters that change the text direction."""


def read_json(file: Path) -> Any:
    """The value in a JSON file.

    Raises:
        UserError: The file is missing, too large, nested too deep, no JSON, or holds terminal control characters.
    """
    return _read(file, "JSON", json.loads)


def read_toml(file: Path) -> dict[str, Any]:
    """The table in a TOML file.

    Raises:
        UserError: As for JSON.
    """
    return _read(file, "TOML", lambda content: tomllib.loads(content.decode()))


def bounded(file: Path, most: int = MOST_BYTES) -> bytes:
    """The content of a file of at most `most` bytes.

    Raises:
        UserError: The file is missing, not a plain file, or larger.
    """
    try:
        if file.exists() and not file.is_file():
            raise UserError("file-not-regular", file=file)
        with open(file, "rb") as stream:
            content = stream.read(most + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError("file-unreadable", file=file, reason=reason) from error
    if len(content) > most:
        raise UserError("file-too-large", mebibytes=most >> 20, file=file)
    return content


def printable(text: object) -> str:
    """The text with control characters, and those that change the text direction, replaced by escapes."""
    return "".join(
        character if _harmless(character) else character.encode("unicode_escape").decode() for character in str(text)
    )


def check_printable(value: Any, file: Path) -> None:
    """Raises `UserError` if a text in a JSON value is not `printable`, or the value is nested too deep."""
    for text, where in _texts(value, "", file):
        if not all(map(_harmless, text)):
            raise UserError("file-control-characters", file=file, where=printable(where) or "it")


def _read(file: Path, kind: str, parse: Any) -> Any:
    content = bounded(file)
    try:
        value = parse(content)
    except RecursionError as error:
        raise _too_deep(file) from error
    except ValueError as error:
        raise UserError("document-damaged", kind=kind, file=file, error=error) from error
    check_printable(value, file)
    return value


def _texts(value: Any, where: str, file: Path, depth: int = 0) -> Iterator[tuple[str, str]]:
    if depth > DEEPEST:
        raise _too_deep(file)
    if isinstance(value, str):
        yield value, where
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield str(key), where
            yield from _texts(inner, f"{where}.{key}" if where else str(key), file, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, where, file, depth + 1)


def _too_deep(file: Path) -> UserError:
    return UserError("document-too-deep", deepest=DEEPEST, file=file)


def _harmless(character: str) -> bool:
    """Whether a character is no control character, no change of text direction and no half of a surrogate pair."""
    return character in PLAIN or not (
        unicodedata.category(character) in ("Cc", "Cs") or unicodedata.bidirectional(character) in DIRECTIONS
    )
