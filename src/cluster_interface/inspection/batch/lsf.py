"""`#BSUB`: the options of bsub(1) of LSF 10.1, and what they ask for.

`-n` counts slots, which are processors. Without `span[ptile=…]` they may lie on any hosts; here they are on one node.
`rusage[mem=…]` is reserved on each host, `-M` is what the job may take; a number without a unit is in what the site
set as LSF_UNIT_FOR_LIMITS, kilobytes unless it did.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.batch import reasons
from cluster_interface.inspection.batch.amounts import count, lsf_memory, lsf_time
from cluster_interface.inspection.batch.options import Rule, single_dash
from cluster_interface.inspection.batch.request import array, fill, leave, name, variables
from cluster_interface.inspection.wordlist import words
from cluster_interface.model.wishes import Checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster_interface.inspection.batch.directives import Directive
    from cluster_interface.inspection.batch.options import Option
    from cluster_interface.inspection.batch.request import Request

_SECTION = re.compile(r"([A-Za-z]\w*)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]")
_ARRAY = re.compile(r"(.*?)(\[.*\].*)", re.DOTALL)
_GPU_RESOURCES = words("ngpus_physical ngpus_shared ngpus_excl_p ngpus_excl_t ngpus")


def read(request: Request, directives: Iterable[Directive]) -> None:
    """Read the directives and make resources of them; Rejected where they contradict each other or say nothing."""
    for directive in directives:
        for option in single_dash(directive, TABLE):
            if option.name in TABLE:
                TABLE[option.name].apply(request, option)
            else:
                request.leave(option, reasons.UNKNOWN if option.name else reasons.NO_OPTION)
    _settle(request)


def _name(request: Request, option: Option) -> None:
    """Read `-J name`, and the array behind it: `-J "name[1-10:2]%5"`."""
    found = _ARRAY.fullmatch(option.value)
    if found:
        array(request, option.saying(found[2]))
    if plain := found[1] if found else option.value:
        name(request, option.saying(plain))


def _slots(text: str) -> int:
    return count(text.partition(",")[0].strip())


def _memory(request: Request, option: Option, fact: str, text: str) -> None:
    fill(fact, lambda value: lsf_memory(value)[0], reasons.ALL_MEMORY)(request, option.saying(text))
    if unit := lsf_memory(text)[1]:
        request.warnings.append(f"line {option.line}: {option.written} names no unit for {text}: {unit} taken")


def _requirements(request: Request, option: Option) -> None:
    """Read a resource requirement: `select[…] rusage[mem=4GB] span[hosts=1]`."""
    rest = _SECTION.sub("", option.value).strip()
    if rest and rest != "&&":
        request.leave(option, reasons.SITE, rest)
    for section, inside in _SECTION.findall(option.value):
        if section == "rusage":
            _reserved(request, option, inside)
        elif section == "span":
            _span(request, option, inside)
        else:
            request.leave(option, reasons.PLACE if section in ("select", "order") else reasons.SITE, section)


def _reserved(request: Request, option: Option, inside: str) -> None:
    for item in re.split(r"[,:]", inside):
        resource, _, value = item.strip().partition("=")
        value = value.strip("'\"").partition("/")[0]
        if resource == "mem":
            _memory(request, option, "reserved_memory", value)
        elif resource in _GPU_RESOURCES:
            fill("gpus", count)(request, option.saying(value))
        elif resource not in ("", "duration", "decay"):
            request.leave(option, reasons.SITE, item.strip())


def _span(request: Request, option: Option, inside: str) -> None:
    kind, _, value = inside.strip().partition("=")
    if kind == "ptile" and value.strip().isdigit():
        fill("per_node", count)(request, option.saying(value.strip()))
    elif kind == "hosts" and value.strip() == "1":
        request.say("one_node", True, option)
    else:
        request.leave(option, reasons.PLACE, f"span[{inside}]")


def _gpu(request: Request, option: Option) -> None:
    """Read `-gpu "num=2:gmodel=…:mode=…"`; without a number it is one."""
    said = dict(part.partition("=")[::2] for part in option.value.split(":"))
    fill("gpus", count)(request, option.saying(said.get("num", "1").partition("/")[0]))
    if model := said.get("gmodel", "").partition("-")[0]:
        fill("gpu_type")(request, option.saying(model))


def _queue(request: Request, option: Option) -> None:
    queues = option.value.split()
    request.say("queue", queues[0] if queues else option.value, option)
    if len(queues) > 1:
        request.warnings.append(f"line {option.line}: {option.written} names several queues: the first is asked for")


def _variables(request: Request, option: Option) -> None:
    variables(
        request, option, ",".join(item for item in option.value.split(",") if item.strip() not in ("all", "none"))
    )


def _warning(request: Request, option: Option) -> None:
    fill("signal", lsf_time)(request, option)


def _warned_by(request: Request, option: Option) -> None:
    if option.value.upper().removeprefix("SIG") != "USR1":
        request.leave(option, reasons.SIGNAL)


def _settle(request: Request) -> None:
    slots, per_node = request.value("slots") or 1, request.value("per_node")
    if per_node and request.value("one_node") and per_node < slots:
        why = "the slots are to be on one host and on several; keep one of the two"
        request.contradict("resources.nodes", why, "per_node", "one_node")
    if per_node and per_node < slots:
        request.ask("nodes", math.ceil(slots / per_node), "slots", "per_node")
        request.ask("tasks_per_node", per_node, "per_node")
    elif slots > 1:
        request.ask("cpus", slots, "slots", "one_node")
        if not per_node and "one_node" not in request.facts:
            option = request.options("slots")[0]
            words_ = f"line {option.line}: {option.written}: {slots} processors are asked for on one node; "
            request.warnings.append(f"{words_}say --nodes for more")
    elif "slots" in request.facts:
        request.ask("cpus", slots, "slots")
    if said := [fact for fact in ("hard_memory", "reserved_memory") if fact in request.facts]:
        largest = max(said, key=request.value)
        request.ask("memory", request.value(largest), largest)
    request.ask_as_said("time", "gpus", "gpu_type", "exclusive", "queue", "account", "reservation")
    request.ask_array()
    if before := request.value("signal"):
        request.checkpoint = Checkpoint(signal_before=before)
        request.rests_on["checkpoint"] = request.options("signal")[0].where


_LEFT = {
    reasons.LOG: words("o oo e eo j"),
    reasons.MAIL: words("u B N Ne notify"),
    reasons.WAITS: words("w ti"),
    reasons.PLACE: words("m"),
    reasons.LATER: words("b t H sp sla"),
    reasons.SUBMITTING: words("I Ip Is IS ISp ISs IX K pack json yaml jsdl jsm stage"),
    reasons.ACCOUNTING: words("Jd G Lp"),
    reasons.DIRECTORY: words("cwd outdir f"),
    reasons.STDIN: words("i is Zs"),
    reasons.CLEAN: words("L ul"),
    reasons.AGAIN: words("r rn Q"),
    reasons.CHECKPOINTS: words("k"),
    reasons.SITE: words("a app c C D data E Ep F g hl hostfile p s S T v We W+ ptl eptl rcacct R+"),
}
_NO_VALUE = words("B N Ne H I Ip Is IS ISp ISs IX K Zs ul r rn hl ti")
TABLE: dict[str, Rule] = {
    **{option: Rule(leave(why), 0 if option in _NO_VALUE else 1) for why, named in _LEFT.items() for option in named},
    "env": Rule(_variables),
    "gpu": Rule(_gpu),
    "J": Rule(_name),
    "M": Rule(lambda request, option: _memory(request, option, "hard_memory", option.value)),
    "n": Rule(fill("slots", _slots)),
    "P": Rule(fill("account")),
    "q": Rule(_queue),
    "R": Rule(_requirements),
    "U": Rule(fill("reservation")),
    "W": Rule(fill("time", lsf_time)),
    "wa": Rule(_warned_by),
    "wt": Rule(_warning),
    "x": Rule(lambda request, option: request.say("exclusive", True, option), 0),
}
