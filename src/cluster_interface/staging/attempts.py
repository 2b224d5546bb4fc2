"""What the engine and job.sh tell each other in files: scripts, claims, status, logs.

attempts/<k>/job.sh  claim/<n>/owner  status/<n>.json  log/<n>.out  log/<n>.err
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from cluster_interface.model.errors import NotFound
from cluster_interface.ports import LogPart
from cluster_interface.staging.homes import Homes, pass_over
from cluster_interface.trees.beneath import create_file, directory, look, open_directory, rename
from cluster_interface.trees.writing import replace_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


LONGEST_LOG_PART = 2**20
CLAIMS, CLOSED = "claim", "claim.closed"  #: where job.sh passes the fences of an attempt's tasks, and where it was
LONGEST_STATUS = 64 * 1024


class Attempts(Homes):
    """The attempts of all jobs: what is written for job.sh, and read of it."""

    def write_attempt(self, job: str, attempt: int, script: str, plan: str, lists: Mapping[str, str]) -> Path:
        """Make attempts/<k>/ with its directories, lists and job.sh, and plan.json; return job.sh. Safe to repeat."""
        self._make(job)
        with self._home(job) as home, self._words_for(job):
            replace_file(home, "plan.json", plan.encode(), 0o600, to_disk=False)  # a copy
            for name in ("claim", "status", "log"):
                os.close(open_directory(home, f"attempts/{attempt}/{name}", make=True))
            for name, text in lists.items():
                replace_file(home, f"attempts/{attempt}/{name}", text.encode("utf-8", "surrogateescape"), 0o400)
            replace_file(home, f"attempts/{attempt}/job.sh", script.encode(), 0o500)
        return self.directory(job) / "attempts" / str(attempt) / "job.sh"

    def write_script(self, job: str, attempt: int, name: str, text: str) -> Path:
        """Write one more script beside an attempt's job.sh."""
        with self._home(job) as home, self._words_for(job):
            replace_file(home, f"attempts/{attempt}/{name}", text.encode(), 0o500)
        return self.directory(job) / "attempts" / str(attempt) / name

    def declare(self, job: str, attempt: int, mark: str) -> bool:
        """Note that this order is about to be handed over; False if that had been noted before."""
        with self._home(job) as home, self._words_for(job):
            try:
                os.close(create_file(home, f"attempts/{attempt}/handed.{mark}", 0o600))
            except FileExistsError:
                return False
        return True

    def status(self, job: str, attempt: int, task: int) -> dict[str, Any] | None:
        """Read this attempt's status file of a task; None while there is none, or none that is whole and sane."""
        where = f"attempts/{attempt}/status"
        fd = self._open_record(job, f"{where}/{task}.json")
        if fd is None and self._look_again(job, where):
            fd = self._open_record(job, f"{where}/{task}.json")
        if fd is None:
            return None
        with os.fdopen(fd, "rb", buffering=0) as file:
            data = file.read(LONGEST_STATUS)
        try:
            status = json.loads(data)
        except (ValueError, RecursionError):
            return None
        return status if isinstance(status, dict) else None

    def begun(self, job: str, attempt: int) -> set[int]:
        """Name the tasks of an attempt whose fence somebody has passed."""
        found: set[int] = set()
        for name in (CLAIMS, CLOSED):
            with (
                suppress(NotFound, FileNotFoundError),
                self._home(job) as home,
                directory(home, f"attempts/{attempt}/{name}") as claims,
                os.scandir(claims) as entries,
            ):
                found |= {int(entry.name) for entry in entries if entry.name.isdecimal()}
        return found

    def close(self, job: str, attempt: int) -> None:
        """Take the place away where claims are made: no task of this attempt can begin any more."""
        with suppress(NotFound), self._home(job) as home, self._words_for(job):
            if look(home, f"attempts/{attempt}/{CLAIMS}") is not None:
                rename(home, f"attempts/{attempt}/{CLAIMS}", f"attempts/{attempt}/{CLOSED}")

    def claimed(self, job: str, attempt: int, task: int) -> dict[str, str] | None:
        """Return who passed the fence of a task of this attempt (host, native_id …); None if nobody did."""
        for claims in (CLAIMS, CLOSED):
            claim = f"attempts/{attempt}/{claims}/{task}"
            try:
                with self._home(job) as home:
                    made = look(home, claim) is not None
            except NotFound:
                return None
            except OSError as error:
                pass_over(error)
                continue
            if made:
                return self._owner(job, claim)
        return None

    def _owner(self, job: str, claim: str) -> dict[str, str]:
        fd = self._open_record(job, f"{claim}/owner")
        if fd is None:
            return {}
        with os.fdopen(fd, "rb", buffering=0) as file:
            lines = file.read(LONGEST_STATUS).decode(errors="replace").splitlines()
        return {name: value for name, _, value in (line.partition("=") for line in lines)}

    def revoke(self, job: str, attempt: int, tasks: Iterable[int]) -> list[int]:
        """Close the fence of tasks that nobody has passed; return those that can now never begin."""
        try:
            with self._home(job) as home, self._words_for(job):
                if look(home, f"attempts/{attempt}/claim") is None:
                    return list(tasks)
                with directory(home, f"attempts/{attempt}/claim") as claims:
                    revoked = [task for task in tasks if _revoke(claims, task)]
        except NotFound:
            return list(tasks)  # there is no directory: nothing was handed over, and nothing can begin
        return revoked

    def log(self, job: str, attempt: int, task: int, stream: Literal["out", "err"], offset: int) -> LogPart:
        """Read at most 1 MiB of a log from `offset` (negative: from the end); empty while there is none."""
        fd = self._open_record(job, f"attempts/{attempt}/log/{task}.{stream}")
        if fd is None:
            return LogPart(data=b"", offset=0, size=0)
        with os.fdopen(fd, "rb", buffering=0):
            size = os.fstat(fd).st_size
            start = min(offset, size) if offset >= 0 else max(0, size + offset)
            return LogPart(data=os.pread(fd, LONGEST_LOG_PART, start), offset=start, size=size)


def _revoke(claims: int, task: int) -> bool:
    """Pass a task's fence so that nobody else can; False if somebody has."""
    with suppress(FileExistsError):
        os.mkdir(f"{task}", 0o700, dir_fd=claims)
        os.close(create_file(claims, f"{task}/revoked", 0o600))
    return look(claims, f"{task}/revoked") is not None
