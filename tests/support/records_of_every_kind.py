"""Records on disk that take every way through the boards."""

import json

from records_for_tables import full_set, header, line, record

from bench.records.writer import RecordWriter

LONG = 40


CLAIMS = [
    {"check": check, "value": 0.3, "threshold": 1e-4, "verdict": verdict, "meaning": "look at it"}
    for check, verdict in (("gradient", "failed"), ("precision", "failed"), ("alone", "passed"))
]


def every_way(folder):
    """Records that take every way through the boards: ties, seeds, draws, known randomness, other images, notes, another radius."""
    plain = [("pgd-full", "full"), ("autoattack", "full"), ("square", "none"), ("pgd-blind", "blind")]
    for place, (attack, gradient) in enumerate(plain):
        hits = "1" * (34 - place) + "0" * (6 + place)
        record(folder, _dpsam(f"d{place}", attack, gradient=gradient), hits, clean="1" * 39 + "0")
    for run, changed in (("r0", {"rho": 0.0}), ("r1", {"rho": 0.3}), ("m0", {"bank": 8}), ("t0", {"steps": 8})):
        record(folder, _dpsam(run, **changed), "0" * 3 + "1" * 21 + "0" * 16, clean="1" * 38 + "00")
    for place, (attack, gradient) in enumerate(plain[:3]):
        record(folder, header(f"n{place}", "none", attack, gradient=gradient), "01" + "0" * (LONG - 2))
    full_set(folder, "h", "half", "2" * LONG, draws=4)
    full_set(folder, "y", "noisy", "4" * 15 + "1" * 15 + "3" * 10, draws=4)
    record(folder, _known("yk", "noisy", "pgd-known", 4), "3" * 20 + "2" * 10 + "0" * 10)
    record(folder, _known("yo", "noisy", "dw-box-2024", 1), "1" * 20 + "0" * 20, clean="1" * 30 + "0" * 10)
    eot = header("ye", "noisy", "pgd-eot", draws=4)
    eot["spec"]["attack"]["args"] = {"eot": 20}
    record(folder, eot, "4" * 20 + "2" * 20)
    record(folder, header("yt", "noisy", draws=2), "2" * 10 + "1" * 20 + "0" * 10)
    full_set(folder, "s", "seeded", "1" * 20 + "0" * 20)
    full_set(folder, "u", "seeded", "1" * 8 + "0" * 8 + "1" * 24, seed=1)
    record(folder, header("v", "seeded", seed=2), "0" * LONG)
    record(
        folder,
        header("b", "hard", "pgd-bpda", gradient="bpda", checks={"gradient_error": 0.3, "claims": CLAIMS}),
        "0" * 11 + "1" * 29,
    )
    record(folder, header("c", "hard", "square", gradient="none"), "1" * 25, seal=False)
    voting = header("w", "voting", "pgd-known", draws=4, args={"votes": 5})
    voting["spec"]["attack"]["knowledge"] = "known"
    record(folder, voting, "31240" * 4)
    flagged = record(folder, header("f", "flagged", "autoattack-fast"), "110" * 10, said={"flags": ["zero gradient"]})
    (flagged / "audit.json").write_text(json.dumps({"verdict": False, "flags": ["masked"]}))
    record(folder, header("x0", "apart"), "1110")
    with RecordWriter(folder / "toy" / "linf-8-255" / "x1", header("x1", "apart", "square", gradient="none")) as writer:
        writer.append(0, [line(k, True) for k in range(10, 13)], None)
    for place, (attack, gradient) in enumerate(plain):
        record(folder, _dpsam(f"e{place}", attack, "linf:16/255", gradient), "1" * (20 - place) + "0" * (20 + place))
    published = {
        "dataset": "toy", "threat": "linf:8/255", "name": "Elsewhere", "source": "RobustBench", "clean": 0.8969, "robust": 0.7071,
        "link": "", "unreliable": True, "note": "",
    }  # fmt: skip
    (folder / "toy" / "linf-8-255" / "imported").mkdir()
    (folder / "toy" / "linf-8-255" / "imported" / "Elsewhere.json").write_text(json.dumps(published))
    _certify(folder / "toy" / "linf-8-255" / "r0" / "samples.jsonl")


def _dpsam(run, attack="pgd-full", threat="linf:8/255", gradient="full", **changed):
    """A run of dpsam with one changed argument at most."""
    made = header(run, "dpsam", attack, threat, gradient, args=changed)
    made["spec"]["defense"]["args"] = {"rho": 0.1, "bank": 2, "steps": 4, "sigma": 0.3} | changed
    return made


def _known(run, defense, attack, draws, **options):
    made = header(run, defense, attack, draws=draws, **options)
    made["spec"]["attack"]["knowledge"] = "known"
    return made


def _certify(file):
    """Radii for the lines of a record that none of its figures but this one depend on."""
    lines = [json.loads(text) | {"certified": k / 64} for k, text in enumerate(file.read_text().splitlines())]
    file.write_text("".join(json.dumps(one) + "\n" for one in lines))
