"""The documentation does what it says: its snippets run, its commands exist and parse, its pages build."""

import importlib.util
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import typer

from bench.cli.main import CLICK_ERROR, app, main
from bench.registry.arguments import parse_options
from bench.registry.tables import make_registry
from bench.threat import parse_threats

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted((ROOT / "docs").rglob("*.md"))
TEXTS = [ROOT / "README.md", *PAGES, ROOT / "results" / "README.md", *sorted((ROOT / "examples").glob("*.sh"))]
BLOCK = re.compile(r"(?:<!-- (?P<mark>[^>]*) -->\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
NEEDS = {
    "defenses": "defense",
    "attacks": "attack",
    "datasets": "dataset",
    "classifiers": "classifier",
    "score_models": "score_model",
}
FLAGS = {"defenses": "-D", "attacks": "-A", "classifiers": "-C", "score_models": "-S"}


def name_of(path):
    return str(path.relative_to(ROOT))


def blocks(path):
    """Mark, kind and text of each fenced block."""
    return [(part["mark"] or "", part["kind"], part["text"]) for part in BLOCK.finditer(path.read_text())]


# Every command line parses.


def unrolled(text):
    """Shell loops over words, written out."""
    loop = re.compile(r"\bfor (\w+) in ([^;\n]*);\s*do\b(.*?)\bdone\b", re.DOTALL)
    while found := loop.search(text):
        variable, words, body = found.groups()
        turns = "\n".join(re.sub(rf"\${variable}\b", word, body) for word in shlex.split(words))
        text = text[: found.start()] + turns + text[found.end() :]
    return text


def commands_of(text, kind):
    """The command lines `bench ...` of a shell text or a markdown page, as words."""
    if kind == "md":
        inline = [f"{part}\n" for part in re.findall(r"(?<!`)`(bench [^`\n]+)`", text)]
        text = "".join([*inline, *(part["text"] for part in BLOCK.finditer(text) if part["kind"] in ("sh", "yaml"))])
    lines = []
    for line in unrolled(re.sub(r"\\\n", " ", text)).splitlines():
        line = re.sub(r"^\s*- ?", "", line).replace("run: bench", "bench")
        for part in re.findall(r'--wrap "(.*?)"', line) or re.split(
            r"&&|;|\||(?<!\S)&(?!\S)|\bthen\b", line.partition(" #")[0]
        ):
            words = shlex.split(part.strip(), comments=True)
            if words[:1] == ["bench"]:
                lines.append([word for word in words[1:] if word not in ("$step", "$into", "...", "…")])
    return lines


COMMANDS = sorted(
    {(name_of(path), shlex.join(words)) for path in TEXTS for words in commands_of(path.read_text(), path.suffix[1:])}
)


def parsed(words):
    """The name and the parameters of a command line, which is not run."""
    command, parent = typer.main.get_command(app), None
    names, left = [], list(words)
    while hasattr(command, "commands"):
        parent = command.context_class(command, parent=parent, info_name=" ".join(["bench", *names]))
        name, command, left = command.resolve_command(parent, left)
        names.append(name)
    return " ".join(names), command.make_context(names[-1], left, parent=parent).params


def test_every_text_has_commands_and_loops_are_written_out():
    assert len(COMMANDS) > 100
    assert commands_of("```sh\nfor d in none 'dpsam -D rho=0'; do bench run --defense $d -n 5; done  # x\n```\n", "md") == [
        ["run", "--defense", "none", "-n", "5"], ["run", "--defense", "dpsam", "-D", "rho=0", "-n", "5"],
    ]  # fmt: skip
    assert commands_of("say `bench list defenses` and\n```sh\npip install . && bench doctor\n```\n", "md") == [
        ["list", "defenses"],
        ["doctor"],
    ]


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_every_command_line_parses(page, line):
    words = [word for word in shlex.split(line) if word != "--debug"]
    known = typer.main.get_command(app).commands
    if not words or words[0].startswith("-"):
        return
    if words[-1] == "--help" or len(words) == 1:
        assert words[0] in known
        return
    try:
        name, parameters = parsed(words)
    except CLICK_ERROR as error:
        pytest.fail(f"{page}: bench {line}: {error.format_message()}")
    if name == "run":
        check_run(parameters)


def check_run(parameters):
    """Names exist, and the arguments are theirs."""
    registry = make_registry()
    if parameters["threat"]:
        parse_threats(parameters["threat"])
    given = {
        "defenses": "defense_args",
        "attacks": "attack_args",
        "classifiers": "classifier_args",
        "score_models": "score_args",
    }
    for kind, role in NEEDS.items():
        name = parameters[role]
        if name is None or name in ("D", "A") or ".py:" in name or name.isupper() or name.startswith("example-"):
            continue
        found = registry.find(kind, name)
        arguments = parse_options(parameters.get(given.get(kind, ""), []), FLAGS.get(kind, ""))
        if arguments and not found.entry.family:
            from inspect import signature

            assert set(arguments) <= set(signature(found.load()).parameters), (name, arguments)


@pytest.mark.parametrize(
    "line", ["run --defnse none", "run --defense nnoe", "run --threat linf:x", "run -D rhoo=1", "nothing at all"]
)
def test_a_wrong_line_is_seen(line):
    from bench.errors import UserError

    with pytest.raises((UserError, AssertionError, CLICK_ERROR)):
        check_run(parsed(line.split())[1])


# Every snippet runs.


def perform(path, folder, monkeypatch, *, slow):
    """Runs the blocks of a page in one folder, the way a reader would; marked ones stay out, slow ones unless asked for."""
    shutil.copytree(ROOT / "examples", folder / "examples")
    (folder / "results").mkdir()
    (folder / "results" / "fashion-mnist-standard").symlink_to(ROOT / "results" / "fashion-mnist-standard")
    monkeypatch.chdir(folder)
    for mark, kind, text in blocks(path):
        if mark.startswith(("not run", "needs")) or (mark == "slow" and not slow):
            continue
        if mark.startswith("file: "):
            (folder / mark.removeprefix("file: ")).write_text(text)
        elif kind == "python":
            run_python(text, folder)
        elif kind == "sh":
            for line in text.splitlines():
                run_line(line)


def run_python(text, folder):
    """As a file, since `@dataclass` and pickling look for their module."""
    file = folder / f"snippet_{abs(hash(text))}.py"
    file.write_text(text)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = sys.modules[file.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


def run_line(line):
    words = shlex.split(line, comments=True)
    if words[:1] == ["bench"]:
        options = ["--quiet"] if words[1] in ("run", "suite", "check") else []
        assert main([*words[1:], *options]) == 0, line
    elif words[:1] == ["python"]:
        code = None
        try:
            runpy.run_path(words[1], run_name="__main__")
        except SystemExit as end:
            code = end.code
        assert not code, line
    elif words:
        pytest.fail(f"expected a bench or python command, or a mark that says why it is not run: {line}")


@pytest.mark.parametrize("path", [page for page in PAGES if page.stem != "scale"], ids=name_of)
def test_the_snippets_of_a_page_run(path, tmp_path, monkeypatch, capsys):
    perform(path, tmp_path, monkeypatch, slow=False)


@pytest.mark.slow
@pytest.mark.parametrize("path", [page for page in PAGES if "<!-- slow -->" in page.read_text()], ids=name_of)
def test_the_slow_snippets_run(path, tmp_path, monkeypatch, capsys):
    perform(path, tmp_path, monkeypatch, slow=True)


def test_marks_are_known():
    marks = {mark for path in PAGES for mark, _, _ in blocks(path) if mark}
    assert all(
        mark in ("slow", "in the checkout") or mark.startswith(("not run: ", "needs ", "file: ", "the file ", "from: "))
        for mark in marks
    )


# Pages and pictures.


@pytest.mark.parametrize("picture", sorted((ROOT / "docs" / "pictures").glob("*.svg")), ids=lambda path: path.stem)
def test_pictures_are_drawn_for_light_and_dark_and_say_what_they_show(picture):
    text = picture.read_text()
    assert ET.fromstring(text).get("aria-label")
    assert "prefers-color-scheme: dark" in text
    assert any(f"{picture.name})" in page.read_text() for page in PAGES)


def test_links_of_the_readme_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text())
    inside = [link for link in links if "://" not in link]
    assert len(inside) > 15
    assert [link for link in inside if not (ROOT / link).exists()] == []


def test_every_page_is_in_the_navigation():
    nav = (ROOT / "mkdocs.yml").read_text()
    assert all(str(page.relative_to(ROOT / "docs")) in nav for page in PAGES)


def test_the_shell_script_is_shell_and_labelled():
    script = ROOT / "examples" / "cifar10_gpu.sh"
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert "NOT RUN" in script.read_text()
    lines = [line for name, line in COMMANDS if name == "examples/cifar10_gpu.sh"]
    assert sum("--dataset cifar10" in line for line in lines) == 7


def test_the_pages_build_without_warnings(tmp_path):
    pytest.importorskip("mkdocs")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING  -" not in done.stderr
    assert (tmp_path / "api" / "index.html").read_text().count("doc-heading") > 30
