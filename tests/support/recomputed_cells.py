"""What the cells of a board have to say, from recomputed rows."""

import re

import pytest
from recomputed_boards import ENDS, KNOWN, rows_of
from recomputed_statistics import share_interval


def in_words(verdict):
    return {None: "unchecked", "believed": "yes"}.get(verdict, verdict)


def says(text, wanted, place):
    """A cell: nothing, a text, a number or the numbers of an interval; each within half of its last digit."""
    if wanted in (None, "") or isinstance(wanted, str):
        assert text == (wanted or ""), place
        return
    if text == "<.001":
        assert wanted < 0.001, place
        return
    found = re.findall(r"[+-]?\d*\.?\d+", re.sub(r"(?<=\d),(?=\d{3})", "", text))
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    assert len(found) == len(wanted), f"{place}: {text!r}"
    for one, number in zip(found, wanted, strict=True):
        digits = len(one.partition(".")[2])
        assert float(one) == pytest.approx(float(number), abs=0.5 * 10**-digits + 1e-9), f"{place}: {text!r}"


def percent(interval, output="md"):
    """Value and ends in percent; value and half the width in LaTeX."""
    if interval is None:
        return None
    value, low, high = (100 * interval[end] for end in ENDS)
    return (value, (high - low) / 2) if output == "latex" else (value, low, high)


def ranks(row):
    low, high = row["rank_low"], row["rank_high"]
    return low if low == high else (low, -high)  # the minus is a dash


def elsewhere(row, kind, output="md"):
    """Value and ends of a cell of other images or draws, then these."""
    part = row["elsewhere"].get(kind)
    if part is None:
        return None
    counts = (part["n"],) * (part["n"] != row["n"]) + (part["draws"],) * (part["draws"] != row["draws"])
    return (*percent(part, output), *counts)


def row_cells(row, required, output="md"):
    """What each column of a board says of a row; of the classes of attacks the required ones and known draws have columns."""
    many = len(row["seeds"]) > 1
    return {
        "rank": row["rank"], "rank 95 %": ranks(row), "defense": row["defense"], "classifier": row["classifier"],
        "score model": row["score_model"] or "-", "clean %": percent(row["clean"], output),
        **{f"{kind} %": elsewhere(row, kind, output) or percent(row["under"].get(kind), output) for kind in (*required, KNOWN)},
        "worst case %": percent(row["worst"], output), "shared images %": percent(row["shared"], output), "EOT %": percent(row["eot"], output),
        "Δ undefended": percent(row["undefended"], output), "Δ null attack": percent(row["null"], output), "p": row["p"],
        "score passes": row["passes"], "certified l2": row["certified"], "n": row["n"], "draws": row["draws"],
        "seeds": len(row["seeds"]), "± seeds": 100 * row["spread"] if many else None,
        "believed": in_words(row["verdict"]), "flags": ", ".join(row["flags"]),
        "missing": ", ".join(row["missing"]),
    }  # fmt: skip


def run_cells(row, run, output):
    """What the table of runs says of one."""
    clean, robust = (share_interval(list(run[which].values())) for which in ("clean", "adversarial"))
    return {
        "defense": row["defense"], "attack": run["attack"], "class": run["class"], "n": run["n"],
        "clean %": percent(clean, output), "robust %": percent(robust, output), "seed": run["seed"],
        "flags": ", ".join(run["flags"]), "run": f"`{run['id']}`" if output == "md" else run["id"],
    }  # fmt: skip


def rule_cells(row, output="md"):
    """What the table of rules over draws says of a stochastic row."""
    titles = {"mean": "mean", "worst": "worst of all draws", "majority": "majority", "known": "known draws"}
    cells = {"defense": row["defense"], "classifier": row["classifier"], "score model": row["score_model"] or "-",
             "n": row["n"], "draws": row["draws"]}  # fmt: skip
    for rule, title in titles.items():
        pair = row["draw_figures"].get(rule, {"robust": None, "clean": None})
        cells |= {f"{title} %": percent(pair["robust"], output), f"{title}, clean %": percent(pair["clean"], output)}
    return cells


def submission_cells(row):
    """What the table of repeated submissions says of it: a line under attack, and one without."""
    names = ("defense", "classifier", "score model", "n", "draws")
    shared = {key: value for key, value in rule_cells(row).items() if key in names}
    for name, part in (("attacked", "robust"), ("clean", "clean")) if row["any_fail"] else ():
        shares = {f"N = {count}": 100 * share for count, share in enumerate(row["any_fail"][part], start=1)}
        yield shared | {"images": name} | shares


def curves_of(boards):
    """The security curves: per image the worst so far, on the images of all radii; radii in levels of 255 for linf, else pixel units."""
    rows = {}
    for board in boards:
        norm, level = board["threat"].split(":")
        for row in rows_of(board):
            key = (board["dataset"], norm, row["defense"], row["classifier"], row["score_model"] or "", row["draws"])
            rows.setdefault(key, []).append((float(level.removesuffix("/255")), board["threat"], row))
    return [_curve(key, sorted(points, key=lambda point: point[0])) for key, points in sorted(rows.items())]


def _curve(key, points):
    first = points[0][2]
    ids = [sample for sample in first["ids"] if all(sample in row["shares"] for _, _, row in points)]
    worst = {sample: first["clean_shares"][sample] for sample in ids}
    shares = [(None, 0, share_interval(list(worst.values())))]
    for level, threat, row in points:
        worst = {sample: min(share, row["shares"][sample]) for sample, share in worst.items()}
        shares.append((threat, level, share_interval(list(worst.values()))))
    names = dict(zip(("dataset", "norm", "defense", "classifier", "score", "draws"), key, strict=True))
    return names | {"score": key[4] or None, "n": len(ids), "points": shares}
