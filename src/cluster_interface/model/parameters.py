"""The lists beside job.sh: which tasks an element runs, and the parameters of each task, as text for a shell."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from cluster_interface.model.placeholders import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_LINE_BREAK = "'\"$nl\"'"  # out of the quotes, a variable that holds it, and in again


def element_lines(elements: Iterable[Sequence[int]]) -> str:
    """Write one line per element: the numbers of its tasks."""
    return "".join(" ".join(map(str, tasks)) + "\n" for tasks in elements)


def parameter_lines(rows: Iterable[Mapping[str, str]]) -> str:
    """Write one line per task: assignments that a shell, with a line break in $nl, evaluates to these values."""
    return "".join(" ".join(_assignment(name, value) for name, value in row.items()) + "\n" for row in rows)


def _assignment(name: str, value: str) -> str:
    quoted = shlex.quote(value).replace("\n", _LINE_BREAK)
    return f"{PREFIX}{name}={quoted}"
