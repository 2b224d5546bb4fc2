"""The way in: a cluster, reached over REST."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from cluster_interface.client.address import find_address
from cluster_interface.client.composing import Draft, Wishes
from cluster_interface.client.drafts import make_draft
from cluster_interface.client.images import OfImages
from cluster_interface.client.job import Job
from cluster_interface.client.patterns import expand
from cluster_interface.client.resources import asked_resources, said
from cluster_interface.client.site import OfSite
from cluster_interface.client.sweeps import tasks_of
from cluster_interface.client.transport import Transport, segment
from cluster_interface.client.uploads import send, send_all
from cluster_interface.model.errors import NotFound, Rejected, Transient

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    from cluster_interface.client.uploads import Progress, Sent
    from cluster_interface.model.jobspec import JobSpec
    from cluster_interface.model.state import JobState
    from cluster_interface.wire import (
        PatternSummary,
        PatternView,
    )

TRIES = 4  #: of a submission; its key makes it the same job each time
PAGE = 50


def connect(url: str | None = None) -> Cluster:
    """Return the cluster at an http(s) URL, else at CLIF_SERVER, else this account's own server.

    Nothing is sent yet. One's own server is started with the first request if it does not run.
    Raises Rejected for an address or a configuration that makes no sense.
    """
    address = find_address(url)
    return Cluster(Transport(address, revive=_start_own if address.socket else None))


def _start_own() -> None:
    from cluster_interface.client.autostart import start  # noqa: PLC0415 - once a boot
    from cluster_interface.settings import load  # noqa: PLC0415 - as above

    start(load()[0])


class Cluster(OfImages, OfSite):
    """A cluster. Made by `connect()`; may be used by many threads, and as a context manager.

    Every method raises Transient where the server is away, and Rejected (NotFound, Conflict, Forbidden) where it
    refuses.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    # --- submitting

    def describe(
        self,
        script: str | Path | JobSpec | Mapping[str, Any],
        *,
        args: Sequence[str] = (),
        name: str | None = None,
        program: str | None = None,
        inputs: Sequence[str] | Mapping[str, str | Path] = (),
        files: str | Path | Mapping[str, Any] | None = None,
        outputs: Sequence[str] = (),
        deliver: Sequence[str] = (),
        packages: Sequence[str] = (),
        system: Sequence[str] = (),
        as_of: str | None = None,
        network: bool | None = None,
        sweep: str | Path | Sequence[str] | Mapping[str, Any] | None = None,
        zip: bool = False,  # noqa: A002 - the spec's word; keyword-only
        each: str | None = None,
        max_running: int | None = None,
        first_alone: bool | None = None,
        pack: int | None = None,
        after: Sequence[str | Job] = (),
        retry: Mapping[str, float] | None = None,
        resume: bool | None = None,
        signal_before: str | float | None = None,
        **resources: Any,
    ) -> Draft:
        """Propose the job that a script, a directory, a repository or a spec makes, and what each guess rests on.

        A repository is `https://host/path[@revision]`; `program` is which file of it, or of a directory, is run.
        Changes and sends nothing but what inspection reads. `inputs` are paths, `NAME=SOURCE` texts or a mapping
        of name to path or source, `files` a whole file tree (a document, or the path of one or of a BagIt bag);
        `packages` and `system` add to what is found, and `as_of` (YYYY-MM-DD) is the day whose packages are taken.
        `deliver` are places that the outputs are also taken to:
        file:/path, s3://bucket/prefix, sftp://host/path.

        `sweep` makes many tasks: a mapping of parameter to values, `name=1,2,5..8` texts, or the path of a table;
        every combination, or with `zip` side by side. `each` is a pattern of files, a task for each. `after` are
        jobs, or `JOB:any` and `JOB:failed` texts; `retry` says how often: {"node_failed": 2, "out_of_memory": 1}.

        The rest are the spec's resources: cpus, memory, time, gpus (also as "a100:2"), nodes, queue, account …
        Rejected names those that are not known.
        """
        more = {"method": "zip" if zip else None, "max_running": max_running, "first_alone": first_alone, "pack": pack}
        wishes = Wishes(
            args=args,
            name=name,
            program=program,
            inputs=inputs,
            files=files,
            outputs=outputs,
            deliver=deliver,
            packages=packages,
            system=system,
            as_of=as_of,
            network=network,
            resources=asked_resources(resources),
            tasks=tasks_of(sweep, each, Path.cwd(), **more),
            parts={
                "after": [self._after(one) for one in after],
                "retry": dict(retry or {}),
                "checkpoint": said(resume=resume, signal_before=signal_before),
            },
        )
        return make_draft(self._transport, _plain(script), wishes)

    def _after(self, other: str | Job) -> str:
        """Write a job to wait for by its whole id."""
        if isinstance(other, Job):
            return other.id
        job, colon, when = other.partition(":")
        return f"{self.job(job).id}{colon}{when}"

    def submit(
        self,
        script: str | Path | JobSpec | Mapping[str, Any] | Draft,
        *,
        key: str | None = None,
        progress: Progress | None = None,
        **wishes: Any,
    ) -> Job:
        """Submit a script, a directory, a repository, a spec or a draft; the wishes are those of `describe`.

        `key` makes repeated submissions the same job; `progress` is told name, bytes sent and bytes in all of
        each file that is sent.
        """
        if isinstance(script, Draft):
            if wishes:
                raise Rejected.field(next(iter(wishes)), "a draft is complete; say it to describe()")
            draft = script
        else:
            draft = self.describe(script, **wishes)
        sources = {}
        for name, sent in send_all(self._transport, draft.to_send, progress).items():
            sources[name] = {"source": sent.source, "size": sent.size, "sha256": sent.sha256}
        return self._submit(draft.with_sources(sources), key or uuid.uuid4().hex)

    def upload(self, path: str | Path, name: str | None = None, progress: Progress | None = None) -> Sent:
        """Send a file for later jobs; return its source (`upload:…`), size and SHA-256."""
        return send(self._transport, Path(path), name or Path(path).name, progress)

    def _submit(self, document: dict[str, Any], key: str) -> Job:
        for pause in (*(0.1 * 4**n for n in range(TRIES - 1)), None):
            try:
                answer = self._transport.request(
                    "POST", "/jobs", document={"spec": document}, headers={"Idempotency-Key": key}
                )
                return Job(self._transport, answer.json())
            except Transient:
                if pause is None:
                    raise
                time.sleep(pause)
        raise AssertionError("the last try returns or raises")

    # --- patterns

    def patterns(self) -> list[PatternSummary]:
        """List the common kinds of job that the site offers."""
        from cluster_interface.wire import PatternList  # noqa: PLC0415 - the models cost an import of 200 ms

        return list(PatternList.parse(self._json("GET", "/patterns")).patterns)

    def pattern(self, name: str) -> PatternView:
        """Return a pattern: its fields, its form as JSON Schema, its example."""
        from cluster_interface.wire import PatternView  # noqa: PLC0415 - as above

        return PatternView.parse(self._json("GET", f"/patterns/{segment(name)}"))

    def expand(self, name: str, values: Mapping[str, Any] | None = None, *, example: bool = False) -> dict[str, Any]:
        """Return the job spec that a pattern makes of values, to be given to `describe` or `submit`.

        A file is a path here (a text or a Path), `https://…`, or `file:/…` as the server sees it; several are a list.
        With `example`, the pattern's own values stand in for those that are missing. Nothing is sent but the values.
        Raises Rejected naming each bad value, NotFound for an unknown pattern.
        """
        return expand(self._transport, name, values or {}, example=example)

    # --- looking

    def job(self, job: str) -> Job:
        """Return a job by its id, by a beginning of it that no other job has, or the newest one as `last`."""
        if job == "last":
            if newest := next(self.jobs(), None):
                return newest.refresh()
            raise NotFound("there is no job yet")
        try:
            return Job(self._transport, self._json("GET", f"/jobs/{segment(job)}"))
        except NotFound:
            found = [other for other in self.jobs() if job and other.id.startswith(job)]
            if len(found) > 1:
                ids = ", ".join(other.id for other in found[:5])
                raise NotFound(f"more than one job begins with {job!r}: {ids}; write more of it") from None
            if not found:
                raise
            return found[0].refresh()

    def jobs(self, state: JobState | str | None = None) -> Iterator[Job]:
        """Yield the jobs, newest first, asking for more as they are used up."""
        cursor = None
        while True:
            page = self.job_page(state=state, cursor=cursor)
            for line in page["jobs"]:
                yield Job(self._transport, line)
            cursor = page["next"]
            if cursor is None:
                return

    def job_page(self, *, state: str | None = None, cursor: str | None = None, limit: int = PAGE) -> dict[str, Any]:
        """Return one page of the list as the API's JSON."""
        query = {"state": state, "cursor": cursor, "limit": limit}
        page: dict[str, Any] = self._transport.request("GET", "/jobs", query=query).json()
        return page


def _plain(script: str | Path | JobSpec | Mapping[str, Any]) -> str | Path | dict[str, Any]:
    if isinstance(script, str | Path):
        return script
    if hasattr(script, "model_dump"):
        document: dict[str, Any] = script.model_dump(mode="json", exclude_unset=True)
        return document
    return dict(script)
