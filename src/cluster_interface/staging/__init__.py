"""Brings inputs into a job directory and outputs out of it: one module per kind of source, and the guard."""
