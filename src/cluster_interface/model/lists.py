"""Lists as people write them: `1,2,5..8`, `0..1..0.25`, `n=1..10`."""

from __future__ import annotations

import csv
import re
from decimal import Decimal

from cluster_interface.model.errors import Rejected

MOST_VALUES = 1_000_000  #: of one range

_ASSIGNMENT = re.compile(r"([A-Za-z_]\w{0,63})=(.*)", re.DOTALL | re.ASCII)
_NUMBER = r"-?\d+(?:\.\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(?:\.\.({_NUMBER}))?")


def assignment(text: str) -> tuple[str, str] | None:
    """Part `name=values`; None if it is not of this form."""
    found = _ASSIGNMENT.fullmatch(text)
    return (found[1], found[2]) if found else None


def spread(text: str, field: str = "sweep") -> list[str]:
    """Write a list out; commas in double quotes are no separators. Rejected, naming `field`, for an endless range."""
    cells = next(csv.reader([text], skipinitialspace=True), [])
    return [value for cell in cells for value in _values(cell, field)]


def _values(cell: str, field: str) -> list[str]:
    found = _RANGE.fullmatch(cell)
    if not found:
        return [cell]
    first, last = Decimal(found[1]), Decimal(found[2])
    step = Decimal(found[3]) if found[3] else Decimal(1 if last >= first else -1)
    if step == 0 or (last - first) * step < 0:
        raise Rejected.field(field, f"{cell!r} never gets to its end; write for example 1..10 or 10..0..-2")
    count = int((last - first) / step) + 1
    if count > MOST_VALUES:
        raise Rejected.field(field, f"{cell!r} are {count:,} values; at most {MOST_VALUES:,} are taken")
    return [str(first + step * number) for number in range(count)]
