"""Batch scripts: the directives of Slurm, Grid Engine and PBS, and what such scripts use of their batch system."""
