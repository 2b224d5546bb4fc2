"""The chunks of `-l select=2:ncpus=8:mem=16gb` and the nodes of `-l nodes=2:ppn=8` (pbs_resources(7B))."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cluster_interface.inspection.batch.amounts import count, pbs_memory
from cluster_interface.inspection.wording import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_NUMBER = re.compile(r"\d+")
_SIZES: Mapping[str, tuple[str, Callable[[str], int | None]]] = {
    "ncpus": ("cpus", count),
    "ppn": ("cpus", count),
    "mpiprocs": ("processes", count),
    "ompthreads": ("threads", count),
    "mem": ("memory", pbs_memory),
    "ngpus": ("gpus", count),
    "gpus": ("gpus", count),
}


@dataclass(frozen=True)
class Chunks:
    """So many nodes or parts of nodes; the largest of each size where they differ."""

    count: int
    sizes: Mapping[str, int]  #: cpus, processes, threads, memory (bytes) and gpus of each, where said
    gpu_type: str = ""
    uneven: bool = False
    left_out: tuple[str, ...] = ()  #: what else they ask for: a site's resources, properties, the names of nodes

    def each(self, size: str) -> int:
        """Return how much each has; 0 where that was not said."""
        return self.sizes.get(size, 0)


def parse_select(text: str) -> Chunks:
    """Read chunks; ValueError where a number is none."""
    return _together([_chunk(part.strip(), text) for part in text.split("+")])


def parse_nodes(text: str) -> Chunks:
    """Read nodes; on several of them `ppn` is the number of processes, on one that of cores. ValueError as above."""
    whole = parse_select(text)
    if whole.count > 1 and "cpus" in whole.sizes:
        return replace(whole, sizes={**whole.sizes, "processes": whole.each("cpus")})
    return whole


def _chunk(text: str, whole: str) -> Chunks:
    first, *rest = text.split(":")
    if not text:
        raise ValueError(f"{shown(whole)} is not a number of nodes; write for example 1:ncpus=4:mem=8gb or 1:ppn=4")
    if not _NUMBER.fullmatch(first):
        first, rest = "1", [first, *rest]
    sizes: dict[str, int] = {}
    gpu_type, left_out = "", []
    for part in rest:
        name, given, value = part.partition("=")
        if given and name in _SIZES:
            size, parse = _SIZES[name]
            sizes |= {size: parse(value) or 0} if value != "0" else {}
        elif name in ("gpu_type", "gpu_model"):
            gpu_type = value
        elif part:
            left_out.append(part)
    return Chunks(count(first), sizes, gpu_type, left_out=tuple(left_out))


def _together(chunks: list[Chunks]) -> Chunks:
    named = {size for chunk in chunks for size in chunk.sizes}
    largest = {size: max(chunk.each(size) for chunk in chunks) for size in named}
    return Chunks(
        count=sum(chunk.count for chunk in chunks),
        sizes=largest,
        gpu_type=next((chunk.gpu_type for chunk in chunks if chunk.gpu_type), ""),
        uneven=any(chunk.sizes != largest for chunk in chunks),
        left_out=tuple(dict.fromkeys(part for chunk in chunks for part in chunk.left_out)),
    )
