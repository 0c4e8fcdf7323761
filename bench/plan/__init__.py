"""From a request to a run: names resolved, models loaded, the spec made."""
