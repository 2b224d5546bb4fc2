"""Outputs: listed, read, and fetched into a directory that nothing can lead them out of."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from cluster_interface.client.earlier import program_here
from cluster_interface.client.transport import segment
from cluster_interface.model.errors import Problem, Rejected, Transient
from cluster_interface.trees import beneath

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from cluster_interface.client.transport import Stream, Transport

    Progress = Callable[[str, int, int], None]  #: path, bytes fetched, bytes in all

TRIES = 5  #: in a row without a byte


class Damaged(Transient):
    """What came is not what was listed."""


class Fate(StrEnum):
    """What fetching did with an output."""

    NEW = "new"
    SAME = "same"  #: it was here already, byte for byte
    REPLACED = "replaced"
    BESIDE = "beside"  #: an input of that name is kept; the output stands beside it


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """One output that is now here."""

    output: Output
    path: Path  #: where it is
    fate: Fate


class Output:
    """One file that a job left behind."""

    def __init__(
        self,
        transport: Transport,
        job: str,
        *,
        path: str,
        size: int,
        sha256: str,
        task: int,
        partial: bool,
        type: str = "",  # noqa: A002 - the API's word; keyword-only
        executable: bool = False,
        place: str = "",
    ) -> None:
        self._transport, self.job = transport, job
        self.path = path  #: relative to the task's directory
        self.size = size  #: bytes
        self.sha256 = sha256
        self.task = task
        self.partial = partial  #: its job did not end well
        self.type = type  #: media type, by content and name
        self.executable = executable  #: it is a program
        self.place = place or path  #: among all outputs of the job: in a sweep, below its task's number

    def __repr__(self) -> str:
        return f"<Output {self.path!r} of job {self.job}, {self.size} bytes>"

    def open(self, offset: int = 0) -> Stream:
        """Open for reading from `offset`; NotFound if it is gone, Transient where the server is away."""
        where = f"/jobs/{segment(self.job)}/outputs/{'/'.join(segment(part) for part in self.path.split('/'))}"
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        return self._transport.stream("GET", where, query={"task": self.task}, headers=headers)

    def read(self) -> bytes:
        """Return all of it."""
        return b"".join(self.chunks())

    def chunks(self, offset: int = 0, digest: Any = None) -> Iterator[bytes]:
        """Yield its bytes, going on where a broken connection left off; Transient if it is not what was listed.

        `digest`: the SHA-256 of the bytes before `offset`, which are here already.
        """
        digest, failures = digest or hashlib.sha256(), 0
        while offset < self.size:
            try:
                with self.open(offset) as stream:
                    skip = offset if stream.status != 206 else 0  # a server that knows no ranges starts anew
                    for data in stream:
                        rest, skip = data[skip:], max(0, skip - len(data))
                        digest.update(rest)
                        offset += len(rest)
                        failures = 0
                        yield rest
                if offset < self.size:
                    raise Transient("it ended early")
            except Transient as error:
                failures += 1
                if failures >= TRIES:
                    raise Transient(f"{self.path}: got {offset} of {self.size} bytes, then: {error}") from None
        if digest.hexdigest() != self.sha256:
            raise Damaged(f"{self.path} is not what was listed: it was damaged on its way or changed on the server")

    def save(self, directory: str | Path) -> Path:
        """Write it into a directory, under its own path; return where it is. Raises as `fetch` does."""
        return fetch([self], Path(directory))[0].path


class Written(Output):
    """A file of the server's own about a job, which is here already."""

    def __init__(self, job: str, path: str, data: bytes) -> None:
        self.job = job
        self.path, self.size, self.sha256 = path, len(data), hashlib.sha256(data).hexdigest()
        self.task, self.partial, self.type, self.place = 0, False, "text/csv", path
        self.executable = False
        self._data = data

    def chunks(self, offset: int = 0, digest: Any = None) -> Iterator[bytes]:
        """Yield its bytes."""
        del digest
        yield self._data[offset:]


def fetch(
    outputs: Iterable[Output],
    directory: Path,
    keep: Collection[str] = (),
    progress: Progress | None = None,
    name_of: Callable[[Output], str] = lambda output: output.path,
) -> list[Fetched]:
    """Write outputs into a directory, named by `name_of`: never outside it, each whole or not at all.

    What is here already, byte for byte, is not fetched again; an older file of that name is replaced, except those
    named in `keep` (the inputs that the job was given), unless an earlier job left them: then the output stands
    beside it. No link is followed. What a connection that broke off left (`.clif-….part`) is gone on with the next
    time. Raises Rejected, naming them, for those that cannot be written, once all others are.
    """
    wanted = list(outputs)
    done: list[Fetched] = []
    problems: list[Problem] = []
    directory.mkdir(parents=True, exist_ok=True)
    root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for output in wanted:
            try:
                written, fate = _fetch_one(root, directory, name_of(output), output, keep=keep, progress=progress)
                done.append(Fetched(output=output, path=directory / written, fate=fate))
            except beneath.NotBeneath:
                problems.append(Problem(output.path, "leads out of the directory; it was not fetched"))
            except OSError as error:
                problems.append(Problem(output.path, f"cannot be written: {_words(error)}"))
    finally:
        os.close(root)
    if problems:
        raise Rejected(problems=problems)
    return done


def _fetch_one(
    root: int, directory: Path, name: str, output: Output, *, keep: Collection[str], progress: Progress | None
) -> tuple[str, Fate]:
    fate = Fate.NEW
    if beneath.look(root, name) is not None:
        if _is_same(root, name, output):
            return name, Fate.SAME
        mine = name in keep and program_here(directory / name) is None
        fate = Fate.BESIDE if mine else Fate.REPLACED
        name = f"{name}.{output.job}" if fate is Fate.BESIDE else name
    with _part(root, name, output) as (temporary, file):
        _fill(file, output, progress)
        if output.executable:
            os.fchmod(file.fileno(), 0o777 & ~_umask())
        beneath.rename(root, temporary, name)
    return name, fate


@contextmanager
def _part(root: int, name: str, output: Output) -> Iterator[tuple[str, IO[bytes]]]:
    """Open the file that an output's bytes gather in: that of an earlier try which broke off, or a new one.

    It is named by the content, and removed unless the connection or the person broke off after the first byte.
    """
    above = f"{name.rpartition('/')[0]}/".removeprefix("/")
    temporary = f"{above}.clif-{output.sha256[:16]}.part"
    fd = _take_up(root, temporary)
    if fd is None:
        temporary = f"{above}.clif-{secrets.token_hex(6)}.part"
        fd = beneath.create_file(root, temporary, 0o666 & ~_umask())
    with os.fdopen(fd, "r+b") as file:
        try:
            yield temporary, file
        except BaseException as error:
            goes_on = isinstance(error, Transient | KeyboardInterrupt) and not isinstance(error, Damaged)
            if not goes_on or not os.fstat(fd).st_size:
                with suppress(OSError, beneath.NotBeneath):
                    beneath.remove(root, temporary)
            raise


def _take_up(root: int, temporary: str) -> int | None:
    """Make or open the file of that name and hold its lock; None if it is somebody else's, or in use."""
    try:
        fd = beneath.create_file(root, temporary, 0o666 & ~_umask())
    except FileExistsError:
        with beneath.parent(root, temporary) as (above, last):
            fd = os.open(last, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=above)
    seen = os.fstat(fd)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if stat.S_ISREG(seen.st_mode) and seen.st_nlink == 1 and seen.st_uid == os.geteuid():
            return fd
    except OSError:
        pass
    os.close(fd)
    return None


def _fill(file: IO[bytes], output: Output, progress: Progress | None) -> None:
    """Bring what is missing of an output; what an earlier try left is used if it turns out to be right."""
    digest, offset = hashlib.sha256(), 0
    while offset < output.size and (data := file.read(min(2**20, output.size - offset))):
        digest.update(data)
        offset += len(data)
    if offset:
        try:
            _write(file, output, output.chunks(offset, digest), offset, progress)
        except Damaged:
            pass
        else:
            return
    _write(file, output, output.chunks(), 0, progress)


def _is_same(root: int, name: str, output: Output) -> bool:
    try:
        fd = beneath.open_file(root, name)
    except OSError:
        return False  # a link or a directory
    with os.fdopen(fd, "rb") as file:
        if os.fstat(fd).st_size != output.size:
            return False
        return hashlib.file_digest(file, "sha256").hexdigest() == output.sha256


def _write(file: IO[bytes], output: Output, chunks: Iterator[bytes], offset: int, progress: Progress | None) -> None:
    file.seek(offset)
    file.truncate()
    for data in chunks:
        file.write(data)
        offset += len(data)
        if progress:
            progress(output.path, offset, output.size)
    file.flush()


def _umask() -> int:
    """Read the umask from proc(5): asking umask(2) would change it for every thread."""
    with suppress(OSError), Path("/proc/self/status").open() as status:
        for line in status:
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    return 0o077


def _words(error: OSError) -> str:
    if isinstance(error, NotADirectoryError) or error.errno == 40:
        return "a part of its path is a link or a file here, and links are not followed; choose another directory"
    return error.strerror or str(error)
