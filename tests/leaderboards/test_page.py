"""The page in a real browser: figures, state in the address, views, charts, keyboard, accessibility; no network, an empty console."""

import csv
import io
import json
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from records_for_tables import full_set, header, record

import leaderboards
from bench.cli.main import main
from bench.figures.runs import read_run
from bench.records.evidence import read_evidence
from bench.stats.intervals import mean_share
from leaderboards.page.data import badge

LONG = 40
VIEWS = ("", "run/{a}", "compare/{a}/{b}", "images/{a}", "images/{a}?image={image}")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two ranked rows that tie, one far below, a stochastic one, an incomplete one, another threat, an imported row."""
    folder = tmp_path_factory.mktemp("page")
    full_set(folder, "a", "best", "1" * LONG)
    full_set(folder, "b", "near", "1" * (LONG - 2) + "00", others="1" * LONG)
    full_set(folder, "c", "low", "1" * 10 + "0" * (LONG - 10))
    full_set(folder, "d", "noisy", "4" * 15 + "1" * (LONG - 15), draws=4)
    record(folder, header("e", "<b>lacking</b>"), "1" * 20)
    full_set(folder, "f", "best", "1" * 20 + "0" * (LONG - 20), threat="linf:16/255")
    row = {
        "dataset": "toy", "threat": "linf:8/255", "name": "Elsewhere", "source": "RobustBench", "clean": 0.9, "robust": 0.7,
        "link": "", "unreliable": False, "note": "",
    }  # fmt: skip
    (folder / "toy" / "linf-8-255" / "imported").mkdir()
    (folder / "toy" / "linf-8-255" / "imported" / "Elsewhere.json").write_text(json.dumps(row))
    return folder


@pytest.fixture(scope="module")
def board(results, tmp_path_factory):
    """The page of these records."""
    file = tmp_path_factory.mktemp("board") / "board.html"
    file.write_text(leaderboards.render(results, "html"))
    return file


@pytest.fixture(scope="module")
def with_images(tmp_path_factory):
    """The page of two real runs that store their adversarial images; it purifies them."""
    folder = tmp_path_factory.mktemp("images")
    common = f"-A steps=2 -A losses=cw -n 20 --quiet --device cpu --results {folder / 'results'}"
    for defense in ("tweedie", "none"):
        assert main(f"run --defense {defense} {common}".split()) == 0
    words = f"leaderboard --results {folder / 'results'} --format html --out {folder} --images 12 --purified --require"
    assert main([*words.split(), "full gradient"]) == 0
    return folder / "index.html"


def data_of(text):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL).group(1))


def right(path, which):
    """Shares of right draws from the raw lines, by exact arithmetic."""
    lines = [json.loads(text) for text in (path / "samples.jsonl").read_text().splitlines()]
    return {line["id"]: Fraction(sum(one == line["label"] for one in line[which]), len(line[which])) for line in lines}


def test_every_figure_is_that_of_the_raw_lines(results, board):
    """Accuracies, worst cases and differences, recomputed from the files without this package's readers."""
    data = data_of(board.read_text())
    folders = {path.parent.name: path.parent for path in results.glob("*/*/*/run.json")}
    assert set(data["runs"]) == set(folders)
    for name, run in data["runs"].items():
        for which, key in (("clean", "clean"), ("adversarial", "robust")):
            shares = right(folders[name], which)
            assert run[key]["value"] == pytest.approx(float(sum(shares.values()) / len(shares)), abs=1e-8)
            interval = mean_share(np.array([float(share) for share in shares.values()]))
            assert (run[key]["low"], run[key]["high"]) == pytest.approx((interval.low, interval.high), abs=1e-8)
    for row in data["rows"]:
        columns = [right(folders[name], "adversarial") for name in row["runs"]]
        worst = {k: min(column[k] for column in columns) for k in columns[0]}
        assert row["worst_case"]["value"] == pytest.approx(float(sum(worst.values()) / len(worst)), abs=1e-8)
        ids = data["boards"][row["board"]]["ids"]
        assert dict(zip(ids, row["shares"], strict=True)) == {
            k: pytest.approx(float(worst[k])) if k in worst else None for k in ids
        }


def test_it_is_one_file_that_names_no_address(board):
    text = board.read_text()
    own = re.sub(r"<script>\n/\*.*?</script>", "", text, count=1, flags=re.DOTALL)
    assert len(text) - len(own) > 200_000
    assert not re.findall(r"(?:src|href)=\"(?!#|data:|\$)[^\"]+\"", own)
    assert "<b>lacking" not in re.sub(r"<script type=\"application/json\".*?</script>", "", text, flags=re.DOTALL)
    assert "\\u003cb>lacking" in text


def test_the_committed_page_is_small():
    page = Path(__file__).parent.parent.parent / "leaderboards" / "site" / "index.html"
    assert 1_000_000 < page.stat().st_size < 2_500_000


def test_a_badge_says_how_large_the_audit_was():
    assert badge("believed", "quick, 32 images") == "passed quick audit (32 images)"
    assert badge("passed", "quick, 8 images") == "passed quick audit (8 images)"
    assert badge("refuted", "full, 64 images") == "refuted: full audit (64 images)"
    assert (badge("suspect", ""), badge(None, "")) == ("suspect: audit", "not audited")


@pytest.fixture
def opened(browser, board):
    """Opens the page; at the end the console must be empty and nothing asked for but the file."""
    seen, contexts = {"console": [], "requests": []}, []

    def call(fragment="", file=board, **options):
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}} | options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(5000)
        page.on("console", lambda message: seen["console"].append(message.text))
        page.on("pageerror", lambda error: seen["console"].append(str(error)))
        page.on("request", lambda request: seen["requests"].append(request.url))
        page.goto(f"file://{file}{fragment}")
        page.wait_for_selector("h1")
        return page

    yield call
    for context in contexts:
        context.close()
    assert seen["console"] == []
    assert [url for url in seen["requests"] if not url.startswith(("file:///", "data:", "blob:"))] == []


def names(page, section="#ranked"):
    return [text.split("\n")[0] for text in page.locator(f"{section} tbody th").all_inner_texts()]


def column(page, key, section="#ranked"):
    return [text.split("\n")[0] for text in page.locator(f"{section} td.c-{key}").all_inner_texts()]


def headers(page):
    return page.locator("#ranked thead button").all_inner_texts()


def wait_for_names(page, wanted):
    page.wait_for_function(
        "(wanted) => JSON.stringify([...document.querySelectorAll('#ranked tbody th > a')].map((a) => a.innerText)) === JSON.stringify(wanted)",
        arg=wanted,
    )


def test_the_board_shows_ranks_with_intervals_and_how_they_are_made(opened):
    page = opened()
    assert page.locator("h1").inner_text() == "toy, linf:8/255"
    assert names(page) == ["best", "near", "noisy", "low"]
    assert headers(page) == ["Rank", "Defense", "Worst case %", "Clean %", "Verdict", "n"]
    assert page.locator("#ranked th.c-defense .range").all_inner_texts() == ["cnn"] * 4
    assert [column(page, key) for key in ("rank", "worst_case", "clean", "verdict", "n")] == [
        ["1", "2", "3", "4"], ["100.0", "95.0", "53.1", "25.0"], ["100.0"] * 4, ["not audited small n"] * 4, ["40"] * 4,
    ]  # fmt: skip
    assert page.locator("#ranked td.c-rank .range").all_inner_texts() == ["1–2", "1–2", "3", "4"]
    rule = page.locator(".lead").inner_text()
    assert all(words in rule for words in ("paired tests", "AutoAttack, black box, transfer", "n = 40"))
    assert names(page, "#incomplete") == ["<b>lacking</b>"]
    assert column(page, "missing", "#incomplete") == ["AutoAttack, black box, transfer"]
    assert "Elsewhere" in page.locator("#imported").inner_text()
    assert "Elsewhere" not in page.locator("#ranked").inner_text()


def test_sorting_by_mouse_and_by_keyboard_and_back(opened):
    page = opened()
    page.locator("#ranked [data-sort=worst_case]").click()
    page.wait_for_selector("#ranked th[aria-sort=descending]")
    assert names(page) == ["best", "near", "noisy", "low"]
    page.keyboard.press("Enter")
    wait_for_names(page, ["low", "noisy", "near", "best"])
    assert page.locator("#ranked th[aria-sort=ascending]").inner_text() == "Worst case %"
    assert page.evaluate("document.activeElement.dataset.sort") == "worst_case"
    page.locator("#ranked [data-sort=defense]").click()
    wait_for_names(page, ["best", "low", "near", "noisy"])
    page.go_back()
    wait_for_names(page, ["low", "noisy", "near", "best"])


def test_filters_search_columns_and_picks_are_in_the_address(opened):
    page = opened()
    page.fill("#q", "near not")
    wait_for_names(page, ["near"])
    page.fill("#q", "stochastic audited 8/255")
    wait_for_names(page, ["noisy"])
    page.fill("#q", "nothing like it")
    page.wait_for_selector("text=Nothing fits")
    page.locator("#reset").click()
    wait_for_names(page, ["best", "near", "noisy", "low"])
    assert page.input_value("#q") == ""
    page.select_option("#kind", "deterministic")
    wait_for_names(page, ["best", "near", "low"])
    page.select_option("#board", "all")
    page.wait_for_function("() => document.querySelectorAll('#ranked tbody tr').length === 4")
    assert sorted(column(page, "threat")) == ["linf:16/255"] + ["linf:8/255"] * 3
    page.select_option("#board", "toy, linf:16/255")
    wait_for_names(page, ["best"])
    page.select_option("#board", "toy, linf:8/255")
    page.locator("summary", has_text="Columns").click()
    page.get_by_label("Draws", exact=True).check()
    page.get_by_label("Clean %").uncheck()
    page.keyboard.press("Escape")
    assert page.locator(".menu[open]").count() == 0
    page.locator("#ranked tbody input").nth(2).check()
    page.locator("#ranked [data-sort=defense]").click()
    wait_for_names(page, ["best", "low", "near"])
    wanted = ["Rank", "Defense", "Worst case %", "Verdict", "n", "Draws"]
    for _ in range(2):
        assert (names(page), headers(page), page.input_value("#kind")) == (
            ["best", "low", "near"],
            wanted,
            "deterministic",
        )
        assert page.locator("#ranked tbody input:checked").get_attribute("aria-label") == "Pick low to compare"
        page.reload()
        page.wait_for_selector("#ranked")


def test_links_lead_to_runs_and_back_to_the_same_board(opened):
    page = opened("#?sort=-defense", viewport={"width": 1440, "height": 400})
    page.evaluate("scrollTo(0, 150)")
    page.locator("#ranked tbody th a", has_text="near").click()
    page.wait_for_selector(".figures")
    assert page.evaluate("scrollY") == 0
    assert page.locator("h1").inner_text() == "near under pgd-full"
    assert "rank 2 (1–2) of 4" in page.locator(".lead").inner_text()
    assert "bench run --defense near --attack pgd-full" in page.locator(".command code").inner_text()
    assert '"name": "near"' in page.locator("pre").inner_text()
    assert page.evaluate("document.activeElement.id") == "main"
    page.locator("tbody a", has_text="square").click()
    page.wait_for_selector("text=near under square")
    page.locator(".crumb a").click()
    wait_for_names(page, ["noisy", "near", "low", "best"])
    page.wait_for_function("() => scrollY === 150")
    page.go_back()
    page.go_back()
    page.wait_for_selector("text=near under pgd-full")
    page.evaluate("location.hash = '#run/nothing'")
    page.wait_for_selector("text=Not on this page")


def test_two_rows_compared(opened):
    """30 images fall to `low` alone; McNemar's exact p is 2 / 2^30, and Agresti and Min's interval has its closed form."""
    page = opened()
    for name in ("best", "low"):
        page.get_by_label(f"Pick {name} to compare").check()
    page.get_by_role("link", name="Compare best with low").click()
    page.wait_for_selector(".sides")
    lines = dict(
        zip(
            page.locator("table").first.locator("tbody th").all_inner_texts(),
            page.locator("table").first.locator("td:nth-child(2)").all_inner_texts(),
            strict=True,
        )
    )
    assert [lines[key] for key in ("Only A right", "Only B right", "Images of both", "p")] == ["30", "0", "40", "<.001"]
    half = 1.959964 * (31 - 900 / 42) ** 0.5 / 42
    assert lines["B − A, points"].split() == [
        "−75.0",
        *f"{100 * (-30 / 42 - half):.1f} to {100 * (-30 / 42 + half):.1f}".replace("-", "−").split(),
    ]
    assert page.locator(".cards > li").count() == 30
    page.select_option("#show", "B")
    page.wait_for_function("() => document.querySelectorAll('.cards > li').length === 0")
    page.evaluate("location.hash = '#compare/c1/a1'")
    page.wait_for_selector("text=low and best")
    assert page.locator("tr", has_text="B − A").locator("td").first.inner_text().startswith("+75.0")
    page.evaluate("location.hash = '#compare/a1/c1'")
    page.wait_for_selector("text=best and low")
    page.locator(".side select").nth(1).select_option(label="near")
    page.wait_for_selector("text=best and near")
    assert page.locator("tr", has_text="Only A right").locator("td").first.inner_text() == "2"
    assert page.evaluate("location.hash").startswith("#compare/a1/b0")
    pairs = data_of(page.content())["boards"][1]["pairs"]["worst_case"]
    assert pairs[3][0]["p"] == pytest.approx(2 / 2**30)


def test_charts_are_reached_by_keyboard_and_linked_to_the_table(opened):
    page = opened()
    charts = page.locator(".chart svg")
    assert charts.count() == 3
    page.locator("#imported .scroll").focus()
    for chart in reversed(charts.all()):
        page.keyboard.press("Shift+Tab")
        points = chart.locator("a")
        assert chart.evaluate("(one) => one.contains(document.activeElement)")
        seen = set()
        for _ in range(points.count()):
            name = page.evaluate("document.activeElement.getAttribute('aria-label')")
            assert page.locator("#tip").inner_text() == name
            row = page.evaluate("document.activeElement.dataset.row")
            assert page.locator(f"tr.lit[data-row='{row}']").count() <= 1
            seen.add(name)
            page.keyboard.press("ArrowRight")
        assert len(seen) >= 5
        assert 0 < chart.locator("g[paint-order] text").count() <= 10
    page.keyboard.press("Enter")
    page.wait_for_selector(".figures")
    assert page.evaluate("location.hash").startswith("#run/")


def test_a_point_under_the_pointer_lights_its_row_and_leads_to_its_run(opened):
    page = opened()
    point = page.locator(".chart a[data-row=c1]").first
    point.hover()
    assert page.locator("#tip").inner_text().startswith("low: clean 100.0 %, worst case 25.0 %")
    assert page.locator("tr.lit th a").inner_text() == "low"
    point.click()
    page.wait_for_selector("text=low under")


def test_headers_explain_themselves_by_keyboard(opened):
    page = opened()
    page.locator("#ranked [data-sort=worst_case]").focus()
    assert "no attack of the row breaks it" in page.locator("#tip").inner_text()
    assert page.evaluate("document.activeElement.getAttribute('aria-describedby')") == "tip"
    page.keyboard.press("Escape")
    assert not page.locator("#tip").is_visible()


def test_downloads_hold_the_rows_shown(opened):
    page = opened("#?kind=deterministic&columns=worst_case+p")
    page.locator("summary", has_text="Download").click()
    with page.expect_download() as csv_file:
        page.get_by_text("CSV of these").click()
    lines = list(csv.DictReader(io.StringIO(csv_file.value.path().read_text())))
    assert [line["defense"] for line in lines] == ["best", "near", "low", "<b>lacking</b>"]
    row = next(row for row in data_of(page.content())["rows"] if row["board"] == 1)
    assert [float(lines[0][f"worst_case{end}"]) for end in ("", "_low", "_high")] == [
        row["worst_case"][end] for end in ("value", "low", "high")
    ]
    assert "clean" not in lines[0]
    with page.expect_download() as json_file:
        page.get_by_text("JSON of these").click()
    first = json.loads(json_file.value.path().read_text())[0]
    assert first == {key: value for key, value in row.items() if key != "board"} | {
        "dataset": "toy",
        "threat": "linf:8/255",
        "kind": "deterministic",
    }


def addresses(file):
    """The address of each view, for the first two rows."""
    data = data_of(file.read_text())
    a, b = (row["runs"][0] for row in data["rows"][:2])
    return [f"#{view.format(a=a, b=b, image=data['runs'][a]['evidence']['ids'][0])}" for view in VIEWS]


@pytest.mark.parametrize("width", [1440, 1024, 390])
def test_first_views_show_ranking_and_verdict_and_nothing_is_cut(width, opened, board, with_images):
    height = {1440: 900, 1024: 768, 390: 844}[width]
    page = opened(viewport={"width": width, "height": height})
    inside = f"(one) => {{ const box = one.getBoundingClientRect(); return box.width > 0 && box.left >= 0 && box.right <= {width} && box.bottom <= {height}; }}"
    for key in ("rank", "defense", "worst_case", "clean", "verdict", "n"):
        assert page.locator(f"#ranked tbody .c-{key}").first.evaluate(inside), key
    assert page.locator(".scroll.wide .rows").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page = opened(file=with_images, viewport={"width": width, "height": height})
    for address in addresses(with_images)[1:4]:
        page.evaluate(f"location.hash = '{address}'")
        page.wait_for_selector(".crumb")
        page.wait_for_function("() => document.querySelector('.tag')")
        assert page.locator(".lead .tag, .side .tag").first.evaluate(inside)
        assert "rank" in page.locator(".lead, .side p").all_inner_texts()[-1]
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_with_many_columns_header_and_first_columns_stay(opened):
    every = "dataset worst_case clean verdict n kind score_model full_gradient autoattack black_box transfer eot delta_undefended delta_null p score_passes draws seeds"
    page = opened(f"#?columns={every.replace(' ', '+')}", viewport={"width": 1024, "height": 300})
    page.locator(".scroll.wide").first.evaluate("(one) => one.scrollTo(one.scrollWidth, one.scrollHeight)")
    places = page.evaluate(
        "['thead .c-rank', 'thead .c-defense', 'tbody tr:last-child .c-defense'].map((one) => document.querySelector(`#ranked ${one}`).getBoundingClientRect()).map((one) => [one.left, one.top])"
    )
    region = page.locator(".scroll.wide").first.bounding_box()
    assert [round(left - region["x"]) for left, _ in places] == [37, 113, 113]
    assert [round(top - region["y"]) for _, top in places[:2]] == [1, 1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(scheme, opened, with_images):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    for file, places in ((None, [""]), (with_images, addresses(with_images))):
        page = opened(**({} if file is None else {"file": file}), color_scheme=scheme)
        for address in places:
            page.evaluate(f"location.hash = '{address}'")
            page.wait_for_selector("dialog[open]" if "image=" in address else ".crumb" if "/" in address else "#ranked")
            found = axe.run(page).response["violations"]
            assert [(one["id"], one["nodes"][0]["html"]) for one in found] == [], address
        if file is None:
            before = page.evaluate("getComputedStyle(document.body).backgroundColor")
            page.locator("#theme").click()
            assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before


def stored(file):
    """The records behind a page, by their ids."""
    return {path.parent.name: path.parent for path in file.parent.glob("results/*/*/*/run.json")}


def test_the_browser_of_images_filters_by_fate_and_class(with_images, opened):
    data = data_of(with_images.read_text())
    (name,) = (name for name, run in data["runs"].items() if run["spec"]["defense"]["name"] == "tweedie")
    run = read_run(stored(with_images)[name])
    clean, robust = (run.hits(which)[:12, 0] for which in ("clean", "adversarial"))
    wanted = {"broken": clean & ~robust, "unbroken": clean & robust, "wrong": ~clean}
    page = opened(f"#images/{name}", file=with_images)
    assert page.locator(".cards > li").count() == 12
    for show, mask in wanted.items():
        page.select_option("#show", show)
        page.wait_for_function(f"() => document.querySelectorAll('.cards > li').length === {int(mask.sum())}")
        shown = page.locator(".cards .none").all_inner_texts()
        assert shown == [f"image {sample}" for sample in run.ids[:12][mask]]
    page.select_option("#show", "")
    page.select_option("#label", str(run.labels[0]))
    page.wait_for_function(
        f"() => document.querySelectorAll('.cards > li').length === {int((run.labels[:12] == run.labels[0]).sum())}"
    )
    page.locator(".cards > li > a").first.click()
    page.wait_for_selector("dialog[open]")
    assert f"image={run.ids[0]}" in page.evaluate("location.hash")
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"() => location.hash.includes('image={run.ids[:12][run.labels[:12] == run.labels[0]][1]}')")
    page.keyboard.press("Escape")
    page.wait_for_function("() => !document.querySelector('dialog') && !location.hash.includes('image=')")


def test_shown_pixels_are_those_of_the_record(with_images, opened):
    """Clean, attacked, magnified difference: read back from the canvases, against the stored images."""
    data = data_of(with_images.read_text())
    (name,) = (name for name, run in data["runs"].items() if run["spec"]["defense"]["name"] == "none")
    run, evidence = read_run(stored(with_images)[name]), read_evidence(stored(with_images)[name])
    sample = int(run.ids[~run.hits()[:, 0]][0])
    attacked = np.rint(evidence.of([sample]).images[0, 0] * 255)
    page = opened(f"#images/{name}?image={sample}&times=5", file=with_images)
    page.wait_for_selector("dialog[open] canvas")
    tiles = page.locator("dialog figure").all()
    read = "(one) => [...one.getContext('2d').getImageData(0, 0, 28, 28).data]"
    shown = [np.array(tile.locator("canvas").evaluate(read)).reshape(28, 28, 4) for tile in tiles]
    assert [tile.locator("figcaption").inner_text().split("\n")[0].strip() for tile in tiles] == [
        "clean",
        "attacked",
        "difference × 5",
        "clean, purified",
        "attacked, purified",
    ]
    assert (shown[1][..., 0] == attacked).all()
    assert abs(shown[1][..., 0] - shown[0][..., 0]).max() == 20
    assert (shown[2][..., 0] == np.rint(np.clip(127.5 + 5 * (attacked - shown[0][..., 0]), 0, 255))).all()
    assert (shown[3][..., 0] == shown[0][..., 0]).all()  # without a defense nothing is purified
    assert all((tile[..., 3] == 255).all() for tile in shown)


def test_figures_that_a_row_may_have_are_shown(board, opened, tmp_path):
    """Rank interval, the four rules for draws, repeated submissions, and the source: keys of the JSON that only some rows have."""
    data, text = data_of(board.read_text()), board.read_text()
    part = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 40}
    (row,) = (row for row in data["rows"] if row["defense"] == "noisy")
    rules = {
        rule: {"clean": part | {"value": 0.9}, "robust": part | {"value": 0.1 * k}}
        for k, rule in enumerate(("mean", "worst", "majority", "known"), 1)
    }
    row |= {
        "rank_low": 2,
        "rank_high": 4,
        "draw_figures": rules,
        "any_fail": {"clean": [0.9, 0.8], "robust": [0.1, 0.05]},
    }
    row["source"] = {
        "title": "Noise",
        "authors": "A",
        "year": 2020,
        "url": "https://example.org/a",
        "venue": "B",
        "code": "javascript:1",
    }
    file = tmp_path / "more.html"
    file.write_text(
        re.sub(
            r'id="data">.*?</script>',
            lambda _: f'id="data">{json.dumps(data).replace("<", chr(92) + "u003c")}</script>',
            text,
            flags=re.DOTALL,
        )
    )
    page = opened("#?columns=worst_case+draws_worst", file=file)
    assert page.locator("#ranked td.c-rank .range").all_inner_texts()[2] == "2–4"
    assert "20.0\n40.0 to 60.0, null 90.0" in page.locator("#ranked td.c-draws_worst").nth(2).inner_text()
    assert page.locator("th.c-defense a[href^=http]").evaluate_all("(all) => all.map((one) => one.href)") == [
        "https://example.org/a"
    ]
    page.locator("tr", has_text="noisy").locator("th a").first.click()
    page.wait_for_selector("text=Any of N submissions fails")
    table = page.locator("table[aria-label='Rules for draws'], [aria-label='Rules for draws'] table")
    assert [text.split("\n")[0] for text in table.locator("tbody td").all_inner_texts()] == [
        "10.0",
        "90.0",
        "20.0",
        "90.0",
        "30.0",
        "90.0",
        "40.0",
        "90.0",
    ]
    assert page.locator(".chart a").evaluate_all("(all) => all.map((one) => one.dataset.tip)") == [
        "clean, 1 submission: 90.0 %", "clean, 2 submissions: 80.0 %", "robust, 1 submission: 10.0 %", "robust, 2 submissions: 5.0 %",
    ]  # fmt: skip
    assert "Noise, A." in page.locator("#view").inner_text()
