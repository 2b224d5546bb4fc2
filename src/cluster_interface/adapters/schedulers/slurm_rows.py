"""Reading what squeue(1) and sacct(1) print of jobs.

A job's name is whatever its owner wrote, newlines included, so a line of its own could be made to look like a line of
somebody else's job. Every record therefore begins with a word that nobody can know before we ask.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING

import structlog

from cluster_interface.adapters.schedulers.pictures import SINGLE, Record
from cluster_interface.adapters.schedulers.slurm_states import state_of, verdict_of
from cluster_interface.ports import NativeState, Observation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FORMAT = "|%F|%K|%u|%T|%S|%B|%r|%j"
_FIELDS = 8
ACCOUNTED = "JobID,User,State,Start,NodeList,JobName"
_ACCOUNTED_FIELDS = 6
_SPAN = re.compile(r"(\d+)(?:-(\d+)(?::(\d+))?)?")
_MOST_ELEMENTS = 10_000_000
_NOTHING = ("", "N/A", "n/a", "None", "(null)", "Unknown", "None assigned")
_log = structlog.get_logger(__name__)


def word() -> str:
    """Make a word that no job's name has in it."""
    return f"@{secrets.token_hex(8)}"


def split(text: str, begin: str) -> list[str]:
    """Cut what squeue printed into records, each without the word that begins it and the newline that ends it."""
    if not text:
        return []
    head, *records = f"\n{text}".removesuffix("\n").split(f"\n{begin}")
    if head.strip():
        _log.warning("squeue said something else", text=head.strip()[:200])
    return records


def record_of(text: str) -> Record | None:
    """Read one record of squeue; None, and a word in the log, if it is nothing that we can read."""
    fields = text.removeprefix("|").split("|", _FIELDS - 1)
    try:
        base, array, user, state, start, node, reason, name = fields
        seen = _observation(state, reason, start, node)
        return Record(mark=name, account=user, native_id=str(int(base)), elements=elements_of(array), seen=seen)
    except ValueError:
        _log.warning("unreadable line of squeue", line=text[:200])
        return None


def elements_of(text: str) -> Sequence[int]:
    """Read which elements of an array a record stands for: `7`, `0-99%5`, `3,8-20:4%2`; ValueError otherwise.

    An order that is no array has one element, number 0 (`N/A`).
    """
    if text in _NOTHING:
        return SINGLE
    spans = [_span(part) for part in text.partition("%")[0].strip("[]").split(",")]
    if sum(map(len, spans)) > _MOST_ELEMENTS:
        raise ValueError(f"more elements than there can be: {text[:40]}")
    return spans[0] if len(spans) == 1 else tuple(n for span in spans for n in span)


def _span(text: str) -> range:
    if not (found := _SPAN.fullmatch(text)):
        raise ValueError(f"not elements of an array: {text[:40]}")
    first, last, step = found.groups()
    return range(int(first), int(last or first) + 1, int(step or 1))


def accounted(text: str, delimiter: str) -> Iterator[Record]:
    """Read what sacct printed, each field but the last followed by the delimiter; what cannot be read is left out."""
    for line in text.splitlines():
        fields = line.split(delimiter)
        if len(fields) != _ACCOUNTED_FIELDS:
            continue  # the rest of a name with a newline in it
        job, user, state, start, node, name = fields
        base, _, array = job.partition("_")
        try:
            seen = _observation(state, "", start, node)
            yield Record(mark=name, account=user, native_id=str(int(base)), elements=elements_of(array), seen=seen)
        except ValueError:
            _log.warning("unreadable line of sacct", line=line[:200])


def _observation(state: str, reason: str, start: str, node: str) -> Observation:
    meaning = state_of(state)
    why = "" if reason in _NOTHING else reason
    if meaning is NativeState.ENDED:
        why = f"{state} ({why})" if why else state
    began = meaning in (NativeState.RUNNING, NativeState.ENDED)
    return Observation(
        state=meaning,
        reason=why or ("" if meaning is not NativeState.UNKNOWN else state),
        verdict=verdict_of(state),
        started=seconds(start) if began else None,
        node=None if node in _NOTHING or not began else node,
    )


def seconds(text: str) -> float | None:
    """Read a time in seconds since 1970 (SLURM_TIME_FORMAT=%s); None for `N/A` and its like."""
    return float(text) if text.isdecimal() and text != "0" else None
