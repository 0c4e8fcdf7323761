"""The regression gate: compares runs with a baseline, and reports every change."""
