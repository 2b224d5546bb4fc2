"""Variables of an environment, as a spec, a site and a plan write them."""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_variables(value: dict[str, str]) -> dict[str, str]:
    """Return variables that every shell and every runtime takes, each on one line; ValueError names one that is not."""
    for name, text in value.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a variable")
        if any(c in text for c in "\0\r\n"):
            raise ValueError(f"the value of {name} has a line break in it")
    return value
