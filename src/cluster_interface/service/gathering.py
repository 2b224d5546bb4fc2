"""What many tasks left, as one table: their parameters and fates, or their own tables under each other.

The bytes of the tasks' tables stay as they are; each row only gets its task and parameters before it.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, BinaryIO

from cluster_interface.inspection.tables import separator_of
from cluster_interface.model.errors import NotFound, Rejected
from cluster_interface.model.patterns import matches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from cluster_interface.model.job import OutputFile, Task
    from cluster_interface.model.sweep import Values

    Open = Callable[[OutputFile], BinaryIO]
    Files = Callable[[], Iterable[tuple[OutputFile, Values]]]

TABLES = (".csv", ".tsv")
FATE = ("state", "exit_code", "seconds", "memory")  #: seconds, and bytes at most
LONGEST_HEADER = 2**20  #: bytes
PIECE = 2**16  #: bytes

_FIELD = "path"


def task_table(tasks: Iterable[Task]) -> Iterator[bytes]:
    """Yield a CSV with a row per task: its number, its parameters, how it ended, and what it took."""
    names: tuple[str, ...] | None = None
    for task in tasks:
        if names is None:
            names = tuple(task.parameters)  # every task of a job has the same
            fixed = ("task", *FATE)
            yield _line(["task", *(_apart(name, fixed) for name in names), *FATE], ",")
        yield _line([str(task.index), *(task.parameters.get(name, "") for name in names), *_fate(task)], ",")


def gather(files: Files, path: str, open_output: Open) -> Iterator[bytes]:
    """Return the tables of that name, or that match it as a pattern, as one.

    `files` is asked twice: all headers are looked at before a byte is sent. There may be very many, so none is kept.
    Raises NotFound if there is none, and Rejected if one is no table or its header is not the first one's.
    """

    def chosen() -> Iterator[tuple[OutputFile, Values]]:
        return (one for one in files() if one[0].path == path or matches(path, one[0].path))

    first, several = None, False
    for file, _ in chosen():
        if not file.path.lower().endswith(TABLES):
            words = f"{file.path} is no table: {' and '.join(TABLES)} are gathered; others are fetched one by one"
            raise Rejected.field(_FIELD, words)
        first = first or file
        several |= file.path != path
    if first is None:
        raise NotFound(f"no completed task has an output {path!r}")
    header = _common_header((file for file, _ in chosen()), open_output)
    return _buffered(_gathered(chosen(), first, header, open_output, several=several))


def _gathered(
    files: Iterable[tuple[OutputFile, Values]], first: OutputFile, header: bytes, open_output: Open, *, several: bool
) -> Iterator[bytes]:
    text = header.decode(errors="replace")
    separator = separator_of(text, first.path)
    own = next(csv.reader([text], delimiter=separator), [])
    names: tuple[str, ...] | None = None
    for file, values in files:
        if names is None:
            names = tuple(values)
            leading = [_apart(name, own) for name in ["task", *names, *(["file"] if several else [])]]
            yield _line(leading, separator).rstrip() + separator.encode() + header + b"\n"
        cells = [str(file.task), *(values.get(name, "") for name in names), *([file.path] if several else [])]
        with open_output(file) as stream:
            _header(stream)
            yield from _rows(stream, _line(cells, separator).removesuffix(b"\r\n") + separator.encode())


def _rows(stream: BinaryIO, before: bytes) -> Iterator[bytes]:
    """Yield what is left of a table, with `before` at the beginning of each row; quoted line breaks begin none."""
    fresh, quoted, piece = True, False, b"\n"
    while piece := stream.readline(PIECE):
        if fresh and not piece.strip():
            continue
        yield before + piece if fresh else piece
        quoted ^= piece.count(b'"') % 2 == 1
        fresh = piece.endswith(b"\n") and not quoted
    if not fresh:
        yield b"\n"


def _common_header(files: Iterable[OutputFile], open_output: Open) -> bytes:
    first, task = b"", -1
    for file in files:
        with open_output(file) as stream:
            header = _header(stream)
        if not header or b"\0" in header:
            raise Rejected.field(_FIELD, f"task {file.task}: {file.path} is empty or no table in UTF-8")
        if not first:
            first, task = header, file.task
        if header != first:
            was, other = (text[:200].decode(errors="replace") for text in (first, header))
            raise Rejected.field(
                _FIELD, f"{file.path}: the header is {other!r} in task {file.task}, but {was!r} in task {task}"
            )
    return first


def _header(stream: BinaryIO) -> bytes:
    header = stream.readline(LONGEST_HEADER)
    while header.count(b'"') % 2 and len(header) < LONGEST_HEADER and (more := stream.readline(LONGEST_HEADER)):
        header += more
    return header.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n")


def _buffered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    held = bytearray()
    for piece in pieces:
        held += piece
        if len(held) >= PIECE:
            yield bytes(held)
            held.clear()
    yield bytes(held)


def _apart(name: str, taken: Sequence[str]) -> str:
    """Keep a parameter's column apart from another one of its name."""
    return f"param_{name}" if name in taken else name


def _fate(task: Task) -> list[str]:
    ran = task.started is not None and task.ended is not None
    seconds = f"{(task.ended or 0) - (task.started or 0):.3f}" if ran else ""
    return [task.state.value, _number(task.exit_code), seconds, _number(task.peak_memory)]


def _number(value: int | None) -> str:
    return "" if value is None else str(value)


def _line(cells: Sequence[str], separator: str) -> bytes:
    target = io.StringIO()
    csv.writer(target, delimiter=separator).writerow(cells)
    return target.getvalue().encode(errors="replace")
