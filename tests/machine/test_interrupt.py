"""A signal ends a command in time, whether or not the code that runs heeds it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

SWALLOWS = """
while True:
    try:
        print("ready", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        pass
"""
HEEDS = """
try:
    print("ready", flush=True)
    time.sleep(60)
finally:
    print("cleaned up", flush=True)
"""
CALM = """
print("ready", flush=True)
"""


def script(body, grace):
    inner = "".join(f"    {line}\n" for line in body.strip().splitlines())
    code = (
        "import time, signal\nfrom bench.machine.interrupt import stopping\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"with stopping('last words', grace={grace}):\n{inner}"
    )
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    ("body", "code", "words"),
    [(SWALLOWS, 3, "last words\n"), (HEEDS, -signal.SIGINT, "KeyboardInterrupt"), (CALM, 0, "")],
    ids=["swallows", "heeds", "calm"],
)
def test_the_end_comes(number, body, code, words):
    process = script(body, 1.0)
    assert process.stdout.readline() == "ready\n"
    if body != CALM:
        process.send_signal(number)
    started = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - started < 30
    assert process.returncode == code
    assert words in err
    assert ("cleaned up" in out) == (body == HEEDS)


def test_what_was_there_before_is_put_back():
    from bench.machine.interrupt import stopping

    before = signal.getsignal(signal.SIGTERM)
    with stopping("never said"):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.set_wakeup_fd(-1) == -1
