"""Figures of papers: what is drawn, from raw lines; and the drawn figure, where nothing overlaps, collapses or leaves the page."""

import itertools
import json
import warnings
from pathlib import Path

import pytest
from matplotlib.text import Text
from records_for_tables import full_set, header, record

from bench.cli.main import main
from bench.errors import UserError
from bench.stats.intervals import proportion
from leaderboards.boards import collect
from leaderboards.papers.figures import draw, figure
from leaderboards.papers.labels import spread
from leaderboards.papers.make import make
from leaderboards.papers.series import Panel, Series, panels
from leaderboards.papers.spec import PaperSpec, RowSpec, read_spec

ROOT = Path(__file__).parent.parent.parent
RECORDS = ROOT / "results" / "fashion-mnist-standard"
LONG = 40
WIDTHS = (2.0, 3.25, 6.75)


@pytest.fixture
def results(tmp_path):
    """`best`, `near` and the undefended classifier at 8/255; `best` at 16/255 on half of the images, and at l2:0.5."""
    full_set(tmp_path, "a", "best", "1" * LONG)
    full_set(tmp_path, "b", "near", "1" * (LONG - 2) + "00")
    full_set(tmp_path, "n", "none", "0" * LONG)
    full_set(tmp_path, "z", "best", "1" * 10 + "0" * 10, threat="linf:16/255")
    record(tmp_path, header("l", "best", threat="l2:0.5"), "1" * 10 + "0" * 30)
    return tmp_path


def values(panel):
    return {part.name: (part.x, [round(100 * share.value, 6) for share in part.y]) for part in panel.series}


# What is drawn.


def test_points(results):
    (panel,) = panels(PaperSpec(kind="figure"), collect(results, threat="linf:8/255"))
    assert values(panel) == {"best": ((100.0,), [100.0]), "near": ((100.0,), [95.0]), "none": ((100.0,), [0.0])}
    (panel,) = panels(PaperSpec(kind="figure", plot="cost-robust"), collect(results, threat="linf:8/255"))
    assert values(panel)["near"] == ((4.0,), [95.0])  # 8 score passes to 2 of the classifier in each line
    assert panel.ticks == (0, 1, 3)


def test_a_curve_has_a_panel_for_each_norm_in_its_own_unit_on_the_images_of_all_radii(results):
    linf, l2 = panels(PaperSpec(kind="figure", plot="curve"), collect(results))
    assert values(linf) == {"best": ((0, 8, 16), [100, 100, 50])}  # the others have one radius alone
    assert linf.series[0].y[1].n == 20
    assert values(l2) == {"best": ((0, 0.5), [100, 25])}
    assert l2.ticks == (0, 0.5)
    assert (linf.series[0].complete, l2.series[0].complete) == (True, False)


@pytest.mark.parametrize(("threat", "norms"), [(None, 2), ("linf", 1), ("l2:0.5", 1)])
def test_the_norm_of_a_curve_can_be_named(threat, norms, results, tmp_path, capsys):
    words = ["--threat", threat] if threat else []
    assert main(["table", "curve", "--results", str(results), *words, "--out", str(tmp_path / "c.png")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "c.png")
    assert len(drawn_data(tmp_path / "c.png")) == norms


def drawn_data(path):
    from PIL import Image

    return json.loads(Image.open(path).info["Description"])


def test_rows_are_chosen_by_rank_with_the_undefended_or_by_name(results):
    boards = collect(results, threat="linf:8/255")
    (panel,) = panels(PaperSpec(kind="figure", top=2), boards)
    assert list(values(panel)) == ["best", "none"]
    rows = [RowSpec(defense="near", title="Ours"), RowSpec(defense="none")]
    (panel,) = panels(PaperSpec(kind="figure", rows=rows), boards)
    assert list(values(panel)) == ["Ours", "none"]


def test_equal_names_are_told_apart(results):
    document = header("other", "none", gradient="full")
    document["spec"]["classifier"]["name"] = "at"
    record(results, document, "1" * LONG)
    (panel,) = panels(PaperSpec(kind="figure", rows=[RowSpec(defense="none")]), collect(results, threat="linf:8/255"))
    assert [part.name for part in panel.series] == ["none (at)", "none (cnn)"]
    assert [part.complete for part in panel.series] == [False, True]


def test_figures_that_cannot_be_drawn(results, tmp_path):
    for spec, boards, code in (
        (PaperSpec(kind="figure", rows=[RowSpec(defense="x")]), collect(results, threat="linf:8/255"), "table-row"),
        (PaperSpec(kind="figure", plot="curve", rows=[RowSpec(defense="x")]), collect(results), "table-row"),
        (
            PaperSpec(kind="figure", rows=[RowSpec(defense="best")] * 11),
            collect(results, threat="l2:0.5"),
            "figure-rows",
        ),
    ):
        with pytest.raises(UserError) as error:
            panels(spec, boards)
        assert error.value.code.startswith(code)
    full_set(results / "more", "q", "best", "1" * LONG)
    with pytest.raises(UserError) as error:
        make("clean-robust", results=results, out=tmp_path)
    assert error.value.code == "board-several"


# The drawn figure.


def problems(drawn):
    """What a reader would see as wrong in a drawn figure."""
    renderer, page = drawn.canvas.get_renderer(), drawn.bbox
    drawn.draw_without_rendering()
    legends, found = list(drawn.legends), []
    for axes in drawn.axes:
        frame = axes.get_window_extent(renderer)
        columns = 1 if frame.width > page.width / 2 or len(drawn.axes) == 1 else len(drawn.axes)
        if frame.width < page.width / columns / 2.5 or frame.height < 1.2 * drawn.dpi:
            found.append("collapsed axes")
        beside = [Text.get_window_extent(text, renderer) for text in axes.texts]  # without their lines to the points
        ticks = [
            [label.get_window_extent(renderer) for label in axis.get_ticklabels()] for axis in (axes.xaxis, axes.yaxis)
        ]
        outside = axes.get_tightbbox(renderer)
        found += ["label over axes" for box in beside if box.overlaps(frame)]
        found += ["legend over axes" for legend in legends if legend.get_window_extent(renderer).overlaps(outside)]
        for boxes in (beside, *ticks):
            found += ["labels overlap" for a, b in itertools.combinations(boxes, 2) if a.overlaps(b)]
        for text in (axes.xaxis.label, axes.yaxis.label, *axes.texts):
            box = Text.get_window_extent(text, renderer)
            if not (page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1):
                found.append(f"{text.get_text()!r} leaves the page")
    for legend in legends:
        box = legend.get_window_extent(renderer)
        found += ["legend leaves the page"] if box.x0 < 0 or box.x1 > page.x1 or box.y0 < 0 else []
    return found


def accuracy(percent):
    return proportion(round(2 * percent), 200)


def lines(names, ends):
    series = [
        Series(name=name, x=(0.0, 8.0), y=(accuracy(90), accuracy(end))) for name, end in zip(names, ends, strict=True)
    ]
    return Panel(x_label="radius", series=tuple(series), ticks=(0.0, 8.0), lines=True)


NAMES = [f"defense-{k} (fashion-mnist-at, another-unet)" for k in range(10)]
HARD = {
    "lines that end together": [lines([f"d{k}" for k in range(10)], [50 + k / 2 for k in range(10)])],
    "lines that end at zero": [lines([f"d{k}" for k in range(10)], [0] * 10)],
    "long names": [lines(NAMES, range(0, 100, 10))],
    "two norms": [lines([f"d{k}" for k in range(9)], [10] * 9)] * 2,
    "one point": [Panel(x_label="clean", series=(Series(name="x", x=(0.0,), y=(accuracy(0),)),))],
    "points": [
        Panel(
            x_label="passes", ticks=(0, 1, 10, 100, 1000, 10_000), logarithmic=True,
            series=tuple(Series(name=name, x=(float(4**k % 10_001),), y=(accuracy(50),), complete=k < 5) for k, name in enumerate(NAMES)),
        )
    ],
}  # fmt: skip


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", HARD)
def test_nothing_overlaps(name, width):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert problems(draw(HARD[name], width)) == []


@pytest.fixture(scope="module")
def boards():
    return {
        "all": collect(RECORDS, required=["full gradient"]), "one": collect(RECORDS, threat="linf:20/255"),
        "weaker": collect(RECORDS, threat="linf:20/255", required=["full gradient"]),
    }  # fmt: skip


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    ("name", "which"),
    [("curve", "all"), ("clean-robust", "one"), ("cost-robust", "one"), ("clean-robust", "weaker"),
     ("results/tables/purifiers.toml", "weaker")],
)  # fmt: skip
def test_the_figures_of_the_committed_records(name, which, width, boards):
    _, spec = read_spec(str(ROOT / name) if name.endswith(".toml") else name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert problems(draw(panels(spec, boards[which]), width)) == []


def test_the_check_sees_what_is_wrong():
    drawn = draw(HARD["lines that end together"], 3.25)
    for text in drawn.axes[0].texts:
        text.set_position((0.9, text.get_position()[1] / 2))
    drawn.legend(["a very long name " * 10], loc="center")
    found = problems(drawn)
    assert {"label over axes", "labels overlap", "legend over axes", "legend leaves the page"} <= set(found)


def test_labels_move_as_little_as_possible():
    assert spread([10, 50, 30], 5, (0, 100)) == [10, 50, 30]
    assert spread([50, 50], 4, (0, 100)) == [52, 48]
    assert spread([10, 11, 12, 40], 3, (0, 100)) == [8, 11, 14, 40]
    assert spread([0, 0, 99, 100], 10, (0, 100)) == [10, 0, 90, 100]


def test_a_figure_is_a_pdf_with_embedded_fonts_and_a_png_of_its_width(results, tmp_path, capsys):
    from PIL import Image

    assert main(["table", "curve", "--results", str(results), "--out", str(tmp_path / "f")]) == 0
    pdf, png = (Path(line) for line in capsys.readouterr().out.split())
    content = pdf.read_bytes()
    assert content.startswith(b"%PDF")
    assert b"/FontFile2" in content
    assert b"/Type3" not in content
    assert Image.open(png).width == 975  # 3.25 inches of 300 dots
    assert figure(HARD["points"], 3.25, "png") == figure(HARD["points"], 3.25, "png")


def test_colours_are_distinct_to_colour_blind_readers():
    """No two of the first seven colours come close under any of three deficiencies (Machado et al., 2009, severity 1)."""
    import numpy as np

    from leaderboards.papers.figures import STYLES

    views = [
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    ]
    colors = {color: np.array([int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]) ** 2.2 for color, _, _ in STYLES}
    assert len(colors) == 7
    assert len({marker for _, marker, _ in STYLES}) == len(STYLES) == 10
    for view in views:
        seen = [np.clip(np.array(view) @ color, 0, 1) ** (1 / 2.2) for color in colors.values()]
        assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 0.1
