"""What is said and done when a job has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cluster_interface.cli.bars import Bars
from cluster_interface.cli.failing import DONE, FAILED, REFUSED
from cluster_interface.cli.talk import say
from cluster_interface.cli.terminal import harmless, plain
from cluster_interface.client.outputs import Fate
from cluster_interface.model.amounts import show_bytes
from cluster_interface.model.errors import ClusterError
from cluster_interface.model.state import JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from cluster_interface.client import Job, Output

LAST_LINES = 8  #: of a failed program's stderr
MOST_LISTED = 20  #: outputs

_FATES = {
    Fate.NEW: "",
    Fate.SAME: "  (unchanged)",
    Fate.REPLACED: "  (replaced an older file)",
    Fate.BESIDE: "  (beside your input of that name, which is kept)",
}


def status_of_job(job: Job) -> int:
    """Return the exit status that a job's end stands for."""
    if job.state is JobState.COMPLETED:
        return DONE
    return REFUSED if job.state is JobState.REJECTED else FAILED


def say_failure(job: Job, *, advise: bool = True) -> None:
    """Say how a job failed: code, sentence, what to do about it, and the last lines of its stderr."""
    code = f" ({job.code})" if job.code else ""
    said = plain(job.reason) or "for no known reason"
    colour = "yellow" if job.state is JobState.CANCELED else "red"
    say(f"clif: job {job.id} {job.state}{code}: {said}", colour=colour, hang=6)
    if advise and (advice := plain(job.data.get("advice") or "")):
        say(f"  advice       {advice}", hang=15)
    if advise and (again := show_again(job.data)):
        say(f"  again        {again}")
    if advise and (log := show_build_log(job.data)):
        say(f"  build        {log}")
    if job.state is JobState.FAILED and job.data["attempts"] and not job.is_sweep:
        say_last_words(job, _failed_task(job))


def say_last_words(job: Job, task: int, whose: str = "its") -> None:
    """Say the last lines of a task's stderr; where it has none and nobody follows its output, those of that."""
    for stream in ("err", "out") if job.is_sweep else ("err",):
        try:
            lines = harmless(job.tail(stream, task)).splitlines()
        except ClusterError:
            return  # what was said before is what counts
        if lines:
            say(f"  {whose} std{stream} ended with", dim=True)
            for line in lines[-LAST_LINES:]:
                say(f"  | {line}")
            return


def show_again(data: Mapping[str, Any]) -> str:
    """Say how a job is run again with the package that it lacked; empty where none is known."""
    missing = data.get("missing")
    return plain(f"clif rerun {data['id']} --with-missing (adds {missing['package']})") if missing else ""


def show_build_log(data: Mapping[str, Any]) -> str:
    """Say how to read what the build printed that failed; empty where none was begun."""
    return f"clif images log {data['build_log'][:12]}" if data.get("build_log") else ""


def _failed_task(job: Job) -> int:
    return next((int(task["index"]) for task in job.data["tasks"] if task["state"] == "failed"), 0)


def fetch_outputs(
    job: Job,
    directory: Path,
    outputs: Sequence[Output] | None = None,
    name_of: Callable[[Output], str] | None = None,
) -> None:
    """Fetch outputs of a job (all, unless some are given) and list them on stderr."""
    if not (job.outputs or job.is_sweep if outputs is None else outputs):
        say("  outputs      none")
        return
    with Bars() as bars:
        fetched = job.fetch(directory, outputs, bars.file, name_of)
    for number, one in enumerate(fetched[:MOST_LISTED]):
        partial = "  (partial)" if one.output.partial else ""
        name = plain(str(one.path))
        say(
            f"  {'outputs' if number == 0 else '':<12} {name}  {show_bytes(one.output.size)}{_FATES[one.fate]}{partial}"
        )
    if len(fetched) > MOST_LISTED:
        say(f"  {'':<12} … and {len(fetched) - MOST_LISTED} more in {plain(str(directory))}")
