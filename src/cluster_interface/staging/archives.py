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
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import BinaryIO

    from cluster_interface.model.job import OutputFile
    from cluster_interface.ports import Form
    from cluster_interface.staging.reading import Small

CHUNK = 256 * 1024
THREADS = min(4, os.cpu_count() or 1)  #: that pack one zstd stream; its bytes do not depend on how many there are
PIECE = 2**20  #: bytes that such a thread takes at a time: small, so that the stream flows
MOST = 64  #: files that are read together
LEFT_OUT = "LEFT-OUT.txt"

_ZIP_YEARS = (1980, 2107)  # APPNOTE 4.4.6: MS-DOS times
_BLOCK = 512
_OCTAL = 8**11  #: what a tar header's field for a number cannot hold
_NOBODY, _REST = (_PLAIN := tarfile.TarInfo().tobuf(tarfile.PAX_FORMAT))[108:124], _PLAIN[156:]
_REST_SUM = sum(_REST) + sum(b" " * 8)  #: the checksum counts itself as spaces


class _Archive(Protocol):
    def add(self, name: str, mode: int, mtime: int, size: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the archive's bytes for one file of exactly `size` bytes."""

    def end(self) -> Iterator[bytes]:
        """Yield what closes the archive."""


def archive(
    files: Iterable[tuple[str, OutputFile]],
    form: Form,
    open_output: Callable[[OutputFile], BinaryIO],
    read_small: Callable[[Sequence[OutputFile]], Sequence[Small | None]],
) -> Iterator[bytes]:
    """Yield an archive of the files, each under the name that is given with it.

    `read_small` reads those of several that are small at once; the others, None, are opened one by one. One that
    cannot be opened is left out, and LEFT-OUT.txt in it says so. Raises Transient, which cuts the stream so that
    nobody takes it for whole, if a file becomes shorter while it is read.
    """
    made: _Archive = _Zip() if form == "zip" else _Tar(form)
    left_out = []
    for batch in _batches(files):
        for (given, file), small in zip(batch, read_small([file for _, file in batch]), strict=True):
            name = _name(given)
            if small is not None:
                yield from made.add(name, _mode(small.mode), small.mtime, len(small.data), [small.data])
                continue
            try:
                stream = open_output(file)
            except ClusterError as error:
                left_out.append(f"{name}: {error}\n")
                continue
            with stream:
                seen = os.fstat(stream.fileno())
                chunks = _exactly(stream, seen.st_size, name)
                yield from made.add(name, _mode(seen.st_mode), int(seen.st_mtime), seen.st_size, chunks)
    if left_out:
        text = "".join(left_out).encode(errors="replace")
        yield from made.add(LEFT_OUT, 0o644, 0, len(text), [text])
    yield from made.end()


def _batches(files: Iterable[tuple[str, OutputFile]]) -> Iterator[list[tuple[str, OutputFile]]]:
    """Put files together that are small when taken together."""
    batch: list[tuple[str, OutputFile]] = []
    size = 0
    for pair in files:
        batch.append(pair)
        size += pair[1].size
        if size >= CHUNK or len(batch) == MOST:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _mode(mode: int) -> int:
    return 0o755 if mode & 0o100 else 0o644


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
        self._written = self._taken = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._written

    def write(self, data: bytes) -> int:  # type: ignore[override]  # zipfile writes bytes
        self._waiting.append(data)
        self._written += len(data)
        return len(data)

    def taken(self, least: int = CHUNK) -> Iterator[bytes]:
        """Yield what was written since it last did, if that is so much."""
        if self._waiting and self._written - self._taken >= least:
            yield b"".join(self._waiting)
            self._waiting, self._taken = [], self._written


class _Zip:
    def __init__(self) -> None:
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(self._sink, "w", zipfile.ZIP_DEFLATED)

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

    def end(self) -> Iterator[bytes]:
        self._zip.close()
        yield from self._sink.taken(0)


class _Tar:
    def __init__(self, form: Form) -> None:
        self._pack = _gzip() if form == "tar.gz" else _zstd()
        self._size = 0
        self._waiting: list[bytes] = []
        self._room = CHUNK

    def add(self, name: str, mode: int, mtime: int, size: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
        self._write(_header(name, mode, mtime, size))
        for data in chunks:
            self._write(data)
            if self._room <= 0:
                yield from self._packed()
        self._write(bytes(-size % _BLOCK))

    def end(self) -> Iterator[bytes]:
        blocks = bytes(2 * _BLOCK)
        self._write(blocks + bytes(-(self._size + len(blocks)) % tarfile.RECORDSIZE))
        yield from self._packed()
        yield self._pack.flush()

    def _write(self, data: bytes) -> None:
        self._waiting.append(data)
        self._size += len(data)
        self._room -= len(data)

    def _packed(self) -> Iterator[bytes]:
        packed = self._pack.compress(b"".join(self._waiting))
        self._waiting, self._room = [], CHUNK
        if packed:
            yield packed


def _header(name: str, mode: int, mtime: int, size: int) -> bytes:
    """Return what `TarInfo.tobuf` makes; where one block does, at a tenth of its cost (pax(1), "ustar Interchange")."""
    if len(name) > tarfile.LENGTH_NAME or not name.isascii() or not 0 <= mtime < _OCTAL or size >= _OCTAL:
        info = tarfile.TarInfo(name)
        info.mode, info.mtime, info.size = mode, mtime, size
        return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    start = b"%b%07o\0%b%011o\0%011o\0" % (name.encode().ljust(100, b"\0"), mode, _NOBODY, size, mtime)
    return b"%b%06o\0 %b" % (start, sum(start) + _REST_SUM, _REST)


def _gzip() -> Any:
    return zlib.compressobj(5, wbits=31)  # 31: with gzip's header, whose time is then 0


def _zstd() -> Any:
    from zstandard import ZstdCompressionParameters, ZstdCompressor  # noqa: PLC0415 - only for those who ask for it

    wanted = ZstdCompressionParameters.from_level(3, write_checksum=1, threads=THREADS, job_size=PIECE)
    return ZstdCompressor(compression_params=wanted).compressobj()
