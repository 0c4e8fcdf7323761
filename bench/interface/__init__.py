"""The Python interface: functions that take names or objects, and what they return."""
