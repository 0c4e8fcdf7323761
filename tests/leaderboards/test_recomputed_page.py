"""What a browser shows of the page, recomputed from the raw lines: every cell, every run, every point of the charts."""

import math
import re

import pytest
from recomputed_boards import ENDS, REQUIRED, rows_of
from recomputed_cells import curves_of, percent, row_cells, says
from recomputed_statistics import share_interval

import leaderboards

TABLE = """(place) => [...document.querySelectorAll(`${place} table`)].map((table) => [
  [...table.querySelectorAll("thead th")].map((one) => one.innerText.trim()),
  [...table.querySelectorAll("tbody tr")].map((row) => [...row.children].map((one) => one.innerText.trim().replaceAll("−", "-")))])"""
CHART = """(chart) => ({
  ticks: [...chart.querySelectorAll("svg[role=img] > text:not(.label)")].map((one) =>
    [one.textContent, one.getAttribute("text-anchor"), Number(one.getAttribute("x")), Number(one.getAttribute("y"))]),
  points: [...chart.querySelectorAll("svg[role=img] > g[data-tip], svg[role=img] > circle[data-tip]")].map((one) => {
    const mark = one.tagName === "g" ? one.querySelector("circle, rect") : one, get = (name) => Number(mark.getAttribute(name));
    const bars = [...one.querySelectorAll("path")].map((path) => path.getAttribute("d").match(/[-\\d.]+/g).map(Number));
    const [x, y] = mark.tagName === "circle" ? [get("cx"), get("cy")] : [get("x") + get("width") / 2, get("y") + get("height") / 2];
    return { tip: one.dataset.tip.replaceAll("−", "-"), x, y, bars };
  })})"""


@pytest.fixture(scope="module")
def page(browser, recomputed, tmp_path_factory):
    results, asked, _, _ = recomputed
    file = tmp_path_factory.mktemp("page") / "board.html"
    file.write_text(leaderboards.render(results, "html", images=0, **asked))
    opened = browser.new_page()
    opened.goto(f"file://{file}")
    opened.wait_for_selector("tbody tr")
    yield opened
    opened.close()


def show(page, board):
    """The board with every column."""
    page.evaluate("location.hash = ''")
    page.wait_for_selector("#board:not([hidden])")
    page.select_option("#threat", board["threat"])
    page.evaluate("""() => document.querySelectorAll("#columns input").forEach((box) => {
      if (!box.checked) { box.checked = true; box.dispatchEvent(new Event("input", { bubbles: true })); } })""")
    page.wait_for_function("() => document.querySelectorAll('#charts svg[role=img]').length >= 2")


def shown_cells(row, rows, board):
    """What a row says in each column of the page; a number of ranks that share it has a sign."""
    shared = sum(other["rank"] == row["rank"] for other in rows) > 1
    seeds = (len(row["seeds"]), 100 * row["spread"]) if len(row["seeds"]) > 1 else len(row["seeds"])
    cells = {
        **{re.sub("^[a-z]{2}", lambda found: found.group().capitalize(), title): value for title, value in row_cells(row, REQUIRED).items()},
        "Data set": board["dataset"], "Threat": board["threat"], "Score model": row["score_model"], "Seeds": seeds,
        "Kind": "deterministic" if row["deterministic"] else "stochastic", "p": row["p"], "n": row["n"],
    }  # fmt: skip
    return cells, shared


def test_tables(page, recomputed):
    for board in recomputed[2]:
        show(page, board)
        for place, rows in (("#ranked", board["rows"]), ("#incomplete", board["incomplete"])):
            found = page.evaluate(TABLE, place)
            assert len(found) == bool(rows)
            for (titles, lines), wanted in zip(found, [rows] if rows else [], strict=True):
                order = [row["defense"] for row in rows]
                assert sorted(line[titles.index("Defense")] for line in lines) == sorted(order)
                for line in lines:
                    _check_line(dict(zip(titles, line, strict=True)), wanted, board)


def _check_line(line, rows, board):
    told = {"Defense": "defense", "Draws": "draws", "Classifier": "classifier"}
    (row,) = (row for row in rows if all(str(row[key]) == line[title] for title, key in told.items() if title in line))
    cells, shared = shown_cells(row, rows, board)
    assert ("Rank" not in line) or line.pop("Rank") == f"{row['rank']}{'=' if shared else ''}"
    assert line.pop("Flags").split() == " ".join(row["flags"]).split()
    for title, text in line.items():
        assert title in cells or text == "·", f"not recomputed: {title}"
        says("" if text == "·" else text.replace(" to ", " "), cells.get(title), f"{line['Defense']}, {title}")


def test_imported(page, recomputed):
    for board in recomputed[2]:
        show(page, board)
        for (_, lines), _ in zip(page.evaluate(TABLE, "#imported"), board["imported"][:1], strict=True):
            for line, row in zip(lines, board["imported"], strict=True):
                assert line[0] == row["name"]
                says(line[2], 100 * row["clean"], "clean")
                says(line[3], 100 * row["robust"], "robust")


def test_runs(page, recomputed):
    """Each run's own page: its three figures, and the attacks on the same defense; of two rows that share a run, the last."""
    shown = {run["id"]: (row, run) for board in recomputed[2] for row in rows_of(board) for run in row["runs"]}
    for name, (row, run) in shown.items():
        page.evaluate(f"location.hash = '#run/{name}'")
        page.wait_for_function(f"() => document.querySelector('#run .lead')?.innerText.includes('Run {name}')")
        _check_run(page, row, run)


def _audited(run):
    """The names of the checks of the run's audit, one list if it has one."""
    return [[check["name"] for check in run["audit"]["checks"]]] if "checks" in run["audit"] else []


def _check_run(page, row, run):
    whole = page.locator("#run").inner_text().replace("−", "-")
    lead = page.locator("#run .lead").inner_text()
    assert f" {run['n']} images" in lead
    assert f"seed {run['seed']}" in lead
    assert (f"mean over {run['draws']} draws" in lead) == (run["draws"] > 1)
    intervals = [share_interval(list(run[which].values())) for which in ("clean", "adversarial")] + [row["worst"]]
    for text, interval in zip(page.locator("#run .figure dd").all_inner_texts(), intervals, strict=True):
        shown, _, rest = text.replace("−", "-").replace(" %", "").partition(", n = ")
        says(shown, percent(interval), f"{run['id']}: {text}")
        assert rest in ("", str(row["n"]))
    *audits, (titles, lines) = sorted(page.evaluate(TABLE, "#run"), key=lambda table: table[0][0] == "Attack")
    assert [[line[0] for line in checks] for _, checks in audits] == _audited(run)
    assert titles == ["Attack", "Class", "Robust %", "n", "Seed"]
    for line, other in zip(lines, row["runs"], strict=True):
        assert (line[0], line[1], line[3], line[4]) == (
            other["attack"],
            other["class"],
            str(other["n"]),
            str(other["seed"]),
        )
        says(
            line[2].replace(" to ", " "),
            percent(share_interval(list(other["adversarial"].values()))),
            f"{run['id']}: {line}",
        )
    says(
        re.search(r"([\d.,]+) per image, attack and score", whole).group(1),
        float(run["passes"]),
        f"{run['id']}, passes",
    )
    assert f"-n {run['n']}" in page.locator("#run .command code").inner_text()
    error = run["header"]["checks"].get("gradient_error")
    if error is not None:
        shown = re.search(r"([\d.e-]+) against finite", whole).group(1)
        assert f"{float(shown):.1e}" == f"{error:.1e}"


def scale(ticks, place, of=float):
    """From pixels to what the axis shows, by two of its ticks, and what a tenth of a pixel is worth."""
    (one, first), *_, (other, last) = [(of(float(tick[0])), tick[place]) for tick in ticks]
    return lambda pixels: one + (pixels - first) * (other - one) / (last - first), abs(
        (other - one) / (last - first)
    ) / 10


def test_charts(page, recomputed):
    """Points and bars of robust against clean and against cost, and of the security curves, read off the axes."""
    for board in recomputed[2]:
        show(page, board)
        charts = {one.locator("h3").inner_text(): one.evaluate(CHART) for one in page.locator("#charts .chart").all()}
        rows = rows_of(board)
        priced = [row for row in rows if row["passes"] is not None]
        assert len(charts) == 2 + bool(priced)
        _check_points(charts["Robust against clean"], rows, lambda row: 100 * row["clean"]["value"], float)
        _check_points(
            charts["Robust against cost"],
            priced,
            lambda row: math.log10(1 + row["passes"]),
            lambda tick: math.log10(1 + tick),
        )
        norm = board["threat"].partition(":")[0]
        _check_curves(charts["Over the radius"], [one for one in recomputed[2] if one["threat"].startswith(norm)])


def _axes(chart, of=float):
    number = re.compile(r"^[\d.]+$")
    across = [tick for tick in chart["ticks"] if tick[1] == "middle" and number.match(tick[0])]
    up = [[*tick[:3], tick[3] - 4] for tick in chart["ticks"] if tick[1] == "end" and number.match(tick[0])]
    return scale(across, 2, of), scale(up, 3)


def _check_points(chart, rows, of_row, of_tick):
    (x, step_x), (y, step_y) = _axes(chart, of_tick)
    for point, row in zip(chart["points"], rows, strict=True):
        assert x(point["x"]) == pytest.approx(of_row(row), abs=step_x)
        assert y(point["y"]) == pytest.approx(100 * row["worst"]["value"], abs=step_y)
        *across, up = [bar for bar in point["bars"]]
        assert [y(up[1]), y(up[3])] == pytest.approx([100 * row["worst"][end] for end in ENDS[1:]], abs=step_y)
        for bar in across:
            assert [x(bar[0]), x(bar[2])] == pytest.approx([100 * row["clean"][end] for end in ENDS[1:]], abs=step_x)
        name, *told = point["tip"].split("\n")
        assert name == row["defense"]
        worst = [100 * row["worst"][end] for end in ENDS]
        says(told[0].replace(" to ", " "), (100 * row["clean"]["value"], *worst), name)
        assert len(told) == 1 + (row["passes"] is not None)
        for text in told[1:]:
            says(text, row["passes"], name)


def _check_curves(chart, boards):
    (x, step_x), (y, step_y) = _axes(chart)
    wanted = []
    for curve in curves_of(boards):
        wanted += [(curve["defense"], level, share["value"]) for _, level, share in curve["points"]]
    assert len(chart["points"]) == len(wanted)
    for point in chart["points"]:
        name, told = point["tip"].split("\n")
        level, shown = x(point["x"]), y(point["y"])
        near = [
            one
            for one in wanted
            if one[0] == name and abs(one[1] - level) < step_x and abs(100 * one[2] - shown) < step_y
        ]
        assert near, f"not recomputed: {name} at {level}: {shown}"
        wanted.remove(near[0])
        says(told.rpartition(": ")[2], 100 * near[0][2], name)
