"""Reads a script or a project, never running it, and proposes environment, command and files."""
