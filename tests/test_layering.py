"""Who may import whom, who prints, and what does without torch."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OWN = ("bench", "defenses", "attacks", "leaderboards")
SOURCES = sorted([file for package in OWN for file in (ROOT / package).rglob("*.py")] + [ROOT / "purebench.py"])
HARNESS = {f"bench.{name}" for name in ("runner", "worker", "records", "cli")}
VOCABULARY = [
    "bench.errors", "bench.threat", "bench.records.spec", "bench.records.record", "bench.stats.intervals", "bench.registry.registry", "bench.registry.arguments",
    "bench.files.documents", "bench.records.lines", "bench.records.header", "bench.files.links", "bench.files.lock", "bench.records.lookup", "bench.records.evidence", "bench.files.archive", "bench.registry.trust",
    "bench.suite.cells", "bench.suite.finished_cells", "bench.suite.outcome", "bench.run.options", "bench.machine.interrupt", "bench.console.suite",
    "bench.figures.summary", "bench.figures.runs", "bench.stats.lattice", "bench.stats.paired", "bench.figures.aggregate", "bench.text.command", "bench.records.evidence",
    "bench.records.seal", "bench.exchange.pack", "bench.exchange.unpack", "bench.verify.verification", "bench.verify.fresh", "bench.cli.verify", "bench.console.verify",
    "bench.records.claim", "bench.figures.finished", "bench.compare.compare", "bench.console.compare", "bench.gate.check", "bench.gate.baseline", "bench.gate.report", "bench.gate.session", "bench.gate.today", "bench.cli.boards", "bench.cli.check", "bench.cli.exchange",
    "bench.audit", "bench.audit.finding", "bench.audit.bar", "bench.audit.document", "bench.cli.audit", "bench.console.audit", "bench.cli.help", "bench.cli.installed", "bench.cli.suite", "bench.cli.train",
    *(f"leaderboards{name}" for name in ("", ".rows", ".boards", ".columns", ".documents", ".markdown", ".latex", ".frames")),
    *(f"leaderboards.{name}" for name in ("page", "papers", "paper_table", "figures", "robustbench", "imported")),
]  # fmt: skip


def name_of(file):
    return str(file.relative_to(ROOT)).removesuffix(".py").replace("/", ".").removesuffix(".__init__")


COMMANDS = {
    "bench.cli.main",
    "bench.cli.boards",
    "bench.cli.check",
    "bench.cli.exchange",
    "bench.cli.options",
    "bench.cli.train",
}
TREES = {name_of(file): ast.parse(file.read_text()) for file in SOURCES}


def imports(tree):
    """Every module that is imported anywhere in a file; `from a import b` counts as `a` and `a.b`."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def top(names):
    return {name.partition(".")[0] for name in names}


def modules(*packages):
    return [name for name in TREES if name.partition(".")[0] in packages]


def users(attribute):
    """The modules in which a name or an attribute of this name occurs."""
    return {
        name
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Name) and node.id == attribute)
        or (isinstance(node, ast.Attribute) and node.attr == attribute)
        or (isinstance(node, ast.alias) and node.name == attribute)
    }


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)


def test_the_walk_sees_every_package():
    assert {name.partition(".")[0] for name in TREES} == {*OWN, "purebench"}
    assert imports(ast.parse("import a.b\ndef f():\n    from c import d")) == {"a.b", "c", "c.d"}


@pytest.mark.parametrize("module", [name for name in modules("bench") if name not in COMMANDS])
def test_bench_does_not_name_the_packages_above_it(module):
    assert not top(imports(TREES[module])) & {"defenses", "attacks", "leaderboards"}


@pytest.mark.parametrize("module", modules("defenses", "attacks"))
def test_defenses_and_attacks_know_neither_one_another_nor_the_harness(module):
    names = imports(TREES[module])
    other = {"defenses", "attacks"} - {module.partition(".")[0]}
    assert not top(names) & (other | {"leaderboards"})
    assert not names & HARNESS


@pytest.mark.parametrize("module", modules("leaderboards"))
def test_leaderboards_know_records_and_statistics_only(module):
    assert not top(imports(TREES[module])) & {"defenses", "attacks", "torch", "torchvision"}


@pytest.mark.parametrize("module", VOCABULARY)
def test_the_vocabulary_does_not_import_torch(module):
    assert not top(imports(TREES[module])) & {"torch", "torchvision", "safetensors.torch"}


def test_the_vocabulary_runs_without_torch():
    done = run(f"import sys, {', '.join(VOCABULARY)}; sys.exit('torch' in sys.modules)")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--help"], 0),
        (["run", "--help"], 0),
        (["list"], 0),
        (["suite", "--help"], 0),
        (["suite", "no-such-suite"], 2),
        (["list", "attacks", "--json"], 0),
        (["list", "checks"], 0),
        (["audit", "--help"], 0),
        (["audit", "4c11", "--only", "no-such-check"], 2),
        (["run", "--defense", "no-such-defense"], 2),
        (["leaderboard", "--results", "no-such-folder"], 2),
        (["leaderboard", "--results", "results/fashion-mnist-standard"], 0),
        (["leaderboard", "--results", "results/fashion-mnist-standard", "--format", "html"], 0),
        (["leaderboard", "--results", "results/fashion-mnist-standard", "--format", "csv"], 0),
        (["table", "results/tables/main.toml", "--format", "latex"], 0),
        (["compare", "4c11", "86fe", "--results", "results/fashion-mnist-standard"], 0),
        (["export", "4c11", "--results", "results/fashion-mnist-standard"], 0),
        (["verify", "no-such-run", "--results", "results/fashion-mnist-standard"], 2),
        (["verify", "README.md"], 1),
    ],
)
def test_commands_that_do_without_torch(words, code):
    done = run(
        f"import sys; from bench.cli.main import main; c = main({words}); sys.exit(9 if 'torch' in sys.modules else c)"
    )
    assert done.returncode == code


def test_the_gate_does_without_torch_where_no_images_are_stored(tmp_path):
    place = "fashion-mnist/linf-20-255/71630ed2925f"
    for folder in ("baseline", "results"):
        shutil.copytree(ROOT / "results" / "fashion-mnist-standard" / place, tmp_path / folder / place)
    words = ["check", "--baseline", str(tmp_path / "baseline"), "--results", str(tmp_path / "results")]
    done = run(
        f"import sys; from bench.cli.main import main; c = main({words}); sys.exit(9 if 'torch' in sys.modules else c)"
    )
    assert done.returncode == 0


def test_torch_is_imported_where_it_is_needed():
    """So that the two tests above can fail."""
    assert run("import sys, bench.noise; sys.exit('torch' in sys.modules)").returncode == 1


def test_only_the_command_line_prints():
    calls = {
        name
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert calls == {*COMMANDS, "purebench"}


def test_only_the_worker_and_training_switch_gradients_off():
    assert users("no_grad") | users("inference_mode") == {"bench.run.worker", "bench.models.training.training"}


@pytest.mark.parametrize("name", ["manual_seed_all", "randn_like", "rand_like", "default_rng"])
def test_no_global_randomness(name):
    assert users(name) == set()
