"""The built-in data set behind a run, for the images of pages and reports."""

from __future__ import annotations

from functools import cache

from bench.data import TABLE
from bench.data.dataset import Dataset
from bench.errors import UserError
from bench.figures.runs import Run
from bench.registry.registry import Registry


def dataset_of(run: Run) -> Dataset | None:
    """The run's data set; None if it is not built in, not available here, or has other content than the record says."""
    dataset = _load(run.header.labels.dataset or run.spec.dataset.name)
    return dataset if dataset is not None and dataset.sha256 == run.spec.dataset.sha256 else None


@cache
def _load(name: str) -> Dataset | None:
    try:
        found = Registry({"datasets": TABLE}).find("datasets", name)
        made = found.load()(**found.entry.args)
    except (UserError, TypeError):
        return None
    return made if isinstance(made, Dataset) else None
