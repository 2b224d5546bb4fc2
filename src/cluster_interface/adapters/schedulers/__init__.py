"""Schedulers: argv and parsing."""
