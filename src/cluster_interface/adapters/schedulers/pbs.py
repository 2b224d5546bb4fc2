"""PBS (OpenPBS, PBS Pro). Experimental: tried with stand-ins for its programs only, never on a real cluster.

It is the worked example of `docs/how-to/add-a-scheduler.md`: an adapter is argv and parsing, see qsub(1B), qstat(1B)
and pbs_job_attributes(7B).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from cluster_interface.adapters.schedulers.clients import Clients, home_of, on_terminal, plain, shortened
from cluster_interface.adapters.schedulers.pictures import SINGLE, Pictures, Record, liveliest
from cluster_interface.model.errors import Rejected, Transient
from cluster_interface.model.queue import Queue
from cluster_interface.model.resources import MIB, parse_memory, parse_time
from cluster_interface.ports import NativeState, Observation, Waiting

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from cluster_interface.ports import Handle, Order
    from cluster_interface.settings import Defaults, Pbs

_P, _R, _E = NativeState.PENDING, NativeState.RUNNING, NativeState.ENDED
_STATES = {"Q": _P, "H": _P, "W": _P, "T": _P, "M": _P, "R": _R, "B": _R, "E": _R, "S": _R, "U": _R, "F": _E, "X": _E}
#: Exit statuses by which PBS itself says why it ended a job, see pbs_job_attributes(7B).
_VERDICTS: dict[int, Any] = {-29: "time_limit", -27: "out_of_memory", -23: "node_failed", 271: "canceled"}
_TEMPORARY = ("cannot connect", "connection refused", "no server", "timed out", "try again", "limit reached")
_MARK = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,229}")


class PbsScheduler:
    """The execution queues of one PBS server."""

    def __init__(self, settings: Pbs, defaults: Defaults, name: str = "pbs") -> None:
        environment = {"PBS_DEFAULT": settings.server} if settings.server else {}
        self.name = name
        self._defaults = defaults
        self._clients = Clients(scheduler="PBS", timeout=settings.timeout, environment=environment)
        self._pictures = Pictures(_record_of)

    def queues(self) -> list[Queue]:
        """List the execution queues; Transient if the server does not answer."""
        found = self._json("qstat", "-Q", "-f", "-F", "json").get("Queue", {})
        nodes = self._json("pbsnodes", "-a", "-F", "json").get("nodes", {}).values()
        enabled = {n: q for n, q in found.items() if q.get("queue_type") == "Execution"}
        return [_queue(name, queue, nodes, self._defaults, self.name) for name, queue in enabled.items()]

    def submit(self, order: Order) -> str:
        """Run qsub as the order's account. Rejected: in PBS's words. Transient: it may have taken it."""
        argv = ("qsub", *_options(order))
        answer = self._clients.run(*argv, account=order.account, extra=home_of(order.account))
        if answer.code != 0:
            words = shortened(answer.err.replace("qsub: ", "") or answer.out)
            temporary = not words or any(mark in words.lower() for mark in _TEMPORARY)
            raise Transient(f"PBS does not answer as it should: {words}") if temporary else Rejected(words)
        return answer.out.strip()

    def find(self, handle: Handle) -> str | None:
        """Look a mark up among waiting, running and (as long as job_history_duration) ended jobs."""
        records = self._pictures.read(self._jobs())
        ours = [record for record in records if (record.mark, record.account) == (handle.mark, handle.account)]
        found = liveliest(ours)
        return found.native_id if found else None

    def observe(self, handles: Collection[Handle]) -> Mapping[str, Mapping[int, Observation]]:
        """Ask qstat once for everybody."""
        if not handles:
            return {}
        accounts = {handle.mark: handle.account for handle in handles}
        return self._pictures.compose(self._pictures.read(self._jobs()), accounts)

    def cancel(self, handle: Handle) -> None:
        """Run qdel on all jobs of the mark: TERM, and KILL after the queue's kill_delay."""
        if (native_id := self.find(handle)) is not None:
            answer = self._clients.run("qdel", native_id)
            if answer.code != 0 and "nknown" not in answer.err and "finished" not in answer.err:
                raise Transient(f"qdel: {shortened(answer.err)}")

    def interactive(self, order: Order) -> list[str]:
        """Return qsub with a terminal (qsub(1B), -I and -x)."""
        script = ["sh", str(order.script)]
        return on_terminal(self._clients, order.account, ["qsub", "-I", "-x", "-q", order.ask.queue, "--", *script])

    def waiting(self, handle: Handle) -> Waiting | None:
        """Say why it waits, in the words of the job's comment."""
        seen = self.observe([handle]).get(handle.mark, {})
        first = next((o for o in seen.values() if o.state is NativeState.PENDING), None)
        return Waiting(reason=first.reason or "others are before it", native_reason=first.reason) if first else None

    def _jobs(self) -> list[str]:
        """List every job and every element of an array (-t), ended ones too (-x); one JSON text each."""
        found = self._json("qstat", "-f", "-x", "-t", "-F", "json").get("Jobs", {})
        return [json.dumps([native_id, job]) for native_id, job in found.items()]

    def _json(self, *argv: str) -> dict[str, Any]:
        answer = self._clients.run(*argv)
        try:
            found = json.loads(answer.out)
        except ValueError:
            raise Transient(f"PBS does not answer {argv[0]}: {shortened(answer.err or answer.out)}") from None
        return found if isinstance(found, dict) else {}


def _options(order: Order) -> Iterator[str]:
    """Yield qsub's arguments; `--` ends them, and what follows is run with its own arguments."""
    ask = order.ask
    if not _MARK.fullmatch(order.mark):
        raise Rejected.field("mark", f"{order.mark[:40]!r} is not a mark: letters, digits, dot, _ and - only")
    yield from ("-N", order.mark, "-r", "n", "-j", "oe", "-o", plain(order.log or "/dev/null", "log"))
    kinds = f":ngpus={ask.gpus}" if ask.gpus else ""
    share = f":host={plain(order.node, 'node')}" if order.node else ""
    cpus = ask.cpus * ask.tasks_per_node
    yield from ("-l", f"select={ask.nodes}:ncpus={cpus}:mem={-(-ask.memory // MIB)}mb{kinds}{share}")
    yield from ("-l", f"walltime={order.time}", "-q", plain(ask.queue, "resources.queue"))
    if ask.exclusive:
        yield from ("-l", "place=excl")
    if ask.account:
        yield from ("-A", plain(ask.account, "resources.account"))
    if order.elements > 1:
        yield from ("-J", f"0-{order.elements - 1}" + (f"%{order.max_running}" if order.max_running else ""))
    yield from ("--", "/bin/sh", plain(order.script, "script"), str(int(order.offset)))


def _record_of(text: str) -> Record | None:
    """Read one job of qstat's JSON; None if it is nothing that we can read, or an array as a whole."""
    try:
        native_id, job = json.loads(text)
        base, elements = _elements(native_id)
        status = job.get("Exit_status")
        state = _STATES.get(job["job_state"], NativeState.UNKNOWN)
        seen = Observation(
            state=state,
            reason=job.get("comment", ""),
            verdict=_VERDICTS.get(status) if state is _E and status is not None else None,
            node=job.get("exec_host", "").partition("/")[0] or None,
        )
        owner = job["Job_Owner"].partition("@")[0]
        return Record(mark=job["Job_Name"], account=owner, native_id=base, elements=elements, seen=seen)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _elements(native_id: str) -> tuple[str, Sequence[int]]:
    """Read `123.server`, or `123[7].server` for element 7; ValueError for an array as a whole, `123[].server`."""
    found = re.fullmatch(r"(\d+)(?:\[(\d+)\])?(\..*)?", native_id)
    if not found:
        raise ValueError(native_id)
    if found[2] is None:
        return native_id, SINGLE
    return f"{found[1]}[]{found[3] or ''}", range(int(found[2]), int(found[2]) + 1)


def _queue(
    name: str, queue: Mapping[str, Any], nodes: Collection[Mapping[str, Any]], defaults: Defaults, scheduler: str
) -> Queue:
    sizes = [node.get("resources_available", {}) for node in nodes]
    cpus = max((int(size.get("ncpus", 0)) for size in sizes), default=0)
    memory = max((parse_memory(str(size.get("mem", "0")).replace("kb", "KiB")) for size in sizes), default=0)
    limit = queue.get("resources_max", {}).get("walltime")
    time = parse_time(limit) if limit else None
    up = queue.get("enabled") == "True" and queue.get("started") == "True"
    return Queue(
        name=name,
        scheduler=scheduler,
        cpus=cpus,
        memory=memory,
        time=time,
        default_cpus=min(defaults.cpus, cpus),
        default_memory=min(defaults.memory, memory),
        default_time=min(defaults.time, time or defaults.time),
        gpus=max((int(size.get("ngpus", 0)) for size in sizes), default=0),
        nodes=len(nodes),
        state="" if up else "it is stopped or takes no jobs",
    )
