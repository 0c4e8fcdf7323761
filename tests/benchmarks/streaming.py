"""Peak memory of a run over images of 224 x 224 that lie on disk: 1,000 of them against 50,000. Bar: 1.25 times.

    python tests/benchmarks/streaming.py

The images are a memory-mapped file with holes (7.5 GB of zeros that take no disk); the network looks at a few pixels.
Pages of the file count for nothing here: the kernel takes them back when it needs them.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

PARTS = """
import numpy as np
import torch
from torch import nn

from bench.data.dataset import Dataset

def large(count: int = 0):
    count = int(open("count").read())
    images = np.memmap("large", dtype=np.uint8, mode="w+", shape=(count, 3, 224, 224))
    return Dataset(name="large", ids=np.arange(count), images=images, labels=np.arange(count) % 3, classes=("a", "b", "c"))

class Few(nn.Module):
    def forward(self, x):
        return x[:, 0, 0, :3]

def few():
    return Few()
"""
CODE = """
import threading, sys, time
from bench.cli.main import main

most = 0

def watch():
    global most
    while True:
        status = open("/proc/self/status").read()
        most = max(most, int(status.split("RssAnon:")[1].split()[0]) // 1024)
        time.sleep(0.05)

threading.Thread(target=watch, daemon=True).start()
code = main(sys.argv[1:])
print(most, file=sys.stderr)
sys.exit(code)
"""
WORDS = "run --dataset parts.py:large --classifier parts.py:few --threat linf:4/255 --defense none --attack null -n all --no-evidence --quiet"


def main() -> None:
    peaks = []
    for count in (1_000, 50_000):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            (root / "parts.py").write_text(textwrap.dedent(PARTS))
            (root / "count").write_text(str(count))
            command = [sys.executable, "-c", CODE, *WORDS.split()]
            done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
            peaks.append(int(done.stderr.split()[-1]))
            print(f"{count} images: {peaks[-1]} MiB", flush=True)
    print(f"ratio {peaks[1] / peaks[0]:.2f} (bar 1.25)")


if __name__ == "__main__":
    main()
