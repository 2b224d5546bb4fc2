"""`#SBATCH`: the options of sbatch(1) of Slurm (22.05), and what they ask for.

A later value replaces an earlier one (measured); `--mem`, `--mem-per-cpu` and `--mem-per-gpu` exclude one another.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.batch import reasons
from cluster_interface.inspection.batch.amounts import count, slurm_memory, slurm_time
from cluster_interface.inspection.batch.options import ATTACHED, Rule, getopt
from cluster_interface.inspection.batch.request import (
    array,
    fill,
    first_of,
    leave,
    name,
    same,
    variables,
)
from cluster_interface.inspection.batch.slurm_layout import settle
from cluster_interface.inspection.wording import shown
from cluster_interface.inspection.wordlist import words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster_interface.inspection.batch.directives import Directive
    from cluster_interface.inspection.batch.options import Option
    from cluster_interface.inspection.batch.request import Request

DEFAULT_SIGNAL = 60  #: seconds before the end, where --signal names none
_PARTS = ("hetjob", "packjob")  #: what stands between the parts of a heterogeneous job
_NODES = re.compile(r"([1-9]\d{0,5})(?:-([1-9]\d{0,5}))?")
_SIGNAL = re.compile(r"(?:[RB]{1,2}:)?([A-Za-z0-9+]+)(?:@(\d{1,5}))?")
_GPUS = re.compile(r"(?:([A-Za-z][\w.-]*):)?([1-9]\d{0,4})", re.ASCII)
_GPU_GRES = re.compile(r"(?:gres:|gres/)?gpu(?:[:=]([A-Za-z][\w.-]*))?(?:[:=]([1-9]\d{0,4}))?(?:\(.*\))?", re.ASCII)


def read(request: Request, directives: Iterable[Directive]) -> None:
    """Read the directives and make resources of them; Rejected where they contradict each other or say nothing."""
    first_part = True
    for directive in directives:
        for option in getopt(directive, TABLE, LETTERS):
            first_part = first_part and option.value not in _PARTS
            if first_part:
                _apply(request, option)
            else:
                request.leave(option, reasons.PARTS)
    settle(request)


def _apply(request: Request, option: Option) -> None:
    if option.name in TABLE:
        TABLE[option.name].apply(request, option)
    else:
        request.leave(option, reasons.UNKNOWN if option.name else reasons.NO_OPTION)


def _nodes(text: str) -> int:
    found = _NODES.fullmatch(text)
    if not found:
        raise ValueError(f"{shown(text)} is not a number of nodes; write for example 2 or 2-4")
    if found[2] and int(found[2]) < int(found[1]):
        raise ValueError(f"{shown(text)} has fewer nodes at most than at least; write the smaller number first")
    return int(found[1])


def _fewest(request: Request, option: Option) -> None:
    fill("nodes", _nodes)(request, option)
    if "-" in option.value and len(set(option.value.split("-"))) > 1:
        request.warnings.append(f"line {option.line}: {option.written}: the smallest number of nodes is asked for")


def _gpus(text: str) -> tuple[str | None, int]:
    found = _GPUS.fullmatch(text)
    if not found:
        raise ValueError(f"{shown(text)} is not a number of GPUs; write for example 2 or a100:2")
    return found[1], int(found[2])


def _gres(request: Request, option: Option) -> None:
    for item in option.value.split(","):
        if found := _GPU_GRES.fullmatch(item.strip()):
            request.say("gres", (found[1], int(found[2] or 1)), option)
        elif re.match(r"(?:gres[:/])?gpu(?![A-Za-z0-9_])", item.strip()) and not item.strip().endswith(":0"):
            raise option.refuse(
                "resources.gpus", f"{shown(item)} is not a number of GPUs; write for example gpu:a100:2"
            )
        elif item.strip().lower() not in ("", "none"):
            request.leave(option, reasons.SITE, item.strip())


def _partition(request: Request, option: Option) -> None:
    request.say("queue", first_of(option.value), option)
    if "," in option.value:
        words_ = f"line {option.line}: {option.written} names several partitions: the first is asked for"
        request.warnings.append(words_)


def _exclusive(request: Request, option: Option) -> None:
    if option.value:
        request.leave(option, reasons.PLACE)
    else:
        request.say("exclusive", True, option)


def _licenses(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())


def _signal(request: Request, option: Option) -> None:
    found = _SIGNAL.fullmatch(option.value)
    if not found:
        message = f"{shown(option.value)} is not a signal; write for example B:USR1@60"
        raise option.refuse("checkpoint.signal_before", message)
    request.say("signal", int(found[2] or DEFAULT_SIGNAL) or DEFAULT_SIGNAL, option)
    if found[1].upper().removeprefix("SIG") not in ("USR1", "10"):
        request.leave(option, reasons.SIGNAL, found[1])


def _export(request: Request, option: Option) -> None:
    variables(request, option)


def _requeue(request: Request, option: Option) -> None:
    request.say("requeue", True, option)


_FLAGS = words(
    "contiguous get-user-env hold ignore-pbs no-kill overcommit oversubscribe parsable quiet reboot spread-job "
    "test-only use-min-nodes verbose wait help usage version propagate nice"
)
_PLACE = words(
    "batch cluster-constraint clusters contiguous core-spec cores-per-socket distribution exclude extra-node-info "
    "gpu-bind gpu-freq gres-flags hint mem-bind mincpus network no-kill nodefile nodelist ntasks-per-core "
    "ntasks-per-socket ntasks-per-gpu gpus-per-socket overcommit oversubscribe power prefer reboot sockets-per-node "
    "spread-job switches thread-spec threads-per-core tmp use-min-nodes wait-all-nodes cpu-freq "
    "delay-boot tres-per-task"
)
_LATER = words("begin deadline hold nice priority time-min kill-on-invalid-dep")
_SUBMITTING = words(
    "get-user-env help ignore-pbs parsable quiet test-only uid gid usage verbose version wait propagate"
)
_NOTES = words("acctg-freq comment mcs-label profile wckey")

_LEFT = {
    reasons.LOG: words("output error open-mode"),
    reasons.MAIL: words("mail-type mail-user"),
    reasons.WAITS: words("dependency"),
    reasons.PLACE: _PLACE,
    reasons.LATER: _LATER,
    reasons.SUBMITTING: _SUBMITTING,
    reasons.ACCOUNTING: _NOTES,
    reasons.DIRECTORY: words("chdir workdir"),
    reasons.STDIN: words("input"),
    reasons.CLEAN: words("export-file"),
    reasons.WRAP: words("wrap"),
    reasons.SITE: words("bb bbf container"),
}
TABLE: dict[str, Rule] = {
    **{
        option: Rule(leave(why), ATTACHED if option in _FLAGS else 1)
        for why, named in _LEFT.items()
        for option in named
    },
    "account": Rule(fill("account")),
    "array": Rule(array),
    "constraint": Rule(fill("constraint")),
    "cpus-per-gpu": Rule(fill("cpus_per_gpu", count)),
    "cpus-per-task": Rule(fill("cpus_per_task", count)),
    "exclusive": Rule(_exclusive, ATTACHED),
    "export": Rule(_export),
    "gpus": Rule(fill("gpus_total", _gpus)),
    "gpus-per-node": Rule(fill("gpus_per_node", _gpus)),
    "gpus-per-task": Rule(fill("gpus_per_task", _gpus)),
    "gres": Rule(_gres),
    "job-name": Rule(name),
    "licenses": Rule(fill("licenses", _licenses)),
    "mem": Rule(fill("memory", slurm_memory, reasons.ALL_MEMORY)),
    "mem-per-cpu": Rule(fill("mem_per_cpu", slurm_memory, reasons.ALL_MEMORY)),
    "mem-per-gpu": Rule(fill("mem_per_gpu", slurm_memory, reasons.ALL_MEMORY)),
    "no-requeue": Rule(same, 0),
    "nodes": Rule(_fewest),
    "ntasks": Rule(fill("ntasks", count)),
    "ntasks-per-node": Rule(fill("ntasks_per_node", count)),
    "tasks-per-node": Rule(fill("ntasks_per_node", count)),
    "partition": Rule(_partition),
    "qos": Rule(fill("qos")),
    "requeue": Rule(_requeue, 0),
    "reservation": Rule(fill("reservation")),
    "signal": Rule(_signal),
    "time": Rule(fill("time", slurm_time, reasons.NO_LIMIT)),
}
LETTERS = {
    "A": "account", "a": "array", "b": "begin", "B": "extra-node-info", "C": "constraint", "c": "cpus-per-task",
    "D": "chdir", "d": "dependency", "e": "error", "F": "nodefile", "G": "gpus", "H": "hold", "h": "help",
    "i": "input", "J": "job-name", "k": "no-kill", "L": "licenses", "M": "clusters", "m": "distribution",
    "N": "nodes", "n": "ntasks", "O": "overcommit", "o": "output", "p": "partition", "Q": "quiet", "q": "qos",
    "S": "core-spec", "s": "oversubscribe", "t": "time", "V": "version", "v": "verbose", "W": "wait",
    "w": "nodelist", "x": "exclude",
}  # fmt: skip
