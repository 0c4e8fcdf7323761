"""The regression gate: are these runs still those of the baseline, and if not, what changed."""
