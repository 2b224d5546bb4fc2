"""One job: looked at, waited for, followed, canceled; its logs and its outputs."""

from __future__ import annotations

import time
import uuid
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cluster_interface.client.earlier import note
from cluster_interface.client.outputs import Fate, Output, Written, fetch
from cluster_interface.client.saving import save
from cluster_interface.client.transport import segment
from cluster_interface.model.errors import Transient
from cluster_interface.model.state import FINAL, FailureCode, JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cluster_interface.client.outputs import Fetched, Progress
    from cluster_interface.client.transport import Answer, Transport
    from cluster_interface.wire import EventView, JobView

    Stream = Literal["out", "err"]

WAIT = 25.0  #: seconds that the server may take to have news; it answers as soon as it has some
PATIENCE = 60.0  #: seconds that the server may be away while a job is followed


class Job:
    """A job as it was last seen: `refresh()` looks again. `data` is the API's own JSON."""

    def __init__(self, transport: Transport, data: dict[str, Any]) -> None:
        self._transport = transport
        self.data = data

    def __repr__(self) -> str:
        return f"<Job {self.id} {self.name!r}: {self.state}>"

    @property
    def id(self) -> str:
        """Its name for the server."""
        return str(self.data["id"])

    @property
    def name(self) -> str:
        """Its name for people."""
        return str(self.data["name"])

    @property
    def state(self) -> JobState:
        """Where it is on its way."""
        return JobState(self.data["state"])

    @property
    def final(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in FINAL

    @property
    def reason(self) -> str:
        """Why it is where it is, in words; empty where there is nothing to say."""
        return str(self.data["reason"])

    @property
    def code(self) -> FailureCode | None:
        """Why it failed; None unless it did."""
        return FailureCode(self.data["code"]) if self.data["code"] else None

    @property
    def view(self) -> JobView:
        """Everything about it, as the wire's model; asks the server where only a line of a list is known."""
        from cluster_interface.wire import JobView  # noqa: PLC0415 - 200 ms that `clif run` need not pay

        if "spec" not in self.data:
            self.refresh()
        return JobView.parse(self.data)

    def refresh(self) -> Job:
        """Look again; raises NotFound, or Transient where the server is away."""
        self.data = self._get("").json()
        self.__dict__.pop("outputs", None)
        return self

    def wait(self, timeout: float | None = None) -> Job:
        """Wait until it is final; TimeoutError after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        after = 0
        while not self.final:
            left = WAIT if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"job {self.id} is still {self.state} after {timeout} seconds")
            for event in self.poll_events(after, min(WAIT, left)):
                after = event["id"]
                if JobState(event["new"]) in FINAL:
                    break
            self.refresh()
        return self

    def events(self, *, follow: bool = False) -> Iterator[EventView]:
        """Yield its timeline so far; with `follow`, go on until it is final."""
        from cluster_interface.wire import EventView  # noqa: PLC0415 - as above

        after = 0
        while True:
            found = [EventView.parse(event) for event in self.poll_events(after, WAIT if follow else 0)]
            yield from found
            after = found[-1].id if found else after
            if not follow or (found and found[-1].new in FINAL):
                return

    def poll_events(self, after: int = 0, wait: float = 0) -> list[dict[str, Any]]:
        """Return the events after an id as JSON, waiting up to `wait` seconds for one."""
        answer = _patiently(lambda: self._get("/events", after=after, wait=f"{wait:.3f}"))
        events: list[dict[str, Any]] = answer.json()["events"]
        return events

    def logs(self, stream: Stream = "out", task: int = 0) -> str:
        """Return what a task has printed so far."""
        return b"".join(self.printed(stream, task)).decode(errors="replace")

    def printed(self, stream: Stream = "out", task: int = 0) -> Iterator[bytes]:
        """Yield what a task has printed so far, byte for byte."""
        return self._chunks(stream, task, wait=0)

    def follow(self, stream: Stream = "out", task: int = 0) -> Iterator[bytes]:
        """Yield what a task prints, as it comes, until the task has ended."""
        return self._chunks(stream, task, wait=WAIT)

    def tail(self, stream: Stream = "err", task: int = 0, size: int = 4096) -> str:
        """Return the last `size` bytes of what a task has printed."""
        return self._get(f"/logs/{stream}", task=task, offset=-size).body.decode(errors="replace")

    def _chunks(self, stream: Stream, task: int, wait: float) -> Iterator[bytes]:
        offset = 0
        while True:
            answer = self._log(stream, task, offset, wait)
            size = int(answer.headers["X-Log-Size"])
            if answer.body:
                offset += len(answer.body)
                yield answer.body
            elif size < offset:
                offset = 0  # a new attempt has begun a new log
            elif wait == 0 or answer.headers["X-Log-End"] == "true":
                return

    def _log(self, stream: Stream, task: int, offset: int, wait: float) -> Answer:
        return _patiently(lambda: self._get(f"/logs/{stream}", task=task, offset=offset, wait=f"{wait:.3f}"))

    @cached_property
    def outputs(self) -> Sequence[Output]:
        """What it left behind, listed when first asked for."""
        return [
            Output(
                self._transport,
                self.id,
                path=item["path"],
                size=item["size"],
                sha256=item["sha256"],
                task=item["task"],
                partial=item["partial"],
                type=item.get("type", ""),
                executable=item.get("executable", False),
                place=item.get("place", ""),
            )
            for item in self.output_list()["outputs"]
        ]

    def output_list(self) -> dict[str, Any]:
        """Return the list of outputs as the API's JSON."""
        found: dict[str, Any] = self._get("/outputs").json()
        return found

    def fetch(
        self,
        directory: str | Path = ".",
        outputs: Sequence[Output] | None = None,
        progress: Progress | None = None,
        name_of: Callable[[Output], str] | None = None,
    ) -> list[Fetched]:
        """Write outputs (all, unless some are given) into a directory.

        Those of a sweep go into a directory for each task, named by its number, and beside them tasks.csv says what
        the parameters of each were, how it ended and what it took; `name_of` names them otherwise. An input of the
        same name is kept, and the output put beside it.

        Never writes outside the directory or through a link. Raises Rejected naming those that cannot be written.
        """
        wanted = list(self.outputs if outputs is None else outputs)
        if self.is_sweep and outputs is None:
            wanted.append(Written(self.id, "tasks.csv", self.task_table()))
        named = name_of or (self._by_task if self.is_sweep else (lambda output: output.path))
        place, files = Path(directory), self._spec["files"]
        made = not place.exists()
        fetched = fetch(wanted, place, frozenset(files), progress, named)
        if self._spec["script"]:
            there = [one.path for one in fetched if one.fate is not Fate.SAME or one.output.path not in files]
            note([place] if made else there, self._spec["script"])
        return fetched

    @staticmethod
    def _by_task(output: Output) -> str:
        return output.path if isinstance(output, Written) else f"{output.task}/{output.path}"

    def capsule(self, path: str | Path, progress: Callable[[int], None] | None = None) -> Path:
        """Write it into a file as a capsule: one image with its software, files and command, for `docker load`.

        `progress` is told the bytes so far. Raises Conflict in words where it cannot become one, Rejected where the
        file cannot be written.
        """
        return save(self._transport.stream("GET", f"/jobs/{segment(self.id)}/capsule"), Path(path), progress)

    def archive(self, path: str = "", format: str = "zip") -> Iterator[bytes]:  # noqa: A002 - the API's word
        """Yield a file or folder of its outputs (all, unless a path is given) as one archive: zip, tar.gz or tar.zst.

        In a sweep, everything stands below the number of its task. Raises NotFound if there is no such path.
        """
        where = f"/jobs/{segment(self.id)}/archive"
        with self._transport.stream("GET", where, query={"path": path, "format": format}) as stream:
            yield from stream

    # --- links

    def share(self, path: str = "", expires: str | float = "7d", most: int | None = None) -> dict[str, Any]:
        """Make a link by which somebody without an account fetches a file or folder (all, unless a path is given).

        `expires`: seconds from now, or a text such as 7d. `most`: how many downloads it is good for. Returns the
        link as the API's JSON; its `url` is told only now. Raises Rejected naming what is wrong.
        """
        document = {"path": path, "expires": expires, "most": most}
        where = f"/jobs/{segment(self.id)}/links"
        made: dict[str, Any] = self._transport.request("POST", where, document=document).json()
        return made

    def links(self) -> list[dict[str, Any]]:
        """List its links that are still good, as the API's JSON, the newest first."""
        found: list[dict[str, Any]] = self._get("/links").json()["links"]
        return found

    def unshare(self, link: str) -> None:
        """Take a link back, by its id; NotFound if it has no such link."""
        self._transport.request("DELETE", f"/jobs/{segment(self.id)}/links/{segment(link)}")

    # --- many tasks

    @property
    def is_sweep(self) -> bool:
        """Whether it has a task for each of many values."""
        return bool(self._spec.get("sweep"))

    @property
    def counts(self) -> dict[str, int]:
        """How many tasks are in which state, as it was last seen."""
        return {str(state): int(count) for state, count in (self.data.get("counts") or {}).items()}

    def tasks(self, state: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield the tasks (perhaps only those in one state) as the API's JSON, in order, asking for more as needed."""
        after: int | None = -1
        while after is not None:
            page = self._get("/tasks", after=after, limit=1000, **({"state": state} if state else {})).json()
            yield from page["tasks"]
            after = page["next"]

    def task_page(self, *, after: int = -1, limit: int = 100, state: str | None = None) -> dict[str, Any]:
        """Return one page of the tasks as the API's JSON."""
        page: dict[str, Any] = self._get(
            "/tasks", after=after, limit=limit, **({"state": state} if state else {})
        ).json()
        return page

    def task_table(self) -> bytes:
        """Return a CSV with a row per task: its parameters, how it ended, what it took."""
        return self._get("/tasks.csv").body

    def gather(self, path: str) -> Iterator[bytes]:
        """Yield the tables of this name (or pattern) of all completed tasks as one, parameters first.

        Raises NotFound if no task has one, Rejected if their headers differ or they are no tables.
        """
        with self._transport.stream("GET", f"/jobs/{segment(self.id)}/gather", query={"path": path}) as stream:
            yield from stream

    @property
    def _spec(self) -> dict[str, Any]:
        if "spec" not in self.data:
            self.refresh()
        spec: dict[str, Any] = self.data["spec"]
        return spec

    # --- wishes

    def cancel(self) -> Job:
        """Ask for it to be canceled; Conflict if it has ended already."""
        self.data = self._transport.request("POST", f"/jobs/{segment(self.id)}/cancel").json()
        return self

    def deliver(self) -> Job:
        """Have its outputs taken once more to where they did not arrive.

        Conflict if it has not ended, or they are everywhere already.
        """
        self.data = self._transport.request("POST", f"/jobs/{segment(self.id)}/deliver").json()
        return self

    def keep(self, seconds: str | float | None = None) -> Job:
        """Keep its files for so long from now (seconds, or a text such as 30d), or for the site's usual time.

        Conflict if it has not ended, or the site allows no longer.
        """
        path = f"/jobs/{segment(self.id)}/keep"
        self.data = self._transport.request("POST", path, document={"seconds": seconds}).json()
        return self

    def remove(self) -> Job:
        """Have its files removed now; what is known of it, and its logs, stay. Conflict if it has not ended."""
        self.data = self._transport.request("DELETE", f"/jobs/{segment(self.id)}/files").json()
        return self

    def shell(self, task: int = 0) -> dict[str, Any]:
        """Ask for what opens a shell where a task runs or ran: `argv`, and the `account` it is to be run as."""
        path = f"/jobs/{segment(self.id)}/shell"
        answer: dict[str, Any] = self._transport.request("POST", path, query={"task": str(task)}).json()
        return answer

    def rerun(self, key: str | None = None, *, failed: bool = False, with_missing: bool = False) -> Job:
        """Submit the same spec again as a new job, with `failed` only the tasks that did not complete.

        `with_missing` adds the package that the program lacked, which `missing` names; Conflict if it names none. The
        same key again is the same job.
        """
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        query = {name: "true" for name, wish in (("failed", failed), ("with_missing", with_missing)) if wish}
        path = f"/jobs/{segment(self.id)}/rerun"
        return Job(self._transport, self._transport.request("POST", path, query=query, headers=headers).json())

    def _get(self, path: str, **query: object) -> Answer:
        return self._transport.request("GET", f"/jobs/{segment(self.id)}{path}", query=query)


def _patiently(ask: Callable[[], Answer]) -> Answer:
    """Ask again while the server is away for a moment: a job outlives a restart of its server."""
    deadline, pause = time.monotonic() + PATIENCE, 0.1
    while True:
        try:
            return ask()
        except Transient:
            if time.monotonic() + pause > deadline:
                raise
            time.sleep(pause)
            pause = min(2.0, pause * 2)
