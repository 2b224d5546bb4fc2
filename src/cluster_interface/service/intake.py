"""What is handed in, checked and completed until it can be a job: uploads, command, environment, sweep, resources."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cluster_interface.inspection import inspect as read_script
from cluster_interface.inspection.sweeps import expand
from cluster_interface.model.errors import NotFound, Problem, Rejected, Transient
from cluster_interface.model.executable import MAGIC, describe
from cluster_interface.model.filetree import FileEntry, Mode, is_local, malformed, mounted_at, names_somebody
from cluster_interface.model.packing import pack_size
from cluster_interface.model.placeholders import place
from cluster_interface.model.plan import HOST
from cluster_interface.model.queue import fill_in, find_queue
from cluster_interface.model.wishes import split_after
from cluster_interface.service.sweeping import names_for
from cluster_interface.store import jobs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cluster_interface.inspection.software import Software
    from cluster_interface.model.filetree import FileTree
    from cluster_interface.model.jobspec import JobSpec
    from cluster_interface.model.plan import Ask
    from cluster_interface.model.resources import Resources
    from cluster_interface.model.sweep import Sweep, Values
    from cluster_interface.ports import Identity, Site, Stager, Uploads
    from cluster_interface.settings import Defaults, FileRules, Sweeps
    from cluster_interface.store import Store

PATIENCE = 25.0  #: seconds to wait for a survey, well inside what a client waits for an answer
LONGEST_SCRIPT = 2**20  #: bytes of a file that inspection reads
_PATH = "/opt/env/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LONGEST_TABLE = 16 * 2**20  #: bytes of a table that a sweep goes through


@dataclass(frozen=True, kw_only=True)
class Intake:
    """Checks and completes specs. Rejected names every bad field."""

    store: Store
    site: Site
    uploads: Uploads
    defaults: Defaults
    sweeps: Sweeps
    files: FileRules
    software: Software
    stager: Stager
    identity: Identity

    def take(self, user: str, spec: JobSpec) -> tuple[JobSpec, list[Values]]:
        """Return the spec with everything inferred that it leaves out, and the parameters of each of its tasks."""
        self.check_addresses(spec)
        self.check_uploads(user, spec)
        self.check_mounts(spec)
        self._check_after(user, spec)
        spec = self._infer(user, spec)
        inputs = spec.files
        spec = with_environments(spec)
        self.check_mounts(spec)
        ask = self.fit(spec.resources, chained=spec.checkpoint.resume)
        if ask.runtime != HOST:
            self._check_modules(spec)
            spec = spec.model_copy(update={"environment": self.software.in_container(spec.environment)})
        if spec.sweep is None:
            return spec, [{}]
        names = self._names(user, inputs, spec.sweep)
        rows = expand(spec.sweep, names, lambda path: self._bytes(user, spec, path), self.sweeps.max_tasks)
        place(spec.command or "", tuple(rows[0]))
        return self._packed(user, spec, len(rows), ask), rows

    def fit(self, resources: Resources, *, chained: bool = False) -> Ask:
        """Fill the resources' defaults in and check that the queue has them; waits a while for a survey to end."""
        patience = time.monotonic() + PATIENCE
        while True:
            queues = self.site.queues()
            try:
                return fill_in(resources, queues, self.defaults.disk, self.defaults.pids, chained=chained)
            except Transient:
                if time.monotonic() > patience:
                    raise
            time.sleep(0.2)

    def check_uploads(self, user: str, spec: JobSpec | FileTree) -> None:
        """Check that every upload that the spec names is there and whole."""
        problems = []
        for path, entry in spec.files.items():
            scheme, _, upload = (entry.source or "").partition(":")
            if scheme != "upload":
                continue
            try:
                found = self.uploads.find(user, upload.partition("!/")[0])
            except NotFound:
                problems.append(Problem(f"files.{path}.source", "there is no such upload; send the file again"))
                continue
            if not found.complete:
                words = f"only {found.offset} of {found.length} bytes are here; finish the upload first"
                problems.append(Problem(f"files.{path}.source", words))
        if problems:
            raise Rejected(problems=problems)

    def check_addresses(self, spec: JobSpec | FileTree) -> None:
        """Refuse what is no address, and one with a name or password in it before it is written down anywhere."""
        words = "has a user name in it; leave it out, and keep name and password with `clif credentials add`"
        wrong = {
            path: words if names_somebody(entry.source) else malformed(entry.source)
            for path, entry in spec.files.items()
            if entry.source is not None
        }
        if problems := [Problem(f"files.{path}.source", why) for path, why in wrong.items() if why]:
            raise Rejected(problems=problems)

    def check_mounts(self, spec: JobSpec | FileTree) -> None:
        """Refuse what is mounted from nowhere near where it may be; where links lead is seen when it is opened."""
        problems = []
        for path, entry in spec.files.items():
            if entry.mode is not Mode.MOUNT or not is_local(entry.source or ""):
                continue
            named = Path(mounted_at(entry.source or ""))
            if not any(named.is_relative_to(root) for root in self.files.roots(writable=entry.writable)):
                problems.append(Problem(f"files.{path}", self.files.refusal(str(named), writable=entry.writable)))
        if problems:
            raise Rejected(problems=problems)

    def _check_modules(self, spec: JobSpec) -> None:
        """Refuse modules that would be nothing in a container, and licences that it could not ask for."""
        problems = []
        for name in spec.environment.modules:
            module = self.software.module(name)
            if not module.known:
                problems.append(Problem("environment.modules", self._unknown(name)))
            elif not module.in_container:
                words = (
                    f"{name} stays on the host ({module.rests_on}), and nothing says what of it a container could be "
                )
                words += f"lent: {self._on_host('have the site name its trees in [software.modules]')}"
                problems.append(Problem("environment.modules", words))
            elif module.lent and module.lent.licenses and not spec.network:
                servers = ", ".join(module.lent.licenses)
                words = f"{name} asks {servers} for its licence, which a job without network cannot reach, and none is "
                words += "let through to there alone: say --network (network: true in a spec)"
                problems.append(Problem("network", words))
        if problems:
            raise Rejected(problems=problems)

    def _unknown(self, name: str) -> str:
        near = self.software.near(name)
        meant = f"; did you mean {' or '.join(near)}?" if near else ""
        return (
            f"{name}: neither the site's table of modules nor the one that is shipped knows it, so a container would "
            f"have nothing of it{meant} Say what it brings with --system and --with, or "
            + self._on_host("have the site name it in [software.modules]")
        )

    def _on_host(self, otherwise: str) -> str:
        """Say how the host's own modules can be had."""
        queues = [queue.name for queue in self.site.queues() if HOST in queue.runtimes]
        own = f"run it on the host's own software with --runtime none in queue {queues[0]}, or " if queues else ""
        return f"{own}{otherwise}"

    def _check_after(self, user: str, spec: JobSpec) -> None:
        """A job may wait for jobs of its owner's that are there already; so no circle can ever close."""
        with self.store.read() as db:
            named = [split_after(entry)[0] for entry in spec.after]
            problems = [
                Problem("after", f"there is no job {job!r} of yours") for job in named if not jobs.find(db, user, job)
            ]
        problems += [
            Problem("after", f"job {job} is named more than once") for job in sorted(set(named)) if named.count(job) > 1
        ]
        if problems:
            raise Rejected(problems=problems)

    def _infer(self, user: str, spec: JobSpec) -> JobSpec:
        """Infer what the spec leaves out: the command, and the environment where nothing is said of it."""
        unsaid = "environment" not in spec.model_fields_set
        if spec.script is None or (spec.command and not unsaid):
            return spec.model_copy(update={"name": spec.name or "job"})
        texts = {path: self._text(user, spec, path) for path in spec.files}
        proposal = read_script(texts, spec.script, (), self.software)
        programs = {path: entry for path, entry in spec.files.items() if (texts[path] or "").startswith(MAGIC)}
        asked = [guess.value for guess in proposal.guesses if guess.sure == "ask" and "packages" in guess.field]
        if unsaid and asked:
            words = f"not sure which package {', '.join(asked)} means; name it, or write `environment: {{}}` for none"
            raise Rejected.field("environment.python.packages", words)
        return spec.model_copy(
            update={
                "name": spec.name or proposal.name,
                "command": spec.command or proposal.command,
                "environment": proposal.environment if unsaid else spec.environment,
                "files": spec.files
                | {path: entry.model_copy(update={"executable": True}) for path, entry in programs.items()},
            }
        )

    def _names(self, user: str, files: Mapping[str, FileEntry], sweep: Sweep) -> list[str]:
        if sweep.files is None:
            return list(files)
        return names_for(sweep.files, files, self.stager, self.identity.account(user), user)

    def _packed(self, user: str, spec: JobSpec, tasks: int, ask: Ask) -> JobSpec:
        """Settle how many tasks share a container start, by what the same script took last time."""
        queue = find_queue(self.site.queues(), ask.scheduler, ask.queue)
        assert spec.sweep is not None  # noqa: S101 - the caller knows
        assert queue is not None  # noqa: S101 - it was just fitted into
        seconds = None
        with self.store.read() as db:
            if last := jobs.last_like(db, user, spec.name or "", spec.script):
                seconds = jobs.average_seconds(db, last.id)
        size = pack_size(spec.sweep.pack, tasks, ask, queue, seconds)
        return spec.model_copy(update={"sweep": spec.sweep.model_copy(update={"pack": size})})

    def _text(self, user: str, spec: JobSpec, path: str) -> str | None:
        data = self._bytes(user, spec, path, LONGEST_SCRIPT)
        if data and (program := describe(lambda offset, length: data[offset : offset + length])):
            return program.text
        try:
            return None if data is None else data.decode()
        except UnicodeDecodeError:
            return None

    def _bytes(self, user: str, spec: JobSpec, path: str, limit: int = LONGEST_TABLE) -> bytes | None:
        """Return what is known of a file's bytes before it is staged: those written in the spec, or uploaded."""
        entry = spec.files[path]
        if entry.content is not None:
            return entry.content.encode()
        scheme, _, upload = (entry.source or "").partition(":")
        return self.uploads.read(user, upload, limit) if scheme == "upload" and "!/" not in upload else None


def with_environments(spec: JobSpec) -> JobSpec:
    """Mount environments that are there already at their own paths, with their programs first."""
    environment = spec.environment
    if not environment.mounts:
        return spec
    mounts = {
        f".environment/{Path(path).name}/": FileEntry(source=f"file:{path}", mode=Mode.MOUNT)
        for path in environment.mounts
    }
    variables = {"PATH": ":".join([*(f"{path}/bin" for path in environment.mounts), _PATH])}
    if environment.venv:
        variables["VIRTUAL_ENV"] = environment.venv
    if environment.conda and environment.conda.path:
        variables["CONDA_PREFIX"] = environment.conda.path
    named = environment.model_copy(update={"variables": {**variables, **environment.variables}})
    return spec.model_copy(update={"files": {**spec.files, **mounts}, "environment": named})
