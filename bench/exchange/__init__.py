"""Records to and from other people."""
