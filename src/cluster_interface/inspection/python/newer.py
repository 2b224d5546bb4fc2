"""Syntax of newer Pythons than the one that reads, written so that this one parses it too.

What Python 3.12 brought is taken out or simplified, line by line: type parameters and the `type` statement (PEP 695),
quotes and line breaks inside the braces of f-strings (PEP 701). Used only where a text cannot be parsed as it is.
"""

from __future__ import annotations

import re

NEEDS = "3.12"
DEEPEST = 20

_GENERIC = re.compile(r"^[ \t]*(?:(?:async[ \t]+)?def|class|type)[ \t]+\w+[ \t]*(?=\[)", re.MULTILINE)
_TYPE = re.compile(r"^([ \t]*)type[ \t]+(?=\w+[ \t]*=[^=])", re.MULTILINE)
_PIECE = re.compile(r"#[^\n]*|(?<![\w'\"])([A-Za-z]{0,2})('''|\"\"\"|'|\")")


def in_older_words(text: str) -> str:
    """Rewrite what needs Python 3.12; every line keeps its number."""
    return _TYPE.sub(r"\1", _without_parameters(_with_plain_fstrings(text)))


def _without_parameters(text: str) -> str:
    parts: list[str] = []
    done = 0
    for found in _GENERIC.finditer(text):
        if found.start() < done:
            continue
        end, depth = found.end(), 0
        while end < len(text):
            depth += {"[": 1, "]": -1}.get(text[end], 0)
            end += 1
            if depth == 0:
                break
        parts += [text[done : found.end()], _breaks(text[found.end() : end])]
        done = end
    return "".join([*parts, text[done:]])


def _breaks(text: str) -> str:
    """Keep the line breaks of what is taken out, escaped: it stood in brackets."""
    return "\\\n" * text.count("\n")


def _with_plain_fstrings(text: str) -> str:
    parts: list[str] = []
    place = 0
    while found := _PIECE.search(text, place):
        end, odd = found.end(), False
        if found[2]:
            end, odd = _end_of_string(text, found.end(), found[1].lower(), found[2], 0)
        parts.append(text[place : found.start()])
        piece = text[found.start() : end]
        parts.append(f"'''{chr(10) * piece.count(chr(10))}'''" if odd else piece)
        place = end
    return "".join([*parts, text[place:]])


def _end_of_string(text: str, place: int, prefix: str, quote: str, depth: int) -> tuple[int, bool]:
    """Return where a string ends, and whether it is an f-string as only newer Pythons have them."""
    odd, braces = False, 0
    while place < len(text):
        if not braces and text.startswith(quote, place):
            return place + len(quote), odd
        char = text[place]
        if (char == "\\" and "r" not in prefix and not braces) or (
            "f" in prefix and char in "{}" and not braces and text[place : place + 2] == char * 2
        ):
            place += 2
        elif "f" in prefix and char in "{}":
            braces = max(0, braces + (1 if char == "{" else -1))
            place += 1
        elif braces and char in "'\"" and depth < DEEPEST:
            inner = char * 3 if text.startswith(char * 3, place) else char
            odd = odd or inner[0] == quote[0]
            place, _ = _end_of_string(text, place + len(inner), _prefix(text, place), inner, depth + 1)
        else:
            odd = odd or (bool(braces) and (char in "\\#" or (char == "\n" and len(quote) == 1)))
            if char == "\n" and len(quote) == 1 and not braces:
                return place, odd
            place += 1
    return place, odd


def _prefix(text: str, place: int) -> str:
    found = re.search(r"(?<!\w)[A-Za-z]{1,2}$", text[max(0, place - 3) : place])
    return found[0].lower() if found else ""
