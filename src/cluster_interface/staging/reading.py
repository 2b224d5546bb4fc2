"""Read a job's outputs one after the other, as its account."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Self

from cluster_interface.model.errors import NotFound, Transient
from cluster_interface.staging.acting import acting_as
from cluster_interface.staging.homes import pass_over
from cluster_interface.staging.tasks import TASKS
from cluster_interface.trees.beneath import Kept, NotBeneath, open_directory, open_file
from cluster_interface.trees.names import native

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from cluster_interface.model.job import Account, OutputFile

SMALL = 64 * 1024  #: bytes of what is read whole


class Small(NamedTuple):
    """A file that was read whole."""

    mode: int
    mtime: int
    data: bytes


class Reading:
    """Opens one output after the other; the directories they lie in stay open meanwhile."""

    def __init__(self, account: Account, home: Callable[[], AbstractContextManager[int]]) -> None:
        self._account = account
        self._home = home
        self._task: int | None = None
        self._root: Kept
        self._held = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def open(self, file: OutputFile) -> BinaryIO:
        """Open one; NotFound if it is not a regular file inside its task's directory."""
        with words_for_output(file.path), acting_as(self._account):
            return os.fdopen(open_file(self._below(file.task), native(file.path)), "rb")

    def small(self, files: Sequence[OutputFile]) -> list[Small | None]:
        """Read several under one change of the account; None for what is large or cannot be read: `open` says why."""
        with acting_as(self._account):
            return [self._whole(file) if file.size <= SMALL else None for file in files]

    def _whole(self, file: OutputFile) -> Small | None:
        with suppress(OSError, ValueError, NotFound, Transient):  # ValueError: NotBeneath, and names that cannot be
            fd = open_file(self._below(file.task), native(file.path))
            try:
                seen = os.fstat(fd)
                data = os.read(fd, seen.st_size) if seen.st_size <= SMALL else b""
            finally:
                os.close(fd)
            if len(data) == seen.st_size:
                return Small(seen.st_mode, int(seen.st_mtime), data)
        return None

    def _below(self, task: int) -> Kept:
        """Return the directory of a task, as the account that the thread acts for."""
        if task != self._task:
            self._task = None
            self._held.close()
            with self._home() as home:
                root = open_directory(home, f"{TASKS}/{task}")
            self._held.callback(os.close, root)
            self._root, self._task = self._held.enter_context(Kept(root)), task
        return self._root


@contextmanager
def words_for_output(path: str) -> Iterator[None]:
    """Say NotFound of whatever is no output; Transient where the filesystem does not answer."""
    try:
        yield
    except (NotBeneath, UnicodeEncodeError):
        raise NotFound(f"there is no output {path!r}") from None
    except OSError as error:
        pass_over(error)
        raise NotFound(f"there is no output {path!r}") from None
