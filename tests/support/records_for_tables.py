"""Records on disk for tests of tables: figures that can be worked out by hand."""

from bench.records.header import FORMAT
from bench.records.lines import SampleRecord
from bench.records.writer import RecordWriter

COST = {"classifier_forward": 2, "classifier_backward": 0, "score_forward": 6, "score_backward": 2, "score_hvp": 0}


def line(sample, right, *, clean=True, draws=1, cost=None, said=None):
    """An image of class 1 of which `right` of `draws` draws are right under attack."""
    hits = right if isinstance(right, list) else [int(right)] * draws
    return SampleRecord(
        id=sample, label=1, clean=[int(clean)] * len(hits), adversarial=hits, margin=[0.0] * len(hits), distance=0.01,
        cost=cost or COST, seconds=0.0, environment="e", said=said or {},
    )  # fmt: skip


def header(
    run, defense, attack="pgd-full", threat="linf:8/255", gradient="full", *, args=None, draws=1, seed=0, **changes
):
    """The header of a run; `attack` names a preset, as the harness would record it."""
    label = " ".join([defense, *(f"{key}={value:g}" for key, value in (args or {}).items())])
    spec = {
        "defense": {"name": defense, "args": {"rho": 0.1, "steps": 4} | (args or {})},
        "attack": {"name": attack, "args": {}, "gradient": gradient},
        "classifier": {"name": "cnn", "args": {}}, "score_model": {"name": "unet", "args": {}} if defense != "none" else None,
        "dataset": {"name": "toy", "sha256": "aa"}, "threat": threat, "draws": draws, "seed": seed,
    }  # fmt: skip
    values = {
        "format": FORMAT, "run_id": run, "spec": spec, "labels": {"defense": label, "attack": attack},
        "checks": {"deterministic": draws == 1}, "environments": {"e": {"torch": "2"}},
    }  # fmt: skip
    return values | changes


def record(results, header, hits, *, seal=True, clean=None, **options):
    """A record on disk whose image k is right under attack if `hits[k]` is "1"; digits above 1 count right draws."""
    folder = results / "toy" / header["spec"]["threat"].replace(":", "-").replace("/", "-") / header["run_id"]
    draws = header["spec"]["draws"]
    rights = [[1] * int(hit) + [0] * (draws - int(hit)) for hit in hits]
    clean = clean or "1" * len(hits)
    with RecordWriter(folder, header) as writer:
        writer.append(0, [line(k, right, clean=clean[k] == "1", **options) for k, right in enumerate(rights)], None)
        if seal:
            writer.seal()
    return folder


def full_set(results, prefix, defense, hits, *, draws=1, others=None, **options):
    """A defense under all required attacks: `hits` under the full gradient, `others` (else the same) under the rest."""
    rest = others or hits
    attacks = [
        ("pgd-full", "full", hits), ("autoattack" if draws == 1 else "autoattack-rand", "full", rest), ("square", "none", rest),
        ("pgd-blind", "blind", rest),
    ]  # fmt: skip
    for place, (attack, gradient, images) in enumerate(attacks):
        record(results, header(f"{prefix}{place}", defense, attack, gradient=gradient, draws=draws, **options), images)
