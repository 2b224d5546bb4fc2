"""Job directories: made, given to their accounts, opened as them, removed. No link out of them is followed."""

from __future__ import annotations

import errno
import os
import re
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from cluster_interface.model.errors import NotFound, Permanent, Transient
from cluster_interface.model.state import FailureCode
from cluster_interface.staging.acting import acting_as, as_the_server
from cluster_interface.trees.beneath import (
    directory,
    open_directory,
    open_file,
    remove,
)
from cluster_interface.trees.walking import Kind, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cluster_interface.model.job import Account


_JOB = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_NO_ANSWER = (errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.ENFILE, errno.EMFILE)
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Homes:
    """The directories of all jobs, below one root that the nodes share. `account_of` tells whose a job's is."""

    def __init__(self, root: Path, account_of: Callable[[str], Account]) -> None:
        self._root = root
        self._account_of = account_of
        root.mkdir(mode=0o711, parents=True, exist_ok=True)  # accounts pass through to what is theirs

    def directory(self, job: str) -> Path:
        """Say where a job's directory is (or would be)."""
        return self._root / _checked(job)

    def size(self, job: str) -> int:
        """Sum up the bytes of all files in a job's directory (0 if there is none)."""
        try:
            with self._home(job) as home, self._words_for(job):
                return sum(entry.size for entry in walk(home) if entry.kind is Kind.FILE)
        except NotFound:
            return 0

    def remove(self, job: str) -> None:
        """Remove the job directory. Removing what is not there is no error."""
        with suppress(NotFound, OSError), self._home(job) as home, os.scandir(home) as entries:
            for entry in entries:
                remove(home, entry.name)
        with self._parent() as root, self._words_for(job):
            remove(root, _checked(job))  # as the server: what a runtime that runs as it left, and the directory itself

    def _make(self, job: str) -> None:
        """Make the job's directory, its account's alone; a kill between making and giving is put right here."""
        account = self._account_of(job)
        with self._parent() as root:
            with self._words_for(job), suppress(FileExistsError):
                os.mkdir(_checked(job), 0o700, dir_fd=root)
            with directory(root, _checked(job)) as home:
                if os.fstat(home).st_uid == os.geteuid() != account.uid:
                    os.fchown(home, account.uid, account.gid)

    @contextmanager
    def _home(self, job: str) -> Iterator[int]:
        """Open the job's directory as its account, and stay that account; NotFound if it is not there."""
        if not _JOB.fullmatch(job):
            raise NotFound(f"there is no directory of a job {job!r}")
        with self._parent() as root, acting_as(self._account_of(job)):
            try:
                home = open_directory(root, job)
            except FileNotFoundError:
                raise NotFound(f"there is no directory of job {job}") from None
            try:
                yield home
            finally:
                os.close(home)

    def _look_again(self, job: str, where: str) -> bool:
        """Open a directory, so that what is new in it is seen; False if it cannot be.

        NFS keeps for up to a minute that a name was not there, but asks the server anew when its directory is opened
        for reading (nfs(5), "Directory entry caching" and "Close-to-open cache consistency").
        """
        try:
            with self._home(job) as home, directory(home, where):
                return True
        except (NotFound, OSError):
            return False

    def _open_record(self, job: str, path: str) -> int | None:
        """Open a file that job.sh writes; None while there is none. Where job.sh ran as the server, it may be its own.

        Such a file is read only if the server owns it and it has no other name: a link to a file of the server's
        elsewhere is not served.
        """
        try:
            with self._home(job) as home:
                try:
                    return open_file(home, path)
                except PermissionError:
                    with as_the_server():
                        fd = open_file(home, path)
        except NotFound:
            return None
        except OSError as error:
            pass_over(error)
            return None
        seen = os.fstat(fd)
        if seen.st_uid == os.geteuid() and seen.st_nlink == 1:
            return fd
        os.close(fd)
        return None

    @contextmanager
    def _parent(self) -> Iterator[int]:
        with as_the_server():  # accounts may pass through it, but not read it
            fd = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield fd
        finally:
            os.close(fd)

    @contextmanager
    def _words_for(self, job: str) -> Iterator[None]:
        """Turn the system's errors into words that name the directory."""
        try:
            yield
        except OSError as error:
            where = self.directory(job)
            if error.errno not in _FULL:
                raise Transient(f"{where} cannot be used now: {error.strerror or error}") from None
            raise Permanent(
                f"the filesystem that holds {where} is full ({error.strerror}); remove old jobs or make room",
                code=FailureCode.INPUT_UNAVAILABLE,
            ) from None


def _checked(job: str) -> str:
    if not _JOB.fullmatch(job):
        raise NotFound(f"{job!r} is not the id of a job")
    return job


def pass_over(error: OSError) -> None:
    """Pass over what is absent or odd; Transient where the filesystem does not answer."""
    if error.errno in _NO_ANSWER:
        raise Transient(f"the job's directory cannot be read now: {error.strerror}") from None
