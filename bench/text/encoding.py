"""Output streams of any encoding: what one cannot say is written in ASCII, so that no summary is lost to a terminal."""

from __future__ import annotations

import codecs
import io
from types import MappingProxyType
from typing import TextIO

PLAIN = MappingProxyType(
    {
        "≥": ">=", "≤": "<=", "≠": "!=", "≈": "~", "±": "+-", "−": "-", "–": "-", "—": "-", "‑": "-", "×": "x", "·": "-", "•": "*",
        "…": "...", "→": "->", "←": "<-", "Δ": "Delta", "ε": "eps", "σ": "sigma", "ρ": "rho", "μ": "mu", "α": "alpha", "∞": "inf",
        "√": "sqrt", "²": "^2", "✅": "yes", "✓": "yes", "❌": "no", "✗": "no", "†": "+", "‡": "++", "§": "#", "‖": "||", "¶": "##",
        "‘": "'", "’": "'", "“": '"', "”": '"', "°": " deg", "\u00a0": " ", "\u202f": " ", "\u2009": " ", "█": "#", "━": "-", "─": "-",
        "╸": "-", "╺": "-", "│": "|",
    }
)  # fmt: skip
"""Signs of our own texts in ASCII; any other character becomes its escape, as in `\\u540d`."""
NAME = "purebench.plain"
REPLACED = ("strict", "surrogateescape", "backslashreplace")
"""Ways to treat what cannot be encoded that Python chooses by itself; any other was asked for."""


def widen(stream: TextIO) -> None:
    """Makes a stream write everything, whatever its encoding; one that was told how to treat errors keeps to that."""
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
