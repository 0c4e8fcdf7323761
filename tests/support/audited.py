"""Runs of the plants' world and their audits, for tests."""

from contextlib import nullcontext
from pathlib import Path

from bench.audit.rival import Trusting
from bench.audit.session import Scope, audit
from bench.plan.plan import plan
from bench.plan.request import Request
from bench.registry.tables import make_registry
from bench.run.job import record_path
from bench.run.options import Options
from bench.run.runner import Silent, run
from bench.threat import ThreatModel

PLANTS = Path(__file__).parent.parent / "plants"
REGISTRY = make_registry()


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self):
        self.begun, self.ended, self.total, self.opened, self.attacks = [], [], None, [], []

    def opens(self, run, size, images):
        self.opened.append((run, size, images))

    def priced(self, total):
        self.total = total

    def begins(self, name, summary, predicted):
        self.begun.append((name, predicted))

    def attacking(self, label):
        self.attacks.append(label)
        return nullcontext(Silent())

    def ends(self, finding, *, new):
        self.ended.append((finding.name, finding.verdict, new))


def made(
    folder,
    defense="none",
    attack="pgd-full",
    *,
    threat="linf:0.03",
    seed=0,
    differentiable=True,
    samples=None,
    **arguments,
):
    """A run in the plants' world, whose checks before the run are taken for granted: the audit has to catch what is wrong."""
    here = f"{PLANTS}/"
    asked = Request(
        defense=here + defense if ":" in defense else defense, attack=here + attack if ":" in attack else attack,
        dataset=here + "world.py:images", classifier=here + "world.py:Network", threat=ThreatModel.parse(threat), seed=seed,
        arguments={"attacks": arguments},
    )  # fmt: skip
    planned = plan(asked, REGISTRY)
    deterministic = planned.spec.draws == 1
    checks = {"deterministic": deterministic, "differentiable": differentiable}
    options = Options(results=Path(folder), samples=samples, device="cpu")
    run(planned, options, Silent(), Trusting(checks))
    return record_path(planned, Path(folder))


def examined(path, *only, size="quick", samples=64, heard=None, again=False):
    """The audit of a run."""
    scope = Scope(size=size, samples=samples, only=only, again=again)
    return audit(path, scope, REGISTRY, heard or Heard(), options=Options(results=path.parents[2], device="cpu"))


def fired(document):
    """Names of the checks that spoke against the run."""
    return {check["name"] for check in document["checks"] if check["verdict"] in ("suspect", "refuted")}
