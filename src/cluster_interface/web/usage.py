"""What a job asked for beside what it used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.model.amounts import show_bytes, show_time
from cluster_interface.web.words import lasted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster_interface.wire import JobView


@dataclass(frozen=True, kw_only=True)
class Used:
    """One resource: words for people, and the share that was used (0 to 1; None where nothing was measured)."""

    name: str
    asked: str
    used: str = ""
    share: float | None = None


def usage(job: JobView, now: float) -> list[Used]:
    """Compare what was asked with what the busiest task used."""
    if job.plan is None:
        return list(_asked(job))
    ask = job.plan.ask
    elapsed = max((_elapsed(task.started, task.ended, now) for task in job.tasks), default=0.0)
    rows = [_time(ask.time, elapsed), _memory(ask.memory, max((t.peak_memory or 0 for t in job.tasks), default=0))]
    busy = max((task.cpu_seconds or 0.0 for task in job.tasks), default=0.0)
    return [*rows, _cpus(ask.cpus, busy, elapsed)]


def _asked(job: JobView) -> Iterator[Used]:
    """Show what the spec says, while the queue's defaults are not known yet."""
    wanted = job.spec.resources
    yield Used(name="Time", asked=show_time(wanted.time) if wanted.time else "the queue's default")
    yield Used(name="Memory", asked=show_bytes(wanted.memory) if wanted.memory else "the queue's default")
    yield Used(name="Cores", asked=str(wanted.cpus) if wanted.cpus else "the queue's default")


def _elapsed(started: float | None, ended: float | None, now: float) -> float:
    return 0.0 if started is None else max(0.0, (ended or now) - started)


def _time(asked: int, used: float) -> Used:
    shown = lasted(used) if used else ""
    return Used(name="Time", asked=show_time(asked), used=shown, share=min(1.0, used / asked) if used else None)


def _memory(asked: int, used: int) -> Used:
    shown = show_bytes(used) if used else ""
    return Used(name="Memory", asked=show_bytes(asked), used=shown, share=min(1.0, used / asked) if used else None)


def _cpus(asked: int, busy: float, elapsed: float) -> Used:
    words = f"{asked} core" if asked == 1 else f"{asked} cores"
    if not busy or not elapsed:
        return Used(name="Cores", asked=words)
    share = min(1.0, busy / (elapsed * asked))
    return Used(name="Cores", asked=words, used=f"{share * 100:.0f} % busy", share=share)
