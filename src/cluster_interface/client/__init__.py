"""The Python API, over REST."""
