"""A capsule: a finished job as one self-contained image; what is written of it inside, and how it runs.

In the image: /capsule/capsule.json says everything about the job, /capsule/files holds its files, /capsule/command the
command, /capsule/parameters a line for each task, and /capsule/run, the image's way in, runs it in /job.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from cluster_interface.model.base import Model
from cluster_interface.model.jobspec import JobSpec
from cluster_interface.model.parameters import parameter_lines
from cluster_interface.model.placeholders import place
from cluster_interface.model.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACE = "capsule"  #: the directory in the image, below /
FILES = f"{PLACE}/files"
DOCUMENT = f"{PLACE}/capsule.json"
LABEL = "cluster-interface.capsule"

#: {tasks} is how many there are. The command runs as it did: by `sh -c`, in a directory with the job's files.
_RUN = """\
#!/bin/sh
# The job of this capsule, in /job. Without words: all of it, task n of many in /job/n. With a number: that task alone.
# With other words: those instead (such as sh).
tasks={tasks}
nl='
'
one() {{
    mkdir -p "$2" && cp -Rp /capsule/files/. "$2/" && cd "$2" || exit 125
    set -a
    eval "$(sed -n "$(($1 + 1))p" /capsule/parameters)"
    CLIF_TASK=$1 CLIF_TASKS=$tasks
    set +a
    exec /bin/sh -c "$(cat /capsule/command)"
}}
case ${{1:-}} in
    '')
        [ "$tasks" -gt 1 ] || one 0 /job
        task=0 code=0
        while [ "$task" -lt "$tasks" ]; do
            (one "$task" "/job/$task") || {{ code=$? && echo "task $task exited with $code" >&2; }}
            task=$((task + 1))
        done
        exit "$code"
        ;;
    *[!0-9]*) exec "$@" ;;
    *)
        [ "$1" -lt "$tasks" ] || {{ echo "there are $tasks tasks: 0 to $((tasks - 1))" >&2 && exit 2; }}
        one "$1" /job
        ;;
esac
"""


class BakedInput(Model):
    """One of the job's files, in /capsule/files."""

    path: str
    size: int
    sha256: str
    mode: int = 0o644  #: permissions


class BakedOutput(Model):
    """One of the job's outputs as it was: not in the capsule, but what running it is held against."""

    task: int
    path: str
    size: int
    sha256: str


class Capsule(Model):
    """Everything about the job, as it stands in the capsule."""

    format: Literal[1] = 1
    made_by: str
    job: str
    name: str
    state: str
    created: float
    ended: float | None
    started: float | None = None
    spec: JobSpec
    plan: Plan
    plan_sha256: str | None
    tasks: tuple[dict[str, str], ...]  #: the parameters of each
    exit_codes: tuple[int | None, ...] = ()
    inputs: tuple[BakedInput, ...]
    outputs: tuple[BakedOutput, ...]

    def texts(self) -> Iterator[tuple[str, str, int]]:
        """Yield the capsule's own files: name, text and permissions."""
        names = tuple(self.tasks[0]) if self.tasks else ()
        command = place(self.plan.command, names) if names else self.plan.command
        yield f"{PLACE}/run", _RUN.format(tasks=len(self.tasks)), 0o755
        yield f"{PLACE}/command", command, 0o644
        yield f"{PLACE}/parameters", parameter_lines(self.tasks), 0o644
        yield DOCUMENT, json.dumps(self.model_dump(mode="json", exclude_unset=True), indent=1) + "\n", 0o644

    def config(self) -> dict[str, Any]:
        """Return what the image's configuration says beside the usual (OCI Image Specification, image config)."""
        threads = self.plan.ask.cpus
        variables = {
            "HOME": "/tmp",  # noqa: S108 - in the container
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": str(threads),
            **self.spec.environment.variables,
        }
        labels = {
            LABEL: "1",
            "cluster-interface.job": self.job,
            "cluster-interface.network": "yes" if self.spec.network else "none",
            "cluster-interface.plan_sha256": self.plan_sha256 or "",
            "org.opencontainers.image.title": self.name,
        }
        entry = {"Entrypoint": [f"/{PLACE}/run"], "Cmd": None, "WorkingDir": "/job"}
        return {**entry, "Env": [f"{name}={value}" for name, value in variables.items()], "Labels": labels}
