"""Programming languages other than Python and shell: one small module each, what they share in `language.py`."""
