"""Reads Python from its syntax tree: imports, options, files; and the metadata that lies around it."""
