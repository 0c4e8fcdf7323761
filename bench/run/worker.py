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
from bench.errors import AttackError, BenchError, UserError
from bench.foreign import kept_folder, out_of_memory
from bench.gradient import GradientMode
from bench.machine.environment import check_environment, commit, environment_of
from bench.machine.memory import peak, reset_peak
from bench.margin import margin
from bench.noise import Noise
from bench.pace import Pace
from bench.passes import CountedScoreModel, Tally, has_gradients
from bench.plan.plan import Plan
from bench.protocols import Images
from bench.records.lines import SampleRecord, checked_line
from bench.records.record import SHARD
from bench.records.spec import RUN_ID_LENGTH, canonical
from bench.run.certificate import certified_radii
from bench.threat import ThreatModel

T = TypeVar("T")
CPU_BATCH = 16
"""Images in one network call on a CPU while each is there once: calls are padded, and the last ones of an attack have few images."""
FULL_BATCH = SHARD
"""The same where calls are wide (GPU), or where the draws of a stochastic defense fill them."""
FRESH_DRAW = 1000
"""Number of the draw by which a verification looks at a stochastic defense anew."""


class Worker:
    """Executes shards of one plan on one device.

    Arguments:
        plan: The parts of the run.
        device: Where to compute.
        batch_size: Images in one network call; None for auto; 1 in any case for a run that goes image by image.
        working: Told the share of an attack's work that is done, how many images stand, and of how many.
    """

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
        """What may change the rounding of a number."""
        return {**environment_of(self.device), "batch_size": self.batch, "git": self.git}

    @property
    def environment_key(self) -> str:
        """A short hash of the environment, by which lines refer to it."""
        return hashlib.sha256(canonical(self.environment).encode()).hexdigest()[:RUN_ID_LENGTH]

    def adopt(self, header: dict[str, Any], path: Path, *, mix: bool) -> None:
        """Checks that a record may go on here, and takes over its batch size unless one was given.

        Raises:
            UserError: Device kind, torch or purebench release differ, and mixing was not allowed.
        """
        if not mix:
            check_environment(header, self.environment, path)
        for before in header["environments"].values():
            if self.auto:
                self.batch = before.get("batch_size") or self.batch

    def execute(self, positions: np.ndarray) -> tuple[list[SampleRecord], np.ndarray]:
        """Lines and adversarial images of some positions of the data set; halves an automatic batch size on out-of-memory."""
        return self._fitting(lambda: self._execute(positions))

    def _fitting(self, compute: Callable[[], T]) -> T:
        """The result, at a batch size that fits into memory."""
        while True:
            try:
                return compute()
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                if not self.auto or self.batch == 1:
                    raise UserError(
                        f"expected --batch-size {self.batch} to fit into memory, got: out of memory; "
                        + ("use a machine with more" if self.auto else "lower it, or leave it out for auto")
                    ) from error
                self.batch //= 2
                torch.cuda.empty_cache()

    def claims(self) -> dict[str, Any]:
        """The verified claims of the defense, on the first images of the data set."""
        return self._fitting(self._claims)

    def _claims(self) -> dict[str, Any]:
        positions = np.arange(min(IMAGES, len(self.plan.dataset)))
        x, _, noise = self._inputs(positions)
        defense = self.plan.make_defense(self.plan.score)
        differentiable = getattr(defense, "differentiable", True) and has_gradients(self.plan.classifier)
        mode = GradientMode.FULL if differentiable else GradientMode.NONE
        model = self._model(mode, Tally(), len(x), chunk=min(self.batch, IMAGES))
        return verify_claims(self.plan, model, scored, x, noise)

    def rescore(self, positions: np.ndarray, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predictions and margins, each `(B, k)`, of images that stand in for those of the data set, scored as in a run.

        Arguments:
            positions: In the data set, for labels and draws.
            images: Shape `(B, C, H, W)`.
        """
        return self._fitting(lambda: self._rescore(positions, images))

    def _rescore(self, positions: np.ndarray, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        _, y, noise = self._inputs(positions)
        deployed = self._model(GradientMode.NONE, Tally(), len(y))
        predictions, margins = self._score(deployed, torch.from_numpy(images).to(self.device), y, noise)
        return predictions.cpu().numpy(), margins.double().cpu().numpy()

    def redraw(self, positions: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Predictions `(B,)` of such images under one fresh draw, of another purpose than any that was scored or attacked."""
        return self._fitting(lambda: self._redraw(positions, images))

    def _redraw(self, positions: np.ndarray, images: np.ndarray) -> np.ndarray:
        _, _, noise = self._inputs(positions)
        deployed = self._model(GradientMode.NONE, Tally(), len(noise))
        logits = scored(deployed, torch.from_numpy(images).to(self.device), noise.of("check").at(FRESH_DRAW))
        return logits.argmax(dim=1).cpu().numpy()

    def look(self, mode: GradientMode, positions: np.ndarray) -> tuple[DefendedClassifier, Images, Tensor, Noise]:
        """The defended classifier under a gradient mode, and the images, labels and streams of some positions: what audits examine."""
        x, y, noise = self._inputs(positions)
        return self._model(mode, Tally(), len(x)), x, y, noise

    def logits(self, view: DefendedClassifier, x: Images, noise: Noise) -> Tensor:
        """Logits `(draws, B, classes)` of images as the view sees them, without any graph: as scores are made."""
        with torch.no_grad():
            return view.sample(x, noise)

    def margins(self, view: DefendedClassifier, x: Images, y: Tensor, noise: Noise) -> Tensor:
        """Margins `(B, draws)` of images under the deployed defense, without any graph."""
        return torch.stack([margin(part, y) for part in self.logits(view.view(GradientMode.NONE), x, noise)], dim=1)

    def purified(self, view: DefendedClassifier, x: Images, noise: Noise) -> Images:
        """What the classifier is shown of images, chunk by chunk, without any graph: as scores are made."""
        with torch.no_grad():
            return view.view(GradientMode.NONE).shown(x, noise)

    def purify(self, positions: np.ndarray, images: np.ndarray) -> np.ndarray:
        """What the classifier is shown of such images under the first scored draw, `(B, C, H, W)`."""
        _, y, noise = self._inputs(positions)
        deployed = self._model(GradientMode.NONE, Tally(), len(y))
        with torch.no_grad():
            return deployed.shown(torch.from_numpy(images).to(self.device), noise.of("score")).cpu().numpy()

    def _execute(self, positions: np.ndarray) -> tuple[list[SampleRecord], np.ndarray]:
        started = time.monotonic()
        reset_peak(self.device)
        x, y, noise = self._inputs(positions)
        tally = Tally()
        said: dict[str, list[Any]] = {}
        view = self._model(self.plan.gradient, tally, len(x), said)
        deployed = view.view(GradientMode.NONE)
        clean, _ = self._score(deployed, x, y, noise)
        certified = self._certify(deployed, x, y, noise)
        rows = torch.nonzero((clean == y[:, None]).any(dim=1))[:, 0]
        adversarial = x.clone()
        if len(rows):
            adversarial[rows] = self._attack(view, x[rows], y[rows], noise[rows].of("attack"))
        predictions, margins = self._score(deployed, adversarial, y, noise)
        distances = _distance(adversarial - x, self.plan.threat)
        seconds, memory = (time.monotonic() - started) / len(x), peak(self.device)
        columns = [noise.ids, y, clean, predictions, margins.double(), distances.double()]
        radii = [None] * len(x) if certified is None else certified
        key = self.environment_key
        rows_of = zip(*(column.tolist() for column in columns), strict=True)
        words = dict(zip(rows.tolist(), _by_image(said, len(rows), self.plan.spec.attack.name), strict=True))
        told = [view.spoiled.words(sample, words.get(row, {})) for row, sample in enumerate(noise.ids.tolist())]
        lines = [
            self._line((*values, radii[row]), tally, seconds, key, told[row], memory)
            for row, values in enumerate(rows_of)
        ]
        return lines, adversarial.cpu().numpy()

    def _line(
        self,
        values: tuple[Any, ...],
        tally: Tally,
        seconds: float,
        environment: str,
        said: dict[str, Any],
        memory: int | None,
    ) -> SampleRecord:
        sample, label, clean, adversarial, margins, distance, certified = values
        return checked_line(
            id=sample,
            label=label,
            clean=clean,
            adversarial=adversarial,
            margin=margins,
            distance=distance,
            cost=tally.of(sample),
            seconds=round(seconds, 6),
            environment=environment,
            said=said,
            certified=certified,
            memory=memory,
        )

    def _attack(self, view: DefendedClassifier, x: Images, y: Tensor, noise: Noise) -> Images:
        name = self.plan.spec.attack.name
        view.pace.start()
        try:
            with kept_folder():
                result = self.plan.attack(view, x, y, self.plan.threat, noise)
        except BenchError:
            raise
        except Exception as error:
            if out_of_memory(error):
                raise
            raise AttackError(
                f"expected the attack {name} to return images, got {type(error).__name__}: {error}; run again with --debug"
            ) from error
        if not isinstance(result, Tensor) or result.shape != x.shape or result.dtype != x.dtype:
            got = (
                f"{result.dtype} of shape {tuple(result.shape)}"
                if isinstance(result, Tensor)
                else type(result).__name__
            )
            raise AttackError(
                f"expected the attack {name} to return {x.dtype} of shape {tuple(x.shape)}, got {got}; correct the attack"
            )
        result = result.detach()
        check_in_ball(name, result, x, self.plan.threat, noise.ids)
        return result

    def _score(self, deployed: DefendedClassifier, x: Images, y: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Predictions and margins, each `(B, k)`, under the scoring draws."""
        with torch.no_grad():
            logits = deployed.sample(x, noise.of("score").spread(self.plan.spec.draws))
            margins = torch.stack([margin(part, y) for part in logits], dim=1)
            return logits.argmax(dim=2).T.contiguous(), margins

    def _certify(self, deployed: DefendedClassifier, x: Images, y: Tensor, noise: Noise) -> list[float] | None:
        with torch.no_grad():
            return certified_radii(deployed, x, y, noise)

    def _model(
        self, mode: GradientMode, tally: Tally, images: int, said: dict[str, list[Any]] | None = None,
        chunk: int | None = None,
    ) -> DefendedClassifier:  # fmt: skip
        score = None if self.plan.score is None else CountedScoreModel(self.plan.score, tally)
        self.pace.working = lambda done, standing: self.working(done, standing, images)
        return DefendedClassifier(
            self.plan.classifier, self.plan.make_defense(score), mode=mode, chunk=chunk or self.batch, tally=tally,
            pace=self.pace, known=self.plan.known, said=said, voting_rows=self.plan.spec.batch_size or VOTING_ROWS,
        )  # fmt: skip

    def _inputs(self, positions: np.ndarray) -> tuple[Images, Tensor, Noise]:
        dataset = self.plan.dataset
        x = torch.from_numpy(dataset.floats(positions)).to(self.device)
        y = torch.from_numpy(dataset.labels[positions]).to(self.device)
        ids = torch.from_numpy(dataset.ids[positions].astype(np.int64)).to(self.device)
        return x, y, Noise(self.plan.spec.seed, ids)


def _largest_batch(plan: Plan, device: torch.device) -> int:
    alone = device.type == "cpu" and plan.make_defense(plan.score).deterministic
    return CPU_BATCH if alone else FULL_BATCH


def scored(deployed: DefendedClassifier, x: Images, draws: Noise) -> Tensor:
    """Logits as they are scored, without gradients: `(B, classes)`.

    Arguments:
        deployed: The view that is scored.
        x: Images `(B, C, H, W)`.
        draws: One stream per image.
    """
    with torch.no_grad():
        return deployed(x, draws)


def check_in_ball(name: str, result: Images, x: Images, threat: ThreatModel, ids: Tensor) -> None:
    """Raises `AttackError`, naming the attack and the samples, unless every image is in the ball and in [0, 1]."""
    outside = ~(_distance(result - x, threat) <= threat.furthest)
    outside |= ~((result >= 0) & (result <= 1)).flatten(1).all(dim=1)
    if outside.any():
        raise AttackError(
            f"expected the attack {name} to stay in the ball {threat} and in [0, 1], got violations on samples {ids[outside].tolist()}; correct the attack"
        )


def _by_image(said: dict[str, list[Any]], count: int, name: str) -> list[dict[str, Any]]:
    """What the attack said, image by image."""
    for key, values in said.items():
        if len(values) != count:
            raise AttackError(
                f"expected the attack {name} to remark on each of its {count} images, got {len(values)} values of {key!r}; correct the attack"
            )
    return [{key: values[row] for key, values in said.items()} for row in range(count)]


def _distance(delta: Tensor, threat: ThreatModel) -> Tensor:
    flat = delta.flatten(1)
    return torch.linalg.vector_norm(flat, ord=threat.order, dim=1)
