"""Tables as people have them, with a row per task and a column per parameter."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from cluster_interface.model.sweep import Values

FIELD = "sweep.table"


def read_table(name: str, data: bytes | None) -> list[Values]:
    """Return the rows of a table by the names of its columns, which its first line has. Rejected in words."""
    if data is None:
        raise Rejected.field(FIELD, f"{name} must be uploaded or written inline: it is read when the job is submitted")
    lines = list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
