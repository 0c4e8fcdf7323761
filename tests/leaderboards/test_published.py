"""What is published is what the committed records give: board, page, paper tables, and the tables inside the documents."""

import io
import re
from pathlib import Path

import pytest

from bench.cli.main import main

ROOT = Path(__file__).parent.parent.parent
RECORDS = ROOT / "results" / "fashion-mnist-standard"


@pytest.fixture(scope="module")
def publish():
    from leaderboards import publish

    return publish


def test_nothing_published_is_stale(publish):
    assert publish.publish(check=True) == []


def test_the_documents_hold_tables_of_the_records(publish):
    blocks = [block for name in publish.DOCUMENTS for block in publish.BLOCK.finditer((ROOT / name).read_text())]
    assert len(blocks) > 6
    assert all(len(block["body"].strip().splitlines()) > 3 for block in blocks)
    readme = (ROOT / "README.md").read_text()
    assert len(re.findall(r"^\| \d+ +\| ", readme, re.MULTILINE)) > 15


def test_a_file_that_a_page_shows_is_written_anew(publish, tmp_path, monkeypatch):
    monkeypatch.setattr(publish, "FILES", {})
    monkeypatch.setattr(publish, "FIGURES", {})
    monkeypatch.setattr(publish, "DOCUMENTS", ("page.md",))
    monkeypatch.setattr(publish, "ROOT", tmp_path)
    (tmp_path / "own.py").write_text("new\n")
    page = "before\n<!-- the file own.py -->\n```python\n{}```\nafter\n"
    (tmp_path / "page.md").write_text(page.format("old\n"))
    assert publish.publish(check=False) == ["page.md"]
    assert (tmp_path / "page.md").read_text() == page.format("new\n")


@pytest.mark.parametrize("fence", ["", "```text\n"])
def test_a_stale_block_is_written_anew_and_a_fresh_one_left(fence, publish, tmp_path, monkeypatch):
    monkeypatch.setattr(publish, "FILES", {})
    monkeypatch.setattr(publish, "FIGURES", {})
    monkeypatch.setattr(publish, "DOCUMENTS", ("page.md",))
    monkeypatch.setattr(publish, "ROOT", tmp_path)
    monkeypatch.setattr(publish, "printed", lambda command: f"{command} says so\n")
    foot = "```\n" if fence else ""
    page = tmp_path / "page.md"
    page.write_text(f"before\n<!-- from: bench list -->\n{fence}old\n{foot}<!-- end -->\nafter\n")
    assert publish.publish(check=True) == ["page.md"]
    assert "old" in page.read_text()
    assert publish.publish(check=False) == ["page.md"]
    body = f"{fence}$ bench list\nbench list says so\n{foot}" if fence else "\n`bench list`\n\nbench list says so\n\n"
    assert page.read_text() == f"before\n<!-- from: bench list -->\n{body}<!-- end -->\nafter\n"
    assert publish.publish(check=False) == []


def test_a_figure_is_stale_if_it_shows_other_data(publish, tmp_path, monkeypatch):
    from PIL import Image, PngImagePlugin

    def picture(data, level):
        note, content = PngImagePlugin.PngInfo(), io.BytesIO()
        note.add_text("Description", data)
        Image.new("L", (2, 2), level).save(content, format="PNG", pnginfo=note)
        return content.getvalue()

    monkeypatch.setattr(publish, "ROOT", tmp_path)
    monkeypatch.setattr(publish, "published", lambda: [])
    monkeypatch.setattr(publish, "figures", lambda: [(tmp_path / "a.png", picture("[1]", 9))])
    for data, level, stale in (("[1]", 9, []), ("[1]", 200, []), ("[2]", 9, ["a.png"])):
        (tmp_path / "a.png").write_bytes(picture(data, level))
        assert publish.publish(check=True) == stale
    assert publish.publish(check=False) == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == picture("[1]", 9)


def test_a_command_that_fails_is_named(publish):
    with pytest.raises(SystemExit, match="expected exit code 0, got 2; see: bench leaderboard --results nowhere"):
        publish.printed("bench leaderboard --results nowhere")


def test_every_record_is_complete(capsys):
    paths = [file.parent for file in RECORDS.glob("*/*/*/run.json")]
    assert len(paths) > 90
    assert [path.name for path in paths if not (path / "SHA256SUMS").is_file()] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", [file.parent for file in sorted(RECORDS.glob("*/*/*/run.json"))], ids=lambda path: path.name
)
def test_every_record_verifies(path, capsys):
    assert main(["verify", str(path), "--quiet"]) == 0, capsys.readouterr().out


def test_the_baseline_of_ci_holds_the_first_images_of_the_suite():
    for file in (ROOT / "tests" / "baseline").glob("*/*/*/samples.jsonl"):
        lines = file.read_bytes().splitlines()
        source = RECORDS / file.relative_to(ROOT / "tests" / "baseline")
        assert lines == source.read_bytes().splitlines()[: len(lines)]
        assert len(lines) == 50
        assert file.with_name("run.json").read_bytes() == source.with_name("run.json").read_bytes()
