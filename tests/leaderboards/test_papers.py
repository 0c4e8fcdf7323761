"""Paper tables and figures: cells from raw lines, bold by tests, notes, formats; LaTeX compiles."""

import csv
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from records_for_tables import full_set, header, record
from refused import refused

from leaderboards.formats.latex import escape
from leaderboards.papers.make import make

LONG = 40
COLUMNS = """
[[columns]]
title = "Clean"
value = "clean"
[[columns]]
title = "PGD"
attack = "pgd-full"
[[columns]]
title = "AA"
class = "AutoAttack"
[[columns]]
title = "Worst"
value = "worst_case"
"""


@pytest.fixture
def results(tmp_path):
    """`best` and `near` tie, `low` does not; `rho` 0 and 1 for an ablation; `low` has an exact and an inexact run."""
    full_set(tmp_path, "a", "best", "1" * LONG)
    full_set(tmp_path, "b", "near", "1" * (LONG - 2) + "00")
    full_set(tmp_path, "c", "low", "1" * 10 + "0" * (LONG - 10), checks={"gradient_error": 0.5, "deterministic": True})
    for run, rho in (("r0", 0.0), ("r1", 1.0)):
        record(tmp_path, header(run, "best", args={"rho": rho}), "1" * 30 + "0" * 10)
    record(tmp_path, header("s4", "best", args={"steps": 8}), "1" * 20 + "0" * 20)
    return tmp_path


def spec(folder, text, name="own"):
    (folder / f"{name}.toml").write_text(text)
    return str(folder / f"{name}.toml")


def rows_of(markdown):
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in markdown.splitlines() if line.startswith("|")
    ]


def right(results, run):
    (file,) = results.glob(f"*/*/{run}/samples.jsonl")
    return [int(line["adversarial"] == [line["label"]]) for line in map(json.loads, file.read_text().splitlines())]


def test_cells_bold_and_daggers(results, tmp_path):
    text, written = make(
        spec(tmp_path, 'decimals = 2\ninterval = "none"\ncaption = "Mine."\n' + COLUMNS), results=results
    )
    rows = rows_of(text)
    assert not written
    assert text.startswith("### Mine.")
    assert rows[0] == ["Defense", "Clean", "PGD", "AA", "Worst"]
    by_name = {row[0].rstrip("†‡§¶"): row[1:] for row in rows[2:]}
    assert by_name["best"] == ["**100.00**"] * 4
    assert by_name["near"] == ["**100.00**", "**95.00**", "**95.00**", "**95.00**"]
    assert by_name["low"][1:] == ["25.00", "25.00", "25.00"]
    assert by_name["best rho=0"][1:] == ["75.00", "", "75.00"]  # eight lost of eight: p = .008, .039 after Holm
    assert f"{100 * sum(right(results, 'b0')) / LONG:.2f}" == by_name["near"][1].strip("*")
    marks = next(row[0] for row in rows if row[0].startswith("low"))
    assert marks == "low†‡"
    assert "† small n  \n‡ gradient not exact" in text


def test_chosen_rows_groups_and_titles(results, tmp_path):
    rows = """
[[rows]]
defense = "low"
title = "Baseline"
group = "Old"
[[rows]]
defense = "best"
arguments = { rho = 0.0 }
group = "New"
[[rows]]
defense = "near"
"""
    text, _ = make(spec(tmp_path, rows + COLUMNS), results=results)
    assert [re.sub("[†‡]", "", row[0]) for row in rows_of(text)[2:]] == [
        "*Old*",
        "Baseline",
        "*New*",
        "best rho=0",
        "near",
    ]
    assert rows_of(text)[3][1] == "**100.0 ± 4.4**"


def test_the_ready_ablation_has_a_group_for_each_argument(results, tmp_path):
    source = (Path(__file__).parent.parent.parent / "leaderboards" / "specs" / "ablation.toml").read_text()
    text, _ = make(
        spec(
            tmp_path,
            source.replace('"dpsam"', '"best"').replace('["rho", "bank", "steps", "sigma"]', '["rho", "steps"]'),
        ),
        results=results,
    )
    assert [re.sub("[†‡§]", "", row[0]) for row in rows_of(text)[2:]] == [
        "*default*", "best", "*rho*", "rho = 0", "rho = 1", "*steps*", "steps = 8",
    ]  # fmt: skip


def test_csv_has_numbers(results, tmp_path):
    text, _ = make(spec(tmp_path, 'group = "kind"\n' + COLUMNS), results=results, output="csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    near = next(row for row in rows if row["Defense"] == "near")
    assert (near["group"], float(near["PGD"])) == ("deterministic", sum(right(results, "b0")) / LONG)
    assert float(near["PGD_low"]) < float(near["PGD"]) < float(near["PGD_high"])


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex (apt install texlive-latex-recommended)")
@pytest.mark.parametrize("interval", ["pm", "brackets", "none"])
def test_latex_compiles(interval, results, tmp_path):
    text, _ = make(
        spec(tmp_path, f'interval = "{interval}"\nlabel = "tab:own"\ncaption = "50 % of A&B_c"\n' + COLUMNS),
        results=results,
        output="latex",
    )
    source = (
        "\\documentclass[twocolumn]{article}\\usepackage{booktabs,graphicx}\\begin{document}\n"
        + text
        + "\nTable~\\ref{tab:own}\\end{document}\n"
    )
    (tmp_path / "own.tex").write_text(source)
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "own.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout


def test_what_latex_would_read_as_a_command():
    assert escape("50 % of A&B_c **bold**") == r"50 \% of A\&B\_c \textbf{bold}"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "paper-columns-missing"),
        ("kind = ", "paper-spec-damaged"),
        ('interval = "wide"\n' + COLUMNS, "paper-spec-value"),
        ('[[columns]]\ntitle = "x"\nvalue = "magic"', "paper-column-value"),
        (
            '[[columns]]\ntitle = "x"\nvalue = "clean"\nattack = "y"',
            "paper-column-kind",
        ),
        ('[[rows]]\ndefense = "x"\n' + COLUMNS, "table-row-unknown"),
        (
            '[ablation]\ndefense = "x"\nvary = ["rho"]\n' + COLUMNS,
            "table-ablation-default",
        ),
        (
            '[ablation]\ndefense = "best"\nvary = ["tau"]\n' + COLUMNS,
            "table-ablation-argument",
        ),
    ],
)
def test_specs_that_are_wrong(text, code, results, tmp_path):
    with refused(code):
        make(spec(tmp_path, text), results=results)


def test_names_and_formats_that_are_wrong(results, tmp_path):
    with refused("paper-spec-not-found"):
        make("x", results=results)
    with refused("figure-format"):
        make("main", results=results, output="pdf")
    full_set(results, "z", "best", "1" * 20, threat="linf:16/255")
    with refused("board-several", match="got 2 .*linf:16/255.*linf:8/255"):
        make("main", results=results)
    assert make("main", results=results, threat="linf:16/255") != make("main", results=results, threat="linf:8/255")
    with refused("board-several"):
        make("clean-robust", results=results, out=tmp_path)
