"""Executes shards of one plan on one device: predictions, attack, predictions, one line per image."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from bench.claims.checks import IMAGES, verify_claims
from bench.defended import VOTING_ROWS, DefendedClassifier
from bench.errors import UserError
from bench.foreign import out_of_memory
from bench.gradient import GradientMode
from bench.machine.environment import commit, environment_of
from bench.machine.memory import peak, reset_peak
from bench.noise import Noise
from bench.pace import Pace
from bench.passes import CountedScoreModel, Tally, has_gradients
from bench.plan.plan import Plan
from bench.protocols import Images
from bench.records.header import Header, check_environment
from bench.records.lines import SampleRecord, checked_line
from bench.records.record import SHARD
from bench.records.spec import RUN_ID_LENGTH, canonical
from bench.run import scoring
from bench.run.attack import attacked, by_image

T = TypeVar("T")
COLUMNS = ("id", "label", "clean", "adversarial", "margin", "distance")
CPU_BATCH = 16
"""Images in one network call on a CPU with one draw per image: calls are padded, and an attack's last calls have few images."""
FULL_BATCH = SHARD
"""Images in one network call on a GPU, or with several draws per image."""
FRESH_DRAW = 1000
"""Number of the draw under which a verification scores a stochastic defense again."""


class Worker:
    """Executes shards of one plan on one device.

    Arguments:
        plan: The plan of the run.
        device: The device.
        batch_size: Images in one network call; None for auto; always 1 for a run that goes image by image.
        working: Receives the finished share of an attack's work, the number of unbroken images, and the number of all.
    """

    logits = staticmethod(scoring.logits)
    margins = staticmethod(scoring.margins)
    purified = staticmethod(scoring.purified)

    def __init__(
        self, plan: Plan, device: torch.device, batch_size: int | None, working: Callable[[float, int, int], None]
    ) -> None:
        self.plan, self.device, self.working = plan, device, working
        alone = plan.spec.batch_size
        self.auto, self.git = batch_size is None and not alone, commit()
        self.batch = alone or batch_size or _largest_batch(plan, device)
        self.pace = Pace()
        plan.classifier.to(device)
        if isinstance(plan.score, nn.Module):
            plan.score.to(device)

    @property
    def environment(self) -> dict[str, Any]:
        """Everything that may change how numbers are rounded."""
        return {**environment_of(self.device), "batch_size": self.batch, "git": self.git}

    @property
    def environment_key(self) -> str:
        """A short hash of the environment, to which lines refer."""
        return hashlib.sha256(canonical(self.environment).encode()).hexdigest()[:RUN_ID_LENGTH]

    def adopt(self, header: Header, path: Path, *, mix: bool) -> None:
        """Checks that a record can be resumed in this environment, and takes its batch size unless one was given.

        Raises:
            UserError: Device kind, torch or purebench release differ, and mixing was not allowed.
        """
        if not mix:
            check_environment(header, self.environment, path)
        for before in header.environments.values():
            if self.auto:
                self.batch = before.batch_size or self.batch

    def execute(self, positions: np.ndarray) -> tuple[list[SampleRecord], np.ndarray]:
        """Lines and adversarial images of positions of the data set; an automatic batch size is halved when memory runs out."""
        return self.fitting(lambda: self._execute(positions))

    def fitting(self, compute: Callable[[], T]) -> T:
        """The result of a computation, repeated with smaller batches until it fits into memory."""
        while True:
            try:
                return compute()
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                if not self.auto or self.batch == 1:
                    raise UserError(
                        "out-of-memory",
                        batch=self.batch,
                        advice="use a machine with more" if self.auto else "lower it, or leave it out for auto",
                    ) from error
                self.batch //= 2
                torch.cuda.empty_cache()

    def claims(self) -> dict[str, Any]:
        """The verified claims of the defense, on the first images of the data set."""

        def compute() -> dict[str, Any]:
            x, _, noise = self._inputs(np.arange(min(IMAGES, len(self.plan.dataset))))
            defense = self.plan.make_defense(self.plan.score)
            differentiable = getattr(defense, "differentiable", True) and has_gradients(self.plan.classifier)
            mode = GradientMode.FULL if differentiable else GradientMode.NONE
            model = self._model(mode, Tally(), len(x), chunk=min(self.batch, IMAGES))
            return verify_claims(self.plan, model, scoring.scored, x, noise)

        return self.fitting(compute)

    def look(self, mode: GradientMode, positions: np.ndarray) -> tuple[DefendedClassifier, Images, Tensor, Noise]:
        """The defended classifier under a gradient mode, and images, labels and streams of positions of the data set."""
        x, y, noise = self._inputs(positions)
        return self._model(mode, Tally(), len(x)), x, y, noise

    def rescore(self, positions: np.ndarray, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predictions and margins, each `(B, k)`, of images in place of the data set's, scored as in a run.

        Arguments:
            positions: Positions of the data set, for labels and draws.
            images: Shape `(B, C, H, W)`.
        """

        def compute() -> tuple[np.ndarray, np.ndarray]:
            deployed, _, y, noise = self.look(GradientMode.NONE, positions)
            predictions, margins = self._score(deployed, self._tensor(images), y, noise)
            return predictions.cpu().numpy(), margins.double().cpu().numpy()

        return self.fitting(compute)

    def redraw(self, positions: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Predictions `(B,)` of images in place of the data set's, under one fresh draw that was neither scored nor attacked."""

        def compute() -> np.ndarray:
            deployed, _, _, noise = self.look(GradientMode.NONE, positions)
            found = scoring.scored(deployed, self._tensor(images), noise.of("check").at(FRESH_DRAW))
            return found.argmax(dim=1).cpu().numpy()

        return self.fitting(compute)

    def purify(self, positions: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Images in place of the data set's, purified under the first scored draw, `(B, C, H, W)`."""
        deployed, _, _, noise = self.look(GradientMode.NONE, positions)
        return scoring.purified(deployed, self._tensor(images), noise.of("score")).cpu().numpy()

    def _execute(self, positions: np.ndarray) -> tuple[list[SampleRecord], np.ndarray]:
        started = time.monotonic()
        reset_peak(self.device)
        x, y, noise = self._inputs(positions)
        tally, remarks = Tally(), dict[str, list[Any]]()
        view = self._model(self.plan.gradient, tally, len(x), remarks)
        deployed = view.view(GradientMode.NONE)
        clean, _ = self._score(deployed, x, y, noise)
        radii = scoring.certified(deployed, x, y, noise)
        rows = torch.nonzero((clean == y[:, None]).any(dim=1))[:, 0]
        adversarial = x.clone()
        if len(rows):
            adversarial[rows] = attacked(self.plan, view, x[rows], y[rows], noise[rows].of("attack"))
        predictions, margins = self._score(deployed, adversarial, y, noise)
        distances = scoring.distance(adversarial - x, self.plan.threat)
        shared: dict[str, Any] = {
            "seconds": round((time.monotonic() - started) / len(x), 6),
            "environment": self.environment_key,
            "memory": peak(self.device),
        }
        by_row = dict(zip(rows.tolist(), by_image(remarks, len(rows), self.plan.spec.attack.name), strict=True))
        columns = (noise.ids, y, clean, predictions, margins.double(), distances.double())
        lines = [
            checked_line(
                **dict(zip(COLUMNS, values, strict=True)),
                **shared,
                cost=tally.of(values[0]),
                said=view.spoiled.words(values[0], by_row.get(row, {})),
                certified=radii[row],
            )
            for row, values in enumerate(zip(*(column.tolist() for column in columns), strict=True))
        ]
        return lines, adversarial.cpu().numpy()

    def _score(self, deployed: DefendedClassifier, x: Images, y: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        return scoring.score(deployed, x, y, noise, self.plan.spec.draws)

    def _model(
        self,
        mode: GradientMode,
        tally: Tally,
        images: int,
        remarks: dict[str, list[Any]] | None = None,
        chunk: int | None = None,
    ) -> DefendedClassifier:
        score = None if self.plan.score is None else CountedScoreModel(self.plan.score, tally)
        self.pace.working = lambda done, unbroken: self.working(done, unbroken, images)
        return DefendedClassifier(
            self.plan.classifier,
            self.plan.make_defense(score),
            mode=mode,
            chunk=chunk or self.batch,
            tally=tally,
            pace=self.pace,
            known=self.plan.known,
            said=remarks,
            voting_rows=self.plan.spec.batch_size or VOTING_ROWS,
        )

    def _inputs(self, positions: np.ndarray) -> tuple[Images, Tensor, Noise]:
        dataset = self.plan.dataset
        ids = self._tensor(dataset.ids[positions].astype(np.int64))
        x, y = self._tensor(dataset.floats(positions)), self._tensor(dataset.labels[positions])
        return x, y, Noise(self.plan.spec.seed, ids)

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).to(self.device)


def _largest_batch(plan: Plan, device: torch.device) -> int:
    alone = device.type == "cpu" and plan.make_defense(plan.score).deterministic
    return CPU_BATCH if alone else FULL_BATCH
