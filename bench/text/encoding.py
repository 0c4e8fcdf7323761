"""Output streams of any encoding: characters that a stream cannot encode are written in ASCII."""

from __future__ import annotations

import codecs
import io
from types import MappingProxyType
from typing import TextIO

PLAIN = MappingProxyType(
    {
        "≥": ">=", "≤": "<=", "≠": "!=", "≈": "~", "±": "+-", "−": "-", "–": "-", "—": "-", "‑": "-", "×": "x",
        "·": "-", "•": "*", "…": "...", "→": "->", "←": "<-", "Δ": "Delta", "ε": "eps",
        "σ": "sigma", "ρ": "rho", "μ": "mu",
        "α": "alpha", "∞": "inf", "√": "sqrt", "²": "^2", "✅": "yes", "✓": "yes", "❌": "no", "✗": "no", "†": "+",
        "‡": "++", "§": "#", "‖": "||", "¶": "##", "‘": "'", "’": "'", "“": '"', "”": '"', "°": " deg", "\u00a0": " ",
        "\u202f": " ", "\u2009": " ", "█": "#", "━": "-", "─": "-", "╸": "-", "╺": "-", "│": "|",
    }
)  # fmt: skip
"""ASCII for the characters that purebench prints; others become escapes, as in `\\u540d`."""
NAME = "purebench.plain"
REPLACED = ("strict", "surrogateescape", "backslashreplace")
"""Python's default error handlers; any other one was set by the user."""


def widen(stream: TextIO) -> None:
    """Lets a stream write any character; an error handler that the user set is kept."""
    if isinstance(stream, io.TextIOWrapper) and stream.errors in REPLACED:
        stream.reconfigure(errors=NAME)


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    sign = error.object[error.start]
    if sign in PLAIN:
        return PLAIN[sign], error.start + 1
    one = UnicodeEncodeError(error.encoding, error.object, error.start, error.start + 1, error.reason)
    return codecs.backslashreplace_errors(one)


codecs.register_error(NAME, _plain)
