"""Outputs as one archive, made while it is sent: zip (with zip64 where needed), tar.gz or tar.zst (pax).

The same files give the same bytes: times are the files' own, in UTC, and nothing of the account is told.
"""

from __future__ import annotations

import io
import os
import tarfile
import time
import zipfile
import zlib
from typing import TYPE_CHECKING, Any, Protocol

from cluster_interface.model.errors import ClusterError, Transient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import BinaryIO

    from cluster_interface.model.job import OutputFile
    from cluster_interface.ports import Form

CHUNK = 256 * 1024
THREADS = min(4, os.cpu_count() or 1)  #: that pack one zstd stream; its bytes do not depend on how many there are
PIECE = 2**20  #: bytes that such a thread takes at a time: small, so that the stream flows
LEFT_OUT = "LEFT-OUT.txt"

_ZIP_YEARS = (1980, 2107)  # APPNOTE 4.4.6: MS-DOS times
_BLOCK = 512


class _Archive(Protocol):
    def add(self, name: str, mode: int, mtime: int, size: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the archive's bytes for one file of exactly `size` bytes."""

    def end(self) -> Iterator[bytes]:
        """Yield what closes the archive."""


def archive(
    files: Iterable[tuple[str, OutputFile]], form: Form, open_output: Callable[[OutputFile], BinaryIO]
) -> Iterator[bytes]:
    """Yield an archive of the files, each under the name that is given with it.

    One that cannot be opened is left out, and LEFT-OUT.txt in it says so. Raises Transient, which cuts the stream
    so that nobody takes it for whole, if a file becomes shorter while it is read.
    """
    made: _Archive = _Zip() if form == "zip" else _Tar(form)
    left_out = []
    for given, file in files:
        name = _name(given)
        try:
            stream = open_output(file)
        except ClusterError as error:
            left_out.append(f"{name}: {error}\n")
            continue
        with stream:
            seen = os.fstat(stream.fileno())
            mode = 0o755 if seen.st_mode & 0o100 else 0o644
            yield from made.add(name, mode, int(seen.st_mtime), seen.st_size, _exactly(stream, seen.st_size, name))
    if left_out:
        text = "".join(left_out).encode(errors="replace")
        yield from made.add(LEFT_OUT, 0o644, 0, len(text), [text])
    yield from made.end()


def _name(given: str) -> str:
    """Return the name in the archive; a backslash, which Windows takes for a separator, becomes a look-alike."""
    return given.replace("\\", "\N{FULLWIDTH REVERSE SOLIDUS}")


def _exactly(stream: BinaryIO, size: int, name: str) -> Iterator[bytes]:
    left = size
    while left:
        data = stream.read(min(CHUNK, left))
        if not data:
            raise Transient(f"{name} became shorter while it was read; try again")
        left -= len(data)
        yield data


class _Sink(io.RawIOBase):
    """A file that cannot be gone back in, and hands on what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]  # zipfile writes bytes
        self._waiting.append(bytes(data))
        return len(data)

    def taken(self) -> Iterator[bytes]:
        """Yield what was written since the last call."""
        waiting, self._waiting = self._waiting, []
        yield from waiting


class _Zip:
    def __init__(self) -> None:
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(self._sink, "w", zipfile.ZIP_DEFLATED, compresslevel=5)

    def add(self, name: str, mode: int, mtime: int, size: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
        year, *rest = time.gmtime(mtime)[:6]
        first, last = _ZIP_YEARS
        moment = (year, *rest) if first <= year <= last else (first, 1, 1, 0, 0, 0)
        info = zipfile.ZipInfo(name, moment)  # type: ignore[arg-type]  # six numbers, as it wants
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = (0o100000 | mode) << 16
        with self._zip.open(info, "w", force_zip64=size > zipfile.ZIP64_LIMIT // 2) as file:
            for data in chunks:
                file.write(data)
                yield from self._sink.taken()
        yield from self._sink.taken()

    def end(self) -> Iterator[bytes]:
        self._zip.close()
        yield from self._sink.taken()


class _Tar:
    def __init__(self, form: Form) -> None:
        self._pack = _gzip() if form == "tar.gz" else _zstd()
        self._size = 0

    def add(self, name: str, mode: int, mtime: int, size: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
        info = tarfile.TarInfo(name)
        info.mode, info.mtime, info.size = mode, mtime, size
        yield from self._write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        for data in chunks:
            yield from self._write(data)
        yield from self._write(bytes(-size % _BLOCK))

    def end(self) -> Iterator[bytes]:
        blocks = bytes(2 * _BLOCK)
        yield from self._write(blocks + bytes(-(self._size + len(blocks)) % tarfile.RECORDSIZE))
        yield self._pack.flush()

    def _write(self, data: bytes) -> Iterator[bytes]:
        self._size += len(data)
        if packed := self._pack.compress(data):
            yield packed


def _gzip() -> Any:
    return zlib.compressobj(5, wbits=31)  # 31: with gzip's header, whose time is then 0


def _zstd() -> Any:
    from zstandard import ZstdCompressionParameters, ZstdCompressor  # noqa: PLC0415 - only for those who ask for it

    wanted = ZstdCompressionParameters.from_level(3, write_checksum=1, threads=THREADS, job_size=PIECE)
    return ZstdCompressor(compression_params=wanted).compressobj()
