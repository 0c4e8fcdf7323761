"""Images that the attack was never made on verify, and are found by making it again where nobody could foresee."""

import hashlib
import json
from math import comb
from types import SimpleNamespace

import numpy as np
import pytest
from audited import examined, made
from safetensors.numpy import load_file, save_file
from tampered import reseal

from bench.audit.bar import power
from bench.audit.checks.attack import repetition
from bench.audit.finding import PASS, REFUTED, SKIPPED
from bench.cli.main import main
from bench.figures.runs import read_run

HONEST = {"defense": "honest.py:Blur", "threat": "linf:0.01"}


def found(path, **options):
    (check,) = examined(path, "repetition", **options)["checks"]
    return check


def spare(path, count):
    """Puts clean images in the place of the last broken ones, as if the attack had failed on them, and seals the record again."""
    clean = made(path.parents[2] / "clean", attack="null", **HONEST)
    told = {line["id"]: line for line in map(json.loads, (clean / "samples.jsonl").read_text().splitlines())}
    lines = [json.loads(text) for text in (path / "samples.jsonl").read_text().splitlines()]
    fell = [line["id"] for line in lines if line["clean"] == [line["label"]] != line["adversarial"]][-count:]
    keys = ("adversarial", "margin", "distance")
    lines = [line | {key: told[line["id"]][key] for key in keys} if line["id"] in fell else line for line in lines]
    (path / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for file in sorted(path.glob("adversarial/*")):
        stored, untouched = load_file(file), load_file(clean / "adversarial" / file.name)
        rows = np.isin(stored["ids"], fell)
        stored["images"][rows] = untouched["images"][np.isin(untouched["ids"], fell)]
        save_file(stored, file)
    reseal(path)
    return fell


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    return made(tmp_path_factory.mktemp("honest"), **HONEST)


def test_an_honest_record_comes_out_again(honest):
    check = found(honest)
    assert (check["verdict"], check["values"]["broken"], check["values"]["same_environment"]) == (PASS, [], True)
    assert check["values"]["recorded"] == check["values"]["repeated"] == 1
    assert 0 < check["values"]["images"] <= repetition.QUICK_IMAGES


def test_spared_images_verify_but_do_not_come_out_again(tmp_path, capsys):
    path = made(tmp_path, **HONEST)
    before = read_run(path).shares().mean()
    fell = spare(path, 16)
    assert read_run(path).shares().mean() == pytest.approx(before + 16 / len(read_run(path)))
    main(["verify", str(path), "--allow-code"])
    assert "verified" in capsys.readouterr().out.splitlines()[-1]
    check = found(path, size="full", samples=4)
    assert check["verdict"] == REFUTED
    assert set(check["values"]["broken"]) == set(fell) & set(check["values"]["opened"])
    assert len(check["values"]["broken"]) >= 8
    assert "it was not made by this attack" in check["meaning"]
    assert "bench run" in check["command"]


def test_the_choice_follows_from_the_secret(honest, monkeypatch):
    run = read_run(honest)
    standing = run.ids[run.shares() >= 0.5].tolist()
    monkeypatch.setattr(repetition.secrets, "randbits", lambda bits: 7)
    values = found(honest, again=True)["values"]
    order = sorted(standing, key=lambda sample: hashlib.sha256(f"7:{sample}".encode()).digest())
    assert (values["secret"], values["opened"]) == ("7", sorted(order[: repetition.QUICK_IMAGES]))


def test_elsewhere_a_few_may_fall(tmp_path, monkeypatch):
    path = made(tmp_path, **HONEST)
    spare(path, 2)
    monkeypatch.setattr(repetition, "same_environment", lambda *_: False)
    elsewhere = found(path, size="full", samples=4)
    monkeypatch.undo()
    here = found(path, size="full", samples=4, again=True)
    assert len(elsewhere["values"]["broken"]) == len(here["values"]["broken"]) == 2
    assert (elsewhere["verdict"], here["verdict"]) == (PASS, REFUTED)
    assert elsewhere["threshold"].startswith("more than 2 %")


def test_what_it_can_find_is_said(honest):
    """The binomial tail by hand: 3 of 16 where .02 may fall, 2 of 16 where .002 may."""
    tails = {count: sum(comb(16, k) * 0.25**k * 0.75 ** (16 - k) for k in range(count, 17)) for count in (2, 3)}
    assert power(16, 0.25, 0.02) == pytest.approx(tails[3])
    assert power(16, 0.25, 0.002) == pytest.approx(tails[2])
    check = found(honest)
    assert f"with probability {check['values']['power']:.2f}." in check["meaning"]


def test_what_there_is_nothing_to_repeat_of(tmp_path):
    check = found(made(tmp_path, attack="null", **HONEST))
    assert (check["verdict"], check["meaning"]) == (SKIPPED, "the run's attack changes no image, or is random itself")


def test_an_attack_on_whole_shards_is_repeated_on_one_of_them():
    ids, shares = np.arange(1000, 1130), np.ones(120)
    subject = SimpleNamespace(
        attacked=True, full=True, planned=SimpleNamespace(whole_shards=True, dataset=SimpleNamespace(ids=ids)),
        run=SimpleNamespace(ids=ids[:120], shares=lambda: shares),
    )  # fmt: skip
    opened = {tuple(repetition._opened(subject, secret)) for secret in range(20)}
    assert opened == {tuple(range(50)), tuple(range(50, 100)), tuple(range(100, 120))}
    subject.full = False
    assert repetition.why_not(subject) == "the run's attack takes whole shards: a full audit repeats one"
