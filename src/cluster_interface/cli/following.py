"""Following a job: its stages as lines, its output as it comes, until it is final."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cluster_interface.cli.bars import Bars
from cluster_interface.cli.sweeping import ended, show_counts
from cluster_interface.cli.talk import Sink, say
from cluster_interface.cli.terminal import plain
from cluster_interface.cli.words import COLOURS, STAGES
from cluster_interface.model.errors import ClusterError, Conflict
from cluster_interface.model.state import FINAL, JobState

if TYPE_CHECKING:
    from cluster_interface.client import Job

PREPARING = frozenset({JobState.SUBMITTED, JobState.PREPARING})
BEFORE_OUTPUT = PREPARING | {JobState.AWAITING_APPROVAL}
PATIENCE = 5.0  #: seconds that the request to cancel may take when nobody waits any longer
WAIT = 10.0  #: seconds between looks at the reason of a job that stays where it is
WAIT_TASKS = 1.0  #: seconds between counts of many tasks
PAUSE_COUNTS = 10.0  #: seconds between counts where they become lines
WAIT_PREPARING = 0.5  #: seconds between looks at the progress of what is drawn; events cut both short


class Left(Exception):
    """The person does not want to wait any longer; the job goes on."""


def follow(job: Job, *, output_to_stderr: bool = False) -> Job:
    """Follow a job to its end; raises Left at the second Ctrl-C (the first asks for it to be canceled)."""
    following = _Following(job, output_to_stderr=output_to_stderr)
    with suppress(KeyboardInterrupt):
        return following.to_the_end()
    canceling = threading.Thread(target=_cancel, args=(job,), daemon=True)  # who presses twice at once means it, too
    try:
        canceling.start()
        say("canceling …; press Ctrl-C again to stop waiting for that", colour="yellow")
        return following.to_the_end()
    except KeyboardInterrupt:
        canceling.join(PATIENCE)
        raise Left from None


def _cancel(job: Job) -> None:
    try:
        job.cancel()
    except Conflict:
        pass  # it has just ended by itself
    except ClusterError as error:
        say(f"clif: job {job.id} cannot be canceled: {plain(str(error))}", colour="red")


class _Following:
    def __init__(self, job: Job, *, output_to_stderr: bool) -> None:
        self._job = job
        self._after = 0
        self._reason = ""
        self._counted, self._counts = 0.0, ""
        self._bars = Bars()
        self._readers: list[threading.Thread] = []
        self._sinks = {"out": Sink(sys.stderr if output_to_stderr else sys.stdout), "err": Sink(sys.stderr)}

    def to_the_end(self) -> Job:
        state = self._job.state
        with self._bars:
            while state not in FINAL:
                events = self._job.poll_events(self._after, self._wait(state))
                for event in events:
                    state = self._stage(event)
                if not events:
                    state = self._look()
        for reader in self._readers:
            reader.join()
        for event in self._job.poll_events(self._after):
            self._stage(event)
        return self._job.refresh()

    def _wait(self, state: JobState) -> float:
        if state in PREPARING:
            return WAIT_PREPARING
        return WAIT_TASKS if self._job.is_sweep else WAIT

    def _stage(self, event: dict[str, Any]) -> JobState:
        self._after = event["id"]
        state = JobState(event["new"])
        if event["old"] != event["new"]:
            self._bars.clear()
            why = f": {plain(event['why'])}" if event["why"] and state not in FINAL else ""
            elapsed = event["at"] - self._job.data["created"]
            say(f"{elapsed:8.1f} s {STAGES[state]}{why}", colour=COLOURS.get(state), dim=state not in COLOURS)
        if state not in BEFORE_OUTPUT and state not in FINAL:
            self._read_output()
        return state

    def _look(self) -> JobState:
        """Nothing has happened: say how far it is, and why it waits."""
        self._job.refresh()
        for progress in self._job.data["progress"]:
            self._bars.stage(progress)
        if self._job.is_sweep and self._job.state not in BEFORE_OUTPUT:
            self._count()
        told = self._job.data["progress"] or self._job.final
        if self._job.reason not in ("", self._reason) and not told:
            self._reason = self._job.reason
            self._bars.clear()
            say(f"           {plain(self._reason)}", dim=True)
        return self._job.state

    def _count(self) -> None:
        """Say how far many tasks are: a bar on a terminal, now and then a line elsewhere."""
        counts = self._job.counts
        words = show_counts(counts)
        if sys.stderr.isatty():
            title = words.rpartition(", ")[0] or "tasks"
            self._bars.update("tasks", ended(counts), sum(counts.values()), "done", title)
        elif words != self._counts and time.monotonic() - self._counted >= PAUSE_COUNTS:
            self._counted, self._counts = time.monotonic(), words
            say(f"           {words}", dim=True)

    def _read_output(self) -> None:
        if self._readers or self._job.is_sweep:
            return
        for stream in ("out", "err"):
            self._readers.append(threading.Thread(target=self._pass_on, args=(stream,), daemon=True))
            self._readers[-1].start()

    def _pass_on(self, stream: Any) -> None:
        sink = self._sinks[stream]
        try:
            for data in self._job.follow(stream):
                sink.write(data)
        except ClusterError as error:
            say(f"clif: the program's {stream} cannot be read: {plain(str(error))}", colour="yellow")
        finally:
            sink.end()
