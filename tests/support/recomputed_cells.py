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


def row_cells(row, required, output="md"):
    """What each column of a board says of a row; of the classes of attacks the required ones and known draws have columns."""
    many = len(row["seeds"]) > 1
    return {
        "rank": row["rank"], "defense": row["defense"], "classifier": row["classifier"],
        "score model": row["score_model"] or "-", "clean %": percent(row["clean"], output),
        **{f"{kind} %": percent(row["under"].get(kind), output) for kind in (*required, KNOWN)},
        "worst case %": percent(row["worst"], output), "EOT %": percent(row["eot"], output),
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


def curves_of(boards):
    """The rows of each curve with their radii, smallest first: in levels of 255 for linf, in pixel units for l2."""
    curves = {}
    for board in boards:
        level = float(board["threat"].partition(":")[2].removesuffix("/255"))
        for row in rows_of(board):
            key = row["defense"], row["classifier"], row["score_model"] or "no score model", f"{row['draws']} draws"
            curves.setdefault(key, []).append((level, row))
    return {key: sorted(rows, key=lambda point: point[0]) for key, rows in curves.items()}
