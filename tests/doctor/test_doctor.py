"""What people read: figures, next steps, columns, and the doctor's findings."""

import shlex
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec import structs

import bench.doctor.doctor
from bench.console.progress import Progress
from bench.console.run import curve_text, forecast_text, summary_text
from bench.console.steps import audit_line, next_steps
from bench.doctor.doctor import examine
from bench.figures.curve import curve
from bench.records.lines import SampleRecord
from bench.registry.arguments import parse_options
from bench.run.prediction import Forecast, Prediction
from bench.text.columns import columns
from bench.text.words import duration, percent
from bench.threat import ThreatModel

INTERVAL = {"value": 0.51, "low": 0.4130, "high": 0.6058, "method": "wilson"}


def summary(**changes):
    values = {
        "run_id": "abc", "path": "results/a/b/c", "status": "complete", "n": 100,
        "spec": {
            "attack": {"name": "pgd-full", "args": {"steps": 20, "restarts": 1}}, "dataset": {"name": "fashion-mnist"},
            "threat": "linf:8/255",
        },
        "clean_accuracy": INTERVAL | {"value": 0.88}, "robust_accuracy": INTERVAL,
        "draws": {"k": 1}, "checks": {"deterministic": True, "gradient_error": 2e-9},
        "cost": {"seconds": 61.04, "classifier_forward": 12_345, "score_hvp": 0},
    }  # fmt: skip
    return values | changes


def commands(text):
    """The commands of a list of next steps, as words."""
    return [shlex.split(line) for line in text.splitlines()[1:] if not line.startswith("  # ")]


def test_percent():
    assert percent(INTERVAL) == "51.0 % [41.3, 60.6]"


def test_summary():
    assert summary_text(summary(), {"defense": "dpsam", "attack": "pgd-full steps=20"}).splitlines() == [
        "dpsam under pgd-full steps=20 · fashion-mnist linf:8/255 · n = 100",
        "  clean   88.0 % [41.3, 60.6]",
        "  robust  51.0 % [41.3, 60.6]   95 %, wilson",
        "  checks  deterministic, as measured · gradient error 2e-09",
        "  cost    61.0 s · 12,345 classifier forward",
        "  record  results/a/b/c",
    ]


def test_summary_of_a_stochastic_defense():
    draws = {"k": 10, "worst": 0.2, "null_worst": 0.7, "majority": 0.55, "null_majority": 0.9}
    checks = {"deterministic": False, "gradient_error": 0.3}
    shown = summary_text(summary(draws=draws, checks=checks, status="partial"), {"defense": "d", "attack": "a"})
    assert max(map(len, shown.splitlines())) <= 80
    text = " ".join(shown.split())
    assert "n = 100 (partial)" in text
    assert "mean over 10 fresh draws; worst 20.0 % (null attack 70.0 %), majority 55.0 % (null attack 90.0 %)" in text
    assert "stochastic, draws reproducible · gradient error 3e-01 (NOT EXACT: expected below 1e-4)" in text


@pytest.mark.parametrize(
    ("checks", "words"),
    [
        ({"deterministic": True, "differentiable": False}, "deterministic, as measured · not differentiable"),
        ({"deterministic": True, "gradient_error": None}, "deterministic, as measured · gradient error NOT MEASURED"),
    ],
)
def test_summary_of_checks(checks, words):
    assert f"  checks  {words}\n" in summary_text(summary(checks=checks), {"defense": "d", "attack": "a"})


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (99, "99 s"), (150, "2.5 min"), (7300, "2.0 h"), (200_000, "2.3 d")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


class Planned:
    whole_shards = False
    labels, dataset, threat = {"defense": "d", "attack": "a"}, type("D", (), {"name": "data"}), "linf:8/255"


def test_a_forecast():
    most = Prediction(images=80, passes={"score_forward": 2000, "score_hvp": 0}, seconds=400)
    likely = Prediction(images=80, passes={"score_forward": 1000, "score_hvp": 0}, seconds=90)
    text = forecast_text(Forecast(done=20, most=most, likely=likely, standing=0.25, probed=80), Planned)
    assert text.splitlines() == [
        "d under a · data linf:8/255 · 80 images to run, 20 done",
        "  likely  90 s   if 25 % of the images stay unbroken, as in a probe of 80",
        "  at most 6.7 min   if none of them breaks",
        "  passes  1,000 score forward, likely",
        "  as on an idle machine; nothing was run or stored",
    ]
    Whole = type("Whole", (Planned,), {"whole_shards": True})
    assert "takes whole shards" in forecast_text(
        Forecast(done=0, most=most, likely=likely, standing=0, probed=0), Whole
    )
    assert "states no bound" in forecast_text(None, Planned)


def test_a_curve():
    line = SampleRecord(
        id=1, label=1, clean=[1], adversarial=[1], margin=[0], distance=0, cost={}, seconds=0, environment=""
    )
    lines = curve_text(curve([(ThreatModel.parse("l2:1"), "abc", [line])])).splitlines()
    assert lines[0].split() == ["threat", "robust", "worst", "so", "far", "run"]
    assert lines[1] == "l2:1    100.0 % [2.5, 100.0]  100.0 % [2.5, 100.0]  abc"


def test_next_steps():
    assert next_steps(summary(), ["--defense", "none"], dataset_size=10_000).splitlines() == [
        "next",
        "  # a half-width of 3.1 points; continues this record",
        "  bench run --defense none -n 1000",
        "  # a stronger attack: does the number hold?",
        "  bench run --defense none -A steps=40 -A restarts=2",
        "  # this run beside the others",
        "  bench leaderboard",
        "  # can this number be believed?",
        "  bench audit abc --quick",
    ]


def test_a_stochastic_defense_is_pointed_to_the_attacker_who_knows_its_draws():
    given = ["--defense", "smoothing", "-D", "votes=2", "--attack", "pgd-eot", "-Aeot=3", "-A", "steps=20", "-n", "50"]
    known = ["bench", "run", "--defense", "smoothing", "-D", "votes=2", "--attack", "pgd-known", "-n", "50"]
    told = summary(n=50) | {"draws": {"k": 10}}
    assert known in commands(next_steps(told, given, dataset_size=50))
    for other in (told | {"checks": {"differentiable": False}}, told | {"draws": {"k": 1}}):
        assert known not in commands(next_steps(other, given, dataset_size=50))


@pytest.mark.parametrize(
    ("run", "results", "line"),
    [
        ("abc", "results", "bench audit abc --quick --allow-code"),
        ("abc", "my results", "bench audit abc --results 'my results' --quick --allow-code"),
        ("a b", "elsewhere", "bench audit 'a b' --quick --allow-code"),
    ],
)
def test_an_audit_needs_no_results_where_a_folder_is_named(run, results, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "run.json").touch()
    assert audit_line(run, Path(results), allow_code=True) == line
    assert audit_line(run, Path(results), allow_code=False) == line.removesuffix(" --allow-code")


def test_after_a_failed_check_the_only_steps_are_to_look_and_to_fix():
    claims = [{"check": "gradient", "verdict": "failed", "meaning": ""}]
    steps = next_steps(summary(n=20, checks={"claims": claims}), ["--defense", "a b", "-n", "20"], dataset_size=300)
    assert commands(steps) == [
        ["bench", "show", "abc"],
        ["bench", "run", "--defense", "a b", "-n", "20"],
    ]
    assert "which checks failed" in steps.splitlines()[1]
    assert "after the fix" in steps.splitlines()[3]


@pytest.mark.parametrize("given", [["-n", "50"], ["-n50"], ["--samples", "50"], ["--samples=50"]])
def test_next_steps_name_the_samples_once(given):
    more = commands(next_steps(summary(), [*given, "--json", "--defense", "a b"], dataset_size=300))[0]
    assert more == ["bench", "run", "--defense", "a b", "-n", "300"]


@pytest.mark.parametrize("given", [["-A", "steps=20", "-A", "eot=3"], ["-Asteps=20", "-A", "eot=3"]])
def test_next_steps_name_each_argument_once(given):
    stronger = commands(next_steps(summary(), [*given, "-D", "steps=2"], dataset_size=100))[0]
    assert stronger == ["bench", "run", "-A", "eot=3", "-D", "steps=2", "-A", "steps=40", "-A", "restarts=2"]
    options = [value for flag, value in pairwise(stronger) if flag == "-A"]
    assert parse_options(options, "-A") == {"eot": "3", "steps": "40", "restarts": "2"}


def test_after_a_thousand_images_all_of_them():
    more = commands(next_steps(summary(n=1_000), [], dataset_size=10_000))[0]
    assert more == ["bench", "run", "-n", "10000"]


def test_columns():
    assert columns([("a", "bbb", "first"), ("aaa", "", "second")]) == "a    bbb  first\naaa       second"
    assert columns([]) == ""


def test_the_last_column_goes_on_below_itself():
    words = "one word [-5.2, 11.0] after another-one"
    assert columns([("ok", "name", words), ("-", "b", "")], width=38) == (
        "ok  name  one word [-5.2, 11.0] after\n          another-one\n-   b"
    )
    assert columns([("ok", "name", words)], width=len("ok  name  ") + len(words)) == f"ok  name  {words}"
    assert columns([("ok", "name", words)]) == f"ok  name  {words}"


@pytest.mark.parametrize("whole", ["+3.1 [-5.2, 11.0]", "9.0 min", "0.0 [-5.8, 5.8]"])
def test_no_line_ends_inside_a_figure(whole):
    """At every width that has room for it."""
    for width in range(len("a") + 2 + 30, 60):
        assert whole in columns([("a", f"twice the steps of the attack that was run {whole}; and more")], width)


def test_a_word_that_is_too_long_stays_whole_and_a_column_keeps_some_room():
    long = "results/" + 40 * "x"
    assert columns([("a", f"see {long}")], width=36) == f"a  see\n   {long}"
    assert columns([(20 * "a", "twenty characters and ten")], width=24) == f"{20 * 'a'}  twenty characters and ten"


def test_progress_without_a_terminal_is_a_line_a_shard(capsys):
    line = SampleRecord(
        id=1, label=0, clean=[0], adversarial=[0], margin=[1.0], distance=0.0, cost={}, seconds=0.0, environment="e"
    )
    with Progress(quiet=False) as progress:
        progress.started([line], 3)
        progress.finished([structs.replace(line, id=2, adversarial=[1])])
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == [
        "resuming after 1 of 3 images",
        "2/3 done, 1 unbroken, 0 s left",
    ]


def test_quiet_progress_is_silent(capsys):
    with Progress(quiet=True) as progress:
        progress.started([], 3)
        progress.working(0.5, 1, 3)
    assert capsys.readouterr() == ("", "")


@pytest.fixture(scope="module")
def findings():
    return {finding["name"]: finding for finding in examine()}


def test_the_doctor_finds_nothing_wrong(findings):
    assert {finding["status"] for finding in findings.values()} <= {"ok", "note"}
    assert {findings[name]["status"] for name in ("python", "purebench", "torch", "packages", "fashion-mnist")} == {
        "ok"
    }
    assert findings["fashion-mnist"]["detail"].startswith("10000 test images, sha256 ")
    assert findings["robustbench files"]["detail"] == "as its wheel lists them"


def test_the_doctor_says_how_to_get_what_is_not_installed(findings):
    for name, extra in bench.doctor.doctor.EXTRAS.items():
        missing = findings[name]["status"] == "note"
        assert findings[name]["advice"] == (f'pip install "purebench[{extra}]"' if missing else "")


def test_a_folder_of_an_extras_name_is_not_the_extra(monkeypatch, tmp_path):
    (tmp_path / "no-such-distribution").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(bench.doctor.doctor, "EXTRAS", {"no-such-distribution": "hub"})
    assert [finding["detail"] for finding in bench.doctor.doctor._extras()] == ["not installed (optional)"]


def test_the_doctor_reports_a_shadowed_package(monkeypatch):
    monkeypatch.setattr(bench.doctor.doctor, "foreign_package", lambda: "expected purebench's own package 'attacks'")
    assert bench.doctor.doctor._own_packages() == {
        "name": "packages", "status": "FAIL", "detail": "expected purebench's own package 'attacks'", "advice": "",
    }  # fmt: skip


def test_the_doctor_notices_files_of_another_package(monkeypatch):
    monkeypatch.setattr(bench.doctor.doctor, "_intact", lambda file, digest: "eval" not in file.name)
    finding = bench.doctor.doctor._robustbench()
    assert finding["status"] == "FAIL"
    assert "files belong to another package, such as robustbench/eval" in finding["detail"]
    assert finding["advice"] == "pip install --force-reinstall --no-deps robustbench"


def test_the_doctor_says_where_downloads_lie_and_which_broke_off(monkeypatch, tmp_path):
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / name)
    (tmp_path / "purebench" / "deep").mkdir(parents=True)
    (tmp_path / "purebench" / "whole.tar.gz").write_bytes(bytes(2_000_000))
    (tmp_path / "purebench" / "deep" / "cut.pt.part").write_bytes(bytes(1_000_000))
    found = {finding["name"]: finding for finding in bench.doctor.doctor._caches()}
    assert set(found) == {"data cache", "torch cache", "hub cache"}
    assert found["data cache"]["detail"] == f"{tmp_path / 'purebench'}: 2 files, 3 MB"
    assert found["data cache"]["advice"] == (
        "1 incomplete downloads in it; repeat the command that started them, or remove them"
    )
