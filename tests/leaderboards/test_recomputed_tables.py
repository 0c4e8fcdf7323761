"""Every cell of Markdown and LaTeX boards, of the ready paper tables and of the figures, recomputed from the raw lines."""

import csv
import io
import re
from itertools import chain
from pathlib import Path

import pytest
from recomputed_boards import ENDS, FULL, boards_of, mean_over_seeds, rows_of
from recomputed_cells import curves_of, percent, row_cells, run_cells, says
from recomputed_statistics import holm, paired, share_interval

import leaderboards
from leaderboards.papers.make import make
from leaderboards.tables import plain

SPECS = Path(leaderboards.__file__).parent / "specs"
SIGNS = {"markdown": "†‡§¶‖", "latex": [r"$^{\dagger}$", r"$^{\ddagger}$", r"$^{\S}$", r"$^{\P}$", r"$^{\Vert}$"]}
SPECIAL = {r"\textless{}": "<", r"$\Delta$": "Δ", r"$\pm$": "±", r"\%": "%", r"\_": "_", r"\&": "&", r"\#": "#"}


def markdown_tables(text):
    """Title, column titles, rows of cells, and the text below, of each table."""
    for part in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in lines if row.startswith("|")]
        yield lines[0], cells[0], cells[2:], "\n".join(row for row in lines[1:] if not row.startswith("|"))


def latex_tables(text):
    """The same of LaTeX, with what stands for a letter turned back into it."""
    for part in text.split(r"\begin{table}")[1:]:
        part = re.sub(r"\{\\scriptsize *(.*?)\}", r"\1", part).replace("$-$", "-").replace("~", " ")
        for mark, letter in SPECIAL.items():
            part = part.replace(mark, letter)
        body, _, below = part.replace(r"\newline ", "\n").partition(r"\bottomrule")
        head, _, rows = body.partition(r"\toprule")[2].partition(r"\midrule")
        title = re.search(r"\\caption\{(.*)\}", part).group(1)
        cells = [[cell.strip() for cell in row.split(" & ")] for row in rows.split(r"\\") if row.strip()]
        yield title, [cell.strip() for cell in head.replace(r"\\", "").split(" & ")], cells, below


READERS = {"md": markdown_tables, "latex": latex_tables}


def imported_cells(row):
    return {
        "defense": row["name"], "clean %": 100 * row["clean"], "robust %": 100 * row["robust"],
        "imported from": row["source"], "flags": "unreliable" if row["unreliable"] else "", "link": row["link"],
    }  # fmt: skip


def tables_of(board, output):
    """The tables that a board must have: title, and the cells of each row."""
    name = f"{board['dataset']}, {board['threat']}"
    tables = {
        name if board["rows"] else "": [row_cells(row, board["required"], output) for row in board["rows"]],
        f"{name}: incomplete" if board["rows"] else name: [
            row_cells(row, board["required"], output) for row in board["incomplete"]
        ],
        f"{name}: imported for reference": list(map(imported_cells, board["imported"])),
        f"{name}: runs": [run_cells(row, run, output) for row in rows_of(board) for run in row["runs"]],
    }
    return [(title, rows) for title, rows in tables.items() if rows]


@pytest.mark.parametrize("output", ["md", "latex"])
def test_boards(output, recomputed):
    results, asked, boards, _ = recomputed
    text = leaderboards.render(results, output, **asked)
    wanted = [table for board in boards for table in tables_of(board, output)]
    for (title, columns, cells, below), (name, rows) in zip(READERS[output](text), wanted, strict=True):
        assert (title, len(cells)) == (name, len(rows))
        for number, (line, row) in enumerate(zip(cells, rows, strict=True)):
            assert set(columns) <= set(row) | set(chain(*rows)), f"{title}: not recomputed: {set(columns) - set(row)}"
            for column, cell in zip(columns, line, strict=True):
                says(cell, row.get(column), f"{title}, row {number}, {column}")
        said = dict(
            re.findall(
                r"\b(classifier|score model|n|draws|seeds|seed):? ([^;\n]+?)(?=; |\.\s|\.$)", below.partition("In ")[0]
            )
        )
        for column in set(chain(*rows)) - set(columns):
            values = {row.get(column) for row in rows}
            assert values <= {None, ""} or {said.get(column)} == set(map(str, values)), f"{title}: {column} left out"


def test_commands(recomputed):
    """What completes the rows asks for as many images as they have."""
    results, asked, boards, _ = recomputed
    parts = leaderboards.render(results, "md", **asked).split("What completes these rows:")[1:]
    for board, part in zip([board for board in boards if board["incomplete"]], parts, strict=True):
        lines = part.partition("```sh\n")[2].partition("\n```")[0].splitlines()
        wanted = [
            (row["defense"], row["draws"], max(20, row["n"]), preset)
            for row in board["incomplete"]
            for preset in row["presets"]
        ]
        for line, (_, _, n, preset) in zip(lines, dict.fromkeys(wanted), strict=True):
            assert re.search(rf"--attack {preset} .*-n {n}( |$)", line), line


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (9_999, "9999"),
        (10_000, "10000"),
        (12_345.0, "12345"),
        (0.12345, "0.1235"),
        (1234.56, "1235"),
        (194_596.32, "194596"),
    ],
)
def test_whole_numbers_keep_their_digits(number, text):
    assert plain(number) == text


def own_spec(folder, name, board):
    """A ready spec that names the board."""
    (folder / f"{name}.toml").write_text(f'threat = "{board["threat"]}"\n' + (SPECS / f"{name}.toml").read_text())
    return str(folder / f"{name}.toml")


def paper_groups(name, board):
    rows = rows_of(board)
    if name == "main":
        rows = sorted(rows, key=lambda row: -row["worst"]["value"])
        kinds = ["deterministic" if row["deterministic"] else "stochastic" for row in rows]
        return [
            (kind, [(row["defense"], row) for row, its in zip(rows, kinds, strict=True) if its == kind])
            for kind in dict.fromkeys(kinds)
        ]
    rows = [row for row in rows if row["name"] == "dpsam"]
    default = next(row for row in rows if row["defense"] == "dpsam")
    groups = [("default", [("dpsam", default)])]
    for argument in ("rho", "bank", "steps", "sigma"):
        changed = [
            row
            for row in rows
            if {key for key in default["arguments"] if row["arguments"][key] != default["arguments"][key]} == {argument}
        ]
        changed.sort(key=lambda row: row["arguments"][argument])
        groups += (
            [(argument, [(f"{argument} = {row['arguments'][argument]:g}", row) for row in changed])] if changed else []
        )
    return groups


def figures_of(row):
    """What a paper's columns say of a row: per-image shares, or a number."""
    runs = row["runs"]
    return {
        "Clean": row["clean_shares"], "Worst case": row["shares"],
        "PGD, full": mean_over_seeds(row, [run for run in runs if run["attack"].split(" ")[0] == "pgd-full"]),
        "BPDA": mean_over_seeds(row, [run for run in runs if run["class"] == "BPDA"]),
        "AutoAttack": mean_over_seeds(row, [run for run in runs if run["class"] == "AutoAttack"]),
        "EOT": row["eot"], "Score passes": row["passes"],
    }  # fmt: skip


def bold_places(columns):
    """The best of a column, and all that no paired test, corrected over the column, finds worse."""
    there = [place for place, shares in enumerate(columns) if shares]
    if len(there) < 2:
        return set()
    best = max(there, key=lambda place: sum(columns[place].values()) / len(columns[place]))
    others = [place for place in there if place != best]
    tests = []
    for place in others:
        both = [sample for sample in columns[place] if sample in columns[best]]
        tests.append(paired([columns[place][sample] for sample in both], [columns[best][sample] for sample in both]))
    return {best} | {place for place, p in zip(others, holm(tests), strict=True) if p >= 0.05}


def paper_table(name, board):
    """Headings and rows; a row is its title, its notes, and per column the interval or number and whether it is bold."""
    groups = paper_groups(name, board)
    rows = [row for _, part in groups for _, row in part]
    columns = [
        "Clean",
        "PGD, full",
        *(["BPDA", "EOT", "AutoAttack", "Worst case"] if name == "main" else ["Worst case", "Score passes"]),
    ]
    tested = [column for column in columns if column not in ("EOT", "Score passes")]
    bold = {column: bold_places([figures_of(row)[column] for row in rows]) for column in tested}
    notes, made, place = list(dict.fromkeys(flag for row in rows for flag in row["flags"])), [], 0
    for heading, part in groups:
        made.append(heading)
        for title, row in part:
            figures = figures_of(row)
            cells = {
                column: (share_interval(list(figures[column].values())) if figures[column] else None)
                if column in tested
                else figures[column]
                for column in columns
            }
            made.append(
                (
                    title,
                    [notes.index(flag) + 1 for flag in row["flags"]],
                    {column: (cell, place in bold.get(column, ())) for column, cell in cells.items()},
                )
            )
            place += 1
    return columns, notes, made, sorted({row["n"] for row in rows})


def without_marks(text, output):
    """A cell without its marks, and their numbers."""
    marks, signs = [], SIGNS["latex" if output == "latex" else "markdown"]
    numbered = r"\$\^\{(\d+)\}\$$" if output == "latex" else r"\((\d+)\)$"
    while True:
        sign = next((sign for sign in signs if text.endswith(sign)), None)
        number = re.search(numbered, text)
        if sign is None and number is None:
            return text, marks
        marks.insert(0, signs.index(sign) + 1 if sign else int(number.group(1)))
        text = text[: -len(sign)] if sign else text[: number.start()]


@pytest.fixture(scope="module", params=["main", "ablation"])
def paper(request, recomputed, tmp_path_factory):
    """A ready spec that names its board, the folder of records, and the table as other code computes it."""
    board = boards_for_papers(recomputed, request.param)[0]
    spec = own_spec(tmp_path_factory.mktemp("paper"), request.param, board)
    return spec, recomputed[0], paper_table(request.param, board)


@pytest.mark.parametrize("output", ["md", "latex"])
def test_paper_tables(output, paper):
    spec, results, (columns, notes, wanted, counts) = paper
    text, _ = make(spec, results=results, output=output)
    ((_, titles, rows, below),) = READERS[output](text)
    assert titles == ["Defense", *columns]
    assert len(rows) == len(wanted)
    for line, told in zip(rows, wanted, strict=True):
        if isinstance(told, str):
            assert re.search(rf"^\*{told}\*$|\\emph\{{{told}\}}", line[0])
            continue
        title, marks, cells = told
        assert without_marks(line[0], output) == (title, marks)
        for column, cell in zip(columns, line[1:], strict=True):
            figure, bold = cells[column]
            plain = re.sub(r"^\*\*(.*)\*\*$|^\\textbf\{(.*)\}$", lambda found: found.group(1) or found.group(2), cell)
            assert (plain != cell) == bold, f"{title}, {column}: {cell} bold"
            says(plain, percent(figure, "latex") if isinstance(figure, dict) else figure, f"{title}, {column}")
    signs = re.findall(r"^(?:\S+) (.*?)(?:  )?$", below.strip(), re.MULTILINE) if output == "md" else below
    assert all(note in signs for note in notes)
    assert (f"n = {counts[0]};" if len(counts) == 1 else f"n from {counts[0]} to {counts[-1]};") in below


def test_paper_tables_as_csv(paper):
    spec, results, (columns, notes, wanted, _) = paper
    text, _ = make(spec, results=results, output="csv")
    lines = [told for told in wanted if not isinstance(told, str)]
    for found, (title, marks, cells) in zip(csv.DictReader(io.StringIO(text)), lines, strict=True):
        told = {"Defense": title, "Defense notes": "; ".join(notes[mark - 1] for mark in marks)}
        assert {key: found.pop(key, "") for key in told} == told
        assert found.pop("group") in wanted
        numbers = {}
        for column in columns:
            figure, _ = cells[column]
            ends = figure if isinstance(figure, dict) else {"value": figure, "low": None, "high": None}
            numbers |= {column: ends["value"], f"{column}_low": ends["low"], f"{column}_high": ends["high"]}
        assert set(found) <= set(numbers), f"not recomputed: {set(found) - set(numbers)}"
        for column, cell in numbers.items():
            assert (float(found[column]) if found.get(column) else None) == pytest.approx(cell, abs=1e-9), (
                title,
                column,
            )


def boards_for_papers(recomputed, name="main"):
    """The boards that a ready spec is about, the largest first: with what it requires."""
    boards = boards_of(recomputed[0], required=(FULL,)) if name == "ablation" else recomputed[3]
    return sorted(boards, key=lambda board: -len(rows_of(board)))


class Axes:
    """Keeps what is drawn into it."""

    def __init__(self):
        self.drawn = []

    def errorbar(self, x, y, *, yerr, label, xerr=None, markerfacecolor="", **_):
        self.drawn.append((label, list(x), list(y), yerr, xerr, markerfacecolor == "white"))

    def __getattr__(self, name):
        return lambda *_, **__: ([], [])


def errors(interval):
    value, low, high = (100 * interval[end] for end in ENDS)
    return [value - low, high - value]


def test_points_of_figures(recomputed):
    """Robust against clean and against cost: a point a row, hollow where it is incomplete, with its errors."""
    from leaderboards.boards import collect
    from leaderboards.papers.figures import _cost, _scatter

    results = recomputed[0]
    (board, *_) = boards_for_papers(recomputed)
    made = collect(results, threat=board["threat"])
    scatter, cost = Axes(), Axes()
    _scatter(scatter, made, 8)
    _cost(cost, made, 8)
    for drawn, rows in (
        (scatter.drawn, rows_of(board)),
        (cost.drawn, [row for row in rows_of(board) if row["passes"] is not None]),
    ):
        for (label, x, y, up, across, hollow), row in zip(drawn, rows, strict=True):
            wanted = 100 * row["clean"]["value"] if drawn is scatter.drawn else row["passes"]
            assert (label, hollow) == (row["defense"], bool(row["missing"]))
            assert x + y == pytest.approx([wanted, 100 * row["worst"]["value"]])
            assert [end for (end,) in up] == pytest.approx(errors(row["worst"]), abs=1e-9)
            assert across is None or [end for (end,) in across] == pytest.approx(errors(row["clean"]), abs=1e-9)
            assert (across is None) == (drawn is cost.drawn)


def test_security_curves_of_figures(recomputed):
    """A curve a defense, classifier and number of draws: its clean accuracy at radius 0, then the worst case at each radius."""
    from leaderboards.boards import collect
    from leaderboards.papers.figures import _curve

    axes, curves = Axes(), curves_of([board for board in recomputed[3] if board["threat"].startswith("linf")])
    _curve(axes, [board for board in collect(recomputed[0]) if board.threat.startswith("linf")], 8)
    for (label, x, y, up, _, _), (name, rows) in zip(axes.drawn, sorted(curves.items()), strict=True):
        alike = [other for other in curves if other[0] == name[0]]
        parts = [
            name[0],
            *(part for place, part in enumerate(name) if place and len({other[place] for other in alike}) > 1),
        ]
        points = [rows[0][1]["clean"], *(row["worst"] for _, row in rows)]
        assert (label, x) == (
            ", ".join(parts),
            pytest.approx([0, *(level for level, _ in rows)]),
        )
        assert y == pytest.approx([100 * point["value"] for point in points])
        assert [list(pair) for pair in zip(*up, strict=True)] == [
            pytest.approx(errors(point), abs=1e-9) for point in points
        ]
