"""Boards and the page over 1,000 runs of 1,000 images. Bars: 5 s to build, 2 s to open in Chromium.

Writing the records takes a minute or two (--runs 100 for a shorter look).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parent.parent / "support"))
from records_for_tables import full_set

ATTACKS, THREATS, IMAGES, ROUNDS = 4, ("linf:8/255", "linf:16/255", "l2:0.5", "l2:1"), 1000, 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write(root / "results", runs // ATTACKS)
        for output in ("md", "html"):
            times = [build(root, output) for _ in range(ROUNDS)]
            print(f"{runs} runs of {IMAGES} images as {output}: {', '.join(f'{each:.2f}' for each in times)} s (bar 5)")
        opened(root / "out.html")


def write(results: Path, defenses: int) -> None:
    random = np.random.Generator(np.random.Philox(key=0))
    for number in range(defenses):
        rate = random.uniform(0.2, 0.8)
        hits, others = ("".join(map(str, (random.random(IMAGES) < rate).astype(int))) for _ in range(2))
        full_set(
            results, f"{number:04d}", f"defense-{number}", hits, others=others, threat=THREATS[number % len(THREATS)]
        )


def build(root: Path, output: str) -> float:
    started = time.perf_counter()
    command = [sys.executable, "-m", "bench", "leaderboard", "--format", output, "--out", f"out.{output}"]
    subprocess.run(command, cwd=root, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True)
    return time.perf_counter() - started


def opened(page: Path) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"])
        for _ in range(ROUNDS):
            view = browser.new_page()
            started = time.perf_counter()
            view.goto(page.as_uri(), wait_until="load")
            view.wait_for_selector("tbody tr")
            print(
                f"page of {page.stat().st_size >> 10} KiB opened in {time.perf_counter() - started:.2f} s (bar 2)",
                flush=True,
            )
            view.close()
        browser.close()


if __name__ == "__main__":
    main()
