"""Training of the embedded networks and of `bench train`."""
