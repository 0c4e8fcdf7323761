"""Tables as LaTeX with booktabs."""

from __future__ import annotations

import re

from bench.stats.intervals import Interval
from leaderboards.tables import Cell, Table, percent, plain

SIGNS = (r"$^{\dagger}$", r"$^{\ddagger}$", r"$^{\S}$", r"$^{\P}$", r"$^{\Vert}$")
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "Δ": r"$\Delta$",
    "·": r"$\cdot$",
    "ρ": r"$\rho$",
    "σ": r"$\sigma$",
    "ε": r"$\varepsilon$",
    "≤": r"$\leq$",
}


def as_latex(table: Table) -> str:
    """A `table` environment; needs the packages booktabs and graphicx (to shrink tables wider than the column)."""
    aligned = "".join("l" if _is_text(table, place) else "r" for place in range(len(table.columns)))
    lines = [" & ".join(map(escape, table.columns)) + r" \\", r"\midrule"]
    for number, (heading, rows) in enumerate(table.groups):
        if heading:
            lines += [r"\addlinespace"] if number else []
            lines.append(rf"\multicolumn{{{len(table.columns)}}}{{l}}{{\emph{{{escape(heading)}}}}} \\")
        lines += [" & ".join(_cell(cell, table) for cell in row) + r" \\" for row in rows]
    caption = [rf"\caption{{{escape(table.title)}}}"] + ([rf"\label{{{table.label}}}"] if table.label else [])
    body = [rf"\begin{{tabular}}{{{aligned}}}", r"\toprule", *lines, r"\bottomrule", r"\end{tabular}"]
    fitted = [r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%", *body, "}"]
    return "\n".join([r"\begin{table}[t]", r"\centering", *caption, *fitted, *_notes(table), r"\end{table}"])


def escape(text: str) -> str:
    """Escapes LaTeX commands in a text; keeps `**bold**`."""
    bold = re.split(r"\*\*(.+?)\*\*", text)
    parts = ["".join(_SPECIAL.get(letter, letter) for letter in part) for part in bold]
    return "".join(rf"\textbf{{{part}}}" if place % 2 else part for place, part in enumerate(parts))


def sign(number: int) -> str:
    """The sign of a note: daggers first."""
    return SIGNS[number - 1] if number <= len(SIGNS) else rf"$^{{{number}}}$"


def _is_text(table: Table, place: int) -> bool:
    values = [row[place].value for row in table.rows]
    return any(isinstance(value, str) and not re.match(r"^[<.\d]", value) for value in values)


def _cell(cell: Cell, table: Table) -> str:
    value = cell.value
    if isinstance(value, Interval):
        text = percent(value, table.decimals, table.interval, signed=cell.signed, pm=r"{\scriptsize$\pm$")
        text = text.replace(" {", "~{") + "}" if table.interval == "pm" else _small_brackets(text)
        text = re.sub(r"(?<![\w.])-(?=\d)", "$-$", text)
    else:
        text = escape(plain(value, signed=cell.signed).strip("`"))
    text += rf" {{\scriptsize ({escape(cell.remark)})}}" if cell.remark and text else ""
    return (rf"\textbf{{{text}}}" if cell.bold and text else text) + "".join(map(sign, cell.marks))


def _small_brackets(text: str) -> str:
    return re.sub(r" (\[.*\])$", r"~{\\scriptsize \1}", text)


def _notes(table: Table) -> list[str]:
    numbered = [f"{sign(number)} {escape(note)}" for number, note in enumerate(table.notes, start=1)]
    plain_remarks = [escape(remark) for remark in table.sentences if not remark.startswith("```")]
    lines = [*numbered, *(remark for remark in plain_remarks if not remark.endswith(":"))]
    return [r"\par\smallskip\parbox{\linewidth}{\footnotesize", r"\newline ".join(lines), "}"] if lines else []
