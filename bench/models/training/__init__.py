"""The recipes behind the embedded networks."""
