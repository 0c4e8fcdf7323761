"""What people see while a run is under way."""

import io

import pytest
from rich.console import Console

from bench.console.progress import Progress
from bench.records.lines import SampleRecord

LINE = SampleRecord(
    id=1, label=0, clean=[0, 0], adversarial=[1, 1], margin=[1.0], distance=0.0, cost={}, seconds=0.0, environment="e"
)
UNBROKEN = SampleRecord(
    id=2, label=1, clean=[1, 1], adversarial=[1, 0], margin=[1.0], distance=0.0, cost={}, seconds=0.0, environment="e"
)
"""Right under attack in one of two draws: half an image."""


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand."""
    now = [100.0]
    monkeypatch.setattr("bench.console.progress.time.monotonic", lambda: now[0])
    return now


def shown(progress):
    (task,) = progress.bar.tasks
    return task.fields["state"]


def test_images_done_unbroken_and_the_time_left_follow_the_images_since_the_start(clock):
    """100 of 250 images were done before: 25 in 10 s leave 125 for 50 s; a shard of 50 in 20 s leaves 100 for 40 s."""
    with Progress(quiet=True) as progress:
        progress.started([LINE] * 96 + [UNBROKEN] * 4, 250)
        assert shown(progress) == "100/250 done, 2 unbroken"
        clock[0] += 10
        progress.working(0.5, 47, 50)
        assert shown(progress) == "125/250 done, 49 unbroken, 50 s left"
        clock[0] += 10
        progress.finished([UNBROKEN] * 50)
        assert shown(progress) == "150/250 done, 27 unbroken, 40 s left"
        progress.finished([LINE] * 100)
        assert shown(progress) == "250/250 done, 27 unbroken"


def test_what_other_workers_have_begun_still_counts_when_a_shard_lands(clock):
    """Two shards, both half done, then one of them done: 75 of 200 images."""
    with Progress(quiet=True) as progress:
        progress.started([], 200)
        clock[0] += 30
        progress.working(0.75, 9, 100)
        progress.finished([LINE] * 50)
        assert shown(progress) == "75/200 done, 0 unbroken, 50 s left"
        progress.working(0.5, 5, 50)
        assert shown(progress) == "75/200 done, 5 unbroken, 50 s left"


def test_the_bar_fits_a_terminal_of_80_characters(clock):
    screen = io.StringIO()
    progress = Progress(quiet=False)
    progress.console = progress.bar.live.console = Console(file=screen, force_terminal=True, width=80)
    progress.bar.disable = False
    with progress:
        progress.started([LINE] * 100, 10_000)
        clock[0] += 10
        progress.working(0.5, 47, 50)
        progress.bar.refresh()
    assert "125/10000 done, 47 unbroken, 65.8 min left\n" in screen.getvalue()  # not cut, and nothing behind it
