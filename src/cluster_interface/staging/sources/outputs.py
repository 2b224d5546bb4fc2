"""`job:ID[:TASK]/path`: what another job of the same person left behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.model.errors import NotFound
from cluster_interface.staging.sources.kinds import Found, Here, Member, unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from cluster_interface.model.job import OutputFile


#: (owner, job) -> whether it has ended, and what it left; NotFound if it is not the owner's to read
OutputsOf = Callable[[str, str], "tuple[bool, Sequence[OutputFile]]"]


@dataclass(frozen=True)
class JobOutputs(Here):
    """Outputs of jobs that have ended, with the checksums that were taken then."""

    outputs_of: OutputsOf
    open_output: Callable[[str, int, str], BinaryIO]

    def measure(self, source: str, owner: str) -> Found:
        """Look its size and checksum up."""
        _, output = self._find(source, owner)
        return Found(size=output.size, sha256=output.sha256)

    def descriptor(self, source: str, owner: str) -> int:
        """Open it as the account that the job ran as."""
        job, output = self._find(source, owner)
        try:
            with self.open_output(job, output.task, output.path) as file:
                return os.dup(file.fileno())
        except NotFound:
            raise unavailable(f"{source} is not there any more") from None

    def members(self, source: str, owner: str) -> Iterator[Member]:
        """List the outputs below a directory, or all."""
        job, task, path = parse(source)
        start = f"{path.rstrip('/')}/" if path.rstrip("/") else ""
        found = [one for one in self._outputs(owner, job) if one.path.startswith(start) and task in (None, one.task)]
        if not found:
            raise unavailable(f"job {job} has no outputs below {path or 'its directory'}")
        several = len({one.task for one in found}) > 1
        for one in found:
            inside = one.path[len(start) :]
            yield Member(
                path=f"{one.task}/{inside}" if several else inside,
                source=f"job:{job}:{one.task}/{one.path}",
                size=one.size,
                sha256=one.sha256,
            )

    def _find(self, source: str, owner: str) -> tuple[str, OutputFile]:
        job, task, path = parse(source)
        found = [one for one in self._outputs(owner, job) if one.path == path and task in (None, one.task)]
        if not found:
            raise unavailable(f"job {job} has no output {path!r}; see `clif outputs {job}`")
        if len(found) > 1:
            words = f"{len(found)} tasks of job {job} have an output {path!r}"
            raise unavailable(f"{words}: write the task's number, such as job:{job}:{found[0].task}/{path}")
        return job, found[0]

    def _outputs(self, owner: str, job: str) -> Sequence[OutputFile]:
        try:
            ended, outputs = self.outputs_of(owner, job)
        except NotFound:
            raise unavailable(f"there is no job {job!r} of yours") from None
        if not ended:
            raise unavailable(f"job {job} has not ended yet; let this one wait for it with `after: [{job}]`")
        return outputs


def parse(source: str) -> tuple[str, int | None, str]:
    """Split a source into job, task and path."""
    who, _, path = source.partition(":")[2].partition("/")
    job, colon, task = who.partition(":")
    if not job or (colon and not task.isdecimal()):
        raise unavailable(f"{source!r}: write job:ID/path, or job:ID:TASK/path")
    return job, int(task) if colon else None, path
