"""Records that somebody changed, and sealed again."""

import json

from bench.records.writer import RecordWriter


def reseal(path):
    with RecordWriter(path, json.loads((path / "run.json").read_text())) as writer:
        writer.seal()


def change_line(path, place, **values):
    """Changes values of one line of a record; the line as it is now."""
    file = path / "samples.jsonl"
    lines = [json.loads(text) for text in file.read_text().splitlines()]
    lines[place] |= values
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    reseal(path)
    return lines[place]
