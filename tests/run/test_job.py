"""When a new record's claims are measured, and what is left where they are refused."""

import pytest
from refused import refused

from bench.errors import BusyError, UserError
from bench.plan.plan import plan
from bench.plan.request import Request
from bench.records.held import Held
from bench.records.record import read_record
from bench.registry.tables import make_registry
from bench.run.job import Job, record_path
from bench.run.options import Options


class Asked:
    """An engine that only measures claims, by a function of the record's folder."""

    def __init__(self, claims):
        self.asked, self._claims = 0, claims

    def claims(self, plan, options):
        self.asked += 1
        return self._claims(record_path(plan, options.results))


@pytest.fixture(scope="module")
def planned():
    return plan(Request(defense="none", attack="null"), make_registry())


def held_and_empty(path):
    with refused("record-busy", kind=BusyError):
        Held(path)
    assert not (path / "run.json").exists()
    return {"deterministic": True}


def test_claims_are_measured_once_while_the_folder_is_held_and_before_the_header_is_written(planned, tmp_path):
    engine, options = Asked(held_and_empty), Options(samples=2, results=tmp_path)
    for _ in range(2):
        with Job(planned, options, engine) as job:
            assert job.writer.header.document["checks"] == {"deterministic": True}
    assert engine.asked == 1
    assert read_record(job.path).header.document["checks"] == {"deterministic": True}


def test_a_record_of_another_process_is_refused_before_anything_is_measured(planned, tmp_path):
    held = Held(record_path(planned, tmp_path))
    engine = Asked(lambda path: {})
    with refused("record-busy", kind=BusyError):
        Job(planned, Options(samples=2, results=tmp_path), engine)
    assert engine.asked == 0
    held.release()


@pytest.mark.parametrize("error", [UserError("refused"), KeyboardInterrupt(), ZeroDivisionError()])
def test_claims_that_are_refused_leave_no_files(error, planned, tmp_path):
    def refuse(path):
        raise error

    with pytest.raises(type(error)):
        Job(planned, Options(samples=2, results=tmp_path / "r"), Asked(refuse))
    assert [*(tmp_path / "r").rglob("*")] == []
