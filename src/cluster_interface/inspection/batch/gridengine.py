"""`#$`: the options of qsub(1) of Son of Grid Engine 8.1.9, and what they ask for.

Memory is asked for per slot, as consumables of a parallel job are (complex(5)). Which resources there are is each
site's own affair: those that most sites have, and the names they give to memory and GPUs, are known here.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cluster_interface.inspection.batch import reasons
from cluster_interface.inspection.batch.amounts import count, gridengine_memory, gridengine_time
from cluster_interface.inspection.batch.options import ATTACHED, Rule, single_dash
from cluster_interface.inspection.batch.request import array, fill, leave, name, same, variables
from cluster_interface.inspection.wording import shown
from cluster_interface.inspection.wordlist import words
from cluster_interface.model.wishes import Checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cluster_interface.inspection.batch.directives import Directive
    from cluster_interface.inspection.batch.options import Option
    from cluster_interface.inspection.batch.request import Request

NOTIFY = 60  #: seconds: what queue_conf(5) has as `notify` unless the site changed it
_SLOTS = re.compile(r"([1-9]\d{0,6})?(-)?([1-9]\d{0,6})?")
_SHARED = re.compile(r"smp|shm|shared|thread|openmp(?!i)|omp(?!i)|single|onenode|serial|local|pe_slots", re.IGNORECASE)
_HARD_MEMORY = ("h_vmem", "h_rss", "h_data")
_MEMORY = words(
    "h_vmem h_rss h_data s_vmem s_rss mem mem_free mem_token memory m_mem_free mem_requested mem_req rmem tmem "
    "virtual_free vf ram mem_total vmem"
)
_GPUS = words("gpu gpus ngpus gpu_count num_gpus cuda")
_GPU_TYPES = words("gpu_type gputype gpu_model gpu_card")
_WHOLE_NODES = words("exclusive excl")
_YES = frozenset({"", "1", "true", "yes", "y", "t"})


def read(request: Request, directives: Iterable[Directive]) -> None:
    """Read the directives and make resources of them; Rejected where they contradict each other or say nothing."""
    for directive in directives:
        soft = False  # -soft and -hard count for what follows them
        for option in single_dash(directive, TABLE):
            soft = option.name == "soft" or (soft and option.name != "hard")
            if soft and option.name in ("l", "q"):
                request.leave(option, reasons.SOFT)
            elif option.name in TABLE:
                TABLE[option.name].apply(request, option)
            else:
                request.leave(option, reasons.UNKNOWN if option.name else reasons.NO_OPTION)
    _settle(request)


def _resources(request: Request, option: Option) -> None:
    for item in option.value.split(","):
        resource, _, value = item.strip().partition("=")
        _resource(request, option, resource.lower(), value.strip("'\""))


def _resource(request: Request, option: Option, resource: str, value: str) -> None:
    part = _Part(request, option, value)
    if resource == "h_rt":
        part.say("time", gridengine_time, reasons.NO_LIMIT)
    elif resource == "s_rt":
        part.say("soft_time", gridengine_time, reasons.NO_LIMIT)
    elif resource in _MEMORY:
        part.say(
            "hard_memory" if resource in _HARD_MEMORY else f"memory:{resource}", gridengine_memory, reasons.NO_LIMIT
        )
    elif resource in _GPUS and value != "0":
        part.say("gpus", lambda text: 1 if text.lower() == "true" else count(text), "")
    elif resource in _GPU_TYPES:
        part.say("gpu_type", str, "")
    elif resource in _WHOLE_NODES:
        if value.lower() in _YES:
            request.say("exclusive", True, option)
    elif resource in ("q", "qname"):
        _queue(request, part.option)
    elif resource:
        request.leave(option, reasons.SITE, f"{resource}={value}" if value else resource)


class _Part:
    """One resource of a `-l` list."""

    def __init__(self, request: Request, option: Option, value: str) -> None:
        self.request = request
        self.option = replace(option, value=value)

    def say(self, fact: str, parse: Callable[[str], Any], unlimited: str) -> None:
        fill(fact, parse, unlimited)(self.request, self.option)


def _parallel(request: Request, option: Option) -> None:
    environment, _, amount = option.value.partition(" ")
    found = _SLOTS.fullmatch(amount.split(",")[0])
    if not found or not (found[1] or found[3]):
        message = f"{shown(amount)} is not a number of slots; write for example -pe {environment} 4"
        raise option.refuse("resources.cpus", message)
    least, most = int(found[1] or 1), int(found[3] or found[1] or 1)
    if found[2] and found[1] and most < least:
        message = f"{shown(amount)} has fewer slots at most than at least; write the smaller number first"
        raise option.refuse("resources.cpus", message)
    request.say("slots", (environment, least), option)
    if found[2]:
        request.warnings.append(
            f"line {option.line}: {option.written}: the smallest number of slots, {least}, is asked for"
        )


def _queue(request: Request, option: Option) -> None:
    queue = option.value.split(",")[0].partition("@")[0]
    if not queue or set(queue) & set("*?[]|!&"):
        request.leave(option, reasons.PLACE)
        return
    request.say("queue", queue, option)
    if queue != option.value:
        request.warnings.append(
            f"line {option.line}: {option.written}: of this only the queue {shown(queue)} is asked for"
        )


def _array(request: Request, option: Option) -> None:
    if option.value.startswith(("0-", "0:")) or option.value == "0" or "," in option.value:
        message = f"{shown(option.value)} is not an array of Grid Engine; write for example 1-10 or 1-9:2"
        raise option.refuse("sweep.parameters", message)
    array(request, option)


def _notify(request: Request, option: Option) -> None:
    request.say("signal", NOTIFY, option)
    request.leave(option, reasons.SIGNAL)


def _shell(request: Request, option: Option) -> None:
    request.say("shell", option.value.rpartition("/")[2], option)


# --- from facts to resources


def _settle(request: Request) -> None:
    environment, slots = request.value("slots") or ("", 1)
    if environment and _SHARED.search(environment):
        request.ask("cpus", slots, "slots")
    elif environment:
        request.ask("cpus", 1, "slots")
        request.ask("tasks_per_node", slots, "slots")
        if slots > 1:
            option = request.options("slots")[0]
            request.warnings.append(
                f"line {option.line}: {option.written}: {slots} processes are asked for on one node; "
                "say --nodes for more, or --cpus if they are threads"
            )
    _settle_memory(request, slots)
    request.ask_as_said("time", "gpus", "gpu_type", "exclusive", "queue", "account", "reservation")
    request.ask_array()
    _settle_checkpoint(request)


def _settle_memory(request: Request, slots: int) -> None:
    """Ask for memory: what is enforced counts before what is only looked at when the job is placed."""
    said = [fact for fact in request.facts if fact == "hard_memory" or fact.startswith("memory:")]
    if said:
        chosen = "hard_memory" if "hard_memory" in said else max(said, key=request.value)
        request.ask("memory", request.value(chosen) * slots, chosen, "slots")


def _settle_checkpoint(request: Request) -> None:
    soft, hard = request.value("soft_time"), request.value("time")
    if soft and hard and soft > hard:
        why = "the soft limit of time is behind the hard one; let s_rt be less than h_rt"
        request.contradict("resources.time", why, "soft_time", "time")
    if soft and not hard:
        request.ask("time", soft, "soft_time")
        return
    before = hard - soft if soft and hard else request.value("signal")
    if before:
        request.checkpoint = Checkpoint(signal_before=before)
        facts = ("soft_time", "time") if soft else ("signal",)
        request.rests_on["checkpoint"] = "; ".join(dict.fromkeys(option.where for option in request.options(*facts)))


_LEFT = {
    reasons.LOG: words("o e j"),
    reasons.MAIL: words("m M"),
    reasons.WAITS: words("hold_jid hold_jid_ad"),
    reasons.PLACE: words("masterq R"),
    reasons.LATER: words("a dl h js ot p now"),
    reasons.SUBMITTING: words("C clear display jsv pty shell sync terse verbose verify w u help nostdin noshell @"),
    reasons.ACCOUNTING: words("A ac dc sc"),
    reasons.DIRECTORY: words("wd"),
    reasons.STDIN: words("i"),
    reasons.CLEAN: words("V"),
    reasons.AGAIN: words("r"),
    reasons.CHECKPOINTS: words("ckpt c"),
}
_NO_VALUE = words("V clear terse verbose verify help nostdin noshell")
TABLE: dict[str, Rule] = {
    **{option: Rule(leave(why), 0 if option in _NO_VALUE else 1) for why, named in _LEFT.items() for option in named},
    "h": Rule(leave(reasons.LATER), ATTACHED),
    "ar": Rule(fill("reservation")),
    "b": Rule(same),
    "binding": Rule(leave(reasons.PLACE), ATTACHED),
    "cwd": Rule(same, 0),
    "hard": Rule(same, 0),
    "soft": Rule(same, 0),
    "l": Rule(_resources),
    "N": Rule(name),
    "notify": Rule(_notify, 0),
    "P": Rule(fill("account")),
    "pe": Rule(_parallel, 2),
    "q": Rule(_queue),
    "S": Rule(_shell),
    "t": Rule(_array),
    "tc": Rule(fill("max_running", count)),
    "v": Rule(variables),
}
