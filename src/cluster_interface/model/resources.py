"""What a job asks of a node: parsing of amounts, and the request itself."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator

from cluster_interface.model.amounts import show_bytes, show_time
from cluster_interface.model.base import Model

__all__ = [
    "GIB",
    "KIB",
    "MIB",
    "Memory",
    "Resources",
    "Seconds",
    "parse_memory",
    "parse_time",
    "show_bytes",
    "show_time",
]

KIB, MIB, GIB = 2**10, 2**20, 2**30

_UNITS = {
    "": 1,
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "t": 10**12,
    "ki": 2**10,
    "mi": 2**20,
    "gi": 2**30,
    "ti": 2**40,
}
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?", re.IGNORECASE)
_SPAN = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?:in)?)?(?:(\d+)s)?")
_CLOCK = re.compile(r"(?:(\d+)-)?(\d+):(\d{1,2})(?::(\d{1,2}))?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
_CONSTRAINT = re.compile(r"[A-Za-z0-9\[(][A-Za-z0-9._&|,=*()\[\]-]{0,255}")
_LICENSE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}(:[1-9]\d{0,5})?")


def parse_memory(value: Any) -> int:
    """Bytes from a number of bytes or a text such as `4GiB`, `500M`, `1.5 GB`; ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("is not an amount of memory; write for example 4GiB or 500MiB")
    text = str(value).strip()
    if text.startswith("-"):
        raise ValueError(f"must be more than nothing, not {text}")
    found = _MEMORY.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is not an amount of memory; write for example 4GiB or 500MiB")
    return int(float(found[1]) * _UNITS[found[2].lower()])


def parse_time(value: Any) -> int:
    """Seconds from a number or a text: `90`, `1h30m`, `45min`, `2-12:00:00`, `01:30:00`; ValueError otherwise.

    Clock notation follows sbatch(1): `minutes:seconds`, `hours:minutes:seconds`, `days-hours:minutes`.
    """
    text = str(value).strip().lower().replace(" ", "")
    if text.startswith("-"):
        raise ValueError(f"must be more than nothing, not {text}")
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return math.ceil(float(text))
    if found := _CLOCK.fullmatch(text):
        return _clock_seconds(*found.groups())
    found = _SPAN.fullmatch(text)
    if not text or not found or not any(found.groups()):
        raise ValueError(f"{str(value)!r} is not a length of time; write for example 30m, 1h30m or 02:00:00")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _clock_seconds(days: str | None, first: str, second: str, third: str | None) -> int:
    if days is not None:
        hours, minutes, seconds = int(first), int(second), int(third or 0)
    elif third is not None:
        hours, minutes, seconds = int(first), int(second), int(third)
    else:
        hours, minutes, seconds = 0, int(first), int(second)
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds


Memory = Annotated[int, BeforeValidator(parse_memory), Field(gt=0)]
Seconds = Annotated[int, BeforeValidator(parse_time), Field(gt=0)]


class Resources(Model):
    """What a task asks for. What is null gets the queue's default."""

    cpus: int | None = Field(default=None, ge=1, description="processor cores per task")
    memory: Memory | None = Field(default=None, description="bytes, or a text such as 4GiB")
    time: Seconds | None = Field(default=None, description="seconds, or a text such as 1h30m")
    gpus: int = Field(default=0, ge=0, description="graphics processors per node")
    gpu_type: str | None = Field(default=None, description="a kind of GPU as the site calls it, such as a100")
    nodes: int = Field(default=1, ge=1)
    tasks_per_node: int | None = Field(default=None, ge=1, description="processes per node, of `cpus` cores each")
    exclusive: bool = Field(default=False, description="whole nodes, shared with nobody")
    queue: str | None = None
    scheduler: str | None = Field(default=None, description="one of the site's schedulers")
    runtime: str | None = Field(default=None, description="one of the queue's runtimes")
    account: str | None = Field(default=None, description="whom the scheduler charges")
    qos: str | None = Field(default=None, description="quality of service, as the scheduler calls it")
    reservation: str | None = None
    constraint: str | None = Field(default=None, description="features of the node, in the scheduler's own words")
    licenses: tuple[str, ...] = Field(default=(), description="such as matlab or matlab:2")

    @field_validator("queue", "scheduler", "runtime", "account", "qos", "reservation", "gpu_type")
    @classmethod
    def _plain_name(cls, value: str | None) -> str | None:
        if value is not None and not _NAME.fullmatch(value):
            raise ValueError(f"{value!r} is not a name: letters, digits and ._@+- only")
        return value

    @field_validator("constraint")
    @classmethod
    def _features(cls, value: str | None) -> str | None:
        if value is not None and not _CONSTRAINT.fullmatch(value):
            raise ValueError(f"{value!r} is not a constraint: names joined by & | , or = only")
        return value

    @field_validator("licenses")
    @classmethod
    def _licenses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for license_ in value:
            if not _LICENSE.fullmatch(license_):
                raise ValueError(f"{license_!r} is not a licence; write for example matlab or matlab:2")
        return value
