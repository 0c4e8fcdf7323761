"""The machine: devices, memory, environment, signals."""
