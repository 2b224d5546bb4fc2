"""The indices of an array job.

sbatch(1), --array: `1,3-7`, `0-15:4`, `%4` at the end for the most that run at once, all in any order and once each.
qsub(1) of Grid Engine, -t: `n[-m[:s]]`. PBS Professional, -J: `n-m[:s][%max]`. Torque, -t: as Slurm without steps.
"""

from __future__ import annotations

import re

from cluster_interface.inspection.wording import shown
from cluster_interface.model.sweep import MOST_TASKS

_WHOLE = re.compile(r"([^%]*)(?:%(\d{1,9}))?")
_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9})(?::(\d{1,9}))?)?")


def parse_array(text: str) -> tuple[tuple[int, ...], int | None]:
    """Return the indices, rising and once each, and the most that run at once; ValueError says what is wrong."""
    found = _WHOLE.fullmatch(text)
    inside = found[1].removeprefix("[").removesuffix("]") if found else ""
    indices: set[int] = set()
    for part in inside.split(","):
        indices |= set(_range(part.strip(), text))
        if len(indices) > MOST_TASKS:
            raise ValueError(_many(text))
    most = int(found[2]) if found and found[2] else None
    return tuple(sorted(indices)), most or None


def _range(part: str, whole: str) -> range:
    found = _RANGE.fullmatch(part)
    if not found:
        raise ValueError(f"{shown(whole)} is not an array; write for example 1-10, 1-9:2 or 1,5,7-9")
    first, last, step = int(found[1]), int(found[2] or found[1]), int(found[3] or 1)
    if last < first:
        raise ValueError(f"{shown(whole)} ends before it begins; write the smaller index first")
    if not step:
        raise ValueError(f"{shown(whole)} has a step of 0; write a step of 1 or more")
    if (last - first) // step >= MOST_TASKS:
        raise ValueError(_many(whole))
    return range(first, last + 1, step)


def _many(text: str) -> str:
    return f"{shown(text)} has more than {MOST_TASKS:,} tasks; make several jobs of it"
