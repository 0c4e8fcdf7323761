"""Saves a run's adversarial images as one tensor in the order of the test set, as RobustBench reads them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from bench.errors import UserError
from bench.figures.runs import Run
from bench.files.atomic import write_whole
from bench.records.evidence import read_evidence
from bench.records.seal import broken_seal


def save_tensor(run: Run, out: Path) -> int:
    """Writes the stored adversarial images of a sealed run, sorted by sample id, with `torch.save`; returns their number.

    Arguments:
        run: The run.
        out: The `.pt` file; float32 `(n, C, H, W)` in [0, 1].

    Raises:
        UserError: The run is not complete, is damaged, or stores no images.
    """
    import torch

    evidence = read_evidence(run.path)
    if evidence is None:
        raise UserError("tensor-no-evidence", path=run.path)
    if broken_seal(run.path):
        raise UserError("tensor-record-changed", path=run.path, run_id=run.run_id)
    chosen = evidence.of(np.sort(run.ids))
    if len(chosen) < len(run):
        raise UserError("tensor-images-missing", count=len(run), path=run.path, stored=len(chosen))
    content = io.BytesIO()
    torch.save(torch.from_numpy(np.ascontiguousarray(chosen.images)), content)
    write_whole(out, content.getvalue())
    return len(chosen)
