"""Our own talk, all of it on stderr, and what a program prints, passed through: both on one screen."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING, Any, TextIO

import click

from cluster_interface.cli.terminal import Filter, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST_ROOM = 16  #: characters of a cell that is cut
_ON_SCREEN = threading.RLock()  # lines of several threads do not mix
_open_line = False  # a program's last line on the terminal has not ended yet


def say(text: str = "", *, colour: str | None = None, dim: bool = False, hang: int | None = None) -> None:
    """Print a line of our own to stderr; colours only where it is a terminal.

    What is longer than the terminal is wide goes on at column `hang`, if one is given: not for what people copy.
    """
    if hang is not None:
        text = within(text, hang, sys.stderr)
    global _open_line  # noqa: PLW0603 - there is one screen
    with _ON_SCREEN:
        if _open_line:
            click.echo(err=True)
            _open_line = False
        click.echo(click.style(text, fg=colour, dim=dim or None) if colour or dim else text, err=True)


def within(text: str, hang: int, stream: TextIO) -> str:
    """Break a sentence at the width of the terminal, further lines indented by `hang`; in a pipe it stays one line."""
    columns = shutil.get_terminal_size().columns
    if not stream.isatty() or len(text) <= columns or columns < 2 * hang:
        return text
    return textwrap.fill(
        text, columns, subsequent_indent=" " * hang, break_long_words=False, break_on_hyphens=False,
        drop_whitespace=True, replace_whitespace=False,
    )  # fmt: skip


def print_json(document: Any) -> None:
    """Print JSON to stdout; escaped on a terminal, which must not obey what is in it."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=sys.stdout.isatty()))


class Sink:
    """Where a program's output goes: byte for byte into a pipe or a file, made harmless on a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._filter = Filter() if stream.isatty() else None
        self.gone = False  #: whoever read it has gone

    def write(self, data: bytes) -> None:
        """Pass a piece on at once."""
        if self._filter is None:
            self._put(data)
        else:
            self._show(self._filter.feed(data))

    def end(self) -> None:
        """Pass on what is left, with colours put back to normal."""
        if self._filter is not None:
            self._show(self._filter.end())

    def _show(self, text: str) -> None:
        global _open_line  # noqa: PLW0603 - there is one screen
        with _ON_SCREEN:
            self._put(text.encode(self._stream.encoding or "utf-8", errors="replace"))
            if text:
                _open_line = not text.endswith("\n")

    def _put(self, data: bytes) -> None:
        if self.gone:
            return
        try:
            self._stream.flush()
            self._stream.buffer.write(data)
            self._stream.buffer.flush()
        except BrokenPipeError:  # its reader has seen enough; the job goes on
            self.gone = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())


def print_table(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    colours: Sequence[str | None] = (),
    *,
    cut: bool = False,
    none: str = "",
) -> None:
    """Print a table to stdout: drawn on a terminal, its cells parted by tabs in a pipe.

    `colours` are those of the rows' second column, where the state stands. With `cut` each row is one line on a
    terminal, its last cell as long as there is room. `none` is what a terminal shows instead of an empty table.
    """
    if not rows and sys.stdout.isatty():
        click.echo(none or "none")
        return
    rows = [[plain(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(row))
        return
    from rich.console import Console  # noqa: PLC0415 - 60 ms, only for those who look at a table
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in titles:
        table.add_column(title, overflow="fold")
    if cut:
        rows = _cut(titles, rows, shutil.get_terminal_size().columns)
    for number, row in enumerate(rows):
        style = colours[number] if number < len(colours) else None
        table.add_row(*(Text(cell, style=style or "" if at == 1 else "") for at, cell in enumerate(row)))
    Console().print(table)


def _cut(titles: Sequence[str], rows: Sequence[Sequence[str]], columns: int) -> list[Sequence[str]]:
    """Cut the last cells to the room that the others leave; where that is too little, they stay."""
    from rich.cells import cell_len, set_cell_size  # noqa: PLC0415 - beside the table that is drawn

    others = zip(titles, *rows, strict=True)
    room = columns - sum(max(map(cell_len, column)) + 2 for column in list(others)[:-1])
    if room < LEAST_ROOM:
        return [*rows]
    return [
        [*row[:-1], row[-1] if cell_len(row[-1]) <= room else f"{set_cell_size(row[-1], room - 1)}…"] for row in rows
    ]


def ago(at: float, now: float | None = None) -> str:
    """Say how long ago a time (seconds since 1970) was: `3 min ago`."""
    seconds = max(0.0, (time.time() if now is None else now) - at)
    for size, word in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {word} ago"
    return f"{int(seconds)} s ago" if seconds >= 1 else "now"
