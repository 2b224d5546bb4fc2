"""A finished job put together as a capsule: what is known of it, and its files."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface import __version__
from cluster_interface.model.capsule import FILES, BakedInput, BakedOutput, Capsule
from cluster_interface.model.errors import Conflict
from cluster_interface.model.filetree import Mode
from cluster_interface.ports import Baked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from cluster_interface.model.filetree import FileEntry
    from cluster_interface.model.job import Job, OutputFile, Task
    from cluster_interface.ports import Stager


def describe(job: Job, tasks: Sequence[Task], outputs: Sequence[OutputFile], stager: Stager) -> Capsule:
    """Write down everything about a job that has ended; Conflict in words where it cannot become a capsule."""
    if not job.final or job.plan is None:
        raise Conflict(f"job {job.id} is {job.state}: it can become a capsule when it has run")
    if job.plan.lock is None:
        raise Conflict(f"job {job.id} ran in the host's own software: there is no image to put it into")
    if job.plan.host:
        names = ", ".join(software.module for software in job.plan.host)
        raise Conflict(f"job {job.id} was lent software of the host, which cannot be put into a capsule: {names}")
    there = {file.path: file for file in stager.inputs(job.id)}
    mounted = [path for path, entry in job.spec.files.items() if entry.mode is Mode.MOUNT]
    if mounted:
        words = "is mounted where it is, and cannot be put into a capsule; have it copied (mode: copy) and run it again"
        raise Conflict(f"{', '.join(mounted[:5])} {words}")
    missing = [path for path, entry in job.spec.files.items() if _is_brought(path, entry) and path not in there]
    if missing:
        raise Conflict(f"{', '.join(missing[:5])} was cleared away: run the job again to have a capsule of it")
    return Capsule(
        made_by=f"cluster-interface {__version__}",
        job=job.id,
        name=job.name,
        state=job.state.value,
        created=job.created,
        ended=job.ended,
        started=min((task.started for task in tasks if task.started), default=None),
        spec=job.spec,
        plan=job.plan,
        plan_sha256=job.plan.sha256,
        tasks=tuple(dict(task.parameters) for task in tasks),
        exit_codes=tuple(task.exit_code for task in tasks),
        inputs=tuple(BakedInput(**vars(there[path])) for path in sorted(there)),
        outputs=tuple(BakedOutput(task=o.task, path=o.path, size=o.size, sha256=o.sha256) for o in outputs),
    )


def baked(capsule: Capsule, stager: Stager) -> list[Baked]:
    """List what the capsule's own layer holds."""
    found = [_text(path, text, mode) for path, text, mode in capsule.texts()]
    found.append(Baked(path=f"{FILES}/"))
    for path, entry in capsule.spec.files.items():
        if path.endswith("/") or entry.target is not None:
            found.append(Baked(path=f"{FILES}/{path}", target=entry.target))
    for file in capsule.inputs:
        opened = _Input(stager, capsule.job, file.path)
        found.append(Baked(path=f"{FILES}/{file.path}", size=file.size, mode=file.mode, open=opened))
    return found


def _is_brought(path: str, entry: FileEntry) -> bool:
    return not path.endswith("/") and entry.target is None


@dataclass(frozen=True)
class _Input:
    """Opens one input as the job's account."""

    stager: Stager
    job: str
    path: str

    def __call__(self) -> BinaryIO:
        return self.stager.open_input(self.job, self.path)


def _text(path: str, text: str, mode: int) -> Baked:
    data = text.encode("utf-8", "surrogateescape")
    return Baked(path=path, size=len(data), mode=mode, open=lambda: io.BytesIO(data))
