"""The command line: each command one call. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import shlex
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from bench.cli import audit as cli_audit
from bench.cli import boards as cli_boards
from bench.cli import check as cli_check
from bench.cli import exchange as cli_exchange
from bench.cli import installed as cli_installed
from bench.cli import suite as cli_suite
from bench.cli import train as cli_train
from bench.cli import verify as cli_verify
from bench.cli.engines import Address, EngineName, GpusPerWorker, ShardTimeout, Workers
from bench.cli.help import Sectioned
from bench.cli.hints import hint
from bench.cli.options import DataDir, Device, Json, Quiet, Results, arguments_of, number_or, print_json, say
from bench.errors import BenchError, InterruptedRunError
from bench.files.documents import printable
from bench.machine.interrupt import stopping

if TYPE_CHECKING:
    from bench.plan.plan import Plan

app = typer.Typer(name="bench", add_completion=True, rich_markup_mode=None, pretty_exceptions_enable=False)

CLICK_ERROR: Any = typer.BadParameter.__mro__[2]  # newer releases of typer carry their own copy of click
INTERRUPTED = 130
"""What newer releases of typer return after Ctrl-C, which they do not pass on."""


def _say_version(wanted: bool) -> None:
    if wanted:
        from bench import __version__

        print(f"purebench {__version__}")
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks; may stand anywhere.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Say the version and exit.", is_eager=True, callback=_say_version)
    ] = False,
) -> None:
    """Measures how robust an image classifier is when a purifier cleans its input first.

    Example: bench run --defense dpsam --attack pgd-full
    """


@app.command("run", cls=Sectioned)
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
        str, typer.Option(help="Images in one network call, or auto; never changes a draw.")
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
    from bench.figures.curve import parse_threats
    from bench.registry.arguments import parse_options
    from bench.registry.tables import make_registry

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
            seen: dict[str, tuple[float, Any]] = {}
            costs = [foresee(planned, options, seen) for planned in plans]
        else:
            with make_engine(engine_options, registry) as crew:
                summaries = [run(planned, options, progress, crew) for planned in plans]
    if dry_run:
        from bench.cli.forecasts import print_forecasts

        print_forecasts(costs, plans, as_json)
    else:
        _print_runs(summaries, plans, as_json, quiet)


for commands in (cli_installed, cli_boards, cli_check, cli_exchange, cli_verify, cli_audit, cli_suite, cli_train):
    commands.register(app)


def main(arguments: Sequence[str]) -> int:
    """Runs the command line and returns its exit code: 0 done, 1 a gate failed, 2 wrong input, 3 interrupted, 4 anything else."""
    words = [word for word in arguments if word != "--debug"]
    debug = len(words) < len(arguments)
    again = f"go on with: {shlex.join(['bench', *words])}"
    kept = "" if words[:1] == ["verify"] else "what is finished is kept; "
    stopped = f"stopped; {kept}{again}"
    try:
        with stopping(f"bench: {stopped}"):
            return _call(words)
    except CLICK_ERROR as error:
        context = getattr(error, "ctx", None)  # which a few errors lack
        command = context.command_path if context else " ".join(["bench", *takewhile(str.isalpha, words)])
        return _fail(f"{_usage(error, words)} (see: {command} --help)", 2, debug)
    except BenchError as error:
        command = f"; {again}" if isinstance(error, InterruptedRunError) else ""
        return _fail(f"{error}{command}", error.exit_code, debug)
    except (KeyboardInterrupt, typer.Abort):
        exec("")  # else CPython, once it was interrupted inside any exec(text), ends by SIGINT whatever the exit code
        return _fail(stopped, 3, debug)
    except BrokenPipeError:
        return 4
    except Exception as error:  # the last resort: one sentence instead of a traceback
        return _fail(f"unexpected {type(error).__name__}: {error}; run again with --debug and report it", 4, debug)


def _usage(error: Any, words: list[str]) -> str:
    """What is wrong with a command line, and what to write in place of an option that is an argument of something."""
    option = getattr(error, "option_name", None)
    instead = hint(words, option) if isinstance(option, str) else ""
    return f"No such option: {option}{instead}" if instead else error.format_message()


def _call(words: list[str]) -> int:
    code = typer.main.get_command(app).main(words or ["--help"], prog_name="bench", standalone_mode=False)
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0


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
            summaries[-1], _words_after("run"), dataset_size=len(plans[0].dataset), allow_code=_runs_code(summaries[-1], plans[-1].labels)
        )  # fmt: skip
        say("\n" + steps)


def _runs_code(summary: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether the audit of a run wants `--allow-code`."""
    from bench.registry.tables import make_registry
    from bench.registry.trust import code_of

    return bool(code_of(make_registry(), {"spec": summary["spec"], "labels": labels}))


def _words_after(command: str) -> list[str]:
    words = [word for word in sys.argv[1:] if word != "--debug"]
    return words[words.index(command) + 1 :] if command in words else []


def _fail(sentence: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"bench: {printable(' '.join(sentence.split()))}", file=sys.stderr)
    return code
