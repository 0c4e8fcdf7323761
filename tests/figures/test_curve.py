"""Security curves: the worst so far over growing balls, by hand."""

from __future__ import annotations

import pytest
from refused import refused

from bench.figures.curve import curve
from bench.records.lines import SampleRecord
from bench.threat import ThreatModel, parse_threats


def line(sample, *adversarial):
    return SampleRecord(
        id=sample, label=1, clean=[1] * len(adversarial), adversarial=list(adversarial), margin=[0.0], distance=0.0,
        cost={}, seconds=0.0, environment="e",
    )  # fmt: skip


def run(text, *lines):
    return ThreatModel.parse(text), text, lines


def test_threats_are_read_smallest_first_and_by_norm():
    threats = parse_threats("linf:8/255, l2:1,linf:4/255,l2:0.5")
    assert list(map(str, threats)) == ["l2:0.5", "l2:1", "linf:4/255", "linf:8/255"]


@pytest.mark.parametrize(
    "text", ["linf:8/255,linf:8/255", "linf:8/255,linf:16/510", ",".join(f"l2:{k}" for k in range(1, 52))]
)
def test_a_threat_named_twice_and_too_many_are_refused(text):
    with refused("threat-list"):
        parse_threats(text)


def test_an_image_broken_at_a_smaller_radius_is_broken_at_a_larger_one():
    """Image 2 falls at 4/255, though the attack at 8/255 misses it; image 3 falls at 8/255."""
    points = curve(
        [run("linf:8/255", line(1, 1), line(2, 1), line(3, 0)), run("linf:4/255", line(1, 1), line(2, 0), line(3, 1))]
    )
    assert [str(point.threat) for point in points] == ["linf:4/255", "linf:8/255"]
    assert [point.robust.successes for point in points] == [2, 2]
    assert [point.worst.successes for point in points] == [2, 1]


def test_shares_of_draws_take_the_smallest_share():
    points = curve([run("l2:1", line(1, 1, 0), line(2, 1, 1)), run("l2:2", line(1, 1, 1), line(2, 0, 1))])
    assert [point.worst.value for point in points] == [0.75, 0.5]


def test_norms_have_curves_of_their_own_and_all_their_points_the_same_images():
    """Image 2 is missing at l2:2, so that it counts at no radius: with it the curve would rise from 1/2 to 1."""
    points = curve(
        [
            run("linf:8/255", line(1, 1)),
            run("l2:1", line(1, 1), line(2, 0)),
            run("l2:2", line(1, 1), line(3, 1)),
            run("l2:3", line(1, 1), line(2, 1)),
        ]
    )
    assert [(str(point.threat), point.n, point.worst.value, point.robust.value) for point in points] == [
        ("l2:1", 1, 1.0, 0.5),
        ("l2:2", 1, 1.0, 1.0),
        ("l2:3", 1, 1.0, 1.0),
        ("linf:8/255", 1, 1.0, 1.0),
    ]
    assert points[1].as_dict()["robust"]["n"] == 2
