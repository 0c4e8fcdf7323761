"""One run: shards, attack, scores, lines."""
