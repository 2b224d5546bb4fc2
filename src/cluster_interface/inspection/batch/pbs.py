"""`#PBS`: the options of qsub(1B) of PBS Professional and of Torque, and what they ask for.

Resources are those of pbs_resources(7B): `-l select=` in chunks, or `-l nodes=:ppn=` in nodes; `mem` without chunks is
that of the whole job. Where two options contradict each other qsub refuses them, and so does this.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cluster_interface.inspection.batch import reasons
from cluster_interface.inspection.batch.amounts import count, pbs_memory, pbs_time
from cluster_interface.inspection.batch.chunks import Chunks, parse_nodes, parse_select
from cluster_interface.inspection.batch.options import Rule, getopt
from cluster_interface.inspection.batch.request import array, fill, leave, name, shared_out, variables
from cluster_interface.inspection.wordlist import words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cluster_interface.inspection.batch.directives import Directive
    from cluster_interface.inspection.batch.options import Option
    from cluster_interface.inspection.batch.request import Request

_YES = frozenset({"y", "yes"})


def read(request: Request, directives: Iterable[Directive]) -> None:
    """Read the directives and make resources of them; Rejected where they contradict each other or say nothing."""
    for directive in directives:
        for option in getopt(directive, TABLE, {}):
            if option.name in TABLE:
                TABLE[option.name].apply(request, option)
            else:
                request.leave(option, reasons.UNKNOWN if option.name else reasons.NO_OPTION)
    _settle(request)


def _resources(request: Request, option: Option) -> None:
    for item in re.split(r",(?=[A-Za-z_]\w*(?:=|,|$))", option.value):
        resource, _, value = item.strip().partition("=")
        part = replace(option, value=value)
        if resource in _RESOURCES:
            _RESOURCES[resource](request, part)
        elif resource:
            request.leave(option, reasons.SITE, item.strip())


def _chunks(fact: str, parse: Callable[[str], Chunks]) -> Callable[[Request, Option], None]:
    def apply(request: Request, option: Option) -> None:
        fill(fact, parse)(request, option)
        chunks: Chunks = request.value(fact)
        for part in chunks.left_out:
            request.leave(option, reasons.SITE, part)
        if chunks.uneven:
            words_ = (
                f"line {option.line}: {option.written} has chunks of several sizes: the largest is asked for on each"
            )
            request.warnings.append(words_)

    return apply


def _place(request: Request, option: Option) -> None:
    parts = option.value.split(":")
    if {"excl", "exclhost"} & set(parts):
        request.say("exclusive", True, option)
    if "pack" in parts:
        request.say("pack", True, option)


def _queue(request: Request, option: Option) -> None:
    queue = option.value.partition("@")[0]
    if queue:
        request.say("queue", queue, option)
    if queue != option.value:
        request.leave(option, reasons.PLACE, option.value)


def _attributes(request: Request, option: Option) -> None:
    for item in re.split(r",(?=[A-Za-z_]\w*=)", option.value):
        attribute = item.partition("=")[0].strip().lower()
        why = {"depend": reasons.WAITS, "group_list": reasons.GROUP, "umask": reasons.SUBMITTING}
        request.leave(option, why.get(attribute, reasons.SITE), item)


def _again(request: Request, option: Option) -> None:
    if option.value.lower() in _YES:
        request.leave(option, reasons.AGAIN)


def _shell(request: Request, option: Option) -> None:
    request.say("shell", option.value.split(",")[0].partition("@")[0].rpartition("/")[2], option)


# --- from facts to resources


def _settle(request: Request) -> None:
    described = [fact for fact in ("select", "nodes_spec", "ncpus") if fact in request.facts]
    if len(described) > 1 and "select" in described:
        why = "select describes all of the nodes by itself; put these into its chunks, or leave select out"
        request.contradict("resources.nodes", why, *described)
    if "select" in described and "total_memory" in request.facts:
        why = "select says the memory of each chunk (…:mem=4gb); keep one of the two"
        request.contradict("resources.memory", why, "select", "total_memory")
    nodes = 1
    if "select" in described:
        nodes = _settle_chunks(request, "select")
    elif "nodes_spec" in described:
        nodes = _settle_chunks(request, "nodes_spec")
    if "ncpus" in described and "cpus" not in request.resources:
        request.ask("cpus", request.value("ncpus"), "ncpus")
    _settle_memory(request, nodes)
    request.ask_as_said("time", "gpus", "exclusive", "queue", "qos", "reservation")
    request.ask_as_said("licenses")
    if account := next((fact for fact in ("account", "project") if fact in request.facts), None):
        request.ask("account", request.value(account), account)
    request.ask_array()


def _settle_chunks(request: Request, fact: str) -> int:
    """Ask for what the chunks say; return the number of nodes."""
    chunks: Chunks = request.value(fact)
    nodes, times = (1, chunks.count) if request.value("pack") else (chunks.count, 1)
    processes, cpus = chunks.each("processes"), chunks.each("cpus")
    request.ask("nodes", nodes, fact)
    if processes or times > 1:
        request.ask("tasks_per_node", max(processes, 1) * times, fact)
    if cpus:
        request.ask("cpus", max(cpus // max(processes, 1), 1), fact)
    for size in ("memory", "gpus"):
        if chunks.each(size):
            request.ask(size, chunks.each(size) * times, fact)
    if chunks.gpu_type:
        request.ask("gpu_type", chunks.gpu_type, fact)
    if chunks.each("threads"):
        request.variables["OMP_NUM_THREADS"] = replace(request.facts[fact], value=str(chunks.each("threads")))
    return nodes


def _settle_memory(request: Request, nodes: int) -> None:
    """Ask for a node's share of the job's memory, or for that of its processes together."""
    processes = request.resources.get("cpus", 1) * request.resources.get("tasks_per_node", 1)
    if "memory" in request.resources:
        return
    for fact in ("total_memory", "virtual_memory"):
        if fact in request.facts:
            request.ask("memory", shared_out(request.value(fact), nodes), fact)
            return
    if "process_memory" in request.facts:
        request.ask("memory", request.value("process_memory") * processes, "process_memory", "nodes_spec", "ncpus")


def _license(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in re.split(r"[+,]", text) if item.strip())


_RESOURCES: dict[str, Callable[[Request, Option], Any]] = {
    "walltime": fill("time", pbs_time, reasons.NO_LIMIT),
    "select": _chunks("select", parse_select),
    "nodes": _chunks("nodes_spec", parse_nodes),
    "place": _place,
    "ncpus": fill("ncpus", count),
    "ppn": fill("ncpus", count),
    "mem": fill("total_memory", pbs_memory, reasons.ALL_MEMORY),
    "vmem": fill("virtual_memory", pbs_memory, reasons.ALL_MEMORY),
    "pmem": fill("process_memory", pbs_memory, reasons.ALL_MEMORY),
    "pvmem": fill("process_memory", pbs_memory, reasons.ALL_MEMORY),
    "ngpus": fill("gpus", count),
    "gpus": fill("gpus", count),
    "qos": fill("qos"),
    "advres": fill("reservation"),
}
_LEFT = {
    reasons.LOG: words("o e j k R"),
    reasons.MAIL: words("m M"),
    reasons.LATER: words("a p h"),
    reasons.SUBMITTING: words("C I X z x f u"),
    reasons.DIRECTORY: words("d D w"),
    reasons.CLEAN: words("V"),
    reasons.CHECKPOINTS: words("c b"),
    reasons.SITE: words("T"),
}
_NO_VALUE = words("h I X z x f V")
TABLE: dict[str, Rule] = {
    **{option: Rule(leave(why), 0 if option in _NO_VALUE else 1) for why, named in _LEFT.items() for option in named},
    "A": Rule(fill("account")),
    "J": Rule(array),
    "l": Rule(_resources),
    "N": Rule(name),
    "P": Rule(fill("project")),
    "q": Rule(_queue),
    "r": Rule(_again),
    "S": Rule(_shell),
    "t": Rule(array),
    "v": Rule(variables),
    "W": Rule(_attributes),
}
