"""RobustBench's `model_info` JSON: exports our rows, and imports RobustBench's rows as references."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.figures.runs import read_run, read_runs
from bench.records.lookup import find_record, results_of
from bench.records.record import no_images
from bench.threat import ThreatModel
from leaderboards.assembly import rows_of
from leaderboards.classes import AUTO
from leaderboards.imported import FOLDER, Imported
from leaderboards.rows import Row

OWN_WORDS = ("link", "name", "authors", "venue", "architecture", "additional_data", "footnote", "reported")
NORMS = {"Linf": "linf", "L2": "l2"}


def model_info(results: Path, run: str, words: Mapping[str, str]) -> str:
    """The JSON for the defense of a run: accuracy under AutoAttack, and as `external` the worst case over all attacks.

    Arguments:
        results: Folder of all records.
        run: Id of one of the defense's runs, a unique prefix of it, or its folder.
        words: Values that are not in records: `link`, `authors`, `venue`, ...

    Raises:
        UserError: There is no such run, or RobustBench lacks its threat or a key of `words`.
    """
    strange = [key for key in words if key not in OWN_WORDS]
    if strange:
        raise UserError("model-info-key-unknown", keys=OWN_WORDS, key=strange[0])
    row = _row_of(results, run)
    norm, eps = row.threat.split(":")
    if norm not in NORMS.values():
        raise UserError("model-info-norm", threat=row.threat)
    return json.dumps(_document(row, eps) | dict(words), indent=2, ensure_ascii=False)


def _row_of(results: Path, run: str) -> Row:
    path = find_record(results, run)
    spec = read_run(path).spec
    board = [
        other
        for other in read_runs(results_of(path))
        if (other.spec.dataset, other.spec.threat) == (spec.dataset, spec.threat)
    ]
    rows = [row for row in rows_of(board) if any(part.run_id == path.name for part in row.runs)]
    if not rows:
        raise no_images(path)
    return rows[0]


def _document(row: Row, eps: str) -> dict[str, Any]:
    auto = row.under.get(AUTO)
    attacks = ", ".join(dict.fromkeys(part.attack for part in row.runs))
    return {
        "link": "",
        "name": row.defense,
        "authors": "",
        "additional_data": False,
        "number_forward_passes": round(row.passes or 0) + 1,
        "dataset": row.dataset,
        "venue": "Unpublished",
        "architecture": row.classifier + (f" + {row.score_model}" if row.score_model else ""),
        "eps": eps,
        "clean_acc": _percent(row.clean.value),
        "reported": "",
        "autoattack_acc": _percent(auto.value) if auto else "",
        "external": _percent(row.worst_case.value),
        "unreliable": row.believed is False,
        "footnote": f"{row.n} images; external: worst case per image over {attacks}"
        + (f"; mean over {row.draws} fresh draws" if row.draws > 1 else ""),
    }


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def read_model_info(file: Path, threat: str | None = None) -> dict[str, Any]:
    """A row of RobustBench in the form that `leaderboards.imported` reads, with data set and threat.

    The robust accuracy is `external` if the file has it, else `autoattack_acc`.

    Arguments:
        file: `model_info/<dataset>/<threat>/<Name>.json`.
        threat: Threat model, if neither the file nor its folder names it; None reads it there.

    Raises:
        UserError: The file is not such a JSON, or its threat is unknown.
    """
    try:
        content = json.loads(file.read_bytes())
        robust = float(content.get("external") or content["autoattack_acc"]) / 100
        clean = float(content["clean_acc"]) / 100 if content.get("clean_acc") else None
        name, dataset = str(content["name"]), _slug(str(content["dataset"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError("model-info-damaged", file=file, kind=type(error).__name__, error=error) from error
    row = Imported(
        name=name,
        source="RobustBench",
        clean=clean,
        robust=robust,
        link=str(content.get("link") or ""),
        unreliable=bool(content.get("unreliable")),
        note=str(content.get("footnote") or ""),
    )
    return {"dataset": dataset, "threat": threat or _threat(file, content), **asdict(row)}


def reference_row(file: Path, results: Path, threat: str | None = None) -> tuple[Path, str]:
    """The path of a file's row below the results, apart from records, and its content there."""
    row = read_model_info(file, threat)
    return imported_path(results, row, file), json.dumps(row, indent=1, ensure_ascii=False) + "\n"


def imported_path(results: Path, row: Mapping[str, Any], file: Path) -> Path:
    """`results/<dataset>/<threat>/imported/<file>.json`."""
    return results / row["dataset"] / ThreatModel.parse(row["threat"]).slug / FOLDER / f"{_slug(file.stem)}.json"


def _threat(file: Path, content: Mapping[str, Any]) -> str:
    norm = NORMS.get(file.resolve().parent.name)
    eps = str(content.get("eps") or "")
    if norm is None or not eps:
        raise UserError("model-info-threat", file=file, norms=" or ".join(NORMS))
    return str(ThreatModel.parse(f"{norm}:{eps}"))


def _slug(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text).strip(".-") or "row"
