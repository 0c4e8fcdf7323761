"""Names lead to components; what a name cannot lead to is explained."""

import hashlib
import math
import os.path
import sys
from importlib.machinery import ModuleSpec
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest
from refused import refused

import bench.registry.registry
from bench.registry import packages
from bench.registry.entry import KINDS, Entry
from bench.registry.registry import Registry, near, own_package, suggest

TABLES = {kind: {} for kind in KINDS} | {
    "defenses": {"root": Entry("math:sqrt", "The root."), "broken": Entry("math:absent", "Nothing.")},
    "datasets": {
        "plain": Entry("math:floor", "Whole numbers.", threats=("linf:8/255",)),
        "npz": Entry("math:ceil", "A file.", args={"path": "unset"}, parameter="path"),
    },
}


@pytest.fixture
def registry(monkeypatch):
    """A registry over the tables above and one third-party package."""
    points = {
        "purebench.defenses": [
            EntryPoint("theirs", "math:exp", "purebench.defenses"),
            EntryPoint("root", "math:log", "purebench.defenses"),
        ]
    }
    monkeypatch.setattr(bench.registry.registry, "entry_points", lambda group: points.get(group, []))
    return Registry(TABLES)


def test_a_name_of_the_table(registry):
    found = registry.find("defenses", "root")
    assert (found.source, found.entry.summary) == ("built-in", "The root.")
    assert found.load() is math.sqrt
    assert found.source_sha256() is None


def test_an_entry_point(registry):
    found = registry.find("defenses", "theirs")
    assert found.source == "entry point math:exp"
    assert found.load() is math.exp


def test_the_table_comes_before_entry_points(registry):
    assert registry.find("defenses", "root").load() is math.sqrt
    assert [found.name for found in registry.all("defenses")] == ["root", "broken", "theirs"]


def test_a_family_takes_the_rest_of_the_name(registry):
    found = registry.find("datasets", "npz:C:/data/a.npz")
    assert found.entry.args == {"path": "C:/data/a.npz"}
    assert found.load() is math.ceil
    assert [found.name for found in registry.all("datasets")] == ["plain", "npz:PATH"]


def test_module_and_object(registry):
    found = registry.find("attacks", "os.path:join")
    assert found.load() is os.path.join
    assert found.source_sha256() == hashlib.sha256(Path(os.path.__file__).read_bytes()).hexdigest()


def test_nested_objects(registry):
    assert registry.find("attacks", "pathlib:Path.cwd").load().__name__ == "cwd"


def test_path_and_object(registry, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("class Mine:\n    value = 7\n")
    found = registry.find("defenses", f"{file}:Mine")
    assert found.load().value == 7
    assert found.load() is found.load()
    assert found.source_sha256() == hashlib.sha256(file.read_bytes()).hexdigest()


def test_another_source_is_another_hash(registry, tmp_path):
    hashes = set()
    for number in (1, 2):
        file = tmp_path / f"f{number}.py"
        file.write_text(f"def f(): return {number}\n")
        hashes.add(registry.find("defenses", f"{file}:f").source_sha256())
    assert len(hashes) == 2


@pytest.mark.parametrize(
    ("kind", "name", "code"),
    [
        ("defenses", "roof", "component-unknown"),
        ("defenses", "thiers", "component-unknown"),
        ("defenses", "zzzzzz", "component-unknown"),
        ("datasets", "npz", "component-unknown"),
        ("score_models", "x", "component-unknown"),
        ("attacks", "os.path:", "component-form"),
        ("attacks", ":join", "component-form"),
        (
            "attacks",
            "absent/file.py:f",
            "component-file-missing",
        ),
    ],
)
def test_names_that_lead_nowhere(registry, kind, name, code):
    with refused(code):
        registry.find(kind, name)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        (
            "broken",
            "component-object-unknown",
        ),
        ("no_such_module_here:f", "component-import-failed"),
    ],
)
def test_components_that_cannot_be_imported(registry, name, code):
    with refused(code):
        registry.find("defenses", name).load()


def test_a_file_that_fails_on_import_is_not_kept(registry, tmp_path):
    file = tmp_path / "bad.py"
    file.write_text("raise SystemExit(3)\n")
    found, before = registry.find("defenses", f"{file}:f"), set(sys.modules)
    with refused("component-import-failed", match="SystemExit: 3"):
        found.load()
    file.write_text("def f(): return 5\n")
    assert set(sys.modules) == before
    assert found.load()() == 5


def test_suggest():
    assert suggest("stpes", ["steps", "sigma"]) == " (did you mean steps?)"
    assert suggest("zzz", ["steps", "sigma"]) == ""


def test_names_that_begin_with_what_was_typed_come_first_in_their_order():
    known = ["null", "pgd-full", "pgd-bpda", "apgd-t", "pgd-eot", "pgd-known"]
    assert near("pgd", known) == ["pgd-full", "pgd-bpda", "pgd-eot"]
    assert near("pgd-e", known)[0] == "pgd-eot"
    assert near("apgd", known)[0] == "apgd-t"
    assert near("", known) == near("zzz", known) == []
    assert suggest("pgd", known) == " (did you mean pgd-full?)"


def test_own_package(monkeypatch):
    assert "none" in own_package("defenses", "TABLE").TABLE
    foreign = ModuleType("defenses")
    foreign.__file__ = "elsewhere/defenses.py"
    monkeypatch.setitem(sys.modules, "defenses", foreign)
    with refused("package-foreign"):
        own_package("defenses", "TABLE")


def test_all_packages_are_our_own():
    assert packages.foreign_package() is None


def test_a_foreign_package_is_named(monkeypatch, tmp_path):
    for name in packages.PACKAGES:
        (tmp_path / name).mkdir()

    def specs(name):
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(tmp_path / name if name != "attacks" else tmp_path / "other")]
        return spec

    monkeypatch.setattr(packages, "find_spec", specs)
    problem = packages.foreign_package(tmp_path)
    assert problem == (
        f"expected purebench's own package 'attacks' in {tmp_path}, got {tmp_path / 'other'}; "
        "uninstall or rename that package, or reinstall purebench"
    )
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    assert "'bench'" in packages.foreign_package(tmp_path)
    assert "got none" in packages.foreign_package(tmp_path)
