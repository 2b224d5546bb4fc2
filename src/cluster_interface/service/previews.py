"""What can be looked at of an output without fetching it: text, tables, notebooks; never markup, never run.

Everything here reads bytes that somebody else made: within bounds, and what is broken is a note, not an error.
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
import re
from typing import TYPE_CHECKING, Any, BinaryIO

from cluster_interface.inspection.workbooks import sheets
from cluster_interface.model.amounts import show_bytes
from cluster_interface.model.errors import Rejected
from cluster_interface.model.media import BEGINNING, is_text, media_type
from cluster_interface.wire import PreviewPart, PreviewView

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PIECE = 256 * 1024  #: bytes of text shown at once
MOST_ROWS, MOST_COLUMNS, LONGEST_CELL = 200, 50, 500
LARGEST_IMAGE = 20 * 2**20
LARGEST_PDF = 50 * 2**20
LARGEST_DOCUMENT = 8 * 2**20  #: of JSON, notebooks and workbooks, which are read whole
MOST_CELLS, MOST_PICTURES = 400, 4 * 2**20  #: of a notebook: parts, and bytes of its pictures
IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})  #: no SVG, which can act: that is text

_FROM_THE_END = (".log", ".out", ".err")
_SHEETS = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_OTHERS = (";", "\t", ",", "|")
_SEPARATORS = {"text/csv": ",", "text/tab-separated-values": "\t"}


def preview(name: str, file: BinaryIO, size: int, offset: int | None = None) -> PreviewView:
    """Show a file of `size` bytes. Text is shown from `offset` (negative: from the end); logs, unless said, the end."""
    kind = media_type(name, file.read(BEGINNING))
    if offset is None and kind in _SEPARATORS:
        return _table(kind, file, size)
    if offset is None and kind in IMAGES | {"application/pdf"}:
        return _picture(kind, size)
    if offset is None and size <= LARGEST_DOCUMENT and (whole := _DOCUMENTS.get(kind)):
        file.seek(0)
        try:
            return whole(name, kind, size, file.read(LARGEST_DOCUMENT))
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
            pass  # not what it is called: then it is shown as it is
        except Rejected as error:
            return PreviewView(kind="none", type=kind, size=size, note=error.problems[0].message)
    if not is_text(kind):
        return PreviewView(kind="none", type=kind, size=size, note="This kind of file is not shown here; download it.")
    if offset is None:
        offset = -PIECE if name.lower().endswith(_FROM_THE_END) else 0
    return _text(kind, file, size, offset)


def can_look(kind: str) -> bool:
    """Say whether there is something to see in a file of this media type (empty: not known, so there may be)."""
    return not kind or is_text(kind) or kind in IMAGES or kind in _DOCUMENTS or kind == "application/pdf"


def _picture(kind: str, size: int) -> PreviewView:
    most, shown = (LARGEST_PDF, "pdf") if kind == "application/pdf" else (LARGEST_IMAGE, "image")
    if size > most:
        words = f"It is larger than the {show_bytes(most)} that are shown here; download it."
        return PreviewView(kind="none", type=kind, size=size, note=words)
    return PreviewView.model_validate({"kind": shown, "type": kind, "size": size})


def _text(kind: str, file: BinaryIO, size: int, offset: int) -> PreviewView:
    start = max(0, size + offset) if offset < 0 else min(offset, size)
    file.seek(start)
    data = _whole_characters(file.read(PIECE))
    text = _decoded(data)
    return PreviewView(kind="text", type=kind, size=size, text=text, offset=start, length=len(data))


def _decoded(data: bytes) -> str:
    """Read text: UTF-8, or where most of what is no ASCII is not, the code page 1252 that older programs write."""
    text = data.decode(errors="replace")
    broken, foreign = text.count("\ufffd"), sum(char > "\x7f" for char in text)
    return data.decode("cp1252", errors="replace") if 2 * broken > foreign else text


def _whole_characters(data: bytes) -> bytes:
    """Drop what was cut of a UTF-8 character at the end of a piece: the next piece begins with it."""
    for cut in range(1, min(4, len(data)) + 1):
        lead = data[-cut]
        if lead >= 0xC0:  # the first byte of a character of 2, 3 or 4
            wanted = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
            return data[:-cut] if wanted > cut and len(data) > cut else data
        if lead < 0x80:
            break
    return data


def _table(kind: str, file: BinaryIO, size: int) -> PreviewView:
    file.seek(0)
    data = file.read(PIECE)
    if size > len(data):
        data = data[: data.rfind(b"\n") + 1] or data
    lines = io.StringIO(_decoded(data).removeprefix("\ufeff"), newline="")
    rows, more, width = _some(csv.reader(lines, delimiter=_separator(kind, lines.getvalue())))
    parts = [f"{len(rows) - 1} rows"] if more or size > len(data) else []
    parts += [f"{MOST_COLUMNS} of {width:,} columns"] if width > MOST_COLUMNS else []
    note = f"The first {' and '.join(parts)}." if parts else ""
    return PreviewView(kind="table", type=kind, size=size, rows=rows, note=note)


def _separator(kind: str, text: str) -> str:
    """Say what parts the cells: a comma, unless the first line has more of what others write, such as `;`."""
    first = re.sub(r'"[^"]*"', "", text.partition("\n")[0])
    usual = _SEPARATORS[kind]
    return max((usual, *_OTHERS), key=lambda one: (first.count(one), one == usual))


def _some(lines: Iterator[Sequence[str]]) -> tuple[tuple[tuple[str, ...], ...], bool, int]:
    """Take the first rows of a table, cut where they are too wide; say whether there are more, and how wide it is."""
    rows: list[tuple[str, ...]] = []
    width = 0
    try:
        for line in lines:
            if len(rows) > MOST_ROWS:
                return tuple(rows), True, width
            width = max(width, len(line))
            rows.append(tuple(_short(cell) for cell in line[:MOST_COLUMNS]))
    except csv.Error:
        return tuple(rows), True, width  # a cell that is longer than any should be
    return tuple(rows), False, width


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]}…"


def _workbook(name: str, kind: str, size: int, data: bytes) -> PreviewView:
    parts, more, wide = [], False, False
    for title, lines in sheets(name, data):
        rows, cut, width = _some(lines)
        more |= cut
        wide |= width > MOST_COLUMNS
        parts.append(PreviewPart(kind="sheet", text=title, rows=rows))
    said = [f"{MOST_ROWS} rows"] * more + [f"{MOST_COLUMNS} columns"] * wide
    note = f"The first {' and '.join(said)} of each sheet." if said else ""
    return PreviewView(kind="parts", type=kind, size=size, parts=tuple(parts), note=note)


def _json(_name: str, kind: str, size: int, data: bytes) -> PreviewView:
    text = json.dumps(json.loads(data), indent=2, ensure_ascii=False)
    if len(text) > PIECE:
        raise ValueError("too long to be laid out")  # it is shown piece by piece, as it is
    return PreviewView(kind="text", type=kind, size=size, text=text, length=size)


def _notebook(_name: str, kind: str, size: int, data: bytes) -> PreviewView:
    """Lay out a Jupyter notebook (nbformat 4): sources as text, outputs as text and pictures, HTML never."""
    room = MOST_PICTURES
    parts: list[PreviewPart] = []
    for cell in json.loads(data)["cells"]:
        code = cell["cell_type"] == "code"
        parts.append(PreviewPart(kind="code" if code else "markdown", text=_joined(cell["source"])))
        for output in cell.get("outputs", ()) if code else ():
            part = _output(output, room)
            room -= len(part.image)
            parts.append(part)
        if len(parts) >= MOST_CELLS:
            break
    note = f"The first {MOST_CELLS} parts." if len(parts) >= MOST_CELLS else ""
    return PreviewView(kind="parts", type=kind, size=size, parts=tuple(parts[:MOST_CELLS]), note=note)


def _markdown(_name: str, kind: str, size: int, data: bytes) -> PreviewView:
    if len(data) > PIECE:
        raise ValueError("too long to be laid out")  # it is shown piece by piece, as it is
    parts = (PreviewPart(kind="markdown", text=data.decode()),)
    return PreviewView(kind="parts", type=kind, size=size, parts=parts)


def _output(output: dict[str, Any], room: int) -> PreviewPart:
    if output["output_type"] == "stream":
        return PreviewPart(kind="output", text=_joined(output["text"]))
    if output["output_type"] == "error":
        return PreviewPart(kind="error", text="\n".join(map(str, output["traceback"])))
    data = output["data"]
    for kind in ("image/png", "image/jpeg"):
        if kind in data and (image := _image(kind, _joined(data[kind]), room)):
            return PreviewPart(kind="image", image=image, text=_joined(data.get("text/plain", "")))
    if "text/plain" in data:
        return PreviewPart(kind="output", text=_joined(data["text/plain"]))
    return PreviewPart(kind="note", text=f"Output of the kind {', '.join(map(str, data))[:200]}: not shown here.")


def _image(kind: str, encoded: str, room: int) -> str:
    """Return a picture as a data: URL if it is one and there is room for it; empty otherwise."""
    try:
        data = base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError):
        return ""
    if media_type("", data[:BEGINNING]) != kind or len(encoded) > room:
        return ""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _joined(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)


_DOCUMENTS = {
    "application/json": _json,
    "application/x-ipynb+json": _notebook,
    "text/markdown": _markdown,
    _SHEETS: _workbook,
}
