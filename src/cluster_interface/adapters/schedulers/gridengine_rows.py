"""Reading what Grid Engine prints of jobs: `qstat -xml` (qstat(1)) and `qacct -j` (qacct(1), accounting(5))."""

from __future__ import annotations

import html
import re
from calendar import timegm
from time import strptime
from typing import TYPE_CHECKING, Literal

import structlog

from cluster_interface.adapters.schedulers.pictures import SINGLE, Record
from cluster_interface.ports import NativeState, Observation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_JOB = re.compile(r"<job_list state=.*?</job_list>", re.DOTALL)
_FIELD = re.compile(r"<(JB_job_number|JB_name|JB_owner|state|JAT_start_time|queue_name|tasks)>([^<]*)</\1>")
_NEEDED = ("JB_job_number", "JB_name", "JB_owner", "state")
_SPAN = re.compile(r"(\d+)(?:-(\d+)(?::(\d+))?)?")
_LIMIT = 37  #: what accounting says where qmaster or execd ended it for time or memory
_LOST = (19, 21)  #: the node no longer knew of the job
_KILLED = 100
_log = structlog.get_logger(__name__)


def split(text: str) -> list[str]:
    """Cut what qstat printed into jobs. A job's name cannot hold markup: Grid Engine takes no slash in it."""
    return _JOB.findall(text)


def record_of(text: str) -> Record | None:
    """Read one job of qstat; None, and a word in the log, if it is nothing that we can read."""
    found = dict(_FIELD.findall(text))
    try:
        number, name, owner, state = (html.unescape(found[field]) for field in _NEEDED)
        return Record(
            mark=name,
            account=owner,
            native_id=str(int(number)),
            elements=elements_of(found.get("tasks", "")),
            seen=_observation(state, found.get("JAT_start_time"), found.get("queue_name", "")),
        )
    except (KeyError, ValueError):
        _log.warning("unreadable job of qstat", job=" ".join(text.split())[:300])
        return None


def elements_of(text: str) -> Sequence[int]:
    """Read which tasks of an array are meant: `7`, `3-9:2`, `1,4-6:1`; Grid Engine counts from 1, we from 0."""
    if text in ("", "undefined"):
        return SINGLE
    spans = []
    for part in text.split(","):
        if not (found := _SPAN.fullmatch(part.strip())):
            raise ValueError(f"not tasks of an array: {text[:40]}")
        first, last, step = found.groups()
        spans.append(range(int(first) - 1, int(last or first), int(step or 1)))
    return spans[0] if len(spans) == 1 else tuple(n for span in spans for n in span)


def state_of(code: str) -> NativeState:
    """Return what a state's letters mean, see qstat(1); what we do not know is unknown, never ended."""
    if "q" in code or "w" in code:
        return NativeState.PENDING
    if any(letter in code for letter in "rtsSTd"):
        return NativeState.RUNNING
    return NativeState.ENDED if code == "z" else NativeState.UNKNOWN


def reason_of(code: str) -> str:
    """Say in words what a state's letters mean where that is more than to wait or to run."""
    if "E" in code:
        return "it could not be started, and waits for somebody to look at it (Eqw)"
    if "h" in code:
        return "it is held back (hqw)"
    if "d" in code:
        return "it is being deleted"
    return "it is suspended" if any(letter in code for letter in "sST") else ""


def _observation(code: str, start: str | None, queue: str) -> Observation:
    state = state_of(code)
    began = state is NativeState.RUNNING
    return Observation(
        state=state,
        reason=reason_of(code) if state is not NativeState.UNKNOWN else code,
        started=float(timegm(strptime(start, "%Y-%m-%dT%H:%M:%S"))) if began and start else None,
        node=queue.partition("@")[2] or None if began else None,
    )


def accounted(text: str) -> Iterator[Record]:
    """Read what qacct printed; what cannot be read is left out."""
    for block in re.split(r"^=+$", text, flags=re.MULTILINE):
        pairs = (line.split(None, 1) for line in block.splitlines() if line.strip())
        found = {pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2}
        if not found:
            continue
        try:
            yield Record(
                mark=found["jobname"],
                account=found["owner"],
                native_id=str(int(found["jobnumber"])),
                elements=elements_of(found.get("taskid", "")),
                seen=_ended(found),
            )
        except (KeyError, ValueError):
            _log.warning("unreadable record of qacct", job=block.strip()[:200])


def _ended(found: dict[str, str]) -> Observation:
    failed, _, words = found["failed"].partition(":")
    code = int(failed)
    status = found.get("exit_status", "").split(None, 1)[0] if found.get("exit_status") else ""
    reason = f"failed {code}: {words.strip()}" if code else f"exit status {status}"
    return Observation(
        state=NativeState.ENDED,
        reason=reason,
        verdict=_verdict(code, found),
        started=_time(found.get("start_time", "")),
        node=found.get("hostname"),
    )


def _verdict(code: int, found: dict[str, str]) -> Literal["time_limit", "out_of_memory", "node_failed"] | None:
    """Say how it ended. One code stands for the limits of time and of memory; the time it ran tells them apart."""
    if code in _LOST:
        return "node_failed"
    limit = re.search(r"h_rt=(\d+)", found.get("category", ""))
    ran = re.match(r"[\d.]+", found.get("ru_wallclock", ""))
    used_up = bool(limit and ran and float(ran[0]) >= int(limit[1]) - 1)
    if code == _LIMIT:
        return "time_limit" if used_up else "out_of_memory"
    return "time_limit" if code == _KILLED and used_up else None


def _time(text: str) -> float | None:
    try:
        return float(timegm(strptime(text, "%a %b %d %H:%M:%S %Y")))
    except ValueError:
        return None
