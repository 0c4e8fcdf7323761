"""The run that `bench audit --defense` makes before its audit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cli.options import print_forecasts, say

if TYPE_CHECKING:
    from bench.plan.plan import Plan
    from bench.registry.registry import Registry
    from bench.run.options import Options


@dataclass(frozen=True, kw_only=True)
class FirstRun:
    """The run of a defense under its right attack.

    Arguments:
        plan: The plan of the run.
        options: How it is executed; asks for no more images than the data set has.
        quiet: Show no progress.
    """

    plan: Plan
    options: Options
    quiet: bool

    @classmethod
    def of(
        cls, registry: Registry, wanted: Mapping[str, Any], options: Options, samples: int, *, quiet: bool
    ) -> FirstRun:
        """Plans the run.

        Arguments:
            registry: All components.
            wanted: Fields of the request, without the attack; the threat as text.
            options: How the run is executed.
            samples: Number of images.
            quiet: Show no progress.
        """
        from bench.audit.right import right_attack
        from bench.console.progress import Progress
        from bench.plan.plan import plan
        from bench.plan.request import Request
        from bench.threat import ThreatModel

        threat = None if wanted["threat"] is None else ThreatModel.parse(wanted["threat"])
        request = Request(**{**wanted, "attack": right_attack(registry, wanted["defense"]), "threat": threat})
        with Progress(quiet=quiet):
            planned = plan(request, registry)
        return cls(plan=planned, options=replace(options, samples=min(samples, len(planned.dataset))), quiet=quiet)

    def is_missing(self) -> bool:
        """Whether images of the run are still to be attacked."""
        from bench.run.job import images_missing

        return images_missing(self.plan, self.options)[0] > 0

    def make(self) -> Path:
        """Makes or completes the run; returns the folder of its record."""
        from bench.console.progress import Progress
        from bench.run.runner import run

        with Progress(quiet=self.quiet) as progress:
            return Path(run(self.plan, self.options, progress)["path"])

    def print_cost(self, as_json: bool) -> None:
        """Prints the predicted cost of the run; its checks can only be priced once it is made."""
        from bench.run.runner import foresee

        print_forecasts([foresee(self.plan, self.options)], [self.plan], as_json)
        if not as_json:
            say("the checks of the audit are priced when this run is made")
