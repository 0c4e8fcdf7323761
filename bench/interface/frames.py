"""Records as tables of pandas: one row per run, one row per image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.figures.runs import CLEAN, ROBUST, Run, read_runs
from bench.figures.summary import shares
from bench.records.lines import SampleRecord
from bench.stats.intervals import mean_share

if TYPE_CHECKING:
    import pandas


def samples_frame(lines: Sequence[SampleRecord]) -> pandas.DataFrame:
    """The lines of a record, one row per image, whose index is its id.

    Columns: `label`; `clean` and `adversarial`, the predictions (a list where several draws are scored); `clean_right` and
    `robust`, the shares of right draws; `margin`, the smallest over draws; `distance`; passes of each network; `seconds`.

    Arguments:
        lines: At least one.
    """
    import pandas

    columns: dict[str, Any] = {
        "label": [line.label for line in lines],
        "clean": [_one(line.clean) for line in lines],
        "adversarial": [_one(line.adversarial) for line in lines],
        "clean_right": shares(lines, CLEAN),
        "robust": shares(lines, ROBUST),
        "margin": [min(line.margin) for line in lines],
        "distance": [line.distance for line in lines],
        **{kind: [line.cost[kind] for line in lines] for kind in lines[0].cost},
        "seconds": [line.seconds for line in lines],
    }
    return pandas.DataFrame(columns, index=pandas.Index([line.id for line in lines], name="id"))


def load_results(results: str | Path = "results") -> tuple[pandas.DataFrame, pandas.DataFrame]:
    """All records below a folder: one row per run, and one row per image of each run.

    Arguments:
        results: Folder of all records.

    Raises:
        UserError: A record is damaged.
    """
    import pandas

    runs = list(read_runs(Path(results)))
    table = pandas.DataFrame(list(map(_row, runs)), columns=_COLUMNS if not runs else None)
    images = [pandas.DataFrame(dict(_columns(run))) for run in runs]
    empty = pandas.DataFrame(columns=["run_id", "id", "label", "clean_right", "robust"])
    return table, pandas.concat(images, ignore_index=True) if images else empty


_COLUMNS = ["run_id", "defense", "attack", "dataset", "threat", "n", "clean", "robust"]


def _row(run: Run) -> dict[str, Any]:
    spec, labels = run.spec, run.header.labels
    clean, robust = (mean_share(run.shares(which)) for which in (CLEAN, ROBUST))
    return {
        "run_id": run.run_id,
        "defense": labels.defense,
        "attack": labels.attack,
        "classifier": spec.classifier.name,
        "score_model": spec.score_model.name if spec.score_model else None,
        "dataset": spec.dataset.name,
        "threat": spec.threat,
        "draws": spec.draws,
        "seed": spec.seed,
        "n": len(run),
        **{
            f"clean{end}": value
            for end, value in zip(("", "_low", "_high"), (clean.value, clean.low, clean.high), strict=True)
        },
        **{
            f"robust{end}": value
            for end, value in zip(("", "_low", "_high"), (robust.value, robust.low, robust.high), strict=True)
        },
        "verdict": run.audit.get("verdict"),
        "path": run.path.as_posix(),
    }


def _columns(run: Run) -> Iterator[tuple[str, Any]]:
    yield "run_id", run.run_id
    yield "id", run.ids
    yield "label", run.labels
    yield "clean_right", run.shares(CLEAN)
    yield "robust", run.shares(ROBUST)
    yield from ((kind, values) for kind, values in run.cost.items())


def _one(predictions: list[int]) -> int | list[int]:
    """The prediction, if there is one draw."""
    return predictions[0] if len(predictions) == 1 else predictions
