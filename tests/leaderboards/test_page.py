"""The page in a real browser: figures, sorting, filters, links, themes, keyboard; nothing on the console, nothing from the network."""

import json
import re
from fractions import Fraction

import numpy as np
import pytest
from records_for_tables import full_set, header, record

import leaderboards
from bench.cli.main import main
from bench.stats.intervals import mean_share

LONG = 40


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
def with_images(tmp_path_factory):
    """One real run that stores its adversarial images; the page purifies them."""
    folder = tmp_path_factory.mktemp("images")
    words = f"run --defense tweedie -A steps=2 -A losses=cw -n 20 --quiet --device cpu --results {folder / 'results'}"
    assert main(words.split()) == 0
    words = f"leaderboard --results {folder / 'results'} --format html --out {folder} --images 4 --purified --require"
    assert main([*words.split(), "full gradient"]) == 0
    return folder / "index.html"


def data_of(text):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL).group(1))


def right(path, which):
    """Shares of right draws from the raw lines, by exact arithmetic."""
    lines = [json.loads(text) for text in (path / "samples.jsonl").read_text().splitlines()]
    return {line["id"]: Fraction(sum(one == line["label"] for one in line[which]), len(line[which])) for line in lines}


def test_every_figure_is_that_of_the_raw_lines(results):
    """Accuracies, worst cases and differences, recomputed from the files without this package's readers."""
    data = data_of(leaderboards.render(results, "html"))
    folders = {path.parent.name: path.parent for path in results.glob("*/*/*/run.json")}
    assert set(data["runs"]) == set(folders)
    for name, run in data["runs"].items():
        for which, key in (("clean", "clean"), ("adversarial", "robust")):
            shares = right(folders[name], which)
            assert run[key][0] == pytest.approx(float(sum(shares.values()) / len(shares)), abs=1e-6)
            interval = mean_share(np.array([float(share) for share in shares.values()]))
            assert run[key][1:] == pytest.approx([interval.low, interval.high], abs=1e-6)
    for row in data["rows"]:
        columns = [right(folders[name], "adversarial") for name in row["runs"]]
        worst = {k: min(column[k] for column in columns) for k in columns[0]}
        clean = right(folders[row["runs"][0]], "clean")
        assert row["worst"][0] == pytest.approx(float(sum(worst.values()) / len(worst)), abs=1e-6)
        assert row["null"][0] == pytest.approx(float(sum(worst[k] - clean[k] for k in worst) / len(worst)), abs=1e-6)
        for kind, interval in row["under"].items():
            part = [right(folders[name], "adversarial") for name in row["runs"] if data["runs"][name]["class"] == kind]
            lowest = [min(column[k] for column in part) for k in worst]
            assert interval[0] == pytest.approx(float(sum(lowest) / len(lowest)), abs=1e-6)


def test_it_is_one_file_that_names_no_address(results):
    text = leaderboards.render(results, "html")
    assert not re.findall(r"(?:src|href)=\"(?!#|data:|\$)[^\"]+\"", text)
    assert "<b>lacking" not in re.sub(r"<script type=\"application/json\".*?</script>", "", text, flags=re.DOTALL)
    assert "\\u003cb>lacking" in text


@pytest.fixture
def opened(browser, results, tmp_path):
    """Opens the page; at the end the console must be empty and nothing asked for but the file."""
    seen, contexts = {"console": [], "requests": []}, []

    def call(file=None, fragment="", **options):
        if file is None:
            file = tmp_path / "board.html"
            file.write_text(leaderboards.render(results, "html"))
        context = browser.new_context(**{"viewport": {"width": 1360, "height": 900}} | options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: seen["console"].append(message.text))
        page.on("pageerror", lambda error: seen["console"].append(str(error)))
        page.on("request", lambda request: seen["requests"].append(request.url))
        page.goto(f"file://{file}{fragment}")
        page.wait_for_selector("tbody tr")
        return page

    yield call
    for context in contexts:
        context.close()
    assert seen["console"] == []
    assert [url for url in seen["requests"] if not url.startswith(("file:///", "data:"))] == []


def names(page, section="#ranked"):
    return page.locator(f"{section} tbody th").all_inner_texts()


def column(page, title, section="#ranked"):
    titles = page.locator(f"{section} thead th").all_inner_texts()
    place = titles.index(title) + 1
    return [text.split("\n")[0] for text in page.locator(f"{section} tbody tr > :nth-child({place})").all_inner_texts()]


def test_the_board_shows_ranks_with_ties_and_what_is_apart(opened):
    page = opened()
    assert page.locator("h1#title").inner_text() == "toy, linf:8/255"
    assert names(page) == ["best", "near", "noisy", "low"]
    assert column(page, "Rank") == ["1", "2", "3", "4"]
    assert column(page, "Worst case %") == ["100.0", "95.0", "53.1", "25.0"]
    assert column(page, "Believed") == ["unchecked"] * 4
    assert names(page, "#incomplete") == ["<b>lacking</b>"]
    assert column(page, "Missing", "#incomplete") == ["AutoAttack, black box, transfer"]
    assert "Elsewhere" in page.locator("#imported").inner_text()
    assert "Elsewhere" not in page.locator("#ranked").inner_text()
    assert page.locator("#charts svg[role=img]").count() == 3


def test_sorting_by_mouse_and_by_keyboard(opened):
    page = opened()
    page.get_by_role("button", name="Worst case %").first.click()
    assert names(page) == ["best", "near", "noisy", "low"]
    header = page.locator("#ranked th[aria-sort]")
    assert (header.get_attribute("aria-sort"), header.inner_text()) == ("descending", "Worst case %")
    assert page.evaluate("document.activeElement.dataset.sort") == "Worst case %"
    page.keyboard.press("Enter")
    assert names(page) == ["low", "noisy", "near", "best"]
    assert page.locator("#ranked th[aria-sort]").get_attribute("aria-sort") == "ascending"
    page.get_by_role("button", name="Defense").first.click()
    assert names(page) == sorted(names(page))


def test_filters_search_and_columns(opened):
    page = opened()
    page.select_option("#kind", "stochastic")
    assert names(page) == ["noisy"]
    page.select_option("#kind", "")
    page.fill("#search", "near")
    assert names(page) == ["near"]
    assert page.locator("#count").inner_text().startswith("1 of 5 rows")
    page.fill("#search", "nothing like it")
    assert "Nothing fits" in page.locator("#ranked").inner_text()
    page.fill("#search", "")
    page.select_option("#threat", "linf:16/255")
    assert names(page) == ["best"]
    assert column(page, "Worst case %") == ["50.0"]
    page.select_option("#threat", "all")
    assert sorted(column(page, "Threat")) == ["linf:16/255"] + ["linf:8/255"] * 4
    page.locator(".columns summary").click()
    page.get_by_label("Draws", exact=True).check()
    page.get_by_label("Transfer %").uncheck()
    titles = page.locator("#ranked thead th").all_inner_texts()
    assert "Draws" in titles
    assert "Transfer %" not in titles
    page.keyboard.press("Escape")
    assert page.locator(".columns[open]").count() == 0


def test_links_lead_to_runs_and_back(opened):
    page = opened()
    page.locator("#ranked tbody th a", has_text="near").click()
    page.wait_for_selector("#run h1")
    assert page.locator("#run h1").inner_text() == "near under pgd-full"
    assert "bench run --defense near --attack pgd-full" in page.locator("#run .command code").inner_text()
    assert '"name": "near"' in page.locator("#run pre").inner_text()
    assert page.evaluate("document.activeElement.id") == "main"
    assert not page.locator("#board").is_visible()
    page.locator("#run tbody a", has_text="square").click()
    assert page.locator("#run h1").inner_text() == "near under square"
    page.locator(".crumb a").click()
    page.wait_for_selector("#board:not([hidden])")
    assert names(page) == ["best", "near", "noisy", "low"]
    links = page.evaluate("[...document.querySelectorAll('a[href^=\"#run/\"]')].map((a) => a.hash.slice(5))")
    known = page.evaluate("Object.keys(JSON.parse(document.getElementById('data').textContent).runs)")
    assert links
    assert set(links) <= set(known)


@pytest.mark.parametrize("width", [1360, 390])
def test_nothing_is_wider_than_the_window(width, opened):
    page = opened(viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate("location.hash = '#run/a0'")
    page.wait_for_selector("#run h1")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def contrast(page, selector):
    """WCAG's contrast of text against the page."""
    colours = page.evaluate(
        "(s) => [getComputedStyle(document.querySelector(s)).color, getComputedStyle(document.body).backgroundColor]",
        selector,
    )
    levels = []
    for colour in colours:
        channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in channels]
        levels.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(levels) + 0.05) / (min(levels) + 0.05)


def test_light_and_dark_both_read_well(opened):
    for scheme in ("light", "dark"):
        page = opened(color_scheme=scheme)
        first = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert contrast(page, "h1") > 7
        assert contrast(page, ".lead") > 4.5
        assert contrast(page, "#ranked td a") > 7
        assert contrast(page, "#ranked .range") > 4.5
        page.locator("#theme").click()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != first


def test_every_control_has_a_name(opened):
    page = opened()
    for control in page.locator("select, input[type=search], #theme").all():
        named = control.evaluate("(one) => one.getAttribute('aria-label') || one.labels?.[0]?.textContent || ''")
        assert named.strip()
    assert page.locator("table").first.locator("caption").count() == 1
    assert page.locator("#count").get_attribute("aria-live") == "polite"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"


def test_a_run_shows_its_images_with_predictions(with_images, opened):
    page = opened(with_images)
    page.locator("#ranked tbody th a").click()
    page.wait_for_selector(".pictures img")
    assert page.locator(".pictures li").count() == 4
    first = page.locator(".pictures li").first
    captions = first.locator("figcaption").all_inner_texts()
    assert [caption.split("\n")[0].split(" ×")[0].strip() for caption in captions] == [
        "clean", "attacked", "difference", "clean, purified", "attacked, purified",
    ]  # fmt: skip
    assert page.evaluate(
        "[...document.querySelectorAll('.pictures img')].every((one) => one.complete && one.naturalWidth === 28)"
    )
    data = data_of(with_images.read_text())
    (run,) = data["runs"].values()
    image = run["pictures"][0]
    wanted = data["names"]["fashion-mnist"][image["adversarial"][0]]
    assert wanted in captions[1]


def test_figures_of_pictures_are_those_of_the_record(with_images):
    (run,) = data_of(with_images.read_text())["runs"].values()
    (file,) = with_images.parent.glob("results/*/*/*/samples.jsonl")
    lines = {line["id"]: line for line in map(json.loads, file.read_text().splitlines())}
    for image in run["pictures"]:
        line = lines[image["id"]]
        assert (image["label"], image["clean"], image["adversarial"]) == (
            line["label"],
            line["clean"],
            line["adversarial"],
        )
        assert image["factor"] == int(0.5 / line["distance"])
