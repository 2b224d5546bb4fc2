"""Environment -> lock -> base + layer -> image: the content-addressed store and its faces."""
