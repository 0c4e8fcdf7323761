"""What a browser shows of the page, recomputed from the raw lines: every cell, every run, every point of the charts."""

import math
import re

import pytest
from recomputed_boards import ENDS, REQUIRED, rows_of
from recomputed_cells import curves_of, percent, row_cells, says
from recomputed_statistics import difference_interval, paired, share_interval

import leaderboards

TABLE = """(place) => [...document.querySelectorAll(`${place} table`)].map((table) => [
  [...table.querySelectorAll("thead tr > *")].map((one) => one.innerText.trim()),
  [...table.querySelectorAll("tbody tr")].map((row) => [...row.children].map((one) => one.innerText.trim().replaceAll("−", "-")))])"""
CHART = """(chart) => {
  const place = (one) => one.getAttribute("transform").match(/[-\\d.]+/g).map(Number);
  const shift = (one) => place(one.parentElement);
  const ticks = (axis) => [...chart.querySelectorAll("g[text-anchor=end]:not([paint-order]) > text, g > text[y='0.71em']")].filter((one) => (one.getAttribute("y") === "0.71em") === (axis === 0))
    .map((one) => [Number(one.textContent), place(one)[axis]]);
  const end = (one, name) => Number(one.getAttribute(name));
  return {
    x: ticks(0), y: ticks(1), names: chart.querySelectorAll("g[paint-order] > text").length,
    bars: [...chart.querySelectorAll("line[stroke-opacity]")].map((one) => ["x1", "y1", "x2", "y2"].map((name) => end(one, name))),
    points: [...chart.querySelectorAll("a")].map((one) => ({
      tip: one.dataset.tip.replaceAll("−", "-"), row: one.dataset.row,
      at: one.firstElementChild.tagName === "circle" ? [end(one.firstElementChild, "cx"), end(one.firstElementChild, "cy")] : place(one.firstElementChild),
    })),
  };
}"""


@pytest.fixture(scope="module")
def page(browser, recomputed, tmp_path_factory):
    results, asked, _, _ = recomputed
    file = tmp_path_factory.mktemp("page") / "board.html"
    file.write_text(leaderboards.render(results, "html", images=0, **asked))
    opened = browser.new_page()
    opened.goto(f"file://{file}")
    opened.set_default_timeout(5000)
    opened.wait_for_selector("tbody tr")
    yield opened
    opened.close()


def show(page, board):
    """The board with every column."""
    page.evaluate("location.hash = ''")
    page.wait_for_selector("#ranked")
    keys = page.locator(".menu input").evaluate_all("(all) => all.map((one) => one.name)")
    page.evaluate(f"location.hash = '?board={board['dataset']}, {board['threat']}&columns={'+'.join(keys)}'")
    page.wait_for_function(
        "([name, count]) => document.querySelector('h1').innerText === name && document.querySelectorAll('.menu input:checked').length === count",
        arg=[f"{board['dataset']}, {board['threat']}", len(keys)],
    )


def shown_cells(row, board):
    """What a row says in each column of the page."""
    seeds = (len(row["seeds"]), 100 * row["spread"]) if len(row["seeds"]) > 1 else len(row["seeds"])
    cells = {
        **{re.sub("^[a-z]{2}", lambda found: found.group().capitalize(), title): value for title, value in row_cells(row, REQUIRED).items()},
        "Score model": row["score_model"], "Seeds": seeds, "Kind": "deterministic" if row["deterministic"] else "stochastic", "n": row["n"],
        "Δ undefended": with_images(row, "undefended"), "Shared images %": with_images(row, "shared"), "p": row["p"],
    }  # fmt: skip
    for rule, title in (("mean", "mean"), ("worst", "worst of k"), ("majority", "majority"), ("known", "known")):
        pair = (row["draw_figures"] or {}).get(rule)
        cells[f"Draws: {title} %"] = pair and (*percent(pair["robust"]), 100 * pair["clean"]["value"])
    return cells


def with_images(row, key):
    """An interval in percent, then its images where they are not the row's."""
    part = row[key]
    return part and (*percent(part), *([part["n"]] if part["n"] != row["n"] else []))


def test_tables(page, recomputed):
    for board in recomputed[2]:
        show(page, board)
        for place, rows in (("#ranked", board["rows"]), ("#incomplete", board["incomplete"])):
            found = page.evaluate(TABLE, place)
            assert len(found) == bool(rows)
            for (titles, lines), wanted in zip(found, [rows] if rows else [], strict=True):
                assert len(lines) == len(wanted)
                for line in lines:
                    _check_line(dict(zip(titles[1:], line[1:], strict=True)), wanted, board)


def _check_line(line, rows, board):
    defense, classifier, *source = line.pop("Defense").split("\n")
    (row,) = (
        row
        for row in rows
        if (row["defense"], row["classifier"], f"{row['draws']}") == (defense, classifier, line["Draws"])
    )
    cells = shown_cells(row, board)
    assert bool(source) == bool(row["source"])
    low, high = row["rank_low"], row["rank_high"]
    assert ("Rank" not in line) or line.pop("Rank") == f"{row['rank']}\n{low if low == high else f'{low}–{high}'}"
    verdict = line.pop("Verdict")
    assert verdict.startswith(
        "not audited"
        if row["verdict"] is None
        else "passed "
        if row["verdict"] == "believed"
        else f"{row['verdict']}: "
    )
    assert verdict.endswith(" ".join(row["flags"]))
    p, _, images = line.pop("p").partition(", n = ")
    says(p, cells["p"], f"{defense}, p")
    assert int(images or row["n"]) == (row["p_n"] or row["n"])
    for title, text in line.items():
        assert title in cells or text == "·", f"not recomputed: {title}"
        says("" if text == "·" else text.replace(" to ", " "), cells.get(title), f"{defense}, {title}")


def test_imported(page, recomputed):
    for board in recomputed[2]:
        show(page, board)
        for (_, lines), _ in zip(page.evaluate(TABLE, "#imported"), board["imported"][:1], strict=True):
            for line, row in zip(lines, board["imported"], strict=True):
                assert line[0].strip() in (row["name"], f"{row['name']} paper")
                says(line[2], 100 * row["clean"], "clean")
                says(line[3], 100 * row["robust"], "robust")


def test_runs(page, recomputed):
    """Each run's own page: its three figures, and the attacks on the same defense."""
    shown = {
        run["id"]: (row, run)
        for board in recomputed[2]
        for row in rows_of(board)
        for run in row["runs"]
        if run["draws"] == row["draws"]
    }
    for name, (row, run) in shown.items():
        page.evaluate(f"location.hash = '#run/{name}'")
        page.wait_for_function(
            "(name) => [...document.querySelectorAll('.note code')].some((one) => one.innerText === name)", arg=name
        )
        _check_run(page, row, run)


def _check_run(page, row, run):
    whole = page.locator("#view").inner_text().replace("−", "-")
    assert f"{run['n']} images" in whole
    assert f"seed {run['seed']}." in whole
    assert (f"mean over {run['draws']} draws" in whole) == (run["draws"] > 1)
    intervals = [row["worst"], row["clean"], share_interval(list(run["adversarial"].values()))]
    counts = [row["n"], None, run["n"]]
    for text, interval, count in zip(page.locator(".figure dd").all_inner_texts(), intervals, counts, strict=True):
        shown, _, rest = text.replace("−", "-").replace(" %", "").partition(", n = ")
        says(shown, percent(interval), f"{run['id']}: {text}")
        assert rest == ("" if count is None else str(count))
    tables = {titles[0]: (titles, lines) for titles, lines in page.evaluate(TABLE, "#view")}
    assert (
        [line[0] for line in tables["Check"][1]] == [check["name"] for check in run["audit"]["checks"]]
        if "checks" in run["audit"]
        else "Check" not in tables
    )
    _check_attacks(*tables["Attack"], row)
    _check_classes(tables["Class"][1], row)
    says(
        re.search(r"([\d.,]+) per image, attack and score", whole).group(1),
        float(run["passes"]),
        f"{run['id']}, passes",
    )
    assert f"-n {run['n']}" in page.locator(".command code").inner_text()
    error = run["header"]["checks"].get("gradient_error")
    if error is not None:
        shown = re.search(r"([\d.e-]+) against finite", whole).group(1)
        assert f"{float(shown):.1e}" == f"{error:.1e}"


def _check_attacks(titles, lines, row):
    several = len({run["seed"] for run in row["runs"]}) > 1
    assert titles == ["Attack", "Robust %", "n", "Seed"][: 3 + several]
    for line, other in zip(lines, row["runs"], strict=True):
        apart = "" if other["id"] in row["counted"] else ": does not count, on other images, draws or seed"
        wanted = [
            f"{other['attack']}\n{other['class']}{apart}",
            str(other["n"]),
            *([str(other["seed"])] if several else []),
        ]
        assert [line[0], *line[2:]] == wanted
        says(line[1].replace(" to ", " "), percent(share_interval(list(other["adversarial"].values()))), f"{line}")


def _check_classes(lines, row):
    labels = {line["id"]: line["label"] for run in row["runs"] for line in run["lines"]}
    classes = sorted({labels[sample] for sample in row["shares"]})
    filled = [line for line in lines if line[1] != "0"]
    for line, label in zip(filled, classes, strict=True):
        own = [sample for sample in row["shares"] if labels[sample] == label]
        assert line[:2] == [f"class {label}", str(len(own))]
        for text, key in zip(line[2:], ("clean_shares", "shares"), strict=True):
            says(text.replace(" to ", " "), percent(share_interval([row[key][sample] for sample in own])), f"{line}")


def scale(ticks, of=float):
    """From pixels to what the axis shows, by two of its ticks, and what a tenth of a pixel is worth."""
    (one, first), *_, (other, last) = [(of(tick), pixel) for tick, pixel in ticks]
    slope = (other - one) / (last - first)
    return lambda pixels: one + (pixels - first) * slope, abs(slope) / 10


def test_charts(page, recomputed):
    """Points and bars of robust against clean and against cost, and of the security curves, read off the axes."""
    for board in recomputed[2]:
        show(page, board)
        charts = {one.locator("h2").inner_text(): one.evaluate(CHART) for one in page.locator(".chart").all()}
        assert all(0 < chart["names"] <= 10 for chart in charts.values())
        rows = rows_of(board)
        priced = [row for row in rows if row["passes"] is not None]
        assert len(charts) == 2 + bool(priced)
        _check_points(charts["Robust against clean"], rows, lambda row: 100 * row["clean"]["value"], float)
        if priced:
            _check_points(charts["Robust against cost"], priced, lambda row: math.log1p(row["passes"]), math.log1p)
        norm = board["threat"].partition(":")[0]
        _check_curves(charts["Over the radius"], [one for one in recomputed[2] if one["threat"].startswith(norm)])


def _check_points(chart, rows, of_row, of_tick):
    (x, step_x), (y, step_y) = scale(chart["x"], of_tick), scale(chart["y"])
    assert len(chart["points"]) == len(rows)
    left = list(rows)
    for point in chart["points"]:
        (row,) = (
            one for one in left if point["row"] in [run["id"] for run in one["runs"] if run["draws"] == one["draws"]]
        )
        left.remove(row)
        assert x(point["at"][0]) == pytest.approx(of_row(row), abs=step_x)
        assert y(point["at"][1]) == pytest.approx(100 * row["worst"]["value"], abs=step_y)
        _has_bar(chart["bars"], 0, point["at"][0], [100 * row["worst"][end] for end in ENDS[1:]], y, step_y)
        if of_tick is float:
            _has_bar(chart["bars"], 1, point["at"][1], [100 * row["clean"][end] for end in ENDS[1:]], x, step_x)
        name, _, told = point["tip"].partition(": ")
        assert name in (row["defense"], f"{row['defense']} ({row['classifier']})")
        passes = () if row["passes"] is None else (row["passes"],)
        says(
            told.replace(" to ", " "),
            (100 * row["clean"]["value"], *(100 * row["worst"][end] for end in ENDS), *passes),
            name,
        )


def _has_bar(bars, axis, at, ends, of, step):
    """A line through the point along the other axis, from the low to the high end of the interval."""
    along = [
        sorted((of(bar[1 - axis]), of(bar[3 - axis])))
        for bar in bars
        if abs(bar[axis] - at) < 0.01 and bar[axis] == bar[axis + 2]
    ]
    assert any(found == pytest.approx(ends, abs=step) for found in along), f"no bar {ends} among {along}"


def _check_curves(chart, boards):
    (x, step_x), (y, step_y) = scale(chart["x"]), scale(chart["y"])
    wanted = []
    for curve in curves_of(boards):
        wanted += [(curve["defense"], level, share["value"]) for _, level, share in curve["points"]]
    assert len(chart["points"]) == len(wanted)
    for point in chart["points"]:
        name, told = point["tip"].split(": ")
        level, shown = x(point["at"][0]), y(point["at"][1])
        near = [
            one
            for one in wanted
            if re.match(rf"{re.escape(one[0])}( \(.*\))?, ", name)
            and abs(one[1] - level) < step_x
            and abs(100 * one[2] - shown) < step_y
        ]
        assert near, f"not recomputed: {name} at {level}: {shown}"
        wanted.remove(near[0])
        says(told.partition(" %")[0], 100 * near[0][2], name)


def test_comparisons(page, recomputed):
    """Rows beside the first and the last of their board, in both orders: all on the images that both have."""
    for board in recomputed[2]:
        rows = [row for row in rows_of(board) if any(run["draws"] == row["draws"] for run in row["runs"])]
        for a, b in [*zip(rows[:1] * 4, rows[1:], strict=False), *zip(rows[-1:] * 4, rows[:-1], strict=False)]:
            both = [sample for sample in a["shares"] if sample in b["shares"]]
            if both:
                _check_pair(page, a, b, both)


def _check_pair(page, a, b, both):
    names = [next(run["id"] for run in row["runs"] if run["draws"] == row["draws"]) for row in (a, b)]
    page.evaluate(f"location.hash = '#compare/{'/'.join(names)}'")
    page.wait_for_function(
        "(hash) => document.querySelector('.side a')?.getAttribute('href').includes(hash)", arg=a["runs"][0]["id"]
    )
    page.wait_for_function(
        "(hash) => document.querySelectorAll('.side a')[1].getAttribute('href').includes(hash)", arg=b["runs"][0]["id"]
    )
    lines = page.evaluate(TABLE, "#view")[0][1]
    for place, key in ((1, "shares"), (2, "clean_shares")):
        first, second = ([row[key][sample] for sample in both] for row in (a, b))
        wanted = [
            percent(share_interval(first)), percent(share_interval(second)), percent(difference_interval(second, first)),
            sum(x > y for x, y in zip(first, second, strict=True)), sum(x < y for x, y in zip(first, second, strict=True)),
            len(both), paired(first, second),
        ]  # fmt: skip
        for line, value in zip(lines, wanted, strict=True):
            says(line[place].replace(" to ", " "), value, f"{names}, {line[0]}")
