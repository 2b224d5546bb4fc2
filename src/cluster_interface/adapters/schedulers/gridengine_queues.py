"""Grid Engine's cluster queues, from `qhost -q -F -xml`, `qconf -sq`, `qconf -sc`, `qconf -sp` and `qconf -sconf`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from cluster_interface.model.errors import Transient
from cluster_interface.model.queue import Queue
from cluster_interface.model.resources import parse_memory, parse_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from cluster_interface.settings import Defaults

_AWAY = "adDuEo"  #: states of a queue on a host in which it starts nothing: alarm, disabled, unknown, error, orphaned
_CONSUMED = ("h_vmem", "m_mem_free", "mem_free", "virtual_free")  #: which resource a site is likely to count memory by
ADDRESSES = ("h_vmem", "s_vmem")  #: those of which each process may map no more, see queue_conf(5)


@dataclass(kw_only=True)
class Host:
    """One host: its memory, what it has of other resources, and slots and state of each queue on it."""

    name: str
    memory: int = 0
    resources: dict[str, str] = field(default_factory=dict)
    queues: dict[str, tuple[int, str]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One line of `qconf -sc`, see complex(5)."""

    requestable: bool
    consumable: str  #: NO, YES (per slot) or JOB
    exclusive: bool = False  #: whoever has it of a host has the host alone


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A parallel environment, see sge_pe(5), that says how many slots of a job are on each host."""

    name: str
    per_host: int | None  #: None: all of them are on one


@dataclass(frozen=True, kw_only=True)
class Site:
    """What is known of a cell beside its queues and hosts."""

    environments: tuple[Environment, ...]
    resources: Mapping[str, Resource]
    offered: Mapping[str, str]  #: queue -> names of the environments it has, as its configuration lists them
    parallel: str | None = None  #: the environment that is set for several slots on one host of any queue

    def one_node(self, queue: str) -> str | None:
        """Name the environment for several slots on one host of a queue; None if there is none."""
        return self.parallel or next((e.name for e in self._of(queue) if e.per_host is None), None)

    def many_nodes(self, queue: str) -> dict[int, str]:
        """Name the environments for several hosts of a queue, each by the slots that it takes on every one of them."""
        return {e.per_host: e.name for e in self._of(queue) if e.per_host is not None}

    @property
    def exclusive(self) -> str | None:
        """Name the resource by which a job has hosts alone; None if the site has none."""
        return next((name for name, found in self.resources.items() if found.exclusive and found.requestable), None)

    def _of(self, queue: str) -> Iterator[Environment]:
        names = re.split(r"[\s,=\[\]]+", self.offered.get(queue, ""))
        return (environment for environment in self.environments if environment.name in names)


def hosts(text: str) -> list[Host]:
    """Read `qhost -q -F -xml`; Transient if it is not XML."""
    try:
        root = ET.fromstring(text)  # noqa: S314 - from the site's own qhost
    except ET.ParseError as error:
        raise Transient(f"qhost answered what cannot be read: {error}") from None
    return [_host(element) for element in root.iter("host") if element.get("name") != "global"]


def _host(element: ET.Element) -> Host:
    host = Host(name=element.get("name", ""))
    values = {value.get("name"): value.text or "" for value in element.iter("hostvalue")}
    host.memory = memory_of(values.get("mem_total", ""))
    host.resources = {value.get("name", ""): value.text or "" for value in element.iter("resourcevalue")}
    for queue in element.iter("queue"):
        seen = {value.get("name"): value.text or "" for value in queue.iter("queuevalue")}
        slots = seen.get("slots", "0")
        host.queues[queue.get("name", "")] = (int(slots) if slots.isdecimal() else 0, seen.get("state_string", ""))
    return host


def resources(text: str) -> dict[str, Resource]:
    """Read `qconf -sc`."""
    rows = (line.split() for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return {
        row[0]: Resource(requestable=row[4] in ("YES", "FORCED"), consumable=row[5], exclusive=row[3] == "EXCL")
        for row in rows
        if len(row) >= 7
    }


def counted_memory(complexes: Mapping[str, Resource]) -> str | None:
    """Choose the resource that the site counts memory by; None if there is none."""
    return next((n for n in _CONSUMED if n in complexes and complexes[n].consumable != "NO"), None)


def site(ask: Callable[..., str], parallel: str | None = None) -> Site:
    """Ask for parallel environments, resources and what the queues offer of them. Transient if qmaster is away.

    `parallel`: the environment for several slots on one host, where it is set and not to be found.
    """
    rules = {name: ask("qconf", "-sp", name) for name in ask("qconf", "-spl", allow=("no parallel env",)).split()}
    found = {
        name: re.search(r"^allocation_rule\s+(\$pe_slots|\d+)\s*$", text, re.MULTILINE) for name, text in rules.items()
    }
    return Site(
        environments=tuple(
            Environment(name=name, per_host=int(rule[1]) if rule[1].isdecimal() else None)
            for name, rule in found.items()
            if rule
        ),
        resources=resources(ask("qconf", "-sc")),
        offered={name: _attribute("pe_list", ask("qconf", "-sq", name)) for name in ask("qconf", "-sql").split()},
        parallel=parallel,
    )


def queues(ask: Callable[..., str], defaults: Defaults, scheduler: str, *, gpu: str | None, known: Site) -> list[Queue]:
    """Describe every cluster queue in Grid Engine's order of names. Transient if qmaster does not answer."""
    names = ask("qconf", "-sql").split()
    found = hosts(ask("qhost", "-q", "-F", "-xml"))
    most = re.search(r"^max_aj_tasks\s+(\d+)", ask("qconf", "-sconf"), re.MULTILINE)
    projects = tuple(ask("qconf", "-sprjl", allow=("no project",)).split())
    common = {
        "scheduler": scheduler,
        "accounts": projects,
        "qos": (),
        "max_array": int(most[1]) or None if most else None,
    }
    return [
        _queue(name, ask("qconf", "-sq", name), found, defaults=defaults, gpu=gpu, known=known, common=common)
        for name in names
    ]


def _attribute(name: str, text: str) -> str:
    """Return what a queue's configuration says of one attribute; long values go on after a backslash."""
    found = re.search(rf"^{name}\s+(.*)$", text.replace("\\\n", " "), re.MULTILINE)
    return found[1] if found else ""


def _queue(
    name: str,
    text: str,
    all_hosts: Iterable[Host],
    *,
    defaults: Defaults,
    gpu: str | None,
    known: Site,
    common: dict[str, Any],
) -> Queue:
    mine = [host for host in all_hosts if name in host.queues]
    slots = max((host.queues[name][0] for host in mine), default=0)
    memory = max((host.memory for host in mine), default=0)
    time = _time(text)
    spread = tuple(sorted(known.many_nodes(name)))
    cpus = slots if known.one_node(name) else min(slots, max((1, *spread)))
    return Queue(
        name=name,
        cpus=cpus,
        memory=memory,
        time=time,
        default_cpus=min(defaults.cpus, cpus),
        default_memory=min(defaults.memory, memory),
        default_time=min(defaults.time, time or defaults.time),
        gpus=max((int(float(host.resources.get(gpu, "0"))) for host in mine), default=0) if gpu else 0,
        nodes=max(1, len(mine)),
        node_cpus=spread,
        exclusive=any(known.exclusive in host.resources for host in mine),
        state=_state(name, mine),
        **common,
    )


def _state(name: str, mine: Sequence[Host]) -> str:
    if not mine:
        return "it has no hosts"
    states = [host.queues[name][1] for host in mine]
    if all(set(state) & set(_AWAY) for state in states):
        return f"it starts nothing on any of its hosts ({', '.join(sorted(set(states)))})"
    return ""


def _time(text: str) -> int | None:
    value = _attribute("h_rt", text).partition(",")[0].strip() or "INFINITY"
    try:
        return None if value == "INFINITY" else parse_time(value)
    except ValueError:
        return None


def memory_of(text: str) -> int:
    """Read an amount as Grid Engine writes it: 23.5G is 23.5 * 2**30, 1g is 10**9, see sge_types(5)."""
    found = re.fullmatch(r"([\d.]+)([KMGTkmgt]?)", text.strip())
    if not found:
        return 0
    unit = found[2] + "i" if found[2].isupper() else found[2]
    return parse_memory(f"{found[1]}{unit}")
