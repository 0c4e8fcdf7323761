"""The publication that a leaderboard shows for a purifier is one of the references in its docstring."""

import inspect
import re

import pytest

from bench.registry.tables import make_registry
from defenses import TABLE

REFERENCE = re.compile(
    r"^ *(?P<title>.+) \((?P<authors>[^()]+), (?P<year>\d{4})\)\n *(?P<url>https://\S+)$", re.MULTILINE
)


@pytest.mark.parametrize("name", TABLE)
def test_the_source_of_a_purifier_is_a_reference_of_its_docstring(name):
    found = make_registry().find("defenses", name)
    text = inspect.getdoc(found.load())
    references = [(one["authors"], int(one["year"]), one["url"], one["title"]) for one in REFERENCE.finditer(text)]
    source = found.entry.source
    if source is None:
        assert references == []
        return
    titles = [title for *who, title in references if who == [source.authors, source.year, source.url]]
    assert len(titles) == 1
    assert source.title.startswith(titles[0])  # a docstring may shorten it
    assert all(url.startswith("https://") for url in (source.url, source.code) if url)
