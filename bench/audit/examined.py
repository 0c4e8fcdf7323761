"""The audited run on its first images: its scores, its kind, and its parts to look at."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.audit.finding import FULL
from bench.defended import DefendedClassifier
from bench.errors import UserError
from bench.figures.runs import CLEAN, Run
from bench.gradient import GradientMode
from bench.machine.device import pick_device
from bench.noise import Noise
from bench.plan.plan import Plan
from bench.protocols import Images
from bench.records.evidence import Evidence, read_evidence
from bench.records.spec import UNDEFENDED
from bench.run.worker import Worker


class ExaminedRun:
    """A run on the images that are examined.

    Arguments:
        run: The run.
        planned: Its plan.
        samples: The number of its first images that are examined, at least 1.
        size: `quick` or `full`.
        device: Where to compute, as on the command line.

    Raises:
        UserError: The run lacks some of these images.
    """

    def __init__(self, run: Run, planned: Plan, *, samples: int, size: str, device: str) -> None:
        self.run, self.planned, self.size = run, planned, size
        self.n = min(samples, len(run))
        batch = next((part.batch_size for part in run.header.environments.values()), None)
        self.worker = Worker(planned, pick_device(device.partition(",")[0]), batch, lambda *_: None)
        if not np.isin(self.ids, run.ids).all():
            raise UserError("audit-run-gaps", n=self.n, run_id=run.run_id)

    # The run's scores of these images

    @property
    def ids(self) -> np.ndarray:
        """Sample ids, `(n,)`."""
        return self.planned.dataset.ids[: self.n]

    @cached_property
    def shares(self) -> np.ndarray:
        """Shares of right draws under the run's attack, `(n,)`."""
        return self.of_images(self.run.ids, self.run.shares())

    @cached_property
    def clean(self) -> np.ndarray:
        """Shares of right draws without an attack, `(n,)`."""
        return self.of_images(self.run.ids, self.run.shares(CLEAN))

    @cached_property
    def evidence(self) -> Evidence | None:
        """The stored adversarial images, in order; None if some are not stored."""
        stored = read_evidence(self.run.path)
        found = stored.of(self.ids) if stored else None
        return found if found is not None and len(found) == self.n else None

    @property
    def why_no_evidence(self) -> str:
        """Why there are no adversarial images to look at; empty if there are."""
        return "" if self.evidence is not None else "the run stores no adversarial images (--no-evidence)"

    def of_images(self, ids: np.ndarray, values: np.ndarray) -> np.ndarray:
        """The values of the examined images, among those of other ids too."""
        row = {sample: place for place, sample in enumerate(ids.tolist())}
        return values[[row[sample] for sample in self.ids.tolist()]]

    # Its kind

    @property
    def full(self) -> bool:
        """Whether the audit is a full one."""
        return self.size == FULL

    @property
    def deterministic(self) -> bool:
        """Whether the defense claims to be deterministic, and is scored on one draw."""
        return self.run.spec.draws == 1 and self.run.header.deterministic

    @property
    def differentiable(self) -> bool:
        """Whether the defense has a derivative of its own."""
        return self.run.header.checks.differentiable

    @property
    def mode(self) -> GradientMode:
        """The gradient that an attacker of this defense takes: the full one, or BPDA where there is none."""
        return GradientMode.FULL if self.differentiable else GradientMode.BPDA

    @property
    def knows(self) -> bool:
        """Whether the run's attacker knows the scored draws."""
        return self.planned.known > 0

    @property
    def undefended(self) -> bool:
        """Whether there is no purifier."""
        return self.run.spec.defense.name == UNDEFENDED

    @property
    def takes_gradients(self) -> bool:
        """Whether the run's attack is a white box."""
        return self.planned.gradient is not GradientMode.NONE

    @property
    def args(self) -> Mapping[str, Any]:
        """Arguments of the run's attack."""
        return self.run.spec.attack.args

    @property
    def attacked(self) -> bool:
        """Whether the run's attack looks for adversarial images."""
        return self.run.spec.attack.name not in ("null", "random")

    @property
    def chance(self) -> float:
        """The best accuracy of a guess that ignores the image: the share of the most frequent class."""
        return float(np.bincount(self.planned.dataset.labels[: self.n]).max()) / self.n

    # Its parts to look at

    def look(self, mode: GradientMode, count: int | None = None) -> tuple[DefendedClassifier, Images, Tensor, Noise]:
        """The defended classifier under a gradient mode, and the first images, their labels and noise streams."""
        return self.worker.look(mode, np.arange(count or self.n))

    def adversarial(self, like: Images) -> Images:
        """The stored adversarial images of the first images, on the device of `like`."""
        if self.evidence is None:
            raise ValueError(self.why_no_evidence)
        return torch.from_numpy(self.evidence.images[: len(like)]).to(like)
