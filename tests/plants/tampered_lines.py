"""An image that was broken is recorded as robust, margin and all, and the record is sealed again."""

import json

CAUGHT_BY = {"adversarial predictions", "margins"}


def tamper(path):
    file = path / "samples.jsonl"
    lines = [json.loads(text) for text in file.read_text().splitlines()]
    broken = next(line for line in lines if line["adversarial"] != [line["label"]])
    broken |= {"adversarial": [broken["label"]], "margin": [0.5]}
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
