"""The command that runs one defense under one attack."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from bench.cli.engines import Address, EngineName, GpusPerWorker, ShardTimeout, Workers
from bench.cli.help import Sectioned
from bench.cli.options import DataDir, Device, Json, Quiet, Results, arguments_of, number_or, print_json, say

if TYPE_CHECKING:
    from bench.plan.plan import Plan


def register(app: typer.Typer) -> None:
    """Adds the command."""
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
    attack: Annotated[str, typer.Option(help="Likewise; a preset.")] = "pgd-full",
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
            help="linf:8/255, l2:0.5, ...; several with commas for a security curve. [default: the data set's]"
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
            help="Images in one network call, or auto; never changes a draw. 1 lets a defense that depends on the batch run image by image."
        ),
    ] = "auto",
    engine: EngineName = "local",
    workers: Workers = None,
    gpus_per_worker: GpusPerWorker = None,
    address: Address = None,
    shard_timeout: ShardTimeout = None,
    mix_environments: Annotated[
        bool, typer.Option("--mix-environments", help="Go on under another device kind or torch release.")
    ] = False,
    results: Results = Path("results"),
    no_evidence: Annotated[bool, typer.Option("--no-evidence", help="Do not store adversarial images.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost, and stop.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Attack one defense; a killed run goes on where it stopped.

    Ends with clean and robust accuracy, their intervals, and what to run next.

    Example: bench run --defense dpsam --attack pgd-full -n 200
    """
    from bench.registry.arguments import parse_options
    from bench.registry.tables import make_registry
    from bench.threat import parse_threats

    registry = make_registry()
    names = {
        "defenses": defense,
        "attacks": attack,
        "datasets": dataset,
        "classifiers": classifier,
        "score_models": score_model,
    }
    for kind, name in names.items():
        if name is not None:
            registry.find(kind, name)
    arguments = {
        "defenses": parse_options(defense_args, "-D"), "attacks": parse_options(attack_args, "-A"),
        "classifiers": parse_options(classifier_args, "-C"), "score_models": parse_options(score_args, "-S"),
    }  # fmt: skip
    threats = [None] if threat is None else parse_threats(threat)
    count, batch = number_or(samples, "--samples", "all"), number_or(batch_size, "--batch-size", "auto")

    from bench.console.progress import Progress
    from bench.engines.make import make_engine
    from bench.engines.options import EngineOptions

    engine_options = EngineOptions(
        name=engine, workers=workers, devices=tuple(device.split(",")), gpus_per_worker=gpus_per_worker, address=address,
        shard_timeout=shard_timeout,
    )  # fmt: skip
    with Progress(quiet=quiet) as progress:
        from bench.plan.cache import Shelf
        from bench.plan.plan import plan
        from bench.plan.request import Request
        from bench.run.runner import Options, foresee, run

        shelf = Shelf()
        request = Request(
            defense=defense, attack=attack, dataset=dataset, classifier=classifier, score_model=score_model,
            draws=draws, seed=seed, data_dir=data_dir, arguments=arguments,
        )  # fmt: skip
        options = Options(
            samples=count, results=results, device=device, batch_size=batch,
            evidence=not no_evidence, mix_environments=mix_environments,
        )  # fmt: skip
        plans = [plan(replace(request, threat=level), registry, shelf) for level in threats]
        if dry_run:
            seen: dict[str, Any] = {}
            costs = [foresee(planned, options, seen) for planned in plans]
        else:
            with make_engine(engine_options, registry) as crew:
                summaries = [run(planned, options, progress, crew) for planned in plans]
    if dry_run:
        from bench.cli.forecasts import print_forecasts

        print_forecasts(costs, plans, as_json)
    else:
        _print_runs(summaries, plans, as_json, quiet)


def _print_runs(summaries: list[dict[str, Any]], plans: list[Plan], as_json: bool, quiet: bool) -> None:
    """One run, or several and their security curve."""
    from bench.console.run import curve_text, summary_text
    from bench.console.steps import next_steps
    from bench.run.runner import security_curve

    points = security_curve(summaries, plans) if len(plans) > 1 else []
    if as_json:
        print_json({"curve": [point.as_dict() for point in points], "runs": summaries} if points else summaries[0])
        return
    texts = [
        summary_text(summary, planned.labels, planned.notes) for summary, planned in zip(summaries, plans, strict=True)
    ]
    say("\n\n".join([*texts, *([curve_text(points)] if points else [])]))
    if not quiet:
        steps = next_steps(
            summaries[-1], _words_after("run"), dataset_size=len(plans[0].dataset), allow_code=_runs_code(summaries[-1])
        )  # fmt: skip
        say("\n" + steps)


def _runs_code(summary: dict[str, Any]) -> bool:
    """Whether the audit of a run wants `--allow-code`."""
    from bench.records.header import read_header
    from bench.records.names import code_of
    from bench.registry.tables import make_registry

    return bool(code_of(make_registry(), read_header(Path(summary["path"]))))


def _words_after(command: str) -> list[str]:
    words = [word for word in sys.argv[1:] if word != "--debug"]
    return words[words.index(command) + 1 :] if command in words else []
