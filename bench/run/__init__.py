"""One run: its shards are attacked, scored and recorded, one line per image."""
