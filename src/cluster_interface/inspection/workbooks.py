"""The first sheet of an XLSX workbook as rows of text, read from somebody else's bytes within bounds.

ECMA-376: a zip of XML parts. Rows are read one at a time, so that a sheet which claims to have a million of them
costs nothing before they are asked for; what would unpack to too much is not unpacked.
"""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator

FIELD = "sweep.table"
MOST_UNPACKED = 256 * 2**20  #: bytes of sheets and strings
MOST_LOOKED_AT = 64 * 2**20  #: the same, for a look at a workbook
MOST_SHEETS = 20
MOST_OTHER = 8 * 2**20  #: bytes of any other part that is read whole

_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # [MS-CFB] 2.2: encrypted workbooks, and those of before 2007


def looks_like_workbook(name: str, data: bytes) -> bool:
    """Say whether this is meant to be a workbook, by its first bytes or its name."""
    return data.startswith((_ZIP, _OLE)) or name.lower().endswith((".xlsx", ".xlsm", ".xls"))


def workbook_rows(name: str, data: bytes) -> Iterator[list[str]]:
    """Yield the rows of the first sheet, formulas by the value that was last computed; Rejected in words."""
    _check(name, data)
    try:
        for row in _sheet(data).iter_rows():
            yield [_text(name, data, cell) for cell in row]
    except Rejected:
        raise
    except Exception as error:  # noqa: BLE001 - a broken file breaks in every way there is
        raise Rejected.field(FIELD, f"{name} is not a workbook that can be read: it is broken ({error})") from None


def sheets(name: str, data: bytes) -> Iterator[tuple[str, Iterator[list[str]]]]:
    """Yield title and rows of every sheet as they are, for looking at; Rejected for what is no workbook."""
    _check(name, data, MOST_LOOKED_AT)
    try:
        for sheet in _book(data).worksheets[:MOST_SHEETS]:
            sheet.reset_dimensions()
            yield sheet.title, ([as_written(cell.value) for cell in row] for row in sheet.iter_rows())
    except Exception as error:  # noqa: BLE001 - as above
        raise Rejected.field(FIELD, f"{name} is not a workbook that can be read: it is broken ({error})") from None


def _check(name: str, data: bytes, most: int = MOST_UNPACKED) -> None:
    if data.startswith(_OLE):
        words = f"{name} is encrypted, or of before 2007; save it as XLSX without a password, or as CSV"
        raise Rejected.field(FIELD, words)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        raise Rejected.field(FIELD, f"{name} is not a workbook: save it as XLSX or CSV") from None
    if not any(part.filename == "[Content_Types].xml" for part in parts):
        raise Rejected.field(FIELD, f"{name} is a zip archive, but not a workbook: save it as XLSX or CSV")
    parts_of_sheets = [part for part in parts if part.filename.startswith(("xl/worksheets/", "xl/sharedStrings"))]
    others = [part for part in parts if part not in parts_of_sheets and part.filename.endswith((".xml", ".rels"))]
    largest = max((part.file_size for part in others), default=0)
    if sum(part.file_size for part in parts_of_sheets) > most or largest > MOST_OTHER:
        raise Rejected.field(FIELD, f"{name} unpacks to more than a table of parameters can need; save it as CSV")


def _sheet(data: bytes, *, values: bool = True) -> Any:
    sheet: Any = _book(data, values=values).worksheets[0]
    sheet.reset_dimensions()  # what a file says of its own size is not to be relied on
    return sheet


def _book(data: bytes, *, values: bool = True) -> Any:
    from openpyxl import load_workbook  # noqa: PLC0415 - 150 ms, only for those who have a workbook

    return load_workbook(io.BytesIO(data), read_only=True, data_only=values, keep_links=False)


def _text(name: str, data: bytes, cell: Any) -> str:
    if cell.data_type == "e":
        raise Rejected.field(FIELD, f"{name}, {_where(cell)}: the formula has the error {cell.value}")
    if cell.value is None and hasattr(cell, "row") and (cell.row, cell.column) in _formulas(data):
        words = "the formula has not been computed; open the table in a spreadsheet program and save it again"
        raise Rejected.field(FIELD, f"{name}, {_where(cell)}: {words}")
    return as_written(cell.value)


def _where(cell: Any) -> str:
    return f"row {cell.row}, column {cell.column_letter}"


@lru_cache(maxsize=1)
def _formulas(data: bytes) -> frozenset[tuple[int, int]]:
    """Find the cells with formulas: looked at only where a cell is there and has no value."""
    cells = (cell for row in _sheet(data, values=False).iter_rows() for cell in row)
    return frozenset((cell.row, cell.column) for cell in cells if cell.data_type == "f")


def as_written(value: object) -> str:
    """Write a cell as a person would: 3 and not 3.0, dates by ISO 8601."""
    match value:
        case None:
            text = ""
        case bool():
            text = "true" if value else "false"
        case float():
            text = str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
        case dt.datetime():
            text = value.date().isoformat() if value.time() == dt.time() else value.isoformat()
        case dt.date() | dt.time():
            text = value.isoformat()
        case dt.timedelta():
            minutes, seconds = divmod(round(value.total_seconds()), 60)
            text = f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
        case _:
            text = str(value)
    return text
