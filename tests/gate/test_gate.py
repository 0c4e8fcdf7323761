"""The gate is green on what did not change, red and explicit on what did, and silent about chance."""

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from msgspec import structs
from records_for_tables import header
from safetensors.numpy import load_file, save_file
from tampered import change_line, reseal

from attacks.pgd import pgd
from bench.cli.main import main
from bench.compare.changes import changes, words
from bench.compare.findings import Change, Finding, Report, RowReport
from bench.compare.pairs import Pair, pair_up
from bench.data.dataset import Dataset
from bench.figures.runs import Run, read_run
from bench.gate.report import as_text, verdict
from bench.gate.tiers import statistical
from bench.plan.plan import plan
from bench.plan.request import Request
from bench.records.header import Header
from bench.registry.tables import make_registry
from bench.run.runner import Options, Silent, run
from bench.stats.intervals import Interval
from bench.stats.paired import mcnemar_p, paired_p

ARGUMENTS = {"attacks": {"steps": 4, "losses": ("cw",)}}
N = 30


def planned(defense="tweedie", **more):
    return plan(Request(**{"defense": defense, "arguments": ARGUMENTS} | more), make_registry())


def execute(part, results, **options):
    run(part, Options(**{"samples": N, "results": results, "device": "cpu", "batch_size": 16} | options), Silent())


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Records of two defenses, deterministic, with evidence; and a baseline made of them."""
    folder = tmp_path_factory.mktemp("gate")
    execute(planned(), folder / "results")
    execute(planned("none"), folder / "results")
    assert (
        main(
            [
                "check",
                "--baseline",
                str(folder / "baseline"),
                "--results",
                str(folder / "results"),
                "--update",
                "--reason",
                "first",
            ]
        )
        == 0
    )
    return folder


@pytest.fixture
def results(original, tmp_path):
    """A copy of the results to tamper with."""
    shutil.copytree(original / "results", tmp_path / "results")
    return tmp_path / "results"


def record(results, defense="tweedie"):
    (path,) = [
        file.parent
        for file in results.glob("*/*/*/run.json")
        if json.loads(file.read_text())["spec"]["defense"]["name"] == defense
    ]
    return path


def check(original, results, *more):
    return main(["check", "--baseline", str(original / "baseline"), "--results", str(results), "--quiet", *more])


def failed(capsys):
    """The checks that failed, by name, with their details."""
    report = json.loads(capsys.readouterr().out)
    findings = [finding for row in report["rows"] for finding in row["findings"]] + report["together"]
    return {finding["check"]: finding for finding in findings if finding["passed"] is False}


def test_what_did_not_change_is_green_in_the_exact_tier(original, results, capsys):
    capsys.readouterr()
    assert check(original, results) == 0
    text = capsys.readouterr().out
    assert text.count("exact tier, n = 30") == 2
    assert text.count("checks passed; all of them with --json") == 2
    assert check(original, results, "--json") == 0
    details = [finding["detail"] for row in json.loads(capsys.readouterr().out)["rows"] for finding in row["findings"]]
    assert sum("30 stored images score to the recorded margins" in detail for detail in details) == 4
    assert text.endswith("passed: 2 rows as in the baseline\n")


@pytest.mark.parametrize(("steps", "word"), [(1, "weaker"), (15, "stronger")])
def test_a_weaker_and_a_stronger_attack_under_the_same_name(steps, word, original, results, capsys):
    shutil.rmtree(record(results))
    part = planned()
    object.__setattr__(part, "attack", partial(pgd, steps=steps, losses=("ce", "cw")))
    execute(part, results)
    capsys.readouterr()
    assert check(original, results, "--json") == 1
    finding = failed(capsys)["predictions"]
    assert f"the attack got {word}" in finding["detail"]
    assert all(flip["before"] != flip["after"] for flip in finding["flips"])


def test_other_arguments_are_another_attack(original, results, capsys):
    shutil.rmtree(record(results))
    execute(planned(arguments={"attacks": {"steps": 1, "losses": ("cw",)}}), results)
    capsys.readouterr()
    assert check(original, results, "--json") == 1
    assert failed(capsys)["spec"]["detail"] == "attack steps 4 -> 1"


def test_a_changed_weight_under_the_same_hash(original, results, capsys):
    """The predictions change, the recorded hash does not: the exact tier sees it, and so does the fresh score of the stored images."""
    shutil.rmtree(record(results))
    part = planned()
    weight = next(part.classifier.parameters())
    weight[0] += 0.5
    execute(part, results)
    capsys.readouterr()
    assert check(original, results, "--json") == 1
    assert {"predictions", "same bits (result)"} <= failed(capsys).keys()


def test_a_changed_weight_with_its_hash(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(
        "import numpy as np, torch\n"
        "def load(*, file: str = 'weight.npy'):\n"
        "    layer = torch.nn.Linear(784, 10, bias=False)\n"
        "    layer.weight.data = torch.from_numpy(np.load(file))\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), layer)\n"
    )
    weight = np.random.Generator(np.random.Philox(key=1)).normal(size=(10, 784)).astype(np.float32)
    np.save("weight.npy", weight)
    words = "run --classifier own.py:load --defense none -A steps=1 -n 5 --quiet --results results"
    assert main(words.split()) == 0
    assert main(["check", "--baseline", "baseline", "--update", "--reason", "first"]) == 0
    weight[3, 100] += 1
    np.save("weight.npy", weight)
    capsys.readouterr()
    assert main(["check", "--baseline", "baseline", "--run", "--quiet", "--json"]) == 1
    problems = failed(capsys)
    assert problems["spec"]["detail"].startswith("classifier content ")
    assert problems["parts (baseline)"]["detail"] == problems["spec"]["detail"]


PURIFIER = (
    "from dataclasses import dataclass\n"
    "from typing import ClassVar\n"
    "@dataclass(frozen=True, kw_only=True)\n"
    "class Grey:\n"
    "    deterministic: ClassVar[bool] = True\n"
    "    share: float = 0.5\n"
    "    def purify(self, x, noise):\n"
    "        return (1 - self.share) * x + self.share / 2\n"
)


@pytest.mark.parametrize(
    ("old", "new", "code", "problem"),
    [
        ("return (1 - self.share) * x + self.share / 2", "return x * (1 - self.share) + self.share / 2", 0, None),
        ("float = 0.5", "float = 0.95", 1, ("spec", "defense share 0.5 -> 0.95")),
        ("self.share / 2", "self.share", 1, ("scored again (baseline)", "the code computes something else")),
        (
            "(1 - self.share) * x",
            "(0.98 - self.share) * x",
            1,
            ("scored again (baseline)", "of 30 stored images moved by up to 0.03, more than rounding"),
        ),
        ("* x +", "* x.detach() + 0 * x +", 1, ("change", "the attack got weaker or the defense stronger")),
        (
            "* x +",
            "* (x + x.detach()) / 2 +",
            1,
            ("checks of the defense", "in the baseline: gradient (an inexact gradient"),
        ),
    ],
    ids=["refactored", "default", "behaviour", "slightly", "detached", "inexact"],
)
def test_other_code_is_judged_by_what_it_does(old, new, code, problem, tmp_path, monkeypatch, forget_files, capsys):
    """Its text may be another; a default, which is of today, and what it computes, may not."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(PURIFIER)
    assert main(["run", "--defense", "own.py:Grey", "-A", "steps=4", "-n", "30", "--quiet", "--results", "first"]) == 0
    assert main(["check", "--baseline", "baseline", "--results", "first", "--update", "--reason", "first"]) == 0
    assert PURIFIER.count(old) == 1
    (tmp_path / "own.py").write_text(PURIFIER.replace(old, new))
    forget_files()
    capsys.readouterr()
    assert main(["check", "--baseline", "baseline", "--results", "second", "--run", "--quiet", "--json"]) == code
    document = json.loads(capsys.readouterr().out)
    found = {finding["check"]: finding for row in document["rows"] for finding in row["findings"]}
    assert ("by other code (defense content " in found["spec"]["detail"]) is (problem is None or problem[0] != "spec")
    if problem:
        assert problem[1] in found[problem[0]]["detail"]
        assert found[problem[0]]["passed"] is False


def test_a_renewed_default_is_guarded(tmp_path, monkeypatch, forget_files, capsys):
    """A row is what its name stands for: after a default was changed and meant, the next change of it is seen."""
    monkeypatch.chdir(tmp_path)
    words = ["check", "--baseline", "baseline", "--results", "now", "--run", "--quiet"]
    for share, code in (("0.5", None), ("0.6", 1), ("0.7", 1)):
        (tmp_path / "own.py").write_text(PURIFIER.replace("float = 0.5", f"float = {share}"))
        forget_files()
        if code is None:
            run_words = ["run", "--defense", "own.py:Grey", "-A", "steps=1", "-n", "4", "--quiet", "--results", "now"]
            assert main(run_words) == 0
            words_first = ["check", "--baseline", "baseline", "--results", "now", "--update", "--reason", "first"]
            assert main(words_first) == 0
            continue
        capsys.readouterr()
        assert main([*words, "--json"]) == code
        assert "defense share" in failed(capsys)["spec"]["detail"]
        assert main([*words, "--update", "--reason", share]) == 0
        assert "robust (defense share " in capsys.readouterr().out
        (kept,) = tmp_path.glob("baseline/*/*/*/run.json")
        header = json.loads(kept.read_text())
        assert header["labels"]["defense"] == "own.py:Grey"
        assert header["spec"]["defense"]["args"] == {"share": float(share)}
        assert main(words) == 0


def test_a_check_that_could_not_be_made_has_a_report_too(original, tmp_path, capsys):
    report = tmp_path / "report.xml"
    baseline = tmp_path / "baseline"
    shutil.copytree(original / "baseline", baseline)
    for file in baseline.glob("*/*/*/run.json"):
        file.write_text(file.read_text().replace('"tweedie"', '"tweedle"'))
    words = ["check", "--baseline", str(baseline), "--results", str(tmp_path / "now"), "--run", "--junit", str(report)]
    assert main(words) == 2
    sentence = capsys.readouterr().err.removeprefix("bench: ").strip()
    assert "did you mean tweedie" in sentence
    (error,) = ElementTree.parse(report).getroot().iter("error")
    assert f"{error.get('message')} [component-unknown]" == sentence


def test_another_image_order(original, tmp_path, capsys):
    """With the harness's own hash of the data set, and without: then other images come first."""
    source = planned().dataset
    order = np.random.Generator(np.random.Philox(key=4)).permutation(len(source))
    part = planned()
    shuffled = Dataset(
        name=source.name, ids=source.ids[order], images=source.images[order], labels=source.labels[order], classes=source.classes
    )  # fmt: skip
    object.__setattr__(part, "dataset", shuffled)
    execute(part, tmp_path / "hidden")
    execute(planned("none"), tmp_path / "hidden")
    capsys.readouterr()
    assert check(original, tmp_path / "hidden", "--json") == 1
    assert "of the baseline's 30 images are missing" in failed(capsys)["images"]["detail"]
    spec = part.spec.model_copy(update={"dataset": part.spec.dataset.model_copy(update={"sha256": shuffled.sha256})})
    object.__setattr__(part, "spec", spec)
    execute(part, tmp_path / "open")
    execute(planned("none"), tmp_path / "open")
    capsys.readouterr()
    assert check(original, tmp_path / "open", "--json") == 1
    assert failed(capsys)["spec"]["detail"].startswith("data set content 46f55fed -> ")


def test_one_flipped_prediction(original, results, capsys):
    path = record(results)
    place = next(place for place, line in enumerate(read_run(path).lines) if line.adversarial == [line.label])
    label = read_run(path).lines[place].label
    line = change_line(path, place, adversarial=[(label + 1) % 10])
    capsys.readouterr()
    assert check(original, results) == 1
    text = capsys.readouterr().out
    assert "1 prediction changed in the environment of the baseline" in text
    assert f"image {line['id']} (class {label}), adversarial: {label} -> {(label + 1) % 10}" in text


def test_a_failure_ends_with_the_command_that_renews_the_baseline(original, results, capsys):
    path = record(results)
    change_line(path, 0, adversarial=[(read_run(path).lines[0].adversarial[0] + 1) % 10])
    capsys.readouterr()
    assert check(original, results) == 1
    assert capsys.readouterr().out.rstrip().endswith(f'--results {results} --run --update --reason "why"')


def test_an_adversarial_image_outside_the_ball(original, results, capsys):
    path = record(results)
    (file,) = (path / "adversarial").iterdir()
    stored = load_file(file)
    stored["images"][3] = np.clip(1 - stored["images"][3], 0, 1)
    save_file(stored, file)
    reseal(path)
    capsys.readouterr()
    assert check(original, results, "--json") == 1
    problems = failed(capsys)
    assert problems["inside the ball (result)"]["detail"].startswith(
        f"images [{stored['ids'][3]}] are outside the ball"
    )
    assert "same bits (result)" in problems


def test_a_file_that_changed_after_it_was_sealed(original, results, capsys):
    (record(results) / "run.json").write_text((record(results) / "run.json").read_text() + "\n")
    capsys.readouterr()
    assert check(original, results, "--json") == 1
    assert "run.json changed" in failed(capsys)["seal (result)"]["detail"]


def test_a_record_that_is_not_complete(original, results, capsys):
    (record(results) / "SHA256SUMS").unlink()
    capsys.readouterr()
    assert check(original, results, "--json") == 1
    assert "is not complete" in failed(capsys)["seal (result)"]["detail"]


def test_right_under_attack_and_wrong_without_it(original, results, capsys):
    path = record(results)
    place = next(place for place, line in enumerate(read_run(path).lines) if line.clean != [line.label])
    line = change_line(path, place, adversarial=[read_run(path).lines[place].label])
    capsys.readouterr()
    assert check(original, results, "--json") == 1
    problems = failed(capsys)
    assert problems["robust <= clean"]["detail"] == f"images [{line['id']}] are right under attack and wrong without it"
    assert problems["eps 0 = clean"]["detail"] == f"images [{line['id']}] did not change, but their predictions did"


def test_an_undefended_classifier_that_stands(original, results, capsys):
    path = record(results, "none")
    for place, line in enumerate(read_run(path).lines):
        change_line(path, place, adversarial=line.clean)
    capsys.readouterr()
    assert check(original, results, "--json") == 1
    assert "undefended near 0" in failed(capsys)


def test_another_environment_is_compared_by_tests_and_by_fresh_scores(original, results, capsys):
    """A single flip is chance there; a stored image that scores otherwise although its margin was large is not."""
    path = record(results)
    header = json.loads((path / "run.json").read_text())
    for environment in header["environments"].values():
        environment["instructions"] = "another processor"
    (path / "run.json").write_text(json.dumps(header))
    run_ = read_run(path)
    place = next(
        place for place, line in enumerate(run_.lines) if line.adversarial == [line.label] and line.margin[0] < 1
    )
    label = run_.lines[place].label
    change_line(path, place, adversarial=[(label + 1) % 10], margin=[-0.0004])
    capsys.readouterr()
    assert check(original, results) == 0
    text = capsys.readouterr().out
    assert "statistical tier, n = 30" in text
    said = " ".join(text.split())
    assert "change: robust accuracy fell by 3.3 points" in said
    assert "1 image lost, 0 won, p = 1: allowed by --alpha 0.01 and --margin 1" in said
    assert "a change of 5 points where 10 % of 30 images change is caught with probability" in said
    assert check(original, results, "--json") == 0
    assert "30 stored images have the recorded predictions, in another environment" in capsys.readouterr().out
    change_line(path, place, margin=[-2.0])
    assert check(original, results, "--json") == 1
    finding = failed(capsys)["scored again (result)"]
    assert [flip["sample"] for flip in finding["flips"]] == [run_.lines[place].id]


def test_a_missing_run_fails_until_it_is_made(original, tmp_path, capsys):
    capsys.readouterr()
    assert check(original, tmp_path / "new", "--json") == 1
    assert "add --run" in failed(capsys)["images"]["detail"]
    assert check(original, tmp_path / "new", "--run") == 0
    assert len(list((tmp_path / "new").glob("*/*/*/SHA256SUMS"))) == 2


def test_reports_for_machines(original, results, tmp_path, monkeypatch, capsys):
    path = record(results)
    change_line(path, 0, clean=[9])
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    assert check(original, results, "--junit", str(tmp_path / "deep" / "junit.xml")) == 1
    root = ElementTree.parse(tmp_path / "deep" / "junit.xml").getroot()
    assert root.tag == "testsuites"
    assert [suite.get("failures") for suite in root] == ["0", "2"] or [suite.get("failures") for suite in root] == [
        "2",
        "0",
    ]
    names = {case.get("name").rpartition(": ")[2] for case in root.iter("testcase") if case.find("failure") is not None}
    assert "predictions" in names
    assert any("clean:" in failure.text for failure in root.iter("failure") if failure.text)
    summary = (tmp_path / "summary.md").read_text()
    assert "## purebench: robustness changed" in summary
    assert summary.count("❌") == 1
    assert summary.count("✅") == 1


def test_update_needs_a_reason_and_keeps_it(original, results, tmp_path, capsys):
    baseline = tmp_path / "baseline"
    shutil.copytree(original / "baseline", baseline)
    change_line(record(results), 0, clean=[9])
    words = ["check", "--baseline", str(baseline), "--results", str(results)]
    assert main([*words, "--update"]) == 2
    assert "[gate-reason-missing]" in capsys.readouterr().err
    assert main([*words, "--update", "--reason", "a new clean prediction", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["changed"]) == 1
    history = json.loads((baseline / "baseline.json").read_text())["history"]
    assert [entry["reason"] for entry in history] == ["first", "a new clean prediction"]
    assert [len(entry["changed"]) for entry in history] == [2, 1]
    assert read_run(record(baseline)).clean[0] == [9]


def test_rows_are_added_and_cut(original, tmp_path, capsys):
    """A baseline of the first images of one run that has more, then of a second: as if no more had been run."""
    baseline, both = tmp_path / "baseline", original / "results"
    update = ["check", "--baseline", str(baseline), "--results", str(both), "--update", "--reason", "x", "--json"]
    ids = {path.parent.name for path in both.glob("*/*/*/run.json")}
    first, second = record(both).name, (ids - {record(both).name}).pop()
    assert main([*update, "--add", first, "-n", "20"]) == 0
    assert [path.name for path in baseline.glob("*/*/*")] == [first]
    execute(planned(), tmp_path / "short", samples=20)
    kept, short = record(baseline), record(tmp_path / "short")
    for name in ("run.json", "adversarial/00000.safetensors"):
        assert (kept / name).read_bytes() == (short / name).read_bytes()
    timeless = [
        [structs.replace(line, seconds=0.0, memory=None) for line in read_run(path).lines] for path in (kept, short)
    ]
    assert timeless[0] == timeless[1]
    assert main([*update, "--add", first]) == 0  # it is there: nothing changes, not even its number of images
    assert len(read_run(record(baseline))) == 20
    assert main([*update, "--add", second, "-n", "20"]) == 0
    assert {path.parent.name: len(read_run(path.parent)) for path in baseline.glob("*/*/*/run.json")} == dict.fromkeys(
        ids, 20
    )
    capsys.readouterr()
    assert main([*update, "-n", "20"]) == 0
    assert json.loads(capsys.readouterr().out)["changed"] == []
    assert len(json.loads((baseline / "baseline.json").read_text())["history"]) == 2
    assert sorted(path.parent.name for path in both.glob("*/*/*/run.json")) == sorted(ids)
    assert check(tmp_path, both) == 0
    assert main([*update, "-n", "40"]) == 2
    assert "[gate-run-incomplete]" in capsys.readouterr().err


@pytest.mark.parametrize(("words", "code"), [(["--alpha", "0"], "gate-alpha"), (["--margin", "100"], "gate-margin")])
def test_bars_that_are_none(words, code, original, results, capsys):
    assert check(original, results, *words) == 2
    assert f"[{code}]" in capsys.readouterr().err


def test_no_baseline(tmp_path, capsys):
    assert main(["check", "--baseline", str(tmp_path)]) == 2
    assert "[gate-baseline-empty]" in capsys.readouterr().err
    empty = ["check", "--baseline", str(tmp_path), "--results", str(tmp_path / "none"), "--update", "--reason", "x"]
    assert main(empty) == 2
    assert "[gate-results-missing]" in capsys.readouterr().err
    assert main(["check", "--baseline", str(tmp_path), "--results", str(tmp_path), "--update", "--reason", "x"]) == 2
    assert "[gate-same-folder]" in capsys.readouterr().err
    assert main(["check", "--baseline", str(tmp_path), "--add", "abc"]) == 2
    assert "[gate-update-missing]" in capsys.readouterr().err


def pair(before, after, k=1):
    """Two runs with these right draws, `(n, k)` bool."""
    shared = {"path": Path(), "sealed": True, "audit": {}, "flags": {}, "cost": {}}
    shared["certified"] = np.full(len(before), np.nan)
    ids, labels = np.arange(len(before)), np.ones(len(before), dtype=int)
    runs = [
        Run(
            header=Header.of(header("r", "d", draws=k, checks={})),
            ids=ids,
            labels=labels,
            clean=np.ones((len(ids), k), int),
            adversarial=side.reshape(-1, k).astype(int),
            **shared,
        )
        for side in (before, after)
    ]
    for one in runs:
        one.__dict__["lines"] = [type("Line", (), {"margin": [0.5] * k})] * len(ids)
    return Pair(*runs, [])


def test_runs_stand_for_their_own_row_and_no_other():
    def one(run_id, attack, steps):
        run = pair(np.ones(3), np.ones(3)).before
        made = header(run_id, "d", attack)
        made["spec"]["attack"]["args"] = {"steps": steps}
        return replace(run, header=Header.of(made))

    before = [one("a", "pgd", 5), one("b", "square", 5), one("c", "pgd", 9)]
    after = [one("b", "square", 5), one("e", "pgd", 6), one("c", "pgd", 9)]
    found = pair_up(before, after)
    assert [(part.after.run_id, part.changed) for part in found] == [
        ("e", ["attack steps 5 -> 6"]),
        ("b", []),
        ("c", []),
    ]
    assert [part.after for part in pair_up(before, after[::2])] == [None, after[0], after[2]]


def simulated(rng, count, n, worse, better):
    """Numbers of images that are lost and won in `count` comparisons."""
    changed = rng.multinomial(n, (worse, better, 1 - worse - better), size=count)
    return changed[:, 0], changed[:, 1]


def alarm(lost, won, n, tests=1):
    return (mcnemar_p(lost, won) * tests < 0.01) & (np.abs(lost - won) > 0.01 * n)


def test_the_gates_verdict_is_the_rule_that_is_simulated():
    rng = np.random.Generator(np.random.Philox(key=20))
    for _ in range(25):
        lost, won = rng.integers(0, 30), rng.integers(0, 12)
        before = np.r_[np.ones(lost), np.zeros(won), np.ones(200 - lost - won)]
        after = np.r_[np.zeros(lost), np.ones(won), np.ones(200 - lost - won)]
        one = pair(before, after)
        (made,) = changes([one])
        assert statistical(one, made, alpha=0.01, margin=0.01).passed is not bool(alarm(lost, won, 200))


@pytest.mark.parametrize(("n", "discordance"), [(512, 0.10), (100, 0.04), (1000, 0.3)])
def test_false_alarms_over_ten_thousand_identical_pairs(n, discordance):
    rng = np.random.Generator(np.random.Philox(key=21))
    assert alarm(*simulated(rng, 10_000, n, discordance / 2, discordance / 2), n).mean() <= 0.01


def test_false_alarms_of_stochastic_rows_over_draws():
    """Ten draws an image, the same chance in both: the sign-flip test on shares."""
    rng = np.random.Generator(np.random.Philox(key=22))
    chances = rng.beta(0.5, 0.5, size=(600, 128))
    before, after = (rng.binomial(10, chances) / 10 for _ in range(2))
    alarms = [paired_p(a, b) < 0.05 for a, b in zip(before, after, strict=True)]
    assert np.mean(alarms) <= 0.05 + 2 * (0.05 * 0.95 / 600) ** 0.5


def test_a_drop_of_five_points_is_caught_in_four_of_five_simulations():
    """n = 512, 10 % discordance: 7.5 % lost, 2.5 % won; exact power .84."""
    rng = np.random.Generator(np.random.Philox(key=23))
    caught = alarm(*simulated(rng, 10_000, 512, 0.075, 0.025), 512).mean()
    assert caught == pytest.approx(0.84, abs=0.012)


def test_holm_counts_the_rows_that_changed():
    """Ten lost of ten: p = 2 / 2^10 = .00195; alone it fails, among six such rows it does not."""
    one = pair(np.ones(100), np.r_[np.zeros(10), np.ones(90)])
    same = pair(np.ones(100), np.ones(100))
    alone, nothing = changes([one, same])
    assert nothing == []
    assert alone[0].corrected == pytest.approx(2 / 2**10)
    assert not statistical(one, alone, alpha=0.01, margin=0.01).passed
    six = changes([one] * 6)
    assert six[0][0].corrected == pytest.approx(12 / 2**10)
    assert statistical(one, six[0], alpha=0.01, margin=0.01).passed
    assert statistical(one, alone, alpha=0.01, margin=0.10).passed
    assert words(alone[0]).startswith(
        "robust accuracy fell by 10.0 points (100.0 to 90.0 %), 10 images lost, 0 won, p = 0.002"
    )


def test_a_rise_fails_as_a_drop_does():
    one = pair(np.r_[np.zeros(10), np.ones(90)], np.ones(100))
    (made,) = changes([one])
    finding = statistical(one, made, alpha=0.01, margin=0.01)
    assert not finding.passed
    assert "rose by 10.0 points" in finding.detail
    assert "the attack got weaker" in finding.detail


def test_a_check_over_several_rows_can_fail_alone():
    good = RowReport(name="a", run_id="r", tier="exact", n=1, findings=[Finding(check="spec", passed=True, detail="")])
    bad = Finding(check="worst case <= each attack", passed=False, detail="a: above that of b")
    report = Report(rows=[good], together=[bad])
    assert not report.passed
    assert verdict(report) == "FAILED: 0 of 1 row: all rows [worst case <= each attack: a: above that of b]"
    assert "FAIL  worst case" in as_text(report)


def change(**more):
    at = Interval(value=0.04, low=0.0, high=0.1, successes=2, n=50, method="wilson")
    zero = replace(at, value=0.0)
    given = {"before": at, "after": at, "difference": zero, "lost": 0, "won": 0, "p": 1.0, "corrected": 1.0} | more
    return Change(which="adversarial", **given)


def test_words_of_a_change():
    assert words(change()) == "robust accuracy as before (4.0 %), 0 images lost, 0 won, p = 1"
    one = change(difference=replace(change().before, value=-0.02), lost=1, p=0.016, corrected=0.062)
    assert words(one) == (
        "robust accuracy fell by 2.0 points (4.0 to 4.0 %), 1 image lost, 0 won, p = 0.016 (0.062 after Holm): "
        "the attack got stronger or the defense weaker"
    )
    assert words(one, meaning=False).endswith("p = 0.016 (0.062 after Holm)")
