"""The state of the installation, and the speed of the machine."""
