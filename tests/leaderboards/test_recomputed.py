"""Every figure of a board's JSON, CSV and page is recomputed from the raw lines by other code.

They are compared leaf by leaf: what is not recomputed fails, so that nothing new goes unchecked.
"""

import csv
import functools
import io
import json
import re
from fractions import Fraction

import pytest
from recomputed_boards import ENDS, KNOWN, rows_of
from recomputed_cells import curves_of, in_words
from recomputed_statistics import difference_interval, paired, share_interval

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
        limits = OF_TESTS if place.endswith("/p") else tolerance
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


SHORT = {"rel": 6e-9, "abs": 1e-12}
ON_PAGE = ("value", "low", "high")


def page_board(board):
    """What the page has of a board: the images in the order of its largest row, and every two rows compared."""
    rows = rows_of(board)
    labels = {line["id"]: line["label"] for row in rows for run in row["runs"] for line in run["lines"]}
    ids = list(dict.fromkeys(sample for row in sorted(rows, key=lambda row: -row["n"]) for sample in row["shares"]))
    return {
        **board_document(board), **{key: board[key] for key in ("dataset", "threat")},
        "norm": board["threat"].partition(":")[0], "eps": float(Fraction(board["threat"].partition(":")[2])),
        "imported": [imported_document(board, row)["imported"] for row in board["imported"]],
        "ids": ids, "labels": [labels[sample] for sample in ids],
        "pairs": {name: [[page_pair(row[key], other[key]) for other in rows[:place]] for place, row in enumerate(rows)]
                  for name, key in (("worst_case", "shares"), ("clean", "clean_shares"))},
    }  # fmt: skip


@functools.cache
def page_pair_of(a, b):
    return {key: difference_interval(a, b)[key] for key in ON_PAGE} | {"n": len(a), "p": paired(a, b)}


def page_pair(mine, others):
    both = [sample for sample in mine if sample in others]
    if not both:
        return None
    parts = {"row": mine, "other": others}
    of_both = {
        name: {key: share_interval([part[one] for one in both])[key] for key in ON_PAGE}
        for name, part in parts.items()
        if len(part) > len(both)
    }
    return page_pair_of(tuple(mine[one] for one in both), tuple(others[one] for one in both)) | of_both


def page_curve(curve, boards):
    """A point at each radius, with the place of its row among all rows of the page; radius 0 is of the first."""
    key = [curve[name] for name in ("dataset", "defense", "classifier", "score", "draws")]
    rows = [(board, row) for board in boards for row in rows_of(board)]
    place = {
        board["threat"]: k for k, (board, row) in enumerate(rows)
        if [board["dataset"], *(row[name] for name in ("defense", "classifier", "score_model", "draws"))] == key
    }  # fmt: skip
    unit = 255 if curve["norm"] == "linf" else 1
    first = curve["points"][1][0]
    return [{"row": place[threat or first], "eps": level / unit, **share} for threat, level, share in curve["points"]]


def page_row(row, number, board):
    audits = [
        badge_of(run["verdict"], run["audit"])
        for run in row["runs"]
        if run["verdict"] == row["verdict"] and "(" in badge_of(run["verdict"], run["audit"])
    ]
    labels = dict(zip(board["ids"], board["labels"], strict=True))
    return {
        "board": number, "status": "incomplete" if row["missing"] else "ranked", "defense": row["defense"], **row_document(row),
        "badge": next(iter(audits), badge_of(row["verdict"], {})), "runs": [run["id"] for run in row["runs"]],
        **{key: [row[key].get(sample) for sample in board["ids"]] for key in ("shares", "clean_shares")},
        "by_class": [page_class(row, label, labels) for label in sorted(set(labels.values()))],
    }  # fmt: skip


def page_class(row, label, labels):
    own = [sample for sample in row["shares"] if labels[sample] == label]
    intervals = (
        {
            name: share_interval([row[key][one] for one in own])
            for name, key in (("clean", "clean_shares"), ("worst_case", "shares"))
        }
        if own
        else {}
    )
    return {
        "label": label,
        "n": len(own),
        **{name: {key: part[key] for key in ON_PAGE} for name, part in intervals.items()},
    }


def badge_of(verdict, audit):
    """The words of a verdict, and how large its audit was by its smallest check."""
    if verdict is None:
        return "not audited"
    made = [check for check in audit.get("checks", []) if check["verdict"] != "skipped"]
    small = [check["size"] for check in made if check["size"] != "full"] or ["full"]
    extent = f" {small[0]} audit ({min(check['n'] for check in made)} images)" if made else " audit"
    return ("passed" if verdict == "believed" else f"{verdict}:") + extent


def page_run(run):
    clean, robust = (share_interval(list(run[which].values())) for which in ("clean", "adversarial"))
    checks = dict(run["header"]["checks"])
    claims = checks.pop("claims", [])
    others = [claim for claim in claims if claim["verdict"] != "passed"]
    audit = run["audit"].get("checks")
    return {
        "class": run["class"], "clean": clean, "robust": robust, "spec": run["spec"], "badge": badge_of(run["verdict"], run["audit"]),
        "audit": audit and [{key: check.get(key) for key in ("name", "verdict", "meaning", "command")} for check in audit],
        "checks": {"figures": checks, "passed": len(claims) - len(others), "others": others}, "notes": run["header"].get("notes", []),
        "environments": list(run["header"]["environments"].values()), "passes": float(run["passes"]),
        "command": command(run["n"], run["spec"]["attack"]["name"]), "evidence": None,
        **{key: run[key] for key in ("attack", "n", "draws", "seed", "verdict", "flags")},
    }  # fmt: skip


def test_page(recomputed):
    """The data of the page: all of its boards, rows and runs, to nine significant digits."""
    results, asked, wanted, _ = recomputed
    text = re.search(r'id="data">(.*?)</script>', leaderboards.render(results, "html", images=0, **asked), re.DOTALL)
    found = json.loads(text.group(1))
    assert set(found) == {"boards", "curves", "rows", "runs", "classes", "least", "datasets", "purified", "version"}
    assert (found["datasets"], found["purified"], found["least"]) == ({}, False, 20)
    told = [page_board(board) for board in wanted]
    for place, (one, board) in enumerate(zip(found["boards"], told, strict=True)):
        same(one, board, f"boards/{place}", **SHORT)
    same(found["curves"], [page_curve(curve, wanted) for curve in curves_of(wanted)], "curves", **SHORT)
    rows = [(row, number) for number, board in enumerate(wanted) for row in rows_of(board)]
    for place, (one, (row, number)) in enumerate(zip(found["rows"], rows, strict=True)):
        same(one, page_row(row, number, told[number]), f"rows/{place}", **SHORT)
    runs = {run["id"]: run for row, _ in rows for run in row["runs"]}
    assert set(found["runs"]) == set(runs)
    for name, run in runs.items():
        same(found["runs"][name], page_run(run), f"runs/{name}", **SHORT)


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
