"""Every figure of a board's JSON, CSV and page is recomputed from the raw lines by other code.

They are compared leaf by leaf: what is not recomputed fails, so that nothing new goes unchecked.
"""

import csv
import io
import json
import re
from fractions import Fraction

import pytest
from recomputed_boards import ENDS, KNOWN, rows_of
from recomputed_cells import curves_of, in_words
from recomputed_statistics import share_interval

import leaderboards

UNROUNDED = {"abs": 1e-9, "rel": 1e-9}
OF_TESTS = {"abs": 1e-11, "rel": 1e-6}


def same(found, wanted, place="", **tolerance):
    """Both have the same keys, the same texts, and the same numbers up to rounding."""
    if isinstance(wanted, re.Pattern):
        assert wanted.search(found), f"{place}: {found!r} lacks {wanted.pattern!r}"
    elif isinstance(wanted, dict):
        assert set(found) == set(wanted), f"{place}: not recomputed, or gone: {set(found) ^ set(wanted)}"
        for key in wanted:
            same(found[key], wanted[key], f"{place}/{key}", **tolerance)
    elif isinstance(wanted, list):
        assert len(found) == len(wanted), f"{place}: {len(found)} in place of {len(wanted)}"
        for number, (one, other) in enumerate(zip(found, wanted, strict=True)):
            same(one, other, f"{place}/{number}", **tolerance)
    elif isinstance(wanted, (bool, str, type(None))):
        assert found == wanted, place
    else:
        limits = OF_TESTS if place.endswith("/p") and tolerance == UNROUNDED else tolerance
        assert found == pytest.approx(float(wanted), **limits), place


def command(n, attack):
    return re.compile(rf"^bench run .*--attack {re.escape(attack)} .*-n {n}( |$)")


def row_document(row):
    """What JSON says of a row."""
    return {
        **{key: row[key] for key in ("rank", "rank_low", "rank_high", "elsewhere", "draw_figures", "any_fail", "p_n", "shared", "counted", "source",
                                     "classifier", "score_model", "deterministic", "draws", "n", "seeds", "clean", "under",
                                     "eot", "worst_seed", "p", "certified", "verdict", "flags", "missing")},
        "believed": believed(row), "worst_case": row["worst"], "seed_spread": row["spread"], "delta_undefended": row["undefended"],
        "delta_null": row["null"], "score_passes": row["passes"],
        "commands": [command(max(20, row["n"]), preset) for preset in row["presets"]],
    }  # fmt: skip


def json_document(board, row, run):
    clean, robust = (share_interval(list(run[which].values())) for which in ("clean", "adversarial"))
    others = [other["id"] for other in row["runs"] if other is not run]
    return {
        "defense": row["defense"], "attack": run["attack"], "dataset": board["dataset"], "threat": board["threat"],
        "n": run["n"], "clean": clean, "robust": robust, "worst_case": row["worst"], "believed": believed(run), "verdict": run["verdict"],
        "flags": run["flags"], "run_ids": [run["id"], *others], "status": "incomplete" if row["missing"] else "ranked",
        "attack_class": run["class"], "seed": run["seed"], "command": command(run["n"], run["spec"]["attack"]["name"]),
        "row": row_document(row), "board": board_document(board),
    }  # fmt: skip


def board_document(board):
    return {
        "title": board["title"], "required": list(board["required"]), "n": dict(zip(("low", "high"), board["n"], strict=True)),
        "ranked": len(board["rows"]), "reference": board["reference"],
    }  # fmt: skip


def imported_document(board, row):
    flags = ["imported", *(["unreliable"] if row["unreliable"] else [])]
    kept = {key: value for key, value in row.items() if key not in ("dataset", "threat")}
    return {
        "defense": row["name"], "attack": None, "dataset": board["dataset"], "threat": board["threat"], "n": None,
        "clean": row["clean"], "robust": row["robust"], "worst_case": row["robust"], "believed": None, "verdict": None, "flags": flags,
        "run_ids": [], "status": "imported", "imported": kept, "board": board_document(board),
    }  # fmt: skip


def test_json(recomputed):
    results, asked, wanted, _ = recomputed
    found = json.loads(leaderboards.render(results, "json", **asked))
    same(
        found,
        [
            document
            for board in wanted
            for document in [
                *(json_document(board, row, run) for row in rows_of(board) for run in row["runs"]),
                *(imported_document(board, row) for row in board["imported"]),
            ]
        ],
        **UNROUNDED,
    )


def three(interval):
    return interval and [interval[end] for end in ENDS]


def page_row(row, board):
    return {
        "board": board, "status": "incomplete" if row["missing"] else "ranked", "score": row["score_model"],
        "kind": "deterministic" if row["deterministic"] else "stochastic", "seeds": len(row["seeds"]),
        "clean": three(row["clean"]), "under": {kind: three(part) for kind, part in row["under"].items()},
        "known": three(row["under"].get(KNOWN)), "eot": three(row["eot"]), "worst": three(row["worst"]), "shared": three(row["shared"]),
        "undefended": three(row["undefended"]), "null": three(row["null"]), "runs": [run["id"] for run in row["runs"]],
        "elsewhere": {
            kind: {"share": three(part), "n": part["n"], "draws": part["draws"]} for kind, part in row["elsewhere"].items()
        },
        "draw_figures": row["draw_figures"] and {
            rule: {part: three(share) for part, share in pair.items()} for rule, pair in row["draw_figures"].items()
        },
        "commands": [command(max(20, row["n"]), preset) for preset in row["presets"]],
        **{key: row[key] for key in ("rank", "rank_low", "rank_high", "any_fail", "p_n", "counted", "source", "defense", "classifier", "draws", "n", "spread", "p", "passes", "certified",
                                     "verdict", "flags", "missing")},
    }  # fmt: skip


def page_run(run, row):
    clean, robust = (share_interval(list(run[which].values())) for which in ("clean", "adversarial"))
    return {
        "row": row, "class": run["class"], "audit": page_audit(run["audit"]), "clean": three(clean), "robust": three(robust), "spec": run["spec"],
        "checks": run["header"]["checks"], "notes": run["header"].get("notes", []), "pictures": [],
        "environments": list(run["header"]["environments"].values()),
        "command": command(run["n"], run["spec"]["attack"]["name"]),
        **{key: run[key] for key in ("attack", "n", "draws", "seed", "verdict", "flags")},
    }  # fmt: skip


def page_audit(audit):
    """Nothing of an audit that is not one of this version."""
    if "checks" not in audit:
        return None
    keys = ("name", "verdict", "meaning", "threshold", "command", "n", "size")
    checks = [{key: check.get(key) for key in keys} for check in audit["checks"]]
    return {key: audit.get(key) for key in ("verdict", "n", "size")} | {"checks": checks}


def page_curve(curve):
    points = [{"threat": threat, "eps": level / (255 if curve["norm"] == "linf" else 1), "share": three(share)}
              for threat, level, share in curve["points"]]  # fmt: skip
    return {
        **{key: curve[key] for key in ("dataset", "norm", "defense", "classifier", "score", "draws", "n")},
        "points": points,
    }


def page_of(results, asked):
    return leaderboards.render(results, "html", images=0, **asked)


def test_page(recomputed):
    """The data of the page: all of its rows and runs, shares rounded to nine digits, passes to six, p to six figures."""
    results, asked, wanted, _ = recomputed
    text = re.search(r'id="data">(.*?)</script>', page_of(results, asked), re.DOTALL).group(1)
    found = json.loads(text)
    rows = [(row, number) for number, board in enumerate(wanted) for row in rows_of(board)]
    runs = {run["id"]: (run, place) for place, (row, _) in enumerate(rows) for run in row["runs"]}
    same(found["curves"], list(map(page_curve, curves_of(wanted))), "curves", abs=5.1e-10)
    assert set(found) == {"boards", "curves", "rows", "runs", "classes", "images", "names", "purified", "version"}
    assert (found["images"], found["names"], found["purified"]) == ({}, {}, False)
    for board, (one, wanted_board) in enumerate(zip(found["boards"], wanted, strict=True)):
        eps = wanted_board["threat"].partition(":")[2]
        told = {"norm": wanted_board["threat"].partition(":")[0], "eps": float(Fraction(eps))}
        told |= {key: wanted_board[key] for key in ("dataset", "threat", "reference")}
        told |= {"required": list(wanted_board["required"]), "title": wanted_board["title"], "n": wanted_board["n"]}
        told |= {"imported": [imported_document(wanted_board, row)["imported"] for row in wanted_board["imported"]]}
        same(one, told, f"boards/{board}", **UNROUNDED)
    for run, (one, place) in runs.items():
        passes = found["runs"][run].pop("passes")
        assert passes == pytest.approx(float(one["passes"]), abs=5.1e-7), run
        same(found["runs"][run], page_run(one, place), f"runs/{run}", abs=5.1e-10)
    assert set(found["runs"]) == set(runs)
    for place, (one, (row, board)) in enumerate(zip(found["rows"], rows, strict=True)):
        same(one.pop("p"), row["p"], f"rows/{place}/p", rel=5.1e-6)
        told = page_row(row, board)
        del told["p"]
        same(one, told, f"rows/{place}", abs=5.1e-10)


def test_csv(recomputed):
    results, asked, wanted, _ = recomputed
    found = list(csv.DictReader(io.StringIO(leaderboards.render(results, "csv", **asked))))
    lines = [
        told
        for board in wanted
        for told in [*map(csv_line, rows_of(board), [board] * 99), *map(csv_imported, board["imported"], [board] * 99)]
    ]
    assert len(found) == len(lines)
    for place, (one, told) in enumerate(zip(found, lines, strict=True)):
        one = {key: text for key, text in one.items() if text}
        told = {key: value for key, value in told.items() if value not in (None, "")}
        texts = {key: value for key, value in told.items() if isinstance(value, str)}
        assert set(one) == set(told), place
        assert {key: one[key] for key in texts} == texts
        same(
            {key: float(one[key]) for key in one if key not in texts},
            {key: told[key] for key in told if key not in texts},
            f"{place}",
            **UNROUNDED,
        )


def csv_line(row, board):
    figures = {
        "clean": row["clean"], "worst_case": row["worst"], "shared": row["shared"], "eot": row["eot"],
        "delta_undefended": row["undefended"], "delta_null": row["null"],
        **{f"{rule}_{part}": share for rule, pair in (row["draw_figures"] or {}).items() for part, share in pair.items()},
    }  # fmt: skip
    classes = {kind: row["elsewhere"].get(kind) or row["under"].get(kind) for kind in (*board["required"], KNOWN)}
    classes = {kind.lower().replace(" ", "_"): part for kind, part in classes.items() if part}
    counts = {f"{kind}_n": part["n"] for kind, part in classes.items()}
    counts |= {f"{kind}_draws": part.get("draws", row["draws"]) for kind, part in classes.items()}
    curves = {
        f"any_fail_{part}": " ".join(f"{share:.6f}" for share in curve)
        for part, curve in (row["any_fail"] or {}).items()
    }
    figures |= classes
    ends = {"value": "", "low": "_low", "high": "_high"}
    spread = {f"{name}{ends[end]}": part[end] for name, part in figures.items() if part for end in ENDS}
    return spread | counts | curves | {f"source_{key}": value for key, value in (row["source"] or {}).items()} | {
        "board": board["title"], "required": "; ".join(board["required"]), "counted": " ".join(row["counted"]),
        "rank_low": row["rank_low"], "rank_high": row["rank_high"], "p_n": row["p_n"],
        "dataset": board["dataset"], "threat": board["threat"], "status": "incomplete" if row["missing"] else "ranked",
        "rank": row["rank"], "defense": row["defense"], "classifier": row["classifier"], "score_model": row["score_model"],
        "p": row["p"], "score_passes": row["passes"], "certified_l2": row["certified"], "n": row["n"], "draws": row["draws"],
        "seeds": len(row["seeds"]), "seed_spread": row["spread"], "flags": "; ".join(row["flags"]),
        "believed": in_words(row["verdict"]), "missing": "; ".join(row["missing"]), "run_ids": " ".join(run["id"] for run in row["runs"]),
    }  # fmt: skip


def csv_imported(row, board):
    return {
        "board": board["title"],
        "dataset": row["dataset"], "threat": row["threat"], "status": "imported", "defense": row["name"],
        "clean": row["clean"], "worst_case": row["robust"], "flags": "unreliable" if row["unreliable"] else "",
    }  # fmt: skip


def believed(part):
    return None if part["verdict"] is None else part["verdict"] == "believed"
