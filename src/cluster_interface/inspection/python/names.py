"""The larger database of import names, behind the curated table: the most downloaded distributions, and Debian's.

`imports.tsv.gz` is made by scripts/import_names.py, which says where it is from. It is searched as it is: one look-up
costs less than taking it apart.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import TYPE_CHECKING

from cluster_interface.inspection.wanted import distribution_of

if TYPE_CHECKING:
    from cluster_interface.inspection.python.imports import Import


@dataclass(frozen=True)
class Found:
    """The distributions that bring a module, the likeliest first."""

    distributions: tuple[str, ...] = ()
    sure: bool = False  #: no other one is nearly as likely

    def __bool__(self) -> bool:
        return bool(self.distributions)


def look_up(item: Import) -> Found:
    """Find an import, the longest name first; an empty answer where nobody well known brings it."""
    return next((found for name in item.names() if (found := _line(name))), Found())


def is_known(distribution: str) -> bool:
    """Say whether a distribution is among the most downloaded, or in Debian."""
    return distribution_of(distribution) in _distributions()


@lru_cache(maxsize=4096)
def _line(module: str) -> Found:
    for end in ("", "?"):
        start = f"\n{module}{end}\t"
        at = _text().find(start)
        if at >= 0:
            line = _text()[at + len(start) : _text().index("\n", at + 1)]
            return Found(tuple(line.split(" ")), sure=not end)
    return Found()


@cache
def _text() -> str:
    data = resources.files(__package__).joinpath("imports.tsv.gz").read_bytes()
    return f"\n{gzip.decompress(data).decode('ascii', 'replace')}"


@cache
def _distributions() -> frozenset[str]:
    return frozenset(name for line in _text().splitlines() for name in line.partition("\t")[2].split(" "))
