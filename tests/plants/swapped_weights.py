"""The classifier's weight file is another one than the record was made with, under the same name."""

import hashlib
import json

from safetensors.numpy import load_file, save_file

CAUGHT_BY = {"parts"}


def tamper(weights):
    arrays = load_file(weights)
    name = sorted(arrays)[0]
    arrays[name].flat[0] += 0.5
    save_file(arrays, weights)
    card = weights.with_suffix(".json")
    content = json.loads(card.read_text()) | {"sha256": hashlib.sha256(weights.read_bytes()).hexdigest()}
    card.write_text(json.dumps(content))
