"""The command line; heavy modules are imported only when a command needs them."""

from __future__ import annotations

import shlex
import sys
import traceback
from collections.abc import Sequence
from itertools import takewhile
from typing import Annotated, Any

import typer

from bench.cli import audit, boards, check, exchange, installed, report, run, suite, train, verify
from bench.cli.hints import hint
from bench.errors import BenchError, InterruptedRunError
from bench.files.documents import printable
from bench.machine.interrupt import stopping
from bench.text.encoding import widen

app = typer.Typer(
    name="bench",
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

CLICK_ERROR: Any = typer.BadParameter.__mro__[2]  # newer releases of typer carry their own copy of click
INTERRUPTED = 130
"""The exit code that newer releases of typer return after Ctrl-C, instead of raising an exception."""


def _say_version(wanted: bool) -> None:
    if wanted:
        from bench import __version__

        print(f"purebench {__version__}")
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks; may be anywhere in the command.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_say_version)
    ] = False,
) -> None:
    """Measures how robust an image classifier is when a purifier cleans its input first.

    Example: bench run --defense dpsam --attack pgd-full
    """


for commands in (run, installed, boards, report, check, exchange, verify, audit, suite, train):
    commands.register(app)


def main(arguments: Sequence[str]) -> int:
    """Runs the command line and returns its exit code: 0 done, 1 a gate failed, 2 wrong input, 3 interrupted, 4 anything else."""
    for stream in (sys.stdout, sys.stderr):
        widen(stream)
    words = [word for word in arguments if word != "--debug"]
    debug = len(words) < len(arguments)
    again = f"resume with: {shlex.join(['bench', *words])}"
    kept = "" if words[:1] == ["verify"] else "finished work is kept; "
    stopped = f"stopped; {kept}{again}"
    try:
        with stopping(f"bench: {stopped}"):
            return _call(words)
    except CLICK_ERROR as error:
        context = getattr(error, "ctx", None)  # a few errors have none
        command = context.command_path if context else " ".join(["bench", *takewhile(str.isalpha, words)])
        return _fail(f"{_usage(error, words)} (see: {command} --help)", 2, debug)
    except BenchError as error:
        command = f"; {again}" if isinstance(error, InterruptedRunError) else ""
        code = f" [{error.code}]" if error.code else ""
        return _fail(f"{error}{command}{code}", error.exit_code, debug)
    except (KeyboardInterrupt, typer.Abort):
        exec(
            ""
        )  # CPython that was interrupted inside an exec(text) would otherwise end by SIGINT and ignore the exit code
        return _fail(stopped, 3, debug)
    except BrokenPipeError:
        return 4
    except Exception as error:  # one sentence instead of a traceback
        return _fail(f"unexpected {type(error).__name__}: {error}; run again with --debug and report it", 4, debug)


def _usage(error: Any, words: list[str]) -> str:
    """The error of a command line, with a hint if an unknown option is an argument of a defense or attack."""
    option = getattr(error, "option_name", None)
    instead = hint(words, option) if isinstance(option, str) else ""
    return f"No such option: {option}{instead}" if instead else error.format_message()


def _call(words: list[str]) -> int:
    code = typer.main.get_command(app).main(words or ["--help"], prog_name="bench", standalone_mode=False)
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0


def _fail(sentence: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"bench: {printable(' '.join(sentence.split()))}", file=sys.stderr)
    return code
