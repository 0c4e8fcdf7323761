"""The engines: the same record from each, and what becomes of workers that are lost, hang or cannot go on."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from records_for_tables import header
from refused import refused

import bench
import bench.engines.pool
from bench.engines import Done, EngineOptions, Failed, Task, make_engine
from bench.engines.pool import Event, Pool
from bench.engines.processes import Processes, _answer, serve
from bench.engines.ray import Actors
from bench.engines.session import Order, Result, Session, portable
from bench.errors import UserError, WorkerError
from bench.plan.plan import plan
from bench.plan.request import Request
from bench.records.header import Header
from bench.registry.tables import make_registry
from bench.run.job import Job
from bench.run.local import Local
from bench.run.runner import Flights, Options, record_path, run

QUICK = {"attacks": {"steps": 2, "losses": ("cw",)}}


class Listener:
    def __init__(self):
        self.shards, self.shares, self.begun = [], [], None

    def started(self, lines, total):
        self.begun = (len(lines), total)

    def working(self, done, standing, images):
        self.shares.append((done, standing, images))

    def finished(self, lines):
        self.shards.append([line.id for line in lines])


def comparable(path):
    """Every file of a record as bytes, but for timings, memory and environments."""
    files = {file.relative_to(path).as_posix(): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}
    files["samples.jsonl"] = re.sub(rb'"(seconds|memory)":[0-9.e-]+|"environment":"\w+"', b"", files["samples.jsonl"])
    files["run.json"] = re.sub(rb'"environments": \{.*?\n \}', b"", files["run.json"], flags=re.DOTALL)
    files["SHA256SUMS"] = re.sub(rb"\w+  (samples.jsonl|run.json)", b"", files["SHA256SUMS"])
    return files


def planned(**request):
    return plan(Request(**({"defense": "tweedie", "arguments": QUICK} | request)), make_registry())


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """The record of 120 images, made here."""
    folder, parts = tmp_path_factory.mktemp("calm"), planned()
    run(parts, Options(samples=120, results=folder, device="cpu"), Listener())
    return comparable(record_path(parts, folder))


@pytest.fixture(scope="module")
def two_processes():
    with make_engine(EngineOptions(workers=2, devices=("cpu",)), make_registry()) as engine:
        yield engine


def test_two_processes_make_the_record_of_one(two_processes, calm, tmp_path):
    parts, listener = planned(), Listener()
    summary = run(parts, Options(samples=120, results=tmp_path), listener, two_processes)
    assert comparable(record_path(parts, tmp_path)) == calm
    assert (summary["n"], summary["status"], listener.begun) == (120, "complete", (0, 120))
    assert sorted(len(shard) for shard in listener.shards) == [20, 50, 50]
    assert all(0 <= done <= 1 and standing <= images for done, standing, images in listener.shares)


MEETING = """
import time
from pathlib import Path

from attacks.pgd import pgd
from bench.pace import Work


def meeting(model, x, y, threat, noise, *, folder: str):
    \"""Ends no shard before two have told of themselves.\"""
    model.advance(Work(evaluations=1), len(x))
    (Path(folder) / str(int(noise.ids[0]))).touch()
    while len(list(Path(folder).iterdir())) < 2:
        time.sleep(0.01)
    return x


def waiting(model, x, y, threat, noise, *, file: str):
    \"""Ends no shard before the file exists.\"""
    model.advance(Work(evaluations=1), len(x))
    while not Path(file).exists():
        time.sleep(0.01)
    return pgd(model, x, y, threat, noise, steps=2, losses=("cw",))
"""


def test_shards_that_are_made_at_once_are_told_as_one(two_processes, tmp_path):
    """However busy the machine is: an attack that waits for the other shard."""
    (tmp_path / "meeting.py").write_text(MEETING)
    (tmp_path / "here").mkdir()
    attack, listener = f"{tmp_path / 'meeting.py'}:meeting", Listener()
    parts = planned(attack=attack, arguments={"attacks": {"folder": str(tmp_path / "here")}})
    run(parts, Options(samples=120, results=tmp_path / "results"), listener, two_processes)
    assert max(images for _, _, images in listener.shares) > 50
    assert all(0 <= done <= 1 and standing <= images for done, standing, images in listener.shares)


def test_tasks_that_fly_at_once_are_told_as_one():
    listener, first, second = Listener(), object(), object()
    flights = Flights(listener)
    flights.working(first, 0.5, 40, 50)
    flights.working(second, 0.25, 20, 20)
    flights.landed(first)
    flights.working(second, 0.5, 10, 20)
    assert listener.shares == [(0.5, 40, 50), (pytest.approx(30 / 70), 60, 70), (0.5, 10, 20)]


class Counting(Processes):
    """Processes that remember which of them were replaced."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.renewed = []

    def renew(self, worker):
        self.renewed.append(worker)
        super().renew(worker)


class Killer(Listener):
    """Kills a worker as soon as its shard goes on, once."""

    def __init__(self, kill):
        super().__init__()
        self.kill = kill

    def working(self, done, standing, images):
        super().working(done, standing, images)
        kill, self.kill = self.kill, None
        if kill:
            kill()


def test_a_killed_worker_costs_its_shard_only(calm, tmp_path):
    parts, crew = planned(), Counting(2, make_registry())
    killer = Killer(lambda: os.kill(crew.staff[0][0].pid, signal.SIGKILL))
    with Pool(crew, ("cpu",), None) as engine:
        run(parts, Options(samples=120, results=tmp_path), killer, engine)
    assert crew.renewed == [0]
    assert comparable(record_path(parts, tmp_path)) == calm


PARTS = """
import time
from pathlib import Path

class Hangs:
    deterministic = True

    def __init__(self, *, until: str = ""):
        self.until = until

    def purify(self, x, noise):
        if len(x) > 4 and not (self.until and Path(self.until).exists()):
            if self.until:
                Path(self.until).touch()
            time.sleep(600)
        return x

class Odd(Hangs):
    def purify(self, x, noise):
        if len(x) > 4:
            raise KeyError("odd")
        return x

def hangs(model, x, y, threat, noise):
    time.sleep(600)

def dies(model, x, y, threat, noise):
    import os
    os._exit(7)
"""


@pytest.fixture
def parts_file(tmp_path):
    file = tmp_path / "parts.py"
    file.write_text(PARTS)
    return file


def small(defense, tmp_path, attack="null", workers=1, timeout=None, **arguments):
    parts = plan(Request(defense=defense, attack=attack, arguments={"defenses": arguments}), make_registry())
    options = EngineOptions(workers=workers, devices=("cpu",), shard_timeout=timeout)
    with make_engine(options, make_registry()) as engine:
        return run(parts, Options(samples=10, results=tmp_path / "r", batch_size=10), Listener(), engine)


class Watching(Counting):
    """Shortens the limit while a shard hangs: however slowly workers start, nothing else reaches it."""

    hung: Path
    pool: Pool

    def wait(self, seconds):
        self.pool.timeout = 0.5 if self.hung.exists() and not self.renewed else 600.0
        return super().wait(seconds)


def test_a_shard_that_hangs_is_given_to_a_fresh_worker(parts_file, tmp_path):
    crew = Watching(1, make_registry())
    crew.hung, arguments = tmp_path / "hung", {"defenses": {"until": str(tmp_path / "hung")}}
    parts = planned(defense=f"{parts_file}:Hangs", attack="null", arguments=arguments)
    with Pool(crew, ("cpu",), None) as crew.pool:
        summary = run(parts, Options(samples=10, results=tmp_path / "r", batch_size=10), Listener(), crew.pool)
    assert (summary["n"], crew.renewed) == (10, [0])
    assert make_engine(EngineOptions(devices=("cpu",), shard_timeout=7.0), make_registry()).timeout == 7


@pytest.mark.slow
def test_a_shard_that_always_hangs_ends_in_a_sentence(parts_file, tmp_path):
    with refused("worker-hung", kind=WorkerError, match="within 9 s, got none in 2 attempts"):
        small("none", tmp_path, attack=f"{parts_file}:hangs", timeout=9.0)


@pytest.mark.slow
def test_a_worker_that_always_dies_ends_in_a_sentence(parts_file, tmp_path):
    with refused("worker-lost", kind=WorkerError, match="shard 0 .*exit code 7"):
        small("none", tmp_path, attack=f"{parts_file}:dies", timeout=60.0)


@pytest.mark.slow
def test_errors_travel(parts_file, tmp_path):
    with refused("foreign-code-failed", match="KeyError: 'odd'"):
        small(f"{parts_file}:Odd", tmp_path, timeout=60.0)
    assert not list((tmp_path / "r").rglob("samples.jsonl"))


def test_an_order_that_fails_is_answered():
    session = Session(make_registry(), lambda *_: None)
    kind, error = _answer(session, order(planned(), None, run_id="123"))
    assert (kind, type(error)) == ("failed", WorkerError)
    kind, checks = _answer(session, order(planned(), None))
    assert (kind, checks["deterministic"]) == ("done", True)


def test_a_worker_without_a_driver_ends_quietly():
    ours, theirs = socket.socketpair()
    ours.close()
    before = signal.getsignal(signal.SIGINT)
    try:
        serve(theirs.detach())
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def ray_missing():
    return importlib.util.find_spec("ray") is None


@pytest.fixture(scope="module")
def on_ray():
    if ray_missing():
        pytest.skip("Ray is not installed: pip install 'purebench[ray]'")
    with make_engine(EngineOptions(name="ray", workers=2, devices=("cpu",)), make_registry()) as engine:
        yield engine


def test_ray_makes_the_record_of_one_process(on_ray, calm, tmp_path):
    parts, listener = planned(), Listener()
    run(parts, Options(samples=120, results=tmp_path), listener, on_ray)
    assert comparable(record_path(parts, tmp_path)) == calm
    assert len(listener.shards) == 3


def test_ray_repeats_the_shard_of_a_killed_worker(on_ray, tmp_path):
    """It is killed while all wait, and before any shard can end."""
    (tmp_path / "waiting.py").write_text(MEETING)
    file = tmp_path / "killed"
    parts = planned(attack=f"{tmp_path / 'waiting.py'}:waiting", arguments={"attacks": {"file": str(file)}})

    def kill():
        os.kill(ray_workers()[0], signal.SIGKILL)
        file.touch()

    listener = Killer(kill)
    run(parts, Options(samples=100, results=tmp_path / "ray"), listener, on_ray)
    run(parts, Options(samples=100, results=tmp_path / "calm", device="cpu"), Listener())
    assert listener.kill is None
    assert comparable(record_path(parts, tmp_path / "ray")) == comparable(record_path(parts, tmp_path / "calm"))


def ray_workers():
    """Numbers of the processes that run our actors."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"ray::RayWorker" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def test_ray_says_what_the_cluster_lacks():
    if ray_missing():
        pytest.skip("Ray is not installed: pip install 'purebench[ray]'")
    options = EngineOptions(name="ray", workers=1, gpus_per_worker=1.0)
    crew = Actors(options, make_registry())
    crew.gpus = 1.0

    class Cluster:
        @staticmethod
        def cluster_resources():
            return {"CPU": 4.0}

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "ray", Cluster)
        with refused("ray-resources"):
            crew._check_resources()


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with refused("ray-missing"):
        make_engine(EngineOptions(name="ray"), make_registry())


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"name": "slurm"}, "engine-unknown"),
        ({"workers": 0}, "engine-workers"),
        ({"shard_timeout": 0.0}, "engine-timeout"),
        (
            {"name": "ray", "gpus_per_worker": -1.0},
            "engine-gpus",
        ),
        ({"address": "auto"}, "ray-options-unused"),
        ({"name": "ray", "devices": ("cuda:0",)}, "ray-device"),
        ({"name": "ray", "devices": ("cuda", "cuda")}, "ray-device"),
    ],
)
def test_options_that_do_not_fit(options, code):
    with refused(code):
        EngineOptions(**options)


def test_one_worker_on_one_device_needs_no_other_process():
    assert isinstance(make_engine(EngineOptions(), make_registry()), Local)
    assert EngineOptions(devices=("cuda:0", "cuda:1")).count == 2


class Scripted:
    """A crew that answers at once, in the order of `answers`."""

    attempts = 2

    def __init__(self, size, answers):
        self.size, self.answers, self.sent, self.renewed, self.busy = size, list(answers), [], [], []

    def start(self):
        pass

    def stop(self):
        self.busy = []

    def send(self, worker, order):
        self.sent.append((worker, order.device, order.positions is None))
        self.busy.append(worker)

    def renew(self, worker):
        self.renewed.append(worker)
        self.busy.remove(worker) if worker in self.busy else None

    def wait(self, seconds):
        worker = self.busy.pop(0)
        kind, value = self.answers.pop(0)
        if kind == "working":
            self.busy.insert(0, worker)
        return [Event(worker, kind, value)]


class FakeJob:
    """What a pool needs of a job."""

    def __init__(self):
        self.plan, self.options, self.path = planned(), Options(device="cpu"), Path("r")
        self.record = type("Record", (), {"header": Header.of(header("r", "none", environments={}))})()


DONE = ("done", Result([], np.zeros(0), "e", {}))


def pool_of(size, *answers, devices=("cpu",)):
    crew = Scripted(size, answers)
    return Pool(crew, devices, None), crew, [Task(FakeJob(), shard, np.arange(2)) for shard in range(3)]


def test_a_pool_repeats_what_was_lost():
    pool, crew, tasks = pool_of(1, ("lost", "signal 9"), DONE, DONE, DONE)
    results = list(pool.execute(tasks, lambda *_: None))
    assert [result.task.shard for result in results] == [0, 1, 2]
    assert (crew.renewed, len(crew.sent)) == ([0], 4)


def test_a_pool_gives_up_what_is_lost_each_time_and_goes_on():
    pool, _, tasks = pool_of(1, ("lost", "a"), ("lost", "b"), DONE, DONE)
    first, *others = pool.execute(tasks, lambda *_: None)
    assert isinstance(first, Failed)
    assert "lost each time (b)" in str(first.error)
    assert [result.task.shard for result in others] == [1, 2]


def test_a_pool_gives_what_hangs_to_a_fresh_worker_and_then_up():
    pool, crew, tasks = pool_of(1, ("working", (0, 1, 1)), DONE, *[("working", (0, 1, 1))] * 2)
    pool.timeout = -1.0
    results = list(pool.execute(tasks[:2], lambda *_: None))
    assert [type(result) for result in results] == [Done, Failed]
    assert "shard 1 of run" in str(results[1].error)
    assert "got none in 2 attempts; raise --shard-timeout" in str(results[1].error)
    assert crew.renewed == [0, 0, 0]


def test_a_pool_takes_devices_in_turn_and_tasks_only_for_free_workers():
    pool, crew, tasks = pool_of(2, DONE, DONE, DONE, devices=("cuda:0", "cuda:1"))
    taken = []

    def coming():
        for task in tasks:
            taken.append(task.shard)
            yield task

    iterator = pool.execute(coming(), lambda *_: None)
    next(iterator)
    assert taken == [0, 1]
    list(iterator)
    assert [device for _, device, _ in crew.sent[:2]] == ["cuda:0", "cuda:1"]


def test_a_pool_asks_again_where_there_was_nothing(monkeypatch):
    pauses = []
    monkeypatch.setattr(bench.engines.pool.time, "sleep", pauses.append)
    pool, _, tasks = pool_of(1, DONE, DONE)
    results = list(pool.execute([tasks[0], None, None, tasks[1]], lambda *_: None))
    assert len(results) == 2
    assert len(pauses) == 2


def test_claims_are_told_while_others_work():
    pool, crew, tasks = pool_of(2, ("working", (0.5, 1, 2)), DONE, ("done", {"deterministic": True}), DONE)
    heard = []

    def coming():
        yield tasks[0]
        assert pool.claims(tasks[1].job.plan, tasks[1].job.options) == {"deterministic": True}
        yield tasks[1]

    assert len(list(pool.execute(coming(), lambda *words: heard.append(words)))) == 2
    assert heard == [(tasks[0], 0.5, 1, 2)]
    assert [claims for _, _, claims in crew.sent] == [False, True, False]


def test_without_a_limit_a_shard_has_ten_minutes_or_twenty_times_the_longest():
    pool, _, _ = pool_of(1)
    assert pool._patience() == float("inf")
    pool.longest = 1.0
    assert pool._patience() == 600
    pool.longest = 100.0
    assert pool._patience() == 2000
    pool.timeout = 3.0
    assert pool._patience() == 3


def order(parts, positions, **changes):
    values = {
        "request": parts.request, "run_id": parts.spec.run_id, "device": "cpu", "batch_size": 4, "mix": False,
        "path": Path("r"), "header": None, "positions": positions,
    }  # fmt: skip
    return Order(**{**values, **changes})


def test_a_session_loads_a_run_once():
    parts, session = planned(), Session(make_registry(), lambda *_: None)
    assert session(order(parts, None))["deterministic"] is True
    assert [line.id for line in session(order(parts, np.arange(2))).lines] == parts.dataset.ids[:2].tolist()
    assert session(order(parts, np.arange(2, 4))).environment["batch_size"] == 4
    assert session.loads == 1


def test_a_worker_with_other_weights_says_so():
    with refused("worker-plan-differs", kind=WorkerError):
        Session(make_registry(), lambda *_: None)(order(planned(), None, run_id="123"))


def test_a_record_does_not_go_on_under_another_torch_on_a_worker():
    there = {"device": "cpu", "torch": "0.1", "purebench": bench.__version__, "batch_size": 4}
    begun = Header.of(header("r", "none", environments={"e": there}))
    with refused("record-environment", match=r"torch 0\.1"):
        Session(make_registry(), lambda *_: None)(order(planned(), np.arange(2), header=begun))


def test_a_shard_from_a_worker_with_another_torch_is_not_stored(tmp_path):
    parts = planned()
    with Job(parts, Options(samples=60, results=tmp_path, device="cpu"), Local()) as job:
        first, second = Local().execute(job.tasks, lambda *_: None)
        job.store(first)
        other = replace(second, key="other", environment={**second.environment, "torch": "0.1"})
        with refused("record-environment", match=r"got 0\.1"):
            job.store(other)
        assert len(job.record.lines) == 50


def test_portable_errors():
    assert isinstance(portable(UserError("a")), UserError)
    strange = portable(KeyError("b"))
    assert type(strange) is WorkerError
    assert "unexpected KeyError in a worker: 'b'" in str(strange)
