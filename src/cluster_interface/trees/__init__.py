"""Walks, creates and checks a file tree in a directory: on the server and on the user's own machine alike."""
