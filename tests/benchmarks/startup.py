"""CPU seconds of `bench --help` and `bench list` beyond an interpreter that does nothing. Bar: 0.3 s."""

from __future__ import annotations

import resource
import subprocess
import sys

COMMANDS = {
    "interpreter": ["-c", "pass"],
    "bench --help": ["-m", "bench", "--help"],
    "bench list": ["-m", "bench", "list"],
}
ROUNDS = 5


def cpu_seconds(arguments: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    best = {name: min(cpu_seconds(arguments) for _ in range(ROUNDS)) for name, arguments in COMMANDS.items()}
    for name, value in best.items():
        print(f"{name:<13} {value:.3f} s   {value - best['interpreter']:+.3f} s beyond the interpreter (bar 0.3)")


if __name__ == "__main__":
    main()
