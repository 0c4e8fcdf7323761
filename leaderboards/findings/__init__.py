"""Tables behind docs/findings.md."""
