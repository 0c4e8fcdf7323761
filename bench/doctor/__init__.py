"""What is installed, what clashes, how fast the machine is."""
