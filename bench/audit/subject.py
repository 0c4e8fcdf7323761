"""The audited run, and other attacks on the same images: the input of every check."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from shlex import join

import numpy as np

from bench.audit.examined import ExaminedRun
from bench.audit.price import Load
from bench.audit.rival import Choice, Rival, Trusting
from bench.figures.runs import Run, read_run
from bench.gradient import GradientMode
from bench.plan.cache import Cache
from bench.plan.plan import Plan, plan
from bench.plan.request import request_of
from bench.records.command import run_words
from bench.registry.registry import Registry
from bench.run.options import Options
from bench.run.prediction import scored
from bench.run.runner import Reporter, Silent, record_path, run

RIVALS = "audits"
"""Folder for the records of other attacks, in the results folder: one level deeper than runs, so that no table counts them."""


def unheard(label: str) -> AbstractContextManager[Reporter]:
    """A reporter that shows nothing of another attack."""
    return nullcontext(Silent())


class Subject(ExaminedRun):
    """The audited run, and other attacks on its first images.

    Arguments:
        run: The run.
        planned: Its plan.
        registry: Finds names.
        samples: The number of its first images that are examined, at least 1.
        size: `quick` or `full`.
        options: Results folder and device.
        data_dir: Where data sets lie.
        cache: The cache of networks and data that plans share.
        attacking: Gives the reporter of another attack, by the attack's label.

    Raises:
        UserError: The run lacks some of these images.
    """

    def __init__(
        self,
        run: Run,
        planned: Plan,
        registry: Registry,
        *,
        samples: int,
        size: str,
        options: Options,
        data_dir: Path | None = None,
        cache: Cache | None = None,
        attacking: Callable[[str], AbstractContextManager[Reporter]] = unheard,
    ) -> None:
        super().__init__(run, planned, samples=samples, size=size, device=options.device)
        self.registry, self.options, self.data_dir, self.attacking = registry, options, data_dir, attacking
        self.cache = cache or Cache()
        self.plans: dict[str, Plan] = {}

    @cached_property
    def attacks(self) -> Choice:
        """The attacks that suit the run."""
        return Choice(
            full=self.full,
            deterministic=self.deterministic,
            differentiable=self.differentiable,
            knows=self.knows,
            norm=self.planned.threat.norm,
        )

    def rival(self, other: Rival) -> np.ndarray:
        """Shares of right draws of the examined images under another attack, `(n,)`: from a finished record, or run now.

        Raises:
            UserError: The attack does not suit.
        """
        planned = self.plan(other)
        for results in (self.options.results, self._folder):
            path = record_path(planned, results)
            if (path / "run.json").exists():
                finished = read_run(path)
                if np.isin(self.ids, finished.ids).all():
                    return self.of_images(finished.ids, finished.shares())
        options = replace(self.options, results=self._folder, samples=self.n, evidence=False)
        with self.attacking(planned.labels["attack"]) as reporter:
            run(planned, options, reporter, Trusting(self.run.header.document["checks"]))
        made = read_run(record_path(planned, self._folder))
        return self.of_images(made.ids, made.shares())

    def load(self, other: Rival) -> Load:
        """The work of another attack, at most and likely, its score included."""
        planned = self.plan(other)
        if planned.work is None:
            return Load(self.n, None)
        most, likely = (scored(planned.work * share, planned) for share in (1.0, self._attacked_share(planned)))
        return Load(self.n, most, planned.gradient, likely)

    def command(self, other: Rival) -> str:
        """The command that runs another attack for the leaderboard."""
        results = self.options.results.as_posix()
        words = run_words(self.run.header, len(self.run), attack=other.attack, results=results)
        if other.threat is not None:
            words[words.index("--threat") + 1] = str(other.threat)
        place = words.index("--attack") + 2
        named = {word.partition("=")[0] for word in self.plan(other).labels["attack"].split() if "=" in word}
        return join([*words[:place], *other.words(named), *words[place:]])

    def command_again(self, *words: str) -> str:
        """The command that repeats the run itself, in the folder of the other attacks."""
        return join([*run_words(self.run.header, len(self.run), results=self._folder.as_posix()), *words])

    def plan(self, other: Rival) -> Plan:
        """The plan of the run under another attack."""
        key = repr((other.attack, sorted(other.args.items()), str(other.threat)))
        if key not in self.plans:
            request = request_of(self.run.header, self.data_dir)
            arguments = {**request.arguments, "attacks": dict(other.args)}
            asked = replace(request, attack=other.attack, threat=other.threat or request.threat, arguments=arguments)
            self.plans[key] = plan(asked, self.registry, self.cache)
        return self.plans[key]

    def _attacked_share(self, planned: Plan) -> float:
        """The likely share of images that another attack works on to the end.

        An attack that sees what is scored stops at an image that broke, so that the images count that the run's own attack left
        unbroken. Elsewhere all images count that are right without an attack: an attacker who does not see what is scored may
        not stop early, and an attack without gradients breaks images late if at all.
        """
        sees = self.deterministic or planned.known > 0
        rests = sees and planned.gradient in (GradientMode.FULL, GradientMode.BPDA)
        return float(((self.shares if rests else self.clean) > 0).mean())

    @property
    def _folder(self) -> Path:
        return self.options.results / RIVALS
