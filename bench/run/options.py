"""The options of execution."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of execution; none is part of the run id.

    Arguments:
        samples: Number of images, from the start of the data set's order; None for all.
        results: The results folder.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        batch_size: Images in one network call; None starts large and halves when memory runs out.
        evidence: Whether adversarial images are stored.
        mix_environments: Whether a record made under another device kind or torch release may be resumed.
    """

    samples: int | None = 100
    results: Path = Path("results")
    device: str = "auto"
    batch_size: int | None = None
    evidence: bool = True
    mix_environments: bool = False

    def __post_init__(self) -> None:
        if self.batch_size is not None and self.batch_size < 1:
            raise UserError("batch-size-range", batch_size=self.batch_size)
