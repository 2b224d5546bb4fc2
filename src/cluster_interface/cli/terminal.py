"""What a program prints, made harmless for a terminal.

A terminal obeys what it is shown: it can be told to set the clipboard, to retitle its window, to move the cursor
and overwrite what was there, or to show text in another order than it stands. Of all that only colours pass
(SGR, ECMA-48 8.3.117), with tabs, line ends and the carriage return that progress bars live on.
"""

from __future__ import annotations

import codecs
import re

LONGEST_SEQUENCE = 4096  #: characters of an unfinished control sequence that are waited for

#: ECMA-48: control strings (5.6), control sequences (5.4), escape sequences of two or more (ECMA-35 13.2)
_OPENED = r"(?:\x1b[P\]X^_]|[\x90\x98\x9d\x9e\x9f])[^\x00-\x08\x0a-\x1f\x7f-\x9f]*"
_STRING = _OPENED + r"(?:\x07|\x1b\\|\x9c|(?=[\x00-\x08\x0a-\x1f\x7f-\x9f])|\Z)"
_CSI = r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
_ESCAPE = r"\x1b[ -/]*[0-OQ-WYZ\\`-~]"
_SEQUENCE = re.compile(f"{_STRING}|{_CSI}|{_ESCAPE}")
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_UNFINISHED = re.compile(_OPENED + r"\x1b?\Z|(?:\x1b\[|\x9b)[0-?]*[ -/]*\Z|\x1b[ -/]*\Z")
#: controls but tab, line feed and carriage return; and what changes the order of text (Unicode UAX 9, 2)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_ANY_CONTROL = re.compile(f"[\\x00-\\x1f]|{_CONTROL.pattern}")
RESET = "\x1b[0m"


def plain(text: str) -> str:
    """Return a piece of text for one line of our own talk: no control character or sequence is left in it."""
    return _ANY_CONTROL.sub(" ", _SEQUENCE.sub("", text))


def harmless(text: str) -> str:
    """Return several lines of a program's text without their control sequences, colours included."""
    return _CONTROL.sub("", _SEQUENCE.sub("", text)).replace("\x1b", "").replace("\r", "")


class Filter:
    """Bytes of a log in, harmless text out, however they are cut into pieces."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._held = ""  #: a control sequence whose end is still to come
        self._coloured = False

    def feed(self, data: bytes) -> str:
        """Return what may be shown so far."""
        text = self._held + self._decoder.decode(data)
        unfinished = _UNFINISHED.search(text, max(0, len(text) - LONGEST_SEQUENCE))
        cut = unfinished.start() if unfinished else len(text)
        self._held = text[cut:]
        return self._clean(text[:cut])

    def end(self) -> str:
        """Return what is left at the end, with colours put back to normal."""
        rest = self._clean(self._held + self._decoder.decode(b"", final=True))
        self._held = ""
        return rest + (RESET if self._coloured else "")

    def _clean(self, text: str) -> str:
        parts = []
        position = 0
        for found in _SEQUENCE.finditer(text):
            parts.append(_remove(text[position : found.start()]))
            if _COLOUR.fullmatch(found[0]):
                parts.append(found[0])
                self._coloured = True
            position = found.end()
        parts.append(_remove(text[position:]))
        return "".join(parts)


def _remove(text: str) -> str:
    return _CONTROL.sub("", text).replace("\x1b", "")
