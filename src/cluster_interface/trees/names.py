"""File names as text that survives JSON, and back.

Linux allows any bytes in a name. Those that are not UTF-8 reach Python as lone surrogates (PEP 383), which no
JSON document may hold; here each such byte becomes the sign U+201B and two hexadecimal digits, and a U+201B that
is in the name itself is doubled. rclone does the same (https://rclone.org/overview/#invalid-utf8).
"""

from __future__ import annotations

import re

QUOTE = "\N{SINGLE HIGH-REVERSED-9 QUOTATION MARK}"

_ODD = re.compile(f"[\udc80-\udcff{QUOTE}]")
_QUOTED = re.compile(f"{QUOTE}({QUOTE}|[89A-F][0-9A-F])")


def portable(name: str) -> str:
    """Return a name as the operating system gave it in a form that is valid Unicode."""
    if name.isascii():
        return name  # as nearly all are
    return _ODD.sub(lambda found: QUOTE * 2 if found[0] == QUOTE else f"{QUOTE}{ord(found[0]) - 0xDC00:02X}", name)


def native(name: str) -> str:
    """Return the operating system's name for a portable one."""
    return _QUOTED.sub(lambda found: QUOTE if found[1] == QUOTE else chr(0xDC00 + int(found[1], 16)), name)
