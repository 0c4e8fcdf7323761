"""What people see while a run is under way."""

import pytest

from bench.console.progress import Progress
from bench.records.lines import SampleRecord

LINE = SampleRecord(
    id=1, label=0, clean=[0], adversarial=[1], margin=[1.0], distance=0.0, cost={}, seconds=0.0, environment="e"
)


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand."""
    now = [100.0]
    monkeypatch.setattr("bench.console.progress.time.monotonic", lambda: now[0])
    return now


def shown(progress, field="left"):
    (task,) = progress.bar.tasks
    return task.fields[field]


def test_unbroken_images_are_counted_among_those_in_progress():
    """While 1 % of the first 100 images are robust, 47 of the next 50 may be unbroken: two figures of different images."""
    with Progress(quiet=False) as progress:
        progress.started([LINE] * 100, 250)
        progress.working(0.5, 47, 50)
    assert shown(progress, "images") == "100/250 done, 47 of 50 in progress unbroken"


def test_the_time_to_go_follows_the_images_since_the_start(clock):
    """100 of 250 images were done before: 25 in 10 s leave 125 for 50 s; a shard of 50 in 20 s leaves 100 for 40 s."""
    with Progress(quiet=True) as progress:
        progress.started([LINE] * 100, 250)
        assert shown(progress) == ""
        clock[0] += 10
        progress.working(0.5, 47, 50)
        assert shown(progress) == "50 s left"
        clock[0] += 10
        progress.finished([LINE] * 50)
        assert shown(progress) == "40 s left"
        progress.finished([LINE] * 100)
        assert shown(progress) == ""


def test_what_other_workers_have_begun_still_counts_when_a_shard_lands(clock):
    """Two shards, both half done, then one of them done: 75 of 200 images."""
    with Progress(quiet=True) as progress:
        progress.started([], 200)
        clock[0] += 30
        progress.working(0.75, 9, 100)
        progress.finished([LINE] * 50)
        assert shown(progress) == "50 s left"
        progress.working(0.5, 5, 50)
        assert shown(progress) == "50 s left"
