"""Runtimes: what starts an image on a node."""
