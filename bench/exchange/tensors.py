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
        raise UserError(
            f"expected stored adversarial images in {run.path}, got none; run it again without --no-evidence, into another --results"
        )
    if broken_seal(run.path):
        raise UserError(
            f"expected a complete, unchanged record in {run.path}, got one that is not as it was sealed; see: bench show {run.run_id}"
        )
    chosen = evidence.of(np.sort(run.ids))
    if len(chosen) < len(run):
        raise UserError(
            f"expected an adversarial image for each of {len(run)} images in {run.path}, got {len(chosen)}; run it again"
        )
    content = io.BytesIO()
    torch.save(torch.from_numpy(np.ascontiguousarray(chosen.images)), content)
    write_whole(out, content.getvalue())
    return len(chosen)
