"""Boards from the raw lines, without the package: what every published figure has to be.

Only `json` reads the records, shares are fractions, and `recomputed_statistics` makes intervals and tests of them.
"""

import json
from fractions import Fraction
from itertools import groupby
from pathlib import Path

import numpy as np
from recomputed_statistics import difference_interval, holm, paired, share_interval

FULL, AUTO, BLACK, TRANSFER, BPDA, KNOWN = (
    "full gradient", "AutoAttack", "black box", "transfer", "BPDA", "known draws",
)  # fmt: skip
REQUIRED = (FULL, AUTO, BLACK, TRANSFER)
CLASSES = {
    "pgd-full": FULL, "pgd-eot": FULL, "pgd-bpda": BPDA, "pgd-known": KNOWN, "dw-box-2024": KNOWN, "autoattack": AUTO,
    "autoattack-rand": AUTO, "autoattack-fast": AUTO, "square": BLACK, "pgd-blind": TRANSFER, "null": "null",
}  # fmt: skip
COMPLETING = {FULL: "pgd-full", BPDA: "pgd-bpda", BLACK: "square", TRANSFER: "pgd-blind"}
ENDS = ("value", "low", "high")


def boards_of(results, *, required=REQUIRED, against=None):
    """The boards, each a dictionary with its ranked and its incomplete rows and what was imported."""
    runs = [_run(file.parent) for file in sorted(Path(results).glob("*/*/*/run.json"))]
    imports = [json.loads(file.read_text()) for file in sorted(Path(results).glob("*/*/imported/*.json"))]
    keys = sorted({_key(run) for run in runs})
    return [_board(key, [run for run in runs if _key(run) == key], imports, tuple(required), against) for key in keys]


def rows_of(board):
    """The ranked rows, then the others."""
    return [*board["rows"], *board["incomplete"]]


def mean_over_seeds(row, runs, which="adversarial"):
    """Per image of the row the worst of some runs, and the mean of that over the row's seeds: id to share; empty if none counts."""
    return {sample: sum(parts) / len(parts) for sample, parts in _by_seed(row, runs, which).items()}


def _key(run):
    return run["spec"]["dataset"]["name"], run["spec"]["threat"], str(run["spec"]["dataset"]["sha256"])


def _run(folder):
    """One run: its header, and per image the share of right draws, clean and attacked."""
    header = json.loads((folder / "run.json").read_text())
    lines = [json.loads(text) for text in (folder / "samples.jsonl").read_text().splitlines()]
    audit = json.loads((folder / "audit.json").read_text()) if (folder / "audit.json").exists() else {}
    spec = header["spec"]
    run = {
        "id": header["run_id"], "header": header, "spec": spec, "lines": lines, "n": len(lines), "path": folder,
        "attack": header["labels"]["attack"], "class": CLASSES[spec["attack"]["name"]], "draws": spec["draws"],
        "seed": spec["seed"], "audit": audit, "verdict": _verdict(audit),
    }  # fmt: skip
    for which in ("clean", "adversarial"):
        run[which] = {
            line["id"]: Fraction(sum(one == line["label"] for one in line[which]), len(line[which])) for line in lines
        }
    run["fills"] = {run["class"]} | (
        {FULL} if run["class"] == KNOWN and spec["attack"]["gradient"] == "full" else set()
    )
    run["passes"] = Fraction(sum(_passes(line) for line in lines), len(lines))
    return run | {"flags": _flags_of_run(run, audit)}


def _verdict(audit):
    """`believed`, `suspect` or `refuted`, None if nothing is known; words of old records included."""
    words = {None: None, "unchecked": None, True: "believed", "believed": "believed", "refuted": "refuted"}
    return words.get(audit.get("verdict"), "suspect")


def _passes(line):
    return sum(count for kind, count in line["cost"].items() if kind.startswith("score_"))


def _flags_of_run(run, audit):
    error = run["header"]["checks"].get("gradient_error")
    said = sorted({flag for line in run["lines"] for flag in (line.get("said") or {}).get("flags", [])})
    counts = [sum(flag in (line.get("said") or {}).get("flags", []) for line in run["lines"]) for flag in said]
    claims = run["header"]["checks"].get("claims", [])
    found = [
        ("partial", not (run["path"] / "SHA256SUMS").exists()), ("small n", run["n"] < 250),
        ("gradient not exact", error is not None and error > 1e-4),
        ("mixed environments", len(run["header"]["environments"]) > 1),
        *((f"{claim['check']}: failed", claim["check"] != "gradient") for claim in claims if claim["verdict"] == "failed"),
        ("AutoAttack without FAB", run["spec"]["attack"]["name"] == "autoattack-fast"),
        ("inexact gradient mode", run["class"] == BPDA),
    ]  # fmt: skip
    told = [f"{flag} ({count} images)" for flag, count in zip(said, counts, strict=True)]
    return [flag for flag, holds in found if holds] + told + audit.get("flags", [])


def _board(key, runs, imports, required, against):
    def parts(run):
        return json.dumps([run["spec"][part] for part in ("defense", "classifier", "score_model")], sort_keys=True)

    rows = [
        _row(part, required)
        for _, group in groupby(sorted(runs, key=parts), key=parts)
        for part in _by_draws(list(group))
    ]
    rows.sort(key=lambda row: (-row["worst"]["value"], row["defense"], row["classifier"], row["draws"]))
    _beside_undefended(rows)
    ranked, others = [row for row in rows if not row["missing"]], [row for row in rows if row["missing"]]
    _rank(ranked)
    reference = next((row for row in [*ranked, *others] if row["defense"] == against), (*ranked, None)[0])
    _test([*ranked, *others], reference)
    imported = [row for row in imports if (row["dataset"], row["threat"]) == key[:2]]
    counts = [row["n"] for row in ranked or others]
    images = f"{min(counts)} to {max(counts)}" if len(set(counts)) > 1 else f"{counts[0]}"
    return {
        "dataset": key[0], "threat": key[1], "required": required, "rows": ranked, "incomplete": others,
        "reference": reference and reference["defense"], "imported": sorted(imported, key=lambda row: -row["robust"]),
        "n": [min(counts), max(counts)],
        "title": f"{key[0]}, {key[1]} (required: {', '.join(required)}; n = {images})",
    }  # fmt: skip


def _by_draws(group):
    known, fresh = ([run for run in group if (run["class"] == KNOWN) == wanted] for wanted in (True, False))
    counts = sorted({run["draws"] for run in fresh or known})
    own = [[run for run in fresh or known if run["draws"] == count] for count in counts]
    return [part + [run for run in known if run not in part] for part in own]


def _row(runs, required):
    spec, header, draws = runs[0]["spec"], runs[0]["header"], runs[0]["draws"]
    differentiable = all(run["header"]["checks"].get("differentiable", True) for run in runs)
    needed = [BPDA if kind == FULL and not differentiable else kind for kind in required]
    needed = [kind for kind in needed if not (kind == TRANSFER and spec["defense"]["name"] == "none")]
    seeds, ids, counted, overlap = _chosen(runs, draws, needed)
    runs = sorted(runs, key=lambda run: (_mean(run["adversarial"].values()), run["attack"], run["seed"]))
    row = {
        "defense": header["labels"]["defense"], "name": spec["defense"]["name"], "arguments": spec["defense"]["args"],
        "classifier": spec["classifier"]["name"], "score_model": (spec["score_model"] or {}).get("name"),
        "deterministic": header["checks"].get("deterministic", draws == 1), "draws": draws, "n": len(ids), "ids": ids,
        "seeds": seeds, "runs": runs, "rank": None, "rank_low": None, "rank_high": None, "p": None, "p_n": None, "shared": None, "undefended": None,
        "counted": [run["id"] for run in counted], "source": _source(spec["defense"]),
    }  # fmt: skip
    faced_or_none = counted + [run | {"adversarial": run["clean"]} for run in counted]
    of_seeds = _by_seed(row, faced_or_none)
    row["shares"], row["clean_shares"] = mean_over_seeds(row, faced_or_none), mean_over_seeds(row, counted, "clean")
    row["worst"], row["clean"] = (share_interval(list(row[part].values())) for part in ("shares", "clean_shares"))
    row["null"] = difference_interval(list(row["shares"].values()), list(row["clean_shares"].values()))
    row["worst_seed"] = share_interval([min(parts) for parts in of_seeds.values()])
    accuracies = [float(_mean(column)) for column in zip(*of_seeds.values(), strict=True)]
    row["spread"] = float(np.std(accuracies, ddof=1)) if len(seeds) > 1 else 0.0
    kinds = sorted({run["class"] for run in counted})
    row["under"] = {kind: _interval(row, [run for run in counted if run["class"] == kind]) for kind in kinds}
    row["eot"] = _interval(row, [run for run in counted if _averages(run)])
    apart = [run for run in runs if run["seed"] in seeds and run not in counted]
    row["elsewhere"] = {
        kind: _elsewhere([run for run in apart if run["class"] == kind], draws)
        for kind in sorted({run["class"] for run in apart} - set(kinds))
    }
    row["draw_figures"], row["any_fail"] = (None, None) if row["deterministic"] else _over_draws(row, counted)
    faced = set().union(*(_fills(run) for run in counted))
    wrong = any(_wrong(run) for run in counted)
    row["missing"] = [kind for kind in needed if kind not in faced]
    row["presets"] = [
        COMPLETING.get(kind, "autoattack" if row["deterministic"] else "autoattack-rand")
        for kind in row["missing"]
        if not (wrong and kind == FULL)
    ]
    if row["n"] < 20:
        row["missing"].append("images")
        row["presets"] = [run["attack"].partition(" ")[0] for run in counted if run["n"] < 20] + row["presets"]
    row["passes"], row["certified"] = _cost(runs), _certified(max(counted, key=lambda run: run["n"]), ids)
    strongest = min(counted, key=lambda run: (_mean(run["adversarial"].values()), run["attack"], run["seed"]))
    verdicts = [run["verdict"] for run in runs]
    row["verdict"] = next((bad for bad in ("refuted", "suspect") if bad in verdicts), strongest["verdict"])
    row["flags"] = _flags_of_row(row, counted, apart, overlap)
    return row


def _source(defense):
    """What the registry's table says of a built-in defense."""
    import defenses

    entry = defenses.TABLE.get(defense["name"])
    return vars(entry.source) if entry and entry.source and not defense.get("sha256") else None


def _chosen(runs, draws, needed):
    """The seeds that count, the images of the row, the runs that have them all, and whether the required attacks share any."""
    own = [run for run in runs if run["draws"] == draws]
    images, faced, attacks = {}, {}, {}
    for seed in sorted({run["seed"] for run in own}):
        mine = [run for run in own if run["seed"] == seed]
        asked = [run for run in mine if _fills(run) & set(needed)] or mine
        ids = [sample for sample in asked[0]["clean"] if all(sample in run["clean"] for run in asked)]
        images[seed] = ids or list(max(asked, key=lambda run: run["n"])["clean"]), bool(ids)
        faced[seed] = set().union(*map(_fills, mine)) & set(needed)
        attacks[seed] = _attacks_on(mine, images[seed][0])
    lead = min(images, key=lambda s: (-len(faced[s]), -len(attacks[s]), -len(images[s][0]) * images[s][1], s))
    ids, overlap = images[lead]
    seeds = [lead]
    for seed in images if faced[lead] == set(needed) and overlap else ():
        same = not attacks[lead] - _attacks_on([run for run in own if run["seed"] == seed], ids)
        seeds += [seed] if seed != lead and same and images[seed][1] and set(ids) <= set(images[seed][0]) else []
    counted = [
        run
        for seed in sorted(seeds)
        for run in own
        if run["seed"] == seed and set(ids) <= set(run["clean"]) and run["attack"] in {*attacks[lead], "null"}
    ]
    return sorted(seeds), ids, counted, overlap


def _attacks_on(runs, ids):
    return {run["attack"] for run in runs if set(ids) <= set(run["clean"])} - {"null"}


def _elsewhere(runs, draws):
    """The worst of some runs on the images that they share; of those with the row's draws, or with the fewest."""
    wanted = draws if any(run["draws"] == draws for run in runs) else min(run["draws"] for run in runs)
    runs = [run for run in runs if run["draws"] == wanted]
    ids = [sample for sample in runs[0]["clean"] if all(sample in run["clean"] for run in runs)]
    if not ids:
        runs = [max(runs, key=lambda run: run["n"])]
        ids = list(runs[0]["clean"])
    part = {"ids": ids, "seeds": sorted({run["seed"] for run in runs})}
    return _interval(part, runs) | {"draws": wanted}


def _over_draws(row, counted):
    """The four figures of a stochastic defense and the curves over repeated submissions, counted draw by draw."""
    from itertools import combinations

    known = [run for run in counted if run["class"] == KNOWN]
    fresh = [run for run in counted if run["class"] not in (KNOWN, "null")]
    rules = {
        "mean": lambda right, classes, label: Fraction(sum(right), len(right)),
        "worst": lambda right, classes, label: Fraction(int(all(right))),
        "majority": lambda right, classes, label: Fraction(
            int(min(set(classes), key=lambda one: (-classes.count(one), one)) == label)
        ),
    }

    def figure(runs, rule):
        clean, attacked = (
            [run | {"value": _by_rule(run, which, rule)} for run in runs] for which in ("clean", "adversarial")
        )
        return mean_over_seeds(row, clean, "value"), mean_over_seeds(row, attacked + clean, "value")

    def pair(runs, rule):
        clean, robust = figure(runs, rule)
        return {"clean": share_interval(list(clean.values())), "robust": share_interval(list(robust.values()))}

    def survive(count):
        return lambda right, classes, label: _mean(all(chosen) for chosen in combinations(right, count))

    figures = {name: pair(fresh, rule) for name, rule in rules.items() if fresh}
    figures |= {"known": pair(known, rules["mean"])} if known else {}
    curve = [figure(fresh, survive(count)) for count in range(1, row["draws"] + 1)] if fresh else []
    curves = {
        name: [float(_mean(point[at].values())) for point in curve] for at, name in enumerate(("clean", "robust"))
    }
    return figures, curves if fresh else {}


def _by_rule(run, which, rule):
    """Per image the value of a rule."""
    return {
        line["id"]: rule([one == line["label"] for one in line[which]], line[which], line["label"])
        for line in run["lines"]
    }


def _fills(run):
    """A gradient that is wrong is no full one, and one that is not finite on more than 1 % of the images fills nothing."""
    flagged = [flag for line in run["lines"] for flag in (line.get("said") or {}).get("flags", [])]
    if sum(flag.endswith("not finite") for flag in flagged) > run["n"] / 100:
        return set()
    return run["fills"] - ({FULL} if _wrong(run) else set())


def _wrong(run):
    checks = run["header"]["checks"]
    return (checks.get("gradient_error") or 0) > 1e-4 or checks.get("gradient_finite") is False


def _by_seed(row, runs, which="adversarial"):
    """Per image that all seeds have, the worst of each seed."""
    seeds = [[run[which] for run in runs if run["seed"] == seed] for seed in row["seeds"]]
    seeds = [columns for columns in seeds if columns]
    if not seeds:
        return {}
    ids = [sample for sample in row["ids"] if all(any(sample in column for column in columns) for columns in seeds)]
    return {
        sample: [min(column[sample] for column in columns if sample in column) for columns in seeds] for sample in ids
    }


def _interval(row, runs):
    shares = mean_over_seeds(row, runs)
    return share_interval(list(shares.values())) if shares else None


def _mean(values):
    values = list(values)
    return Fraction(sum(values)) / len(values)


def _averages(run):
    many = run["spec"]["attack"]["args"].get("eot", 1) > 1 or run["spec"]["attack"]["name"] == "autoattack-rand"
    return run["draws"] > 1 and many and run["class"] in (FULL, AUTO)


def _cost(runs):
    """Score passes per classifier pass where no gradient was taken, for as many votes as one prediction has."""
    plain = [line for run in runs for line in run["lines"] if not line["cost"].get("classifier_backward", 0)]
    forward = sum(line["cost"].get("classifier_forward", 0) for line in plain)
    votes = runs[0]["spec"]["defense"]["args"].get("votes", 1)
    return float(Fraction(votes * sum(map(_passes, plain)), forward)) if forward else None


def _certified(run, ids):
    of_row = [line for line in run["lines"] if line["id"] in set(ids)]
    radii = [line["certified"] for line in of_row if line.get("certified") is not None]
    return sum(radii) / len(radii) if radii else None


def _flags_of_row(row, counted, apart, overlap):
    found = [flag for run in row["runs"] for flag in run["flags"] if flag != "small n"]
    if any(FULL in run["fills"] for run in counted):
        found = [flag for flag in found if flag != "inexact gradient mode"]
    own = [("small n", row["n"] < 250), ("runs share no images", not overlap)]
    whys = [_why(run, row) for run in apart if run["class"] != "null"]
    return sorted(set(whys)) + [flag for flag, holds in own if holds] + list(dict.fromkeys(found))


def _why(run, row):
    """Why a run does not count."""
    if run["draws"] != row["draws"]:
        return f"{run['attack']} at {run['draws']} draw{'s' if run['draws'] > 1 else ''} only"
    there = len(set(row["ids"]) & set(run["clean"]))
    if there < row["n"]:
        return f"{run['attack']} on {there} image{'s' if there != 1 else ''} only"
    return f"{run['attack']} with seed {run['seed']} only"


def _common(one, other):
    both = [sample for sample in one if sample in other]
    return [one[sample] for sample in both], [other[sample] for sample in both]


def _beside_undefended(rows):
    undefended = {row["classifier"]: row for row in rows if row["name"] == "none" and row["defense"] == "none"}
    for row in rows:
        other = undefended.get(row["classifier"])
        if other is None or other is row:
            continue
        mine, theirs = _common(row["shares"], other["shares"])
        row["undefended"] = difference_interval(mine, theirs) if mine else None


def _rank(rows):
    """The position by the worst case, and the ranks that a test, corrected over all pairs, leaves open."""
    pairs = [(a, b) for place, a in enumerate(rows) for b in rows[:place]]
    columns = [_common(a["shares"], b["shares"]) for a, b in pairs]
    corrected = holm([paired(*both) for both in columns])
    shared = [sample for sample in rows[0]["ids"] if all(sample in row["shares"] for row in rows)] if rows else []
    for row in rows:
        some = shared and len({other["n"] for other in rows} | {len(shared)}) > 1
        row["shared"] = share_interval([row["shares"][sample] for sample in shared]) if some else None
        row["rank"] = 1 + sum(_mean(other["shares"].values()) > _mean(row["shares"].values()) for other in rows)
        row["rank_low"], row["rank_high"] = 1, len(rows)
    for (a, b), (mine, theirs), p in zip(pairs, columns, corrected, strict=True):
        if p < 0.05:
            worse, better = (a, b) if sum(mine) < sum(theirs) else (b, a)
            worse["rank_low"] += 1
            better["rank_high"] -= 1
    for row in rows:
        row["rank_low"], row["rank_high"] = min(row["rank_low"], row["rank"]), max(row["rank_high"], row["rank"])


def _test(rows, reference):
    others = [row for row in rows if row is not reference] if reference else []
    columns = [_common(row["shares"], reference["shares"]) for row in others]
    corrected = holm([paired(*both) for both in columns])
    for row, p, (mine, _) in zip(others, corrected, columns, strict=True):
        row["p"], row["p_n"] = p, len(mine)
