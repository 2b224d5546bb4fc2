"""Tables as people have them, with a row per task and a column per parameter: CSV, TSV, or the first sheet of an XLSX.

Text is UTF-8, or UTF-16 where it says so itself; its separator is a comma, a semicolon or a tab, whichever parts the
header; quotes are those of RFC 4180. Every refusal names the row and the column as a spreadsheet would show them.
"""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.workbooks import looks_like_workbook, workbook_rows
from cluster_interface.model.errors import Rejected
from cluster_interface.model.sweep import LONGEST_VALUE, MOST_TASKS, is_parameter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cluster_interface.model.sweep import Values

FIELD = "sweep.table"
MOST_COLUMNS = 200
SEPARATORS = ",;\t"
SUFFIXES = (".csv", ".tsv", ".xlsx")

_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def read_table(name: str, data: bytes | None, most: int = MOST_TASKS) -> list[Values]:
    """Return the rows of a table by the names of its columns, which its first line has.

    Raises Rejected, naming row and column, for whatever is no such table or has more than `most` rows.
    """
    lines = _lines(name, data)
    header = _header(name, lines)
    found: list[Values] = []
    for number, cells in lines:
        if len(found) == most:
            raise Rejected.field(FIELD, f"{name} has more than {most:,} rows; this site allows no more tasks in a job")
        found.append(_row(name, header, number, cells))
    if not found:
        raise Rejected.field(FIELD, f"{name} has a header but no rows: there would be no task")
    return found


def read_header(name: str, data: bytes) -> list[str]:
    """Return the names of a table's columns; Rejected as by `read_table`."""
    return _header(name, _lines(name, data))


def separator_of(header: str, name: str = "") -> str:
    """Choose the separator that parts a header into the most cells; of equals, the comma."""
    if name.lower().endswith(".tsv"):
        return "\t"
    return max(SEPARATORS, key=lambda separator: len(next(csv.reader([header], delimiter=separator), [])))


def _lines(name: str, data: bytes | None) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, with their numbers."""
    if data is None:
        raise Rejected.field(FIELD, f"{name} must be uploaded or written inline: it is read when the job is submitted")
    rows = _even(workbook_rows(name, data)) if looks_like_workbook(name, data) else _text_rows(name, data)
    return ((number, cells) for number, cells in enumerate(rows, 1) if any(cells))


def _even(rows: Iterator[list[str]]) -> Iterator[list[str]]:
    """Fill rows up to the first one's width: a workbook does not keep empty cells at the end of a row."""
    width = 0
    for row in rows:
        width = width or len(_trimmed(row))
        yield row + [""] * (width - len(row))


def _text_rows(name: str, data: bytes) -> Iterator[list[str]]:
    text = _decoded(name, data)
    first = next((line for line in text.splitlines() if line.strip()), "")
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=separator_of(first, name), strict=True, skipinitialspace=True)
    number = 0
    try:
        for number, cells in enumerate(reader, 1):  # noqa: B007 - the last one that was whole
            yield cells
    except csv.Error as error:
        words = "a quoted cell does not end" if "end of data" in str(error) else f"its quotes are amiss ({error})"
        raise Rejected.field(FIELD, f"{name}, row {number + 1}: {words}") from None


def _decoded(name: str, data: bytes) -> str:
    encoding = next((encoding for bom, encoding in _BOMS if data.startswith(bom)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        words = f"{name}, row {row}: this is not UTF-8; save the table as “CSV UTF-8”, or as XLSX"
        raise Rejected.field(FIELD, words) from None
    if "\0" in text:
        raise Rejected.field(FIELD, f"{name} is not a table: it has NULs in it. CSV, TSV and XLSX are understood")
    return text


def _header(name: str, lines: Iterable[tuple[int, list[str]]]) -> list[str]:
    number, cells = next(iter(lines), (1, []))
    names = _trimmed([cell.strip() for cell in cells])
    if not names:
        raise Rejected.field(FIELD, f"{name} is empty: its first row must name the parameters")
    if len(names) > MOST_COLUMNS:
        raise Rejected.field(FIELD, f"{name} has {len(names):,} columns; at most {MOST_COLUMNS} are understood")
    problems = list(_unfit(names))
    if problems:
        raise Rejected.field(FIELD, f"{name}, row {number}: {'; '.join(problems[:5])}")
    return names


def _unfit(names: Sequence[str]) -> Iterator[str]:
    seen: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if not name:
            yield f"column {number} has no name"
        elif not is_parameter(name):
            yield (
                f"column {number} is called {_cut(name)}, which cannot be a parameter's name; "
                f"call it for example {_fit(name)}"
            )
        elif name in seen:
            yield f"columns {seen[name]} and {number} are both called {name}; rename one"
        seen.setdefault(name, number)


def _row(name: str, header: Sequence[str], number: int, cells: list[str]) -> Values:
    cells = cells[: len(header)] + _trimmed(cells[len(header) :])
    if len(cells) != len(header):
        had = f"{len(cells)} {'cell' if len(cells) == 1 else 'cells'}"
        raise Rejected.field(FIELD, f"{name}, row {number}: it has {had}, the header {len(header)}")
    for column, value in zip(header, cells, strict=True):
        size = len(value.encode(errors="replace"))
        if size > LONGEST_VALUE:
            words = f"this value has {size:,} bytes; at most {LONGEST_VALUE:,} fit"
            raise Rejected.field(FIELD, f"{name}, row {number}, column {column}: {words}")
    return dict(zip(header, cells, strict=True))


def _trimmed(cells: list[str]) -> list[str]:
    """Leave out the empty cells at the end, which spreadsheets like to add."""
    last = max((number for number, cell in enumerate(cells, 1) if cell.strip()), default=0)
    return cells[:last]


def _fit(name: str) -> str:
    made = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")[:32] or "value"
    return f"p_{made}" if made[0].isdigit() else made


def _cut(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
