"""Pieces of somebody's text in our own sentences."""

from __future__ import annotations

import posixpath
import re

_USER = re.compile(r"(\w://)[^/@\s'\"]*@")


def clean_name(script: str) -> str:
    """Make a job name of a script's stem: letters, digits and `._-`, starting with a letter or digit."""
    stem = posixpath.basename(script).rsplit(".", 1)[0] or posixpath.basename(script)
    return re.sub(r"[^\w.-]+", "-", stem, flags=re.ASCII).strip("-._")[:64] or "job"


def writable(text: str) -> str:
    """Return a text that UTF-8 can write: a lone surrogate, legal in a program's texts, becomes a question mark."""
    return text.encode("utf-8", "replace").decode()


def without_secrets(text: str) -> str:
    """Return a text in which addresses name no user and no password."""
    return _USER.sub(r"\1…@", text)


def shown(text: str, longest: int = 80) -> str:
    """Quote a piece of somebody's text for a sentence: no control characters, not too long."""
    return repr(text if len(text) <= longest else f"{text[: longest - 1]}…")
