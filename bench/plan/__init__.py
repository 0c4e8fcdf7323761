"""From a request to a plan: names resolved, models loaded, the spec made."""
