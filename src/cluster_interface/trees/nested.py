"""JSON nested to any depth, without recursion.

`json.loads` gives up at about a thousand levels, which the original form of a file tree reaches at five hundred
directories. Texts and numbers are read by the standard library's own scanners.
"""

from __future__ import annotations

import json
import re
from typing import Any

_string: Any = vars(json.decoder)["scanstring"]  # which its stubs do not know
_SPACE = re.compile(r"[ \t\n\r]*")
_ATOM = re.compile(r"true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def loads(text: str) -> Any:
    """Read a JSON document; ValueError says where it is none."""
    try:
        return json.loads(text)
    except RecursionError:
        return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def read(self) -> Any:
        """Keep the containers that are open on a stack, each with the key its next value goes under."""
        top: list[Any] = []
        stack: list[tuple[Any, str | None]] = [(top, None)]
        while stack:
            container, key = stack.pop()
            value, opened = self._value()
            _put(container, key, value)
            stack.append((container, key))
            if opened and not self._closes(value):
                stack.append((value, self._key() if isinstance(value, dict) else None))
                continue
            while len(stack) > 1:  # what is complete, and whether another value follows in what holds it
                container, _ = stack.pop()
                if self._follows(container):
                    stack.append((container, self._key() if isinstance(container, dict) else None))
                    break
            else:
                break
        if self._peek():
            raise self._wrong("more than one value")
        return top[0]

    def _value(self) -> tuple[Any, bool]:
        sign = self._peek()
        if sign in ("{", "["):
            self._at += 1
            return ({} if sign == "{" else []), True
        if sign == '"':
            return self._string(), False
        atom = _ATOM.match(self._text, self._at)
        if not atom:
            raise self._wrong("a value is expected")
        self._at = atom.end()
        return json.loads(atom[0]), False

    def _string(self) -> str:
        text, self._at = _string(self._text, self._at + 1, True)
        return str(text)

    def _key(self) -> str:
        if self._peek() != '"':
            raise self._wrong("a name in quotes is expected")
        key = self._string()
        if self._peek() != ":":
            raise self._wrong("a colon is expected")
        self._at += 1
        return key

    def _closes(self, container: Any) -> bool:
        if self._peek() != ("}" if isinstance(container, dict) else "]"):
            return False
        self._at += 1
        return True

    def _follows(self, container: Any) -> bool:
        if self._closes(container):
            return False
        if self._peek() != ",":
            raise self._wrong("a comma is expected")
        self._at += 1
        return True

    def _peek(self) -> str:
        space = _SPACE.match(self._text, self._at)
        self._at = space.end() if space else self._at
        return self._text[self._at : self._at + 1]

    def _wrong(self, what: str) -> ValueError:
        return json.JSONDecodeError(what, self._text, self._at)


def _put(container: Any, key: str | None, value: Any) -> None:
    if isinstance(container, dict):
        container[key] = value
    else:
        container.append(value)
