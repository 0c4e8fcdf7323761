"""What a check is given: the audited run on its first images, its parts, and other attacks on the same images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from shlex import join
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.audit.price import Load
from bench.audit.rival import Choice, Rival, Trusting
from bench.defended import DefendedClassifier
from bench.errors import UserError
from bench.figures.runs import CLEAN, Run, read_run
from bench.gradient import GradientMode
from bench.machine.device import pick_device
from bench.noise import Noise
from bench.plan.cache import Shelf
from bench.plan.plan import Plan, plan
from bench.plan.request import request_of
from bench.protocols import Images
from bench.records.command import run_words
from bench.records.evidence import Evidence, read_evidence
from bench.registry.registry import Registry
from bench.run.options import Options
from bench.run.prediction import scored
from bench.run.runner import Reporter, Silent, record_path, run
from bench.run.worker import Worker

QUICK, FULL = "quick", "full"
RIVALS = "audits"
"""Folder, below the results, of the records of other attacks: one level deeper than runs, so that no table counts them."""


def unheard(label: str) -> AbstractContextManager[Reporter]:
    """Nobody hears of another attack."""
    return nullcontext(Silent())


class Subject:
    """The audited run and the means to examine it.

    Arguments:
        run: The run.
        planned: Its parts.
        registry: What names stand for.
        samples: The number of its first images that are examined, at least 1.
        size: `quick` or `full`.
        options: Results folder and device.
        data_dir: Where data sets lie.
        shelf: Where plans leave the networks and data that they share.
        attacking: Gives what hears of another attack, by its label, while it is made.
    """

    def __init__(
        self, run: Run, planned: Plan, registry: Registry, *, samples: int, size: str, options: Options,
        data_dir: Path | None = None, shelf: Shelf | None = None,
        attacking: Callable[[str], AbstractContextManager[Reporter]] = unheard,
    ) -> None:  # fmt: skip
        self.run, self.planned, self.registry, self.size = run, planned, registry, size
        self.options, self.data_dir, self.shelf = options, data_dir, shelf or Shelf()
        self.attacking = attacking
        self.n = min(samples, len(run))
        self.plans: dict[str, Plan] = {}
        batch = next((part.batch_size for part in run.header.environments.values()), None)
        self.worker = Worker(planned, pick_device(options.device.partition(",")[0]), batch, lambda *_: None)
        if not np.isin(self.ids, run.ids).all():
            raise UserError(
                f"expected the first {self.n} images of the data set in run {run.run_id}, got gaps; finish the run first"
            )

    # What the run says of its first images

    @cached_property
    def positions(self) -> np.ndarray:
        """Of the examined images in the data set."""
        return np.arange(self.n)

    @property
    def ids(self) -> np.ndarray:
        """Their sample ids."""
        return self.planned.dataset.ids[: self.n]

    @cached_property
    def shares(self) -> np.ndarray:
        """Their shares of right draws under the run's attack."""
        return self._of(self.run.ids, self.run.shares())

    @cached_property
    def clean(self) -> np.ndarray:
        """Their shares of right draws without an attack."""
        return self._of(self.run.ids, self.run.shares(CLEAN))

    @cached_property
    def evidence(self) -> Evidence | None:
        """Their stored adversarial images, in order; None if not all are stored."""
        stored = read_evidence(self.run.path)
        found = stored.of(self.ids) if stored else None
        return found if found is not None and len(found) == self.n else None

    # What kind of run it is

    @property
    def full(self) -> bool:
        """Whether the audit is a full one."""
        return self.size == FULL

    @property
    def deterministic(self) -> bool:
        """The defense's claim."""
        return self.run.spec.draws == 1 and self.run.header.deterministic

    @property
    def differentiable(self) -> bool:
        """Whether the defense has a derivative of its own."""
        return self.run.header.checks.differentiable

    @property
    def mode(self) -> GradientMode:
        """What an attacker of this defense differentiates if nothing better is known: all of it, or the straight-through estimate."""
        return GradientMode.FULL if self.differentiable else GradientMode.BPDA

    @property
    def knows(self) -> bool:
        """Whether the run's attacker knows the scored draws."""
        return self.planned.known > 0

    @property
    def undefended(self) -> bool:
        """Whether there is no purifier."""
        return self.run.spec.defense.name == "none"

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
        """Whether the run's attack looks for adversarial images at all."""
        return self.run.spec.attack.name not in ("null", "random")

    @property
    def chance(self) -> float:
        """The best accuracy without looking at the image: the share of the most frequent class."""
        return float(np.bincount(self.planned.dataset.labels[: self.n]).max()) / self.n

    # Other attacks on it

    @cached_property
    def attacks(self) -> Choice:
        """Those that suit it."""
        return Choice(
            full=self.full, deterministic=self.deterministic, differentiable=self.differentiable, knows=self.knows,
            norm=self.planned.threat.norm,
        )  # fmt: skip

    def rival(self, other: Rival) -> np.ndarray:
        """The shares of right draws of the examined images under another attack: from a record that has them, or run now.

        Raises:
            UserError: The attack does not suit.
        """
        planned = self.plan(other)
        for results in (self.options.results, self._folder):
            path = record_path(planned, results)
            if (path / "run.json").exists():
                there = read_run(path)
                if np.isin(self.ids, there.ids).all():
                    return self._of(there.ids, there.shares())
        options = replace(self.options, results=self._folder, samples=self.n, evidence=False)
        with self.attacking(planned.labels["attack"]) as reporter:
            run(planned, options, reporter, Trusting(self.run.header.document["checks"]))
        there = read_run(record_path(planned, self._folder))
        return self._of(there.ids, there.shares())

    def load(self, other: Rival) -> Load:
        """What another attack costs at most and likely, its score included."""
        planned = self.plan(other)
        if planned.work is None:
            return Load(self.n, None)
        most, likely = (scored(planned.work * share, planned) for share in (1.0, self._standing(planned)))
        return Load(self.n, most, planned.gradient, likely)

    def command(self, other: Rival, samples: int | None = None) -> str:
        """The command that makes another attack's run for the board."""
        results = self.options.results.as_posix()
        words = run_words(self.run.header, samples or len(self.run), attack=other.attack, results=results)
        if other.threat is not None:
            words[words.index("--threat") + 1] = str(other.threat)
        place = words.index("--attack") + 2
        named = {word.partition("=")[0] for word in self.plan(other).labels["attack"].split() if "=" in word}
        return join([*words[:place], *other.words(named), *words[place:]])

    def again(self, *words: str) -> str:
        """The command that makes the run itself once more, beside the other attacks."""
        return join([*run_words(self.run.header, len(self.run), results=self._folder.as_posix()), *words])

    def plan(self, other: Rival) -> Plan:
        """The parts of a run under another attack."""
        key = repr((other.attack, sorted(other.args.items()), str(other.threat)))
        if key not in self.plans:
            request = request_of(self.run.header, self.data_dir)
            arguments = {**request.arguments, "attacks": dict(other.args)}
            asked = replace(request, attack=other.attack, threat=other.threat or request.threat, arguments=arguments)
            self.plans[key] = plan(asked, self.registry, self.shelf)
        return self.plans[key]

    # Looking at it

    def look(self, mode: GradientMode, count: int | None = None) -> tuple[DefendedClassifier, Images, Tensor, Noise]:
        """The defended classifier under a mode, and the first images, their labels and streams."""
        return self.worker.look(mode, self.positions[: count or self.n])

    @property
    def why_no_evidence(self) -> str:
        """Why there are no adversarial images to look at; empty if there are."""
        return "" if self.evidence is not None else "the run stores no adversarial images (--no-evidence)"

    def adversarial(self, like: Images) -> Images:
        """The stored adversarial images of the first images, on the device of `like`."""
        if self.evidence is None:
            raise ValueError("the run stores no adversarial images")
        return torch.from_numpy(self.evidence.images[: len(like)]).to(like)

    def _standing(self, planned: Plan) -> float:
        """The share of the images that will keep another attack at work: those that the run's own left standing.

        All that are right without an attack, where none may rest (the attacker does not see what the score sees) or where
        nothing is differentiated, which breaks late if at all.
        """
        sees = self.deterministic or planned.known > 0
        early = sees and planned.gradient in (GradientMode.FULL, GradientMode.BPDA)
        return float(((self.shares if early else self.clean) > 0).mean())

    @property
    def _folder(self) -> Path:
        return self.options.results / RIVALS

    def _of(self, ids: np.ndarray, values: np.ndarray) -> np.ndarray:
        row = {sample: place for place, sample in enumerate(ids.tolist())}
        return values[[row[sample] for sample in self.ids.tolist()]]
