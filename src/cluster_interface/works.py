"""What each kind of long work does, and which of it is small."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cluster_interface.images import LARGEST_CONTEXT
from cluster_interface.model.errors import Rejected
from cluster_interface.model.job import OutputFile
from cluster_interface.model.jobspec import Environment, JobSpec
from cluster_interface.model.plan import Lock, Plan
from cluster_interface.ports import Face, Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cluster_interface.images import Store as ImageShelf
    from cluster_interface.model.filetree import FileEntry
    from cluster_interface.ports import Report
    from cluster_interface.staging import Workspace

LONGEST_REQUIREMENTS = 2**20  #: bytes
SMALL = 2**20  #: bytes of inputs or outputs that the engine moves itself, or reads
MOST_SMALL_FILES = 32
MOST_SMALL_ENTRIES = 400
MOST_NAMED = 5  #: files named where a pattern matched none
_OURS = ("content", "directory", "link", "upload")  #: sources that are here already


class Kinds:
    """The kinds of long work: functions of a request (JSON) and a report, returning JSON."""

    def __init__(self, images: ImageShelf, stager: Workspace) -> None:
        self._images, self._stager = images, stager

    def each(self) -> dict[str, Callable[[Mapping[str, Any], Report], Any]]:
        """Return what each does, by its name."""
        return {
            "resolve": self._resolve,
            "build": self._build,
            "environment": self._environment,
            "inputs": self._inputs,
            "outputs": self._outputs,
            "deliver": self._deliver,
            "measure": self._measure,
            "remove": self._remove,
        }

    def small(self) -> dict[str, Callable[[Mapping[str, Any]], bool]]:
        """Return what says of some kinds that a request is done in a moment.

        That is nothing which waits for a network, a user's filesystem or another process.
        """
        return {
            "resolve": self._resolves_at_once,
            "inputs": self._is_small_input,
            "outputs": self._is_small_output,
            "measure": lambda request: self._stager.holds_little(request["job"], 1, MOST_SMALL_ENTRIES, SMALL),
        }

    def _resolve(self, request: Mapping[str, Any], report: Report) -> dict[str, Any]:
        """Find the sources' sizes and checksums, and the lock of the environment."""
        spec = JobSpec.model_validate(request["spec"])
        sources = self._stager.check(request["job"], spec.files)
        lock = None
        if not request["host"]:
            gpus = bool(spec.resources.gpus)
            texts = self._texts(request["job"], spec)
            found = self._images.resolve(spec.environment, *texts, gpus=gpus, report=report)
            lock = found.model_dump(mode="json")
        return {
            "lock": lock,
            "sources": [source.model_dump(mode="json") for source in sources],
        }

    def _texts(self, job: str, spec: JobSpec) -> tuple[str, dict[str, bytes]]:
        """Return what an environment is made from: requirements; a lock, or a Dockerfile and what it may copy."""
        python = spec.environment.python
        name = python.requirements if python else None
        return self._requirements(job, spec, name) if name else "", self._describing(job, spec)

    def _requirements(self, job: str, spec: JobSpec, name: str) -> str:
        field = "environment.python.requirements"
        data = self._stager.read(job, spec.files[name], LONGEST_REQUIREMENTS)
        if data is None:
            words = "is read before staging: upload it, write it inline, or name a file of the server's machine"
            raise Rejected.field(field, f"{name} {words}, of at most {LONGEST_REQUIREMENTS} bytes")
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise Rejected.field(field, f"{name} is not UTF-8 text") from None

    def _describing(self, job: str, spec: JobSpec) -> dict[str, bytes]:
        python, dockerfile = spec.environment.python, spec.environment.dockerfile
        wanted = {name for name in (dockerfile, python.lock if python else None) if name}
        if dockerfile:  # it may copy what the person handed over with it
            wanted |= {path for path, entry in spec.files.items() if path[-1] != "/" and _is_handed_over(entry)}
        found = {path: self._stager.read(job, spec.files[path], LARGEST_CONTEXT) for path in wanted}
        return {path: data for path, data in found.items() if data is not None}

    def _build(self, request: Mapping[str, Any], report: Report) -> dict[str, Any]:
        """Build an image in one face."""
        self._images.build(Lock.model_validate(request["lock"]), Face(request["face"]), report)
        return {}

    def _environment(self, request: Mapping[str, Any], report: Report) -> dict[str, Any]:
        """Resolve and build an environment before a job asks for it."""
        environment = Environment.model_validate(request["environment"])
        texts = {path: text.encode() for path, text in request["files"].items()}
        name = environment.python.requirements if environment.python else None
        lock = self._images.resolve(environment, request["files"].get(name, ""), texts, report=report)
        return {"image": self._images.build(lock, Face(request["face"]), report).key}

    def _inputs(self, request: Mapping[str, Any], report: Report) -> dict[str, Any]:
        """Bring every input to the job directory."""
        plan = Plan.model_validate(request["plan"])
        pairs = [(source, plan.spec.files[source.path]) for source in plan.sources]
        layout = request["layout"]
        only = None if layout["only"] is None else tuple(layout["only"])
        self._stager.stage_in(request["job"], pairs, Layout(**{**layout, "only": only}), report)
        return {}

    def _outputs(self, request: Mapping[str, Any], report: Report) -> dict[str, Any]:
        """List what the tasks left."""
        job, tasks, attempt = request["job"], request["tasks"], request["attempt"]
        outputs, unmatched = self._stager.collect(job, tasks, request["patterns"], report, attempt)
        left: list[str] = []
        if unmatched:  # say what there is instead
            everything, _ = self._stager.collect(job, tasks, None, report, attempt)
            left = [output.path for output in everything[:MOST_NAMED]]
        size = self._stager.size(job)
        return {"outputs": [vars(output) for output in outputs], "unmatched": unmatched, "left": left, "size": size}

    def _deliver(self, request: Mapping[str, Any], report: Report) -> dict[str, Any]:
        """Take the outputs to every place that is wanted."""
        job, by_task = request["job"], request["by_task"]
        outputs = [OutputFile(**output) for output in request["outputs"]]
        files = [(output.place(by_task=by_task), output) for output in outputs]
        deliveries = [self._stager.deliver(job, to, files, report) for to in request["to"]]
        return {"deliveries": [vars(delivery) for delivery in deliveries]}

    def _measure(self, request: Mapping[str, Any], report: Report) -> dict[str, Any]:
        """Sum up what a job's directory holds."""
        del report
        return {"size": self._stager.size(request["job"])}

    def _remove(self, request: Mapping[str, Any], report: Report) -> dict[str, Any]:
        """Remove the files of a job that has ended."""
        del report
        self._stager.clear(request["job"])
        return {}

    def _resolves_at_once(self, request: Mapping[str, Any]) -> bool:
        spec = JobSpec.model_validate(request["spec"])
        if len(spec.files) > MOST_SMALL_FILES or not all(map(_is_ours, spec.files.items())):
            return False
        if request["host"]:
            return True
        texts = self._texts(request["job"], spec)
        return self._images.find_lock(spec.environment, *texts, gpus=bool(spec.resources.gpus)) is not None

    def _is_small_input(self, request: Mapping[str, Any]) -> bool:
        sources, layout = request["plan"]["sources"], request["layout"]
        entries = layout["tasks"] * (1 + len(sources))
        if layout["attempt"] > 1 or entries > MOST_SMALL_ENTRIES or len(sources) > MOST_SMALL_FILES:
            return False
        ours = all(source["source"].partition(":")[0] in _OURS and "!/" not in source["source"] for source in sources)
        return ours and sum(source["size"] or 0 for source in sources) <= SMALL

    def _is_small_output(self, request: Mapping[str, Any]) -> bool:
        return self._stager.holds_little(request["job"], request["tasks"], MOST_SMALL_ENTRIES, SMALL)


def _is_handed_over(entry: FileEntry) -> bool:
    return entry.content is not None or (entry.source or "").startswith("upload:")


def _is_ours(file: tuple[str, FileEntry]) -> bool:
    """Say whether an entry of a file tree is a directory, or has few bytes, which are here already."""
    path, entry = file
    source = entry.source or ""
    whole = source.startswith("upload:") and "!/" not in source
    uploaded = whole and entry.size is not None and entry.size <= SMALL
    made = (path.endswith("/") and entry.source is None) or entry.target is not None
    return made or entry.content is not None or uploaded
