"""Moves jobs from state to state: claim, step, apply."""
