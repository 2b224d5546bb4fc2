"""`clif list`, `clif status`, `clif tasks` and `clif events`."""

from __future__ import annotations

import itertools
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from cluster_interface.cli.ending import say_failure, show_again, show_build_log
from cluster_interface.cli.flags import as_json
from cluster_interface.cli.sweeping import bar, say_failed_tasks, show_counts, show_waiting, task_row
from cluster_interface.cli.talk import ago, print_json, print_table, within
from cluster_interface.cli.terminal import plain
from cluster_interface.cli.words import COLOURS, STAGES, show_ask, show_progress, show_use
from cluster_interface.client import connect
from cluster_interface.model.amounts import show_bytes
from cluster_interface.model.state import FINAL, JobState, TaskState

if TYPE_CHECKING:
    from cluster_interface.client import Job

_COPIED = ("command", "", "state", "tasks", "build")  #: lines that stay whole: what is copied, and colours


@click.command("list")
@click.option("--state", type=click.Choice([state.value for state in JobState]), help="Only those in this state.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Most to list.")
@as_json
def list_command(*, state: str | None, limit: int, json_: bool) -> None:
    """List the jobs, newest first."""
    with connect() as cluster:
        if json_:
            print_json(cluster.job_page(state=state, limit=limit))
            return
        jobs = list(itertools.islice(cluster.jobs(state), limit))
    rows = [[job.id, job.state.value, job.name, ago(job.data["created"]), job.reason] for job in jobs]
    titles, none = ["job", "state", "name", "submitted", ""], "no jobs yet: clif run SCRIPT"
    print_table(titles, rows, [COLOURS.get(job.state) for job in jobs], cut=True, none=none)


@click.command("status")
@click.argument("job", default="last")
@as_json
def status_command(job: str, *, json_: bool) -> None:
    """Show JOB: where it is, what it asked for and what it used. Without JOB, the newest."""
    with connect() as cluster:
        found = cluster.job(job)
        if json_:
            print_json(found.data)
            return
        _show(found)
        if found.state is JobState.FAILED:
            say_failure(found, advise=False)
        if found.is_sweep:
            say_failed_tasks(found)


def _show(job: Job) -> None:
    data, plan = job.data, job.data["plan"]
    state = click.style(STAGES[job.state], fg=COLOURS.get(job.state))
    _line("job", f"{job.id}  {plain(job.name)}")
    _line("state", f"{state}{f': {plain(job.reason)}' if job.reason and job.state is not JobState.FAILED else ''}")
    _line("submitted", f"{_clock(data['created'])}, {ago(data['created'])}")
    if data["ended"]:
        _line("ended", f"{_clock(data['ended'])}, {ago(data['ended'])}")
    if data["rerun_of"]:
        _line("again", f"of {plain(data['rerun_of'])}")
    _line("command", plain((plan or data["spec"])["command"] or "to be inferred"))
    if plan:
        _line("asked", plain(show_ask(plan["ask"])))
        lock = plan["lock"] or {}  # a job in the host's own software has none
        _line("image", plain(lock.get("image", "")[:12]))
        for lent in plan.get("host", ()):
            _line("host", plain(f"{lent['module']}, from {', '.join(lent['trees'])}"))
        for warning in lock.get("warnings", ()):
            _line("warning", plain(warning))
    _show_tasks(job)
    _line("waits", show_waiting(data.get("waiting"), time.time()))
    if len(data["attempts"]) > 1:
        _line("attempts", str(len(data["attempts"])))
    _line("advice", plain(data.get("advice") or ""))
    _line("", show_again(data))
    _line("build", show_build_log(data))
    _show_files(data)
    for progress in data["progress"]:
        _line(plain(progress["stage"]), show_progress(progress))
        for one in progress.get("sources", ()):
            amount = show_bytes(one["done"]) + (f" of {show_bytes(one['total'])}" if one["total"] else "")
            _line("", plain(f"{one['path']}: {amount} from {one['source']}"))
    if data["cancel_requested"] and job.state not in FINAL:
        _line("", "is being canceled")


def _show_files(data: dict[str, Any]) -> None:
    """Say how long the files stay, and where they were taken."""
    if data.get("removed"):
        _line("files", f"removed {_clock(data['removed'])}; rerun it to have them again")
    elif data.get("keep_until"):
        soon = "; fetch them, or `clif keep` them" if data.get("warned") else ""
        _line("files", f"kept until {_clock(data['keep_until'])}{soon}")
    for delivery in data.get("deliveries") or ():
        ended = delivery["trouble"] or f"{delivery['files']:,} files, {show_bytes(delivery['size'])}"
        _line("not taken" if delivery["trouble"] else "delivered", plain(f"{delivery['to']}: {ended}"))


def _show_tasks(job: Job) -> None:
    if job.is_sweep:
        failed, total = job.counts.get("failed", 0), sum(job.counts.values())
        _line("tasks", f"{bar(job.counts)}  {failed:,} of {total:,} failed" if failed else bar(job.counts))
        _line("", show_counts(job.counts))
        return
    for task in job.data["tasks"]:
        if task["state"] != "waiting":
            _line("used", _task(task))


def _task(task: dict[str, Any]) -> str:
    known = task["exit_code"] is not None
    ended = f"exit code {task['exit_code']}" if known else f"{task['state']} {task['reason']}"
    return plain(", ".join(filter(None, (ended, show_use(task)))))


def _line(title: str, text: str) -> None:
    if text:
        whole = f"{title:<10} {text}"
        whole = whole if title in _COPIED else within(whole, 11, sys.stdout)
        click.echo(click.style(whole[:10], dim=True) + whole[10:])


def _clock(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


@click.command("tasks")
@click.argument("job", default="last")
@click.option("--state", type=click.Choice([state.value for state in TaskState]), help="Only those in this state.")
@click.option("--limit", type=click.IntRange(1), default=1000, show_default=True, help="Most to list.")
@click.option("--after", type=click.IntRange(-1), default=-1, help="Begin after the task of this number.")
@as_json
def tasks_command(job: str, *, state: str | None, limit: int, after: int, json_: bool) -> None:
    """List JOB's tasks with their parameters, how they ended and what they took. Without JOB, the newest."""
    with connect() as cluster:
        found = cluster.job(job)
        if json_:
            print_json(found.task_page(after=after, limit=limit, state=state))
            return
        later = (task for task in found.tasks(state) if task["index"] > after)
        tasks = list(itertools.islice(later, limit))
    names = list(dict.fromkeys(name for task in tasks for name in task["parameters"]))
    rows = [task_row(task, names) for task in tasks]
    if rows:
        titles = ["task", "state", *names, "exit", "ran", "memory", ""]
        print_table(titles, rows, [_TASK_COLOURS.get(task["state"]) for task in tasks])


_TASK_COLOURS = {"running": "cyan", "completed": "green", "failed": "red", "canceled": "yellow"}


@click.command("events")
@click.argument("job", default="last")
@click.option("-f", "--follow", is_flag=True, help="Go on until the job has ended.")
@as_json
def events_command(job: str, *, follow: bool, json_: bool) -> None:
    """Show what happened to JOB, when, and who did it. Without JOB, the newest."""
    with connect() as cluster:
        found = cluster.job(job)
        if json_ and not follow:
            print_json({"events": found.poll_events()})
            return
        after, final = 0, False
        while not final:
            events = found.poll_events(after, 25.0 if follow else 0)
            for event in events:
                print_json(event) if json_ else _show_event(event)
            after = events[-1]["id"] if events else after
            final = not follow or any(event["new"] in FINAL for event in events)


def _show_event(event: dict[str, Any]) -> None:
    state = JobState(event["new"])
    words = click.style(f"{state.value:<18}", fg=COLOURS.get(state))
    click.echo(f"{_clock(event['at'])}  {words} {plain(event['why'])}  ({plain(event['who'])})")
