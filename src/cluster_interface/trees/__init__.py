"""Walk, open, list, describe, create and check a file tree: on the server and on the user's own machine alike."""
