"""Every cell of Markdown and LaTeX boards, of the ready paper tables and of the figures, recomputed from the raw lines."""

import csv
import io
import re
from itertools import chain, pairwise
from pathlib import Path

import pytest
from recomputed_boards import ENDS, FULL, boards_of, mean_over_seeds, rows_of
from recomputed_cells import curves_of, percent, row_cells, rule_cells, run_cells, says, submission_cells
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
    name, title = f"{board['dataset']}, {board['threat']}", board["title"]
    stochastic = [row for row in rows_of(board) if row["draw_figures"]]
    tables = {
        title if board["rows"] else "": [row_cells(row, board["required"], output) for row in board["rows"]],
        f"{title}: incomplete" if board["rows"] else title: [
            row_cells(row, board["required"], output) for row in board["incomplete"]
        ],
        f"{name}: imported for reference": list(map(imported_cells, board["imported"])),
        f"{title}: rules over draws": [rule_cells(row, output) for row in stochastic],
        f"{title}: any of N submissions fails": [cells for row in stochastic for cells in submission_cells(row)],
        f"{name}: runs": [run_cells(row, run, output) for row in rows_of(board) for run in row["runs"]],
    }
    return [(title, rows) for title, rows in tables.items() if rows]


@pytest.mark.parametrize("output", ["md", "latex"])
def test_boards(output, recomputed):
    results, asked, boards, _ = recomputed
    text = leaderboards.render(results, output, runs=True, **asked)
    wanted = [table for board in boards for table in tables_of(board, output)]
    for (title, columns, cells, below), (name, rows) in zip(READERS[output](text), wanted, strict=True):
        assert (title, len(cells)) == (name, len(rows))
        for number, (line, row) in enumerate(zip(cells, rows, strict=True)):
            assert set(columns) <= set(row) | set(chain(*rows)), f"{title}: not recomputed: {set(columns) - set(row)}"
            for column, cell in zip(columns, line, strict=True):
                says(cell, row.get(column), f"{title}, row {number}, {column}")
        said = dict(
            re.findall(
                r"\b(classifier|score model|n|draws|seeds|seed):? ([^;\n]+?)(?=; |\.\s|\.$)",
                re.split("Claimed|Each ", below)[0],
            )
        )
        for column in set(chain(*rows)) - set(columns):
            values = {row.get(column) for row in rows}
            assert values <= {None, ""} or {said.get(column)} == set(map(str, values)), f"{title}: {column} left out"


def test_commands(recomputed):
    """What completes the rows asks for as many images as they have."""
    results, asked, boards, _ = recomputed
    parts = leaderboards.render(results, "md", commands=True, **asked).split("What completes these rows:")[1:]
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
    return {
        "Clean": row["clean_shares"], "Worst case": row["shares"],
        "PGD, full": of_runs(row, lambda run: run["attack"].split(" ")[0] == "pgd-full"),
        "BPDA": of_runs(row, lambda run: run["class"] == "BPDA"),
        "AutoAttack": of_runs(row, lambda run: run["class"] == "AutoAttack"),
        "EOT": row["eot"], "Score passes": row["passes"],
    }  # fmt: skip


def of_runs(row, chosen):
    """The worst of the chosen runs that count; else of those on other images or draws, marked with these."""
    runs = [run for run in row["runs"] if chosen(run) and run["seed"] in row["seeds"]]
    counted = [run for run in runs if run["id"] in row["counted"]]
    if counted or not runs:
        return mean_over_seeds(row, counted)
    wanted = row["draws"] if any(run["draws"] == row["draws"] for run in runs) else min(run["draws"] for run in runs)
    runs = [run for run in runs if run["draws"] == wanted]
    ids = [sample for sample in runs[0]["clean"] if all(sample in run["clean"] for run in runs)]
    shares = mean_over_seeds({"ids": ids, "seeds": row["seeds"]}, runs)
    return Apart(shares, ((len(ids),) if len(ids) != row["n"] else ()) + ((wanted,) if wanted != row["draws"] else ()))


class Apart(dict):
    """Shares of other images or draws than the row's, with what the cell has to say of them."""

    def __init__(self, shares, said):
        super().__init__(shares)
        self.said = said


def bold_places(columns):
    """The best of a column, and all that no paired test, corrected over the column, finds worse."""
    there = [place for place, shares in enumerate(columns) if shares and not isinstance(shares, Apart)]
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
                column: (
                    share_interval(list(figures[column].values())) | {"said": getattr(figures[column], "said", ())}
                    if figures[column]
                    else None
                )
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
            numbers = (*percent(figure, "latex"), *figure.get("said", ())) if isinstance(figure, dict) else figure
            says(plain, numbers, f"{title}, {column}")
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
        remarks = {column: found.pop(f"{column} remark", "") for column in columns}
        for column, remark in remarks.items():
            figure, _ = cells[column]
            assert tuple(map(int, re.findall(r"\d+", remark))) == (
                figure.get("said", ()) if isinstance(figure, dict) else ()
            )
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


def drawn_as(interval):
    return [100 * interval[end] for end in ENDS]


def ends_of(interval):
    return [100 * end for end in (interval.value, interval.low, interval.high)]


@pytest.mark.parametrize("plot", ["clean-robust", "cost-robust"])
def test_points_of_figures(plot, recomputed):
    """Robust against clean and against cost: each point is that of a row, hollow where it is incomplete, with its intervals."""
    from leaderboards.boards import collect
    from leaderboards.papers.series import panels
    from leaderboards.papers.spec import PaperSpec

    (board, *_) = boards_for_papers(recomputed)
    (panel,) = panels(PaperSpec(kind="figure", plot=plot), collect(recomputed[0], threat=board["threat"]))
    wanted = {}
    for row in rows_of(board):
        x = row["passes"] if plot == "cost-robust" else 100 * row["clean"]["value"]
        if x is not None:
            wanted[row["defense"], bool(row["missing"]), round(x, 6), round(row["worst"]["value"], 6)] = row
    assert 3 < len(panel.series) <= 10
    for part in panel.series:
        name = part.name.partition(" (")[0]
        row = wanted[name, not part.complete, round(part.x[0], 6), round(part.y[0].value, 6)]
        assert ends_of(part.y[0]) == pytest.approx(drawn_as(row["worst"]), abs=1e-9)
        if part.x_interval is not None:
            assert ends_of(part.x_interval) == pytest.approx(drawn_as(row["clean"]), abs=1e-9)
        assert (part.x_interval is None) == (plot == "cost-robust")


def test_security_curves_of_figures(recomputed):
    """Clean accuracy at radius 0, then the worst case at each radius and below, on the images that all radii share."""
    from leaderboards.boards import collect
    from leaderboards.papers.series import panels
    from leaderboards.papers.spec import PaperSpec

    made = [board for board in collect(recomputed[0]) if board.threat.startswith("linf")]
    (panel,) = panels(PaperSpec(kind="figure", plot="curve"), made)
    by_points = {}
    for curve in curves_of([board for board in recomputed[3] if board["threat"].startswith("linf")]):
        shares = [share for _, _, share in curve["points"]]
        assert all(one["value"] >= other["value"] for one, other in pairwise(shares))
        at = (curve["defense"], tuple(float(level) for _, level, _ in curve["points"]))
        by_points.setdefault(at, []).append([drawn_as(share) for share in shares])
    assert 0 < len(panel.series) <= 10
    for part in panel.series:
        alike = by_points[part.name.partition(" (")[0], part.x]
        drawn = [ends_of(point) for point in part.y]
        assert any(drawn == [pytest.approx(point, abs=1e-9) for point in points] for points in alike)
