"""How steps use long work: start it, look at it, and take its result."""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cluster_interface.model.errors import ClusterError, Permanent, Rejected, Transient
from cluster_interface.model.marks import work_mark
from cluster_interface.model.resources import show_bytes
from cluster_interface.model.state import FailureCode
from cluster_interface.model.step import Step
from cluster_interface.ports import WorkState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cluster_interface.engine.tools import Case, Tools
    from cluster_interface.model.job import Progress

MOST_DEATHS = 5  #: of one piece of long work, after which it is not started again
MOST_TRIES = 20  #: of work on an image; with the waits between them that is two hours and more
FIRST_WAIT, LONGEST_WAIT = 0.5, 600.0  #: seconds between tries
LOOK_AGAIN = 2.0  #: seconds; the end of long work wakes the engine before that

_CODES = {
    "resolve": FailureCode.IMAGE_FAILED,
    "build": FailureCode.IMAGE_FAILED,
    "inputs": FailureCode.INPUT_UNAVAILABLE,
    "outputs": FailureCode.INTERNAL,
    "deliver": FailureCode.INTERNAL,
}
KINDS = tuple(_CODES)
_GIVEN_UP = ("resolve", "build")  #: what needs only the world outside; inputs and outputs wait for their filesystem


class Later(Transient):
    """Long work failed in a way that may be over in a while; it is begun again after `wait` seconds."""

    def __init__(self, message: str, wait: float, *, told: bool) -> None:
        super().__init__(message)
        self.wait = wait
        self.told = told  #: in the timeline, too


def look(
    case: Case, tools: Tools, kind: str, request: Mapping[str, Any], mark: str | None = None
) -> tuple[dict[str, Any] | None, Step]:
    """Return the result, or None with the step that waits for it; raise what the work raised."""
    mark = mark or work_mark(case.job.id, kind, case.job.number)
    work = tools.works.look(mark)
    if work.state is WorkState.ABSENT:
        if work.deaths >= MOST_DEATHS:
            tools.works.stop(mark)
            raise Permanent(f"the work on {kind} died {work.deaths} times without saying why", code=_CODES[kind])
        tools.works.start(mark, kind, request)
        work = tools.works.look(mark)
    if work.state is WorkState.FAILED:
        tools.works.stop(mark)  # a later try starts afresh
        raise _again(case, tools, kind, work.error)
    state = case.job.state
    if work.state is WorkState.DONE:
        return work.result if work.result is not None else {}, Step(state=state)
    words = _words(work.progress) if work.progress else case.job.reason if case.job.tries else ""
    return None, Step(state=state, after=LOOK_AGAIN, again=None, reason=words)


def _again(case: Case, tools: Tools, kind: str, error: Exception | None) -> Exception:
    """Say what becomes of work that failed: what may be over in a while is tried again, and when is told."""
    if isinstance(error, Rejected):  # the job was taken: what its work finds wrong with it is its failure
        return Permanent(str(error), code=_CODES[kind])
    if not isinstance(error, Transient):
        return error or Permanent(f"the work on {kind} failed", code=_CODES[kind])
    tries = case.job.tries + 1
    most = min(MOST_TRIES, error.tries or MOST_TRIES)
    if kind in _GIVEN_UP and tries >= most:
        return Permanent(f"{error} (given up after {tries} tries; rerun the job later)", code=_CODES[kind])
    wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(tries - 1, 20))
    at = datetime.fromtimestamp(tools.clock.now() + wait).astimezone().strftime("%H:%M:%S %Z")
    of = f" of {most}" if kind in _GIVEN_UP else ""
    return Later(f"{error}; it is tried again at {at} (try {tries + 1}{of})", wait, told=tries < MOST_TRIES)


def stop_all(case: Case, tools: Tools) -> None:
    """End every piece of long work that is this job's alone."""
    for kind in KINDS:
        with contextlib.suppress(ClusterError):
            tools.works.stop(work_mark(case.job.id, kind, case.job.number))


def _words(progress: Progress) -> str:
    if progress.unit == "bytes" and progress.total and progress.files_total:
        amount = f"{show_bytes(progress.done)} of {show_bytes(progress.total)}"
        return f"{progress.stage}: {amount}, {progress.files} of {progress.files_total} files {progress.note}".strip()
    if progress.unit == "bytes" and progress.total:
        return f"{progress.stage}: {show_bytes(progress.done)} of {show_bytes(progress.total)} {progress.note}".strip()
    return f"{progress.stage}: {progress.note}" if progress.note else progress.stage
