"""Times, memory and counts as each batch system writes them. All raise ValueError with a sentence.

None where the text asks for everything: no limit of time, all the memory of a node.
"""

from __future__ import annotations

import math
import re

from cluster_interface.inspection.wording import shown

KIB = 2**10
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_UNLIMITED = frozenset({"unlimited", "infinite", "infinity", "-1"})

_SLURM_DAYS = re.compile(r"(\d{1,6})-(\d{0,6})(?::(\d{1,6}))?(?::(\d{1,6}))?")
_SLURM_CLOCK = re.compile(r"(\d{1,9})(?::(\d{1,6}))?(?::(\d{1,6}))?")
_SLURM_MEMORY = re.compile(r"(\d{1,15})([kmgtp]?)b?", re.IGNORECASE)
_SGE_CLOCK = re.compile(r"(\d{0,6}):(\d{0,6}):(\d{0,6})")
_SGE_MEMORY = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)([kKmMgGtT]?)[bB]?")
_PBS_CLOCK = re.compile(r"(?:(?:(?:(\d{1,6}):)?(\d{1,6}):)?(\d{1,6}):)?(\d{1,9})(?:\.\d+)?")
_PBS_MEMORY = re.compile(r"(\d{1,15})([kmgtp]?)([bw]?)", re.IGNORECASE)
_LSF_CLOCK = re.compile(r"(?:(\d{1,6}):)?(\d{1,7})(?:/\S*)?")
_LSF_MEMORY = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*(?:([kmgtp])i?b?)?", re.IGNORECASE)
LEAST_MEMORY = 128 * 2**20  #: bytes that anybody would ask for
_COUNT = re.compile(r"[1-9]\d{0,8}")
WORD = 8  #: bytes, of the machines that PBS calls 64-bit


def count(text: str) -> int:
    """A number of things, at least one."""
    if not _COUNT.fullmatch(text):
        raise ValueError(f"{shown(text)} is not a number of 1 or more; write for example 4")
    return int(text)


def slurm_time(text: str) -> int | None:
    """Seconds: minutes, minutes:seconds, hours:minutes:seconds, days-hours[:minutes[:seconds]] (sbatch(1), --time)."""
    if text.lower() in _UNLIMITED or text == "0":
        return None
    if found := _SLURM_DAYS.fullmatch(text):
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return _some(((days * 24 + hours) * 60 + minutes) * 60 + seconds, text)
    if found := _SLURM_CLOCK.fullmatch(text):
        first, second, third = found.groups()
        if third is not None:
            return _some((int(first) * 60 + int(second)) * 60 + int(third), text)
        return _some(int(first) * 60 + int(second or 0), text)
    raise ValueError(f"{shown(text)} is not a time of Slurm; write for example 90 (minutes), 1:30:00 or 2-12:00:00")


def slurm_memory(text: str) -> int | None:
    """Bytes: whole numbers of megabytes, or with K, M, G or T behind, powers of 1024 (sbatch(1), --mem)."""
    found = _SLURM_MEMORY.fullmatch(text)
    if not found:
        raise ValueError(f"{shown(text)} is not an amount of memory of Slurm; write for example 4G or 500M")
    return int(found[1]) * KIB ** _POWERS[found[2].lower() or "m"] or None


def gridengine_time(text: str) -> int | None:
    """Seconds: a number of them, or hours:minutes:seconds in which zeros may be left out (sge_types(5))."""
    if text.lower() in _UNLIMITED:
        return None
    if found := _SGE_CLOCK.fullmatch(text):
        hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return _some((hours * 60 + minutes) * 60 + seconds, text)
    if re.fullmatch(r"\d{1,10}", text):
        return _some(int(text), text)
    raise ValueError(f"{shown(text)} is not a time of Grid Engine; write for example 5400 (seconds) or 1:30:00")


def gridengine_memory(text: str) -> int | None:
    """Bytes; K, M, G and T are powers of 1024, k, m, g and t of 1000 (sge_types(5))."""
    if text.lower() in _UNLIMITED:
        return None
    found = _SGE_MEMORY.fullmatch(text)
    if not found:
        raise ValueError(f"{shown(text)} is not an amount of memory of Grid Engine; write for example 4G or 500M")
    unit = KIB if found[2].isupper() else 1000
    return math.ceil(float(found[1]) * unit ** _POWERS[found[2].lower()]) or None


def pbs_time(text: str) -> int | None:
    """Seconds: [[[days:]hours:]minutes:]seconds[.fraction] (pbs_resources(7B))."""
    if text.lower() in _UNLIMITED:
        return None
    found = _PBS_CLOCK.fullmatch(text)
    if not found:
        raise ValueError(f"{shown(text)} is not a time of PBS; write for example 5400 (seconds) or 1:30:00")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return _some(((days * 24 + hours) * 60 + minutes) * 60 + seconds, text)


def pbs_memory(text: str) -> int | None:
    """Bytes: a number of b(ytes) or w(ords), with k, m, g, t before for powers of 1024 (pbs_resources(7B))."""
    found = _PBS_MEMORY.fullmatch(text)
    if not found:
        raise ValueError(f"{shown(text)} is not an amount of memory of PBS; write for example 4gb or 500mb")
    size = WORD if found[3].lower() == "w" else 1
    return int(found[1]) * size * KIB ** _POWERS[found[2].lower()] or None


def lsf_time(text: str) -> int:
    """Seconds: [hours:]minutes, perhaps with the host that it is measured on behind (bsub(1), -W)."""
    found = _LSF_CLOCK.fullmatch(text)
    if not found:
        raise ValueError(f"{shown(text)} is not a time of LSF; write for example 90 (minutes) or 1:30")
    return _some((int(found[1] or 0) * 60 + int(found[2])) * 60, text)


def lsf_memory(text: str) -> tuple[int | None, str]:
    """Bytes; K, M, G and T are powers of 1024 (bsub(1), -M). With it the unit that was taken where none is named.

    That is the site's, which is not known: the smallest one in which the number is enough for a program to run.
    """
    found = _LSF_MEMORY.fullmatch(text)
    if not found:
        raise ValueError(f"{shown(text)} is not an amount of memory of LSF; write for example 4GB or 500MB")
    if found[2]:
        return math.ceil(float(found[1]) * KIB ** _POWERS[found[2].lower()]) or None, ""
    for unit in ("KB", "MB", "GB"):
        size = math.ceil(float(found[1]) * KIB ** _POWERS[unit[0].lower()])
        if size >= LEAST_MEMORY:
            break
    return size or None, unit


def _some(seconds: int, text: str) -> int:
    if not seconds:
        raise ValueError(f"{shown(text)} leaves no time at all; write for example 1:00:00")
    return seconds
