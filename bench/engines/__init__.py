"""Where shards are executed."""
