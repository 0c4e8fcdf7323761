"""The checks of an audit, one per file."""
