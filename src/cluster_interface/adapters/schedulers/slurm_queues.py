"""Slurm's partitions as queues, from `scontrol show partition|node|license|reservation` and `sacctmgr show assoc`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.model.queue import Queue
from cluster_interface.model.resources import MIB, parse_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from cluster_interface.settings import Defaults

_PAIR = re.compile(r"(?:^|\s)([A-Z][A-Za-z]*)=(.*?)(?=\s+[A-Z][A-Za-z:/]*=|\s*$)")
_GPU = re.compile(r"(?:^|,)gpu(?::([A-Za-z][\w.@+-]*))?(?::(\d+))?(?=\(|,|$)")
_NOTHING = ("", "(null)", "none", "NONE", "N/A", "UNLIMITED", "ALL")
_AWAY = ("DOWN", "DRAIN", "FAIL", "FUTURE", "NOT_RESPONDING", "POWERED_DOWN_PERMANENTLY")


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What scontrol and sacctmgr say of a whole cluster."""

    config: Mapping[str, str]
    nodes: Sequence[Mapping[str, str]] = ()
    licenses: Sequence[str] = ()
    reservations: Sequence[Mapping[str, str]] = ()
    associations: Sequence[tuple[str, str]] | None = None  #: account and QOS; None: Slurm asks for none


def queues(ask: Callable[..., str], config: Mapping[str, str], defaults: Defaults, scheduler: str) -> list[Queue]:
    """Describe every partition, the default first. Transient if the controller does not answer."""
    partitions = _records(ask("scontrol", "show", "partition", "-o"), "PartitionName")
    cluster = Cluster(
        config=config,
        nodes=_records(ask("scontrol", "show", "node", "-o"), "NodeName"),
        licenses=[found["LicenseName"] for found in _records(ask("scontrol", "show", "license", "-o"), "LicenseName")],
        reservations=_records(ask("scontrol", "show", "reservation", "-o"), "ReservationName"),
        associations=_associations(ask, config),
    )
    default = {partition["PartitionName"] for partition in partitions if partition.get("Default") == "YES"}
    found = [queue(partition, cluster, defaults, scheduler) for partition in partitions]
    return sorted(found, key=lambda q: q.name not in default)


def queue(partition: Mapping[str, str], cluster: Cluster, defaults: Defaults, scheduler: str) -> Queue:
    """Describe one partition by what scontrol says of it and of its nodes."""
    name = partition["PartitionName"]
    associations = cluster.associations
    nodes = [
        n for n in cluster.nodes if name in n.get("Partitions", "").split(",") and "FUTURE" not in n.get("State", "")
    ]
    cpus = max((_number(n.get("CPUEfctv") or n.get("CPUTot")) for n in nodes), default=0)
    memory = max((_number(n.get("RealMemory")) - _number(n.get("MemSpecLimit")) for n in nodes), default=0)
    cpus = min(cpus, _limit(partition.get("MaxCPUsPerNode")) or cpus)
    memory = min(memory, _limit(partition.get("MaxMemPerNode")) or memory) * MIB
    time = _time(partition.get("MaxTime"))
    gpus = [gpus_of(n.get("Gres", "")) for n in nodes]
    default_memory = (_limit(partition.get("DefMemPerNode")) or 0) * MIB or defaults.memory
    default_time = _time(partition.get("DefaultTime")) or defaults.time
    return Queue(
        name=name,
        scheduler=scheduler,
        cpus=cpus,
        memory=memory,
        time=time,
        default_cpus=min(defaults.cpus, cpus),
        default_memory=min(default_memory, memory),
        default_time=min(default_time, time or default_time),
        gpus=max((sum(kinds.values()) for kinds in gpus), default=0),
        gpu_types=tuple(sorted({kind for kinds in gpus for kind in kinds if kind})),
        nodes=min(len(nodes), _limit(partition.get("MaxNodes")) or len(nodes)),
        features=_features(nodes),
        licenses=tuple(cluster.licenses),
        accounts=_allowed([a for a, _ in associations], partition, "Accounts") if associations is not None else None,
        qos=_allowed(_qos(associations), partition, "Qos") if associations is not None else None,
        reservations=_reservations(cluster.reservations, name),
        max_array=max_array(cluster.config),
        state=_state(partition, nodes),
    )


def fields(line: str) -> dict[str, str]:
    """Read one line of `scontrol -o`: `Name=value` with spaces in some values."""
    return {name: value.strip() for name, value in _PAIR.findall(line)}


def settings_of(text: str) -> dict[str, str]:
    """Read `scontrol show config` and `sacctmgr show configuration`: a name, an equals sign, a value on each line."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def gpus_of(gres: str) -> dict[str, int]:
    """Read what GPUs a node has: `gpu:a100:2(S:0-1),gpu:1` -> {"a100": 2, "": 1}. See gres.conf(5)."""
    kinds: dict[str, int] = {}
    for kind, count in _GPU.findall(gres):
        kinds[kind] = kinds.get(kind, 0) + int(count or 1)
    return kinds


def max_array(config: Mapping[str, str]) -> int | None:
    """Return how many elements an array may have: its indexes stay below MaxArraySize, see slurm.conf(5)."""
    most = [_number(config.get("MaxArraySize"))]
    if found := re.search(r"max_array_tasks=(\d+)", config.get("SchedulerParameters", "")):
        most.append(int(found[1]))
    return min((number for number in most if number > 0), default=None)


def _associations(ask: Callable[..., str], config: Mapping[str, str]) -> list[tuple[str, str]] | None:
    """List account and QOS of every association of this cluster; None where Slurm asks for none."""
    if "associations" not in config.get("AccountingStorageEnforce", ""):
        return None
    cluster = config.get("ClusterName", "")
    argv = ("sacctmgr", "--noheader", "--parsable2", "show", "associations", f"cluster={cluster}")
    lines = _lines(ask(*argv, "format=account,user,qos"))
    rows = [line.split("|") for line in lines if line.count("|") == 2]
    return sorted({(account, qos) for account, user, qos in rows if user})


def _qos(associations: Sequence[tuple[str, str]]) -> list[str]:
    return [name for _, qos in associations for name in qos.split(",") if name]


def _allowed(names: Iterable[str], partition: Mapping[str, str], kind: str) -> tuple[str, ...]:
    """Keep the names that a partition takes (AllowAccounts, DenyAccounts, AllowQos, DenyQos)."""
    allow, deny = partition.get(f"Allow{kind}", "ALL"), partition.get(f"Deny{kind}", "")
    kept = dict.fromkeys(names)
    return tuple(
        name
        for name in kept
        if (allow in _NOTHING or name in allow.split(",")) and (deny in _NOTHING or name not in deny.split(","))
    )


def _reservations(reservations: Iterable[Mapping[str, str]], partition: str) -> tuple[str, ...]:
    return tuple(
        found["ReservationName"]
        for found in reservations
        if found.get("PartitionName", "(null)") in (*_NOTHING, partition)
    )


def _features(nodes: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    names = (name for n in nodes for name in n.get("AvailableFeatures", "").split(","))
    return tuple(sorted({name for name in names if name not in _NOTHING}))


def _state(partition: Mapping[str, str], nodes: Sequence[Mapping[str, str]]) -> str:
    state = partition.get("State", "UP")
    if state != "UP":
        return state
    if not nodes:
        return "it has no nodes"
    away = [n for n in nodes if any(word in n.get("State", "") for word in _AWAY)]
    return "all its nodes are down or drained" if len(away) == len(nodes) else ""


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def _records(text: str, key: str) -> list[dict[str, str]]:
    """Read lines of `scontrol -o`; one that does not say what it is about is none (`No reservations in the system`)."""
    return [found for line in _lines(text) if key in (found := fields(line))]


def _number(text: str | None) -> int:
    found = re.match(r"\d+", text or "")
    return int(found[0]) if found else 0


def _limit(text: str | None) -> int | None:
    return _number(text) or None


def _time(text: str | None) -> int | None:
    try:
        return parse_time(text) if text not in (*_NOTHING, None) else None
    except ValueError:
        return None
