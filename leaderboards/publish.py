"""Publishes the committed records: writes the board, the page, the paper's tables and figures, and the output quoted in documents.

    python -m leaderboards.publish            # writes the files
    python -m leaderboards.publish --check    # names the files that would change; exit code 1 if there are any
    python -m leaderboards.publish --pack     # rewrites the zip files of the records, after new runs

In a document, the output of a command goes between two marks; a code fence around it is kept:

    <!-- from: bench compare 4c11 86fe --results results/fashion-mnist-standard -->
    <!-- end -->

A code fence after this mark holds the content of a file:

    <!-- the file examples/two_shots.py -->
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import runpy
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from bench.cli.main import main
from bench.records.archive import pack_results

ROOT = Path(__file__).parent.parent
RESULTS = "results/fashion-mnist-standard"
RECORDS = f"--results {RESULTS}"
FILES = {
    "leaderboards/board.md": f'bench leaderboard {RECORDS} --against dpsam --require "full gradient" --commands --runs',
    "leaderboards/site/index.html": f'bench leaderboard {RECORDS} --against dpsam --require "full gradient" --format html',
    "results/tables/main.md": "bench table results/tables/main.toml --format md",
    "results/tables/main.tex": "bench table results/tables/main.toml --format latex",
    "results/tables/ablation.md": "bench table results/tables/ablation.toml --format md",
    "results/tables/ablation.tex": "bench table results/tables/ablation.toml --format latex",
}
FIGURES = {
    "docs/figures/curve.png": f"bench table curve {RECORDS}",
    "docs/figures/clean-robust.png": f"bench table clean-robust {RECORDS} --threat linf:20/255",
    "docs/figures/cost-robust.png": f"bench table cost-robust {RECORDS} --threat linf:20/255",
    "docs/figures/purifiers.png": "bench table results/tables/purifiers.toml",
}
DOCUMENTS = ("README.md", *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md")))
BLOCK = re.compile(
    r"(?P<head><!-- from: (?P<command>(?:bench|python) [^\n]*) -->\n)(?P<body>.*?)(?P<foot><!-- end -->)", re.DOTALL
)
SHOWN = re.compile(r"(?P<head><!-- the file (?P<file>\S+) -->\n```\w+\n).*?(?P<foot>^```$)", re.DOTALL | re.MULTILINE)
FENCE = re.compile(r"\A\n*(```\w*\n).*?(```\n)\n*\Z", re.DOTALL)


def published() -> Iterator[tuple[Path, str]]:
    """Each published file with its content."""
    for name, command in FILES.items():
        yield ROOT / name, printed(command)
    for name in DOCUMENTS:
        yield ROOT / name, SHOWN.sub(_shown, BLOCK.sub(_filled, (ROOT / name).read_text()))


@functools.cache
def printed(command: str) -> str:
    """The output of a command, run at the root of the checkout."""
    (program, *words), output, folder = shlex.split(command), io.StringIO(), Path.cwd()
    os.chdir(ROOT)
    try:
        with contextlib.redirect_stdout(output):
            code = main(words) if program == "bench" else _script(*words)
    finally:
        os.chdir(folder)
    if code:
        raise SystemExit(f"expected exit code 0, got {code}; see: {command}")
    return output.getvalue().rstrip("\n") + "\n"


def _script(flag: str, module: str) -> int:
    try:
        runpy.run_path(str(ROOT / module.replace(".", "/")) + ".py", run_name="__main__")
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def _filled(block: re.Match[str]) -> str:
    fence = FENCE.match(block["body"])
    before, after, shown = (*fence.groups(), "$ {}\n") if fence else ("\n", "\n", "`{}`\n\n")
    command = block["command"]
    return f"{block['head']}{before}{shown.format(command)}{printed(command)}{after}{block['foot']}"


def _shown(block: re.Match[str]) -> str:
    return f"{block['head']}{(ROOT / block['file']).read_text()}{block['foot']}"


def figures() -> Iterator[tuple[Path, bytes]]:
    """Each published figure with its content."""
    with tempfile.TemporaryDirectory() as folder:
        for name, command in FIGURES.items():
            (drawn,) = printed(f"{command} --out {folder}/{Path(name).name}").split()
            yield ROOT / name, Path(drawn).read_bytes()


def publish(*, check: bool) -> list[str]:
    """Writes the files that differ, unless `check` is set; returns their names.

    A figure differs for a check if it shows other data: its pixels depend on the release of matplotlib.
    """
    contents = [*((path, text.encode()) for path, text in published()), *figures()]
    changed = []
    for path, content in contents:
        key = _data if check and path.suffix == ".png" else bytes
        if path.exists() and key(path.read_bytes()) == key(content):
            continue
        changed.append(str(path.relative_to(ROOT)))
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return changed


def _data(picture: bytes) -> bytes:
    """The data that a figure shows, from its metadata."""
    return str(Image.open(io.BytesIO(picture)).info.get("Description")).encode()


def pack() -> None:
    """Writes the committed zip files: one of the records of the boards, one of the runs behind their audits."""
    pack_results(ROOT / RESULTS, ROOT / f"{RESULTS}.zip")
    if (ROOT / RESULTS / "audits").is_dir():
        pack_results(ROOT / RESULTS / "audits", ROOT / f"{RESULTS}-audits.zip")


if __name__ == "__main__":
    if sys.argv[1:] == ["--pack"]:
        pack()
        sys.exit()
    only_check = sys.argv[1:] == ["--check"]
    names = publish(check=only_check)
    print("\n".join(names) or "nothing changed")
    sys.exit(int(only_check and bool(names)))
