"""Reads sh and bash scripts word by word: what they call, read and write."""
