"""`bench report`: one file with the numbers of the lines, without scripts and network, readable for everybody."""

import base64
import io
import json
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from records_for_tables import header, record

from bench.cli.main import main
from bench.cli.report import purify
from bench.errors import UserError
from bench.figures.runs import read_run
from bench.records.lookup import find_record
from bench.stats.intervals import proportion
from bench.text.brackets import bracketed
from leaderboards.reports import as_html
from leaderboards.reports.images import _chosen

RECORDS = Path(__file__).parent.parent.parent / "results" / "fashion-mnist-standard"
A, B = "4c11dd557fd5", "86fecd8ce2f3"


def tables(page):
    """The cells of each table by its name, as text."""
    found = {}
    for name, body in re.findall(r'aria-label="([^"]*)"><table>(.*?)</table>', page, re.DOTALL):
        rows = [
            re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)
            for row in re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
        ]
        found[unescape(name)] = [[unescape(re.sub(r"<[^>]*>", "", cell)) for cell in row] for row in rows]
    return found


@pytest.fixture(scope="module")
def paths():
    return [find_record(RECORDS, run) for run in (A, B)]


@pytest.fixture(scope="module")
def one(paths):
    return as_html(paths[:1], purifier=lambda run, evidence: (evidence.images, evidence.images))


@pytest.fixture(scope="module")
def two(paths):
    return as_html(paths)


def lines(path):
    return [json.loads(line) for line in (path / "samples.jsonl").read_text().splitlines()]


def test_the_numbers_are_those_of_the_lines(one, paths):
    rows, found = lines(paths[0]), tables(one)
    for title, key in (("clean accuracy %", "clean"), ("robust accuracy %", "adversarial")):
        right = sum(line[key] == [line["label"]] for line in rows)
        assert [title, bracketed(proportion(right, len(rows)))] in found["Accuracies"]
    names = ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]
    for label, cells in enumerate(found["Accuracy of each class"][1:]):
        of = [line for line in rows if line["label"] == label]
        clean, robust = (sum(line[key] == [label] for line in of) for key in ("clean", "adversarial"))
        assert cells == [
            names[label],
            str(len(of)),
            *(bracketed(proportion(right, len(of))) for right in (clean, robust)),
        ]
    below = 100 * np.mean([line["margin"][0] < 0 for line in rows])
    assert f"{below:.1f} % of {len(rows)} margins are below 0" in one
    heights = [float(part) for part in re.findall(r'<rect class="broken"[^>]* height="([\d.]+)"', one)]
    others = [float(part) for part in re.findall(r'<rect class="kept"[^>]* height="([\d.]+)"', one)]
    assert sum(heights) / (sum(heights) + sum(others)) == pytest.approx(below / 100, abs=0.002)


def test_the_identity_the_claims_and_the_audit_are_those_of_the_record(one, paths):
    document, found = json.loads((paths[0] / "run.json").read_text()), tables(one)
    identity = dict(found["Identity"][1:])
    assert identity["classifier, SHA-256"] == document["spec"]["classifier"]["sha256"]
    assert identity["seal"] == "every file is unchanged since the run completed"
    names = [row[0] for row in found["Claims"][1:]]
    assert names[: len(document["checks"]["claims"])] == [claim["check"] for claim in document["checks"]["claims"]]
    audit = json.loads((paths[0] / "audit.json").read_text())
    assert [row[:2] for row in found["Audit"][1:]] == [[check["name"], check["verdict"]] for check in audit["checks"]]
    assert "bench run --defense dpsam --attack pgd-full --dataset fashion-mnist --threat linf:20/255 -n 250" in one


def test_two_runs_are_paired_and_what_changed_sides_is_listed(two, paths):
    a, b = ({line["id"]: line for line in lines(path)} for path in paths)
    right = [{sample: line["adversarial"] == [line["label"]] for sample, line in side.items()} for side in (a, b)]
    lost = [sample for sample in a if right[0][sample] and not right[1][sample]]
    won = [sample for sample in a if right[1][sample] and not right[0][sample]]
    (robust,) = [row for row in tables(two)["Paired comparison"] if row[0] == "robust"]
    assert robust[4:6] == [str(len(lost)), str(len(won))]
    listed = tables(two)["Adversarial images that changed sides"][1:]
    assert [int(row[0]) for row in listed] == sorted(lost + won)
    assert all(("✗" in row[2]) == (int(row[0]) in won) for row in listed)
    assert "defense dpsam -&gt; dp" in two


def test_images_that_changed_sides_come_first_and_broken_ones_in_turn(paths):
    from bench.records.evidence import read_evidence

    runs, stored = [read_run(path) for path in paths], [read_evidence(path) for path in paths]
    robust = [run.shares()[[run.row_of[k] for k in _chosen(runs, stored, 8)]] for run in runs]
    assert (robust[0] != robust[1]).tolist() == [True] * 3 + [False] * 5
    single = [runs[0].shares()[runs[0].row_of[k]] for k in _chosen(runs[:1], stored[:1], 6)]
    assert single == [0, 1, 0, 1, 0, 1]


def test_pictures_show_the_stored_image_and_the_magnified_perturbation(one, paths):
    from PIL import Image

    from bench.records.evidence import read_evidence

    stored = read_evidence(paths[0])
    picture = r'<img src="data:image/png;base64,([^"]+)" alt="image (\d+), adversarial"'
    source, sample = re.search(picture, one).groups()
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(source))))
    assert np.abs(shown / 255 - stored.of([int(sample)]).images[0, 0]).max() < 1 / 255
    assert one.count("× 6") == one.count('alt="image') // 5 == 8  # 6 x 20/255 is the most that fits around grey


def test_it_is_one_small_file_without_scripts_and_network(one, two):
    for page in (one, two):
        assert len(page) < 150_000
        assert "<script" not in page
        assert not re.search(r'(?:src|href)="(?!data:)', page)
        assert "http" not in re.sub(r"<pre.*?</pre>", "", page, flags=re.DOTALL)


def test_names_of_strangers_stay_text_and_a_run_without_images_or_audit_has_a_report(tmp_path, capsys):
    document = header("evil", "<b>own</b>", draws=2)
    record(tmp_path, document, "2" * 10 + "1" * 20 + "0" * 10)
    assert main(["report", "evil", "--results", str(tmp_path), "--out", str(tmp_path / "r.html")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert "<b>own" not in page
    assert "&lt;b&gt;own" in page
    assert "Not audited" in page
    assert ["robust, all draws right %", "25.0"] in tables(page)["Accuracies"]
    assert ["robust, mean over draws %", "50.0"] in tables(page)["Accuracies"]


def test_code_of_a_record_runs_only_where_it_is_allowed(tmp_path, capsys):
    document = header("code", "own.py:Own")
    purifier = purify(allow_code=False)
    assert purifier(read_run(record(tmp_path, document, "1" * 4)), None) is None
    assert "--allow-code" in capsys.readouterr().err


def test_a_run_without_finished_images_has_none(tmp_path):
    path = record(tmp_path, header("empty", "x"), "", seal=False)
    with pytest.raises(UserError) as error:
        as_html([path])
    assert error.value.code == "report-run-empty"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("which", ["one", "two"])
def test_everybody_can_read_it(which, width, scheme, browser, request, tmp_path):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    (tmp_path / "report.html").write_text(request.getfixturevalue(which))
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.goto(f"file://{tmp_path}/report.html")
    violations = axe.Axe().run(page).response["violations"]
    assert [(found["id"], found["nodes"][0]["html"]) for found in violations] == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.close()


def test_nothing_is_cut_off_in_print(browser, two, tmp_path):
    (tmp_path / "report.html").write_text(two)
    page = browser.new_page(viewport={"width": 718, "height": 1000}, color_scheme="dark")  # A4 without margins of 1 cm
    page.emulate_media(media="print")
    page.goto(f"file://{tmp_path}/report.html")
    assert page.evaluate("document.documentElement.scrollWidth") == 718
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.close()
