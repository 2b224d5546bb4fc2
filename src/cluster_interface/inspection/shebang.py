"""The first line of a script: which interpreter it asks for, and with which options."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

_LINE = re.compile(r"#!\s*([^\n]+)")
_SEPARATE = re.compile(r"-[a-z]*o|-W|-X")  # options whose value is a word of its own: bash -euo pipefail, python -W
_PLAIN_OPTION = re.compile(r"-[A-Za-z]+")


@dataclass(frozen=True)
class Shebang:
    """`#!/usr/bin/env -S python3 -u`: interpreter `python3`, options `-u`."""

    interpreter: str
    options: tuple[str, ...] = ()


def read_shebang(text: str) -> Shebang | None:
    """Read a script's first line; None where it names no interpreter."""
    found = _LINE.match(text)
    words = found[1].split() if found else []
    if words and posixpath.basename(words[0]) == "env":
        words = _without_env(words[1:])
    if not words:
        return None
    return Shebang(posixpath.basename(words[0]), _options(words[1:]))


def _without_env(words: list[str]) -> list[str]:
    while words and (words[0].startswith("-") or "=" in words[0]):
        words = words[1:]
    return words


def _options(words: list[str]) -> tuple[str, ...]:
    """Keep plain options (and the value of -o, -W, -X); stop at anything else."""
    kept: list[str] = []
    for word in words:
        value = kept and _SEPARATE.fullmatch(kept[-1]) and re.fullmatch(r"[\w.:=-]+", word)
        if not value and not _PLAIN_OPTION.fullmatch(word):
            break
        kept.append(word)
    return tuple(kept)
