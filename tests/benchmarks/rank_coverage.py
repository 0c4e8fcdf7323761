"""Coverage and width of the rank intervals over 2,000 boards of 20 rows and 250 images of each shape; bar: all ranks right on 95 %.

Half a minute on an idle core; --boards 200 for a shorter look.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.stats.ranks import rank_intervals

sys.path.append(str(Path(__file__).parent.parent / "support"))
from simulated_ranks import SHAPES, coverage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boards", type=int, default=2000)
    count = parser.parse_args().boards
    for correlation in (0.5, 0.9):
        for shape in SHAPES:
            held, width = coverage(rank_intervals, shape, count, correlation=correlation)
            print(f"{shape:14} correlation {correlation}: coverage {held:.4f}, {width:.2f} of 20 ranks", flush=True)


if __name__ == "__main__":
    main()
