"""Another version of any code that a component is made of is another hash; other code is not."""

import ast
import hashlib
import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.registry.registry import Registry
from bench.registry.sources import source_sha256

FILES = {
    "mine/__init__.py": "from mine.core import Mine\n",
    "mine/core.py": "from . import tools\nfrom .deep.maths import twice\nimport numpy, json\nclass Mine: pass\n",
    "mine/tools.py": "def late():\n    import mine.lazy\n",
    "mine/lazy.py": "",
    "mine/deep/__init__.py": "",
    "mine/deep/maths.py": "from ..base import one\ndef twice(): return 2\n",
    "mine/base.py": "one = 1\n",
    "mine/unused.py": "",
    "numpyish.py": "",
}
COUNTED = [name for name in FILES if name.startswith("mine/") and name != "mine/unused.py"]


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of several modules, and the hash of one of them."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path, lambda name="mine": source_sha256(importlib.import_module(name))
    for name in [name for name in sys.modules if name.partition(".")[0] == "mine"]:
        del sys.modules[name]


@pytest.mark.parametrize("name", FILES)
def test_each_module_that_is_imported_counts(name, package):
    folder, of = package
    before = of()
    (folder / name).write_text((folder / name).read_text() + "# edited\n")
    assert (of() != before) is (name in COUNTED)


def test_a_module_is_parsed_once_for_all_components(package, monkeypatch):
    folder, of = package
    for name in COUNTED:  # so that no two files are alike, nor like those of another test
        (folder / name).write_text((folder / name).read_text() + f"# {name} of {folder}\n")
    parsed = []
    counting = {"parse": lambda code: parsed.append(code) or ast.parse(code)}
    monkeypatch.setattr("bench.registry.sources.ast", SimpleNamespace(**{**vars(ast), **counting}))
    first = of()
    assert sorted(parsed) == sorted((folder / name).read_bytes() for name in COUNTED)
    assert (of(), len(of("mine.core")), len(parsed)) == (first, 64, len(COUNTED))


def test_a_module_alone_has_the_hash_of_its_file(package):
    folder, of = package
    assert of("mine.base") == hashlib.sha256((folder / "mine" / "base.py").read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["os", "typing_extensions"])
def test_the_standard_library_and_what_is_installed_are_not_followed(name):
    module = importlib.import_module(name)
    assert source_sha256(module) == hashlib.sha256(Path(module.__file__).read_bytes()).hexdigest()


def test_a_module_without_a_file_has_no_hash():
    assert source_sha256(sys) is None


def test_a_file_counts_what_lies_beside_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text("import helper, torch, bench.noise\ndef f(): return helper.x\n")
    (tmp_path / "helper.py").write_text("x = 1\n")
    found = Registry({"defenses": {}}).find("defenses", "own.py:f")
    assert found.load()() == 1
    before = found.source_sha256()
    (tmp_path / "helper.py").write_text("x = 2\n")
    assert found.source_sha256() != before
    for name in ("helper", *(name for name in sys.modules if name.startswith("purebench_file_"))):
        sys.modules.pop(name, None)
