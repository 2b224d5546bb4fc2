"""What an executable file says of itself, read from its ELF headers: https://refspecs.linuxfoundation.org/elf/elf.pdf.

Inspection gets texts and never bytes, so what a program needs travels as a text of its own: MAGIC, then JSON. No
text file begins so, since every ELF file has a NUL among its first bytes.
"""

from __future__ import annotations

import json
import re
import struct
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

MAGIC = "\x7fELF"
MACHINES = {3: "i386", 8: "mips", 20: "ppc", 21: "ppc64le", 40: "armv7l", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
MOST_LIBRARIES = 200
_LARGEST_TABLE = 2**20  #: bytes of one
_LONGEST_NAME = 256  #: bytes
_LOAD, _DYNAMIC, _INTERPRETER = 1, 2, 3
_NEEDED, _STRINGS, _FLAGS, _VERSIONS, _VERSIONS_COUNT = 1, 5, 0x6FFFFFFB, 0x6FFFFFFE, 0x6FFFFFFF
_POSITION_INDEPENDENT = 0x08000000  #: among the flags: a program, no library


@dataclass(frozen=True)
class Executable:
    """A program or library for one kind of machine."""

    machine: str  #: as uname(1) says it
    libraries: tuple[str, ...] = ()  #: sonames that it asks for
    glibc: str | None = None  #: the newest version of the C library that it asks for: "2.34"
    interpreter: str | None = None  #: its loader; None: static, or a library
    runs: bool = True  #: False: a library or an object file

    @property
    def text(self) -> str:
        """Write it as the text that stands for the file."""
        return f"{MAGIC}\n{json.dumps(asdict(self))}\n"


def parse(text: str) -> Executable | None:
    """Read what `text` wrote; None for any other text."""
    if not text.startswith(f"{MAGIC}\n"):
        return None
    try:
        facts = json.loads(text.split("\n", 2)[1])
        libraries = tuple(str(name) for name in facts["libraries"])
        words = {name: None if facts[name] is None else str(facts[name]) for name in ("glibc", "interpreter")}
        return Executable(str(facts["machine"]), libraries, **words, runs=bool(facts["runs"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def describe(read: Callable[[int, int], bytes]) -> Executable | None:
    """Read an ELF file through `read(offset, length)`; None where it is none or is broken."""
    try:
        return _Reader(read).executable()
    except (struct.error, IndexError, KeyError, ValueError, OSError):
        return None


class _Reader:
    """The few structures of an ELF file that say what it needs."""

    def __init__(self, read: Callable[[int, int], bytes]) -> None:
        self._read = read
        head = read(0, 64)
        if head[:4] != MAGIC.encode("latin-1") or head[4] not in (1, 2) or head[5] not in (1, 2):
            raise ValueError("no ELF file")
        self._wide = head[4] == 2
        self._order = "<" if head[5] == 1 else ">"
        self._head = head
        self._segments = self._all_segments()

    def executable(self) -> Executable:
        kind, machine = struct.unpack_from(f"{self._order}HH", self._head, 16)
        interpreter = next((self._bytes(s.offset, s.size) for s in self._segments if s.kind == _INTERPRETER), None)
        dynamic = self._dynamic()
        flags = dict(dynamic).get(_FLAGS, 0)
        return Executable(
            machine=MACHINES.get(machine, f"machine {machine}"),
            libraries=tuple(self._libraries(dynamic))[:MOST_LIBRARIES],
            glibc=self._glibc(dynamic),
            interpreter=interpreter.split(b"\0")[0].decode("utf-8", "replace") if interpreter else None,
            runs=kind == 2 or (kind == 3 and (interpreter is not None or bool(flags & _POSITION_INDEPENDENT))),
        )

    def _all_segments(self) -> list[_Segment]:
        if self._wide:
            start, size, count = struct.unpack_from(f"{self._order}Q14xHH", self._head, 32)
        else:
            start, size, count = struct.unpack_from(f"{self._order}I10xHH", self._head, 28)
        table = self._bytes(start, size * count)
        form = "IIQQQQQQ" if self._wide else "IIIIIIII"
        found = []
        for at in range(0, size * count, size):
            fields = struct.unpack_from(f"{self._order}{form}", table, at)
            kind, (offset, address, length) = fields[0], _placed(fields, wide=self._wide)
            found.append(_Segment(kind, offset, address, length))
        return found

    def _dynamic(self) -> list[tuple[int, int]]:
        segment = next((one for one in self._segments if one.kind == _DYNAMIC), None)
        if segment is None:
            return []
        data = self._bytes(segment.offset, segment.size)
        form = f"{self._order}{'qQ' if self._wide else 'iI'}"
        step = struct.calcsize(form)
        return [struct.unpack_from(form, data, at) for at in range(0, len(data) - step + 1, step)]

    def _libraries(self, dynamic: list[tuple[int, int]]) -> list[str]:
        return [self._string(dynamic, value) for tag, value in dynamic if tag == _NEEDED][:MOST_LIBRARIES]

    def _string(self, dynamic: list[tuple[int, int]], place: int) -> str:
        start = self._offset(dict(dynamic)[_STRINGS])
        return self._bytes(start + place, _LONGEST_NAME).split(b"\0")[0].decode("utf-8", "replace")

    def _glibc(self, dynamic: list[tuple[int, int]]) -> str | None:
        """Return the newest GLIBC_ version among those that are needed (symbol versioning, LSB Core 10.7)."""
        told = dict(dynamic)
        if _VERSIONS not in told:
            return None
        data = self._bytes(self._offset(told[_VERSIONS]), _LARGEST_TABLE // 4)
        found: list[tuple[int, ...]] = []
        at = 0
        for _ in range(min(told.get(_VERSIONS_COUNT, 0), MOST_LIBRARIES)):
            _, count, _, first, onward = struct.unpack_from(f"{self._order}HHIII", data, at)
            place = at + first
            for _ in range(min(count, 1000)):
                _, _, _, name, further = struct.unpack_from(f"{self._order}IHHII", data, place)
                version = re.fullmatch(r"GLIBC_(\d+(?:\.\d+)*)", self._string(dynamic, name))
                found += [tuple(map(int, version[1].split(".")))] if version else []
                if not further:
                    break
                place += further
            if not onward:
                break
            at += onward
        return ".".join(map(str, max(found))) if found else None

    def _offset(self, address: int) -> int:
        for one in self._segments:
            if one.kind == _LOAD and one.address <= address < one.address + one.size:
                return one.offset + address - one.address
        raise ValueError("an address outside the file")

    def _bytes(self, offset: int, length: int) -> bytes:
        if length > _LARGEST_TABLE:
            raise ValueError("a table that is too large")
        return self._read(offset, length)


class _Segment(NamedTuple):
    """One program header."""

    kind: int
    offset: int
    address: int
    size: int


def _placed(fields: tuple[int, ...], *, wide: bool) -> tuple[int, int, int]:
    return (fields[2], fields[3], fields[5]) if wide else (fields[1], fields[2], fields[4])
