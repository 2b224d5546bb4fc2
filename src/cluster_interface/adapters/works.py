"""Long work in processes of its own, which outlive the engine that started them; what is small is done at once.

A piece of work is a directory named by its mark:

    who       pid, start time and boot of its process, and how many died before it
    progress  how far it is
    result    what it returned or raised; once this is there the work is over
    log       what it printed, and the traceback of what nobody foresaw

A child begins only when `who` is written, so a process without a record never works. What was done at once has no
directory: its result is kept in memory, and is made again if that is lost.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import signal
import sys
import time
import traceback
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from hashlib import sha256
from shutil import rmtree
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, TextIO
from urllib.parse import quote

from cluster_interface.adapters.processes import Process, descendants, fork_held, identify, kill_all, left_of
from cluster_interface.adapters.works_errors import error_from_json, error_to_json
from cluster_interface.model.errors import ClusterError, Permanent, Transient
from cluster_interface.model.job import Progress
from cluster_interface.ports import Work, WorkState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from cluster_interface.ports import Report

    Kind = Callable[[Mapping[str, Any], Report], Any]
    IsSmall = Callable[[Mapping[str, Any]], bool]

_PATIENCE = 2.0  # seconds: from the polite signal to the last one, and for another engine to let go of the records
_REPORT_EVERY = 0.2
_KEPT = 1000  # results of small work
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD, signal.SIGUSR1)


class DetachedWorks:
    """Starts work by forking the calling process, which must have a single thread.

    `kinds` name what can be done: functions of a request (JSON) and a report, returning JSON. `small` say of some
    kinds whether a request is done in a moment, less than a fork takes, and without waiting for anybody. `wake` is
    called in the child with the mark when a result is there.
    """

    def __init__(
        self,
        directory: Path,
        kinds: Mapping[str, Kind],
        *,
        small: Mapping[str, IsSmall] = MappingProxyType({}),
        wake: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._directory = directory
        self._kinds = kinds
        self._small = small
        self._wake = wake
        self._children: set[int] = set()
        self._done: dict[str, Work] = {}  #: what was small

    def start(self, mark: str, kind: str, request: Mapping[str, Any]) -> None:
        """Start the work unless it runs or has a result; of many who start it at once one does."""
        if kind not in self._kinds:
            raise Permanent(f"there is no work of the kind {kind!r}")
        if mark in self._done or self._do_at_once(mark, kind, request):
            return
        with self._locked() as lock:
            known = self.look(mark)
            if known.state is not WorkState.ABSENT:
                return
            self._end_remains(mark)
            place = self._place(mark)
            place.mkdir(mode=0o700, exist_ok=True)
            (place / "progress").unlink(missing_ok=True)
            self._fork(place, mark, partial(self._kinds[kind], request), known.deaths, lock)

    def look(self, mark: str) -> Work:
        """See how it is getting on, from its files and whether its process lives."""
        self._collect()
        if (done := self._done.get(mark)) is not None:
            return done
        place = self._place(mark)
        try:
            if (result := _read(place / "result")) is not None:
                return _finished(result)
            if (who := _read(place / "who")) is None:
                return Work(state=WorkState.ABSENT)
            if _process(who).alive:
                progress = _read(place / "progress")
                shown = Progress.from_json(progress) if progress else None
                return Work(state=WorkState.RUNNING, progress=shown, deaths=who["deaths"])
            if (result := _read(place / "result")) is not None:  # written between the two looks
                return _finished(result)
        except OSError as error:
            raise Transient(f"the state of the work {mark} cannot be read: {error.strerror}") from None
        return Work(state=WorkState.ABSENT, deaths=who["deaths"] + 1)

    def stop(self, mark: str) -> None:
        """End the process and all it started, and forget the mark."""
        self._done.pop(mark, None)
        if not self._place(mark).exists():
            return
        with self._locked():
            self._end_remains(mark)
            rmtree(self._place(mark), ignore_errors=True)

    def log(self, mark: str) -> str:
        """Return what the work printed."""
        with suppress(FileNotFoundError):
            return (self._place(mark) / "log").read_text(errors="replace")
        return ""

    # --- the parent's side

    def _do_at_once(self, mark: str, kind: str, request: Mapping[str, Any]) -> bool:
        """Do what is small; False for what is not, was begun by a process, or fails in a way that nobody foresaw."""
        if kind not in self._small or self._place(mark).exists():
            return False
        try:
            if not self._small[kind](request):
                return False
            work = Work(state=WorkState.DONE, result=self._kinds[kind](request, lambda _progress: None))
        except ClusterError as error:
            work = Work(state=WorkState.FAILED, error=error)
        except Exception:  # noqa: BLE001 - a process of its own tells of it
            return False
        self._done[mark] = work
        if len(self._done) > _KEPT:
            del self._done[next(iter(self._done))]
        return True

    def _fork(self, place: Path, mark: str, task: Callable[[Report], Any], deaths: int, lock: int) -> None:
        pid, pipe = fork_held()
        if pid == 0:
            os.close(lock)
            self._work(place, mark, task, pipe)
        self._children.add(pid)
        try:
            if (process := identify(pid)) is None:
                raise Transient("the process ended before it began")
            _write(place / "who", {**asdict(process), "deaths": deaths})
            os.write(pipe, b"!")
        except OSError as error:
            raise Transient(f"the work {mark} cannot be recorded: {error.strerror}") from None
        finally:
            os.close(pipe)

    def _collect(self) -> None:
        """Take note of our children that ended, or they stay as zombies."""
        for pid in list(self._children):
            try:
                ended, _ = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                ended = pid
            if ended:
                self._children.discard(pid)

    def _end_remains(self, mark: str) -> None:
        who = _read(self._place(mark) / "who")
        if who is None:
            return
        process = _process(who)
        end = time.monotonic() + _PATIENCE
        for pid in left_of(process):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        while left := left_of(process):
            if time.monotonic() > end:
                kill_all(descendants(left))
            time.sleep(0.01)
            self._collect()

    def _place(self, mark: str) -> Path:
        name = quote(mark, safe="").replace(".", "%2E", 1) if mark.startswith(".") else quote(mark, safe="")
        return self._directory / (name if len(name) <= 200 else sha256(mark.encode()).hexdigest())

    @contextmanager
    def _locked(self) -> Iterator[int]:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self._directory / ".lock", os.O_CREAT | os.O_RDWR, 0o600)
        end = time.monotonic() + _PATIENCE
        try:
            while not _take(lock):
                if time.monotonic() > end:  # an engine that was stopped while it held this must not stop the others
                    raise Transient("another engine holds the records of long work")
                time.sleep(0.01)
            yield lock
        finally:
            os.close(lock)

    # --- the child's side

    def _work(self, place: Path, mark: str, task: Callable[[Report], Any], go: int) -> NoReturn:
        """Do the work and leave. What the parent had open is neither used nor closed here."""
        try:
            gc.freeze()
            os.setsid()
            _quiet_signals()
            if os.read(go, 1) != b"!":
                os._exit(0)
            server = _redirect(place / "log")
            _write(place / "result", _outcome(place, task, server))
            self._wake(mark)
        except BaseException:  # noqa: BLE001 - a forked child must not go back into its parent's code
            with suppress(BaseException):
                traceback.print_exc()
            os._exit(1)
        os._exit(0)


def _take(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _outcome(place: Path, task: Callable[[Report], Any], server: TextIO) -> dict[str, Any]:
    try:
        value = task(_reporter(place))
        json.dumps(value)
    except ClusterError as error:
        return {"error": error_to_json(error)}
    except Exception:  # noqa: BLE001 - whatever it was, it is told as an error of ours
        traceback.print_exc()
        traceback.print_exc(file=server)
        words = "something failed that nobody foresaw; the server's log has the details"
        return {"error": error_to_json(Permanent(words))}
    return {"value": value}


def _finished(result: dict[str, Any]) -> Work:
    if "error" in result:
        return Work(state=WorkState.FAILED, error=error_from_json(result["error"]))
    return Work(state=WorkState.DONE, result=result["value"])


def _reporter(place: Path) -> Report:
    last, said = 0.0, ""

    def report(progress: Progress) -> None:
        nonlocal last, said
        now = time.monotonic()
        if now - last >= _REPORT_EVERY or progress.note != said:  # another note may be the last for long
            last, said = now, progress.note
            with suppress(OSError):
                _write(place / "progress", asdict(progress), to_disk=False)

    return report


def _quiet_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _redirect(log: Path) -> TextIO:
    """Let what is printed go to the work's own log; return the server's."""
    server = os.fdopen(os.dup(2), "w", buffering=1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout = sys.stderr = os.fdopen(output, "w", buffering=1)
    return server


def _process(who: Mapping[str, Any]) -> Process:
    return Process(who["pid"], who["ticks"], who["boot"])


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        return None  # emptied by a crash of the machine: as if it had never been written
    return found


def _write(path: Path, value: Mapping[str, Any], *, to_disk: bool = True) -> None:
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("w") as file:
        json.dump(value, file)
        if to_disk:
            file.flush()
            os.fsync(file.fileno())
    fresh.rename(path)
