"""The cheap checks of every run: what a defense claims and what its number needs, each as data, one noun a file."""
