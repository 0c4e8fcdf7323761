"""The command `bench run`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from bench.cli.help import Sectioned
from bench.cli.options import (
    Address,
    DataDir,
    Device,
    EngineName,
    GpusPerWorker,
    Json,
    Quiet,
    Results,
    ShardTimeout,
    Workers,
    arguments_of,
    number_or,
    print_forecasts,
    print_json,
    say,
)

if TYPE_CHECKING:
    from bench.engines.options import EngineOptions
    from bench.plan.plan import Plan
    from bench.plan.request import Request
    from bench.registry.registry import Registry
    from bench.run.options import Options


def register(app: typer.Typer) -> None:
    """Adds the command to the application."""
    app.command("run", cls=Sectioned)(run_command)


def run_command(
    defense: Annotated[
        str,
        typer.Option(
            help="Name, entry point, module:object or path/file.py:object.",
            rich_help_panel="What is attacked, and how",
        ),
    ] = "dpsam",
    defense_args: Annotated[list[str], arguments_of("defense", "-D")] = [],  # noqa: B006
    attack: Annotated[str, typer.Option(help="A preset; else as for --defense.")] = "pgd-full",
    attack_args: Annotated[list[str], arguments_of("attack", "-A")] = [],  # noqa: B006
    dataset: Annotated[str, typer.Option(help="Name, npz:PATH or folder:PATH.")] = "fashion-mnist",
    data_dir: DataDir = None,
    classifier: Annotated[
        Optional[str],
        typer.Option(
            help="Name, robustbench:MODEL, torchvision:MODEL, weights:PATH, module:object or path/file.py:object. [default: the data set's]"
        ),
    ] = None,
    classifier_args: Annotated[list[str], arguments_of("classifier", "-C")] = [],  # noqa: B006
    score_model: Annotated[
        Optional[str],
        typer.Option(
            help="Name, diffusers:REPO_OR_FOLDER, weights:PATH, module:object or path/file.py:object. [default: the data set's]"
        ),
    ] = None,
    score_args: Annotated[list[str], arguments_of("score model", "-S")] = [],  # noqa: B006
    threat: Annotated[
        Optional[str],
        typer.Option(
            help="linf:8/255, l2:0.5, ...; several, with commas, for a security curve. [default: the data set's]"
        ),
    ] = None,
    samples: Annotated[
        str,
        typer.Option(
            "--samples",
            "-n",
            help="The first n of the data set's fixed order, or all.",
            rich_help_panel="How it is scored",
        ),
    ] = "100",
    draws: Annotated[
        Optional[int],
        typer.Option(help="Fresh draws per image in the score. [default: 10 for stochastic defenses, else 1]"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of all draws.")] = 0,
    device: Device = "auto",
    batch_size: Annotated[
        str,
        typer.Option(
            help="Images in one network call, or auto; never changes a draw. 1 runs a defense that depends on the batch image by image."
        ),
    ] = "auto",
    engine: EngineName = "local",
    workers: Workers = None,
    gpus_per_worker: GpusPerWorker = None,
    address: Address = None,
    shard_timeout: ShardTimeout = None,
    mix_environments: Annotated[
        bool, typer.Option("--mix-environments", help="Resume under another device kind or torch release.")
    ] = False,
    results: Results = Path("results"),
    no_evidence: Annotated[bool, typer.Option("--no-evidence", help="Do not store adversarial images.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Predict the cost and stop.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Attack one defense; a killed run resumes where it stopped.

    Ends with clean and robust accuracy, their intervals, and what to run next.

    Example: bench run --defense dpsam --attack pgd-full -n 200
    """
    from bench.engines.options import EngineOptions
    from bench.plan.request import Request
    from bench.registry.tables import make_registry
    from bench.run.options import Options
    from bench.threat import parse_threats

    registry = make_registry()
    parts = _checked(
        registry, defense=defense, attack=attack, dataset=dataset, classifier=classifier, score_model=score_model
    )
    arguments = _parsed(
        defenses=defense_args, attacks=attack_args, classifiers=classifier_args, score_models=score_args
    )
    threats = [None] if threat is None else parse_threats(threat)
    count, batch = number_or(samples, "--samples", "all"), number_or(batch_size, "--batch-size", "auto")
    request = Request(**parts, draws=draws, seed=seed, data_dir=data_dir, arguments=arguments)
    options = Options(
        samples=count,
        results=results,
        device=device,
        batch_size=batch,
        evidence=not no_evidence,
        mix_environments=mix_environments,
    )
    engine_options = EngineOptions(
        name=engine,
        workers=workers,
        devices=tuple(device.split(",")),
        gpus_per_worker=gpus_per_worker,
        address=address,
        shard_timeout=shard_timeout,
    )
    work = _Work(registry, [replace(request, threat=level) for level in threats], options, engine_options, quiet)
    if dry_run:
        _print_costs(work, as_json)
    else:
        _print_runs(work, as_json)


@dataclass(frozen=True)
class _Work:
    registry: Registry
    requests: list[Request]
    options: Options
    engine: EngineOptions
    quiet: bool

    def plans(self) -> list[Plan]:
        """The plans of all requests, which share what they load."""
        from bench.plan.cache import Cache
        from bench.plan.plan import plan

        cache = Cache()
        return [plan(request, self.registry, cache) for request in self.requests]


def _checked(registry: Registry, **parts: str | None) -> dict[str, Any]:
    """The names of the parts, all of which exist; None for a default."""
    from bench.registry.entry import KIND_OF

    for role, name in parts.items():
        if name is not None:
            registry.find(KIND_OF[role], name)
    return parts


def _parsed(**options: list[str]) -> dict[str, Any]:
    """The arguments of each kind of component, from the words after its flag."""
    from bench.registry.arguments import parse_options
    from bench.registry.entry import FLAGS

    return {kind: parse_options(words, FLAGS[kind]) for kind, words in options.items()}


def _print_costs(work: _Work, as_json: bool) -> None:
    """Prints the predicted cost of the runs."""
    from bench.console.progress import Progress

    with Progress(quiet=work.quiet):
        from bench.run.runner import foresee

        plans, probes = work.plans(), dict[str, Any]()
        costs = [foresee(planned, work.options, probes) for planned in plans]
    print_forecasts(costs, plans, as_json)


def _print_runs(work: _Work, as_json: bool) -> None:
    """Makes the runs, and prints one summary, or several and their security curve."""
    from bench.console.progress import Progress
    from bench.console.run import curve_text, summary_text

    with Progress(quiet=work.quiet) as progress:
        from bench.engines.make import make_engine
        from bench.run.runner import run, security_curve

        plans = work.plans()
        with make_engine(work.engine, work.registry) as engine:
            summaries = [run(planned, work.options, progress, engine) for planned in plans]
    points = security_curve(summaries, plans) if len(plans) > 1 else []
    if as_json:
        print_json({"curve": [point.as_dict() for point in points], "runs": summaries} if points else summaries[0])
        return
    texts = [
        summary_text(summary, planned.labels, planned.notes) for summary, planned in zip(summaries, plans, strict=True)
    ]
    say("\n\n".join([*texts, *([curve_text(points)] if points else [])]))
    if not work.quiet:
        say("\n" + _next(summaries[-1], plans[-1]))


def _next(summary: dict[str, Any], planned: Plan) -> str:
    from bench.console.steps import next_steps

    code = _names_code(summary)
    return next_steps(summary, _words_after("run"), dataset_size=len(planned.dataset), allow_code=code)


def _names_code(summary: dict[str, Any]) -> bool:
    """Whether a run names code, so that its audit needs `--allow-code`."""
    from bench.records.header import read_header
    from bench.records.names import code_of
    from bench.registry.tables import make_registry

    return bool(code_of(make_registry(), read_header(Path(summary["path"]))))


def _words_after(command: str) -> list[str]:
    words = [word for word in sys.argv[1:] if word != "--debug"]
    return words[words.index(command) + 1 :] if command in words else []
