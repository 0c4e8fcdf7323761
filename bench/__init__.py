"""purebench measures how robust an image classifier is when a purifier cleans its input first."""

__version__ = "0.1.0"
