"""Suite files: which cells they stand for, and what is said of those that are wrong."""

from __future__ import annotations

import pytest
from refused import refused

from bench.registry.entry import KIND_OF
from bench.registry.tables import make_registry
from bench.registry.trust import require_permission, runs_code
from bench.suite.cells import cells_of, patterns_of
from bench.suite.file import find_suite, read_suite

READY = ("first", "smoke", "fashion-mnist-standard", "cifar10-standard", "imagenet-standard")


def cells(tmp_path, text):
    file = tmp_path / "suite.toml"
    file.write_text(text)
    return cells_of(read_suite(file), file)


def labels(tmp_path, text):
    return [cell.label for cell in cells(tmp_path, text)]


MATRIX = """
defense = ["none", { name = "dpsam", rho = 0 }]
attack = ["null", { name = "pgd-full", steps = 40, losses = ["cw", "ce"] }]
threat = ["linf:8/255", "l2:0.5"]
seed = [0, 7]
"""


def test_the_product_of_the_axes(tmp_path):
    found = labels(tmp_path, MATRIX)
    assert len(found) == 16
    assert found[0] == "none · null · fashion-mnist linf:8/255"
    assert "dpsam rho=0 · pgd-full steps=40 losses=cw,ce · fashion-mnist l2:0.5 · seed 7" in found


def test_arguments_stand_beside_the_name_or_for_all(tmp_path):
    (cell,) = cells(
        tmp_path,
        'defense = { name = "dpsam", rho = 0 }\nattack = "pgd-full"\n[defense_args]\nrho = 1\nbank = 4\n[attack_args]\nsteps = 3\n',
    )
    assert cell.arguments == {"defenses": {"rho": 0, "bank": 4}, "attacks": {"steps": 3}}


def test_excluded_cells_are_left_out_and_included_ones_added(tmp_path):
    text = MATRIX + '[[exclude]]\ndefense = "dpsam*"\nattack = ["pgd-*", "square"]\n[[exclude]]\nthreat = "l2:*"\n'
    assert len(cells(tmp_path, text)) == 6
    more = text + '[[include]]\ndefense = "tweedie"\nattack = "null"\nthreat = "l2:1"\nsamples = 7\nseed = 3\n'
    *_, last = cells(tmp_path, more)
    assert (last.label, last.samples) == ("tweedie · null · fashion-mnist l2:1 · seed 3", 7)


def test_a_suite_of_included_cells_alone(tmp_path):
    assert labels(tmp_path, '[[include]]\ndefense = "none"\nattack = ["null", "random"]\n') == [
        "none · null · fashion-mnist",
        "none · random · fashion-mnist",
    ]


def test_settings_of_some_cells(tmp_path):
    text = (
        MATRIX
        + 'samples = "all"\nbatch_size = 8\n[[adjust]]\nwhere = { defense = "dpsam*" }\nsamples = 5\ndraws = 3\nbatch_size = "auto"\ndefense_args = { bank = 4, rho = 1 }\n'
    )
    found = cells(tmp_path, text)
    assert {(cell.samples, cell.draws, cell.batch_size) for cell in found if cell.names["defense"] == "none"} == {
        (None, None, 8)
    }
    assert {(cell.samples, cell.draws, cell.batch_size) for cell in found if cell.names["defense"] == "dpsam"} == {
        (5, 3, None)
    }
    assert found[-1].arguments["defenses"] == {"rho": 1, "bank": 4}


def test_evidence_of_some_cells(tmp_path):
    """The file stores none, a part of it does, and an adjustment leaves out one of that part again."""
    text = (
        'no_evidence = true\ndefense = "none"\nattack = "null"\n[[include]]\ndefense = ["dpsam", "dp"]\nattack = "pgd-full"\n'
        'no_evidence = false\n[[adjust]]\nwhere = { defense = "dp" }\nno_evidence = true\n'
    )
    assert [(cell.names["defense"], cell.evidence) for cell in cells(tmp_path, text)] == [
        ("none", False), ("dpsam", True), ("dp", False),
    ]  # fmt: skip
    assert [cell.evidence for cell in cells(tmp_path, MATRIX)][:2] == [True, True]


def test_a_cell_that_is_named_twice_is_one(tmp_path):
    assert len(cells(tmp_path, 'defense = ["none", "none"]\nattack = "null"\nseed = [1, 1]\n')) == 1


def test_names_of_models_are_axes(tmp_path):
    (cell,) = cells(
        tmp_path,
        'defense = "none"\nattack = "null"\nclassifier = { name = "weights:w.safetensors", a = 1 }\ndataset = "npz:a.npz"\n',
    )
    assert cell.label == "none · null · npz:a.npz · classifier weights:w.safetensors a=1"
    assert cell.arguments == {"classifiers": {"a": 1}}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a = ", "document-damaged"),
        ("", "suite-empty"),
        ('defense = "none"', "suite-empty"),
        ('defence = "none"', "suite-key-unknown"),
        ('defense = 3\nattack = "null"', "suite-value-wrong"),
        ('defense = { rho = 0 }\nattack = "null"', "suite-name-missing"),
        ('defense = "none"\nattack = "null"\nsamples = 0', "suite-value-wrong"),
        ('defense = "none"\nattack = "null"\nthreat = "linf:9"', "threat-radius"),
        ('defense = "none"\nattack = "null"\n[[exclude]]\ndefenses = "a"', "suite-pattern-axis"),
        ('defense = "none"\nattack = "null"\n[[adjust]]\nsamples = 3', "suite-value-wrong"),
        ('defense = "none"\nattack = "null"\nseed = ' + str(list(range(400))) + "\ndraws = 1\n[[include]]\nseed = " + str(list(range(100_001))), "suite-too-large"),
    ],
)  # fmt: skip
def test_files_that_are_wrong(tmp_path, text, code):
    with refused(code):
        cells(tmp_path, text)


def test_patterns_of_the_command_line():
    assert patterns_of(["defense=dpsam*", "score-model=x", "defense=none"]) == {
        "defense": ["dpsam*", "none"],
        "score_model": ["x"],
    }
    for text in ("dpsam", "speed=3"):
        with refused("suite-only-form"):
            patterns_of([text])


@pytest.mark.parametrize("name", READY)
def test_the_ready_suites_can_be_read(name):
    file = find_suite(name)
    suite = read_suite(file)
    assert suite.summary
    assert len(cells_of(suite, file)) >= 4


@pytest.mark.parametrize("name", READY)
def test_the_names_of_the_ready_suites_exist(name):
    file, registry = find_suite(name), make_registry()
    pairs = {(KIND_OF[axis], one) for cell in cells_of(read_suite(file), file) for axis, one in cell.names.items()}
    for kind, one in sorted(pairs):
        assert registry.find(kind, one).name == one


def test_the_smoke_suite_needs_no_name_that_is_not_built_in():
    file, registry = find_suite("smoke"), make_registry()
    for cell in cells_of(read_suite(file), file):
        for axis, one in cell.names.items():
            assert registry.find(KIND_OF[axis], one).source == "built-in"


def test_a_file_of_the_same_name_goes_before_a_ready_suite(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inside = find_suite("smoke")
    (tmp_path / "smoke").write_text("")
    assert (find_suite("smoke").name, inside.name) == ("smoke", "smoke.toml")
    with refused("suite-not-found", match="did you mean smoke"):
        find_suite("smokes")


def test_code_runs_only_where_it_is_allowed(tmp_path):
    registry = make_registry()
    file = tmp_path / "mine.py"
    file.touch()
    names = [("defenses", "none"), ("defenses", f"{file}:X"), ("attacks", "json:loads"), ("classifiers", "weights:a")]
    assert [runs_code(registry, *name) for name in names] == [False, True, True, False]
    require_permission(registry, names, asker="the suite s.toml", allowed=True)
    with refused("code-not-allowed"):
        require_permission(registry, [names[0], *names[2:]], asker="the suite s.toml", allowed=False)
