"""The parts of job.sh that come with the package."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources


@cache
def shipped(name: str) -> str:
    """Return a part of job.sh that comes with the package."""
    return (resources.files(__package__) / name).read_text()


def without_comments(text: str) -> str:
    """Return shell text without the lines that are comments."""
    return re.sub(r"^\s*#(?!!).*\n", "", text, flags=re.MULTILINE)
