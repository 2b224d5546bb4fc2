"""Patterns that choose files of a tree: `results/**`, `*.csv`, `plots/`.

`*`, `?` and `[…]` match within one component (hidden names too), `**` any number of components, none included.
A pattern that ends in `/`, or that has none of these signs and names a directory, means all that is below it.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MAGIC = frozenset("*?[")


def matches(pattern: str, path: str) -> bool:
    """Say whether `pattern` chooses the file `path`."""
    wanted = pattern.removesuffix("/").split("/")
    parts = path.split("/")
    if pattern.endswith("/"):
        return _match([*wanted, "*", "**"], parts)
    if not _MAGIC.intersection(pattern):
        return parts[: len(wanted)] == wanted
    return _match(wanted, parts)


def _match(wanted: Sequence[str], parts: Sequence[str]) -> bool:
    """Match component by component; `reached` holds how many of `wanted` may be used up so far."""
    reached = _past_stars({0}, wanted)
    for part in parts:
        after = set()
        for used in reached:
            if used < len(wanted) and wanted[used] == "**":
                after.add(used)
            elif used < len(wanted) and fnmatchcase(part, wanted[used]):
                after.add(used + 1)
        reached = _past_stars(after, wanted)
    return len(wanted) in reached


def _past_stars(reached: set[int], wanted: Sequence[str]) -> set[int]:
    """Add what is reached when a `**` stands for no component at all."""
    more = set(reached)
    for used in reached:
        at = used
        while at < len(wanted) and wanted[at] == "**":
            at += 1
            more.add(at)
    return more


def expand(names: Iterable[str], patterns: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the names that some pattern chooses, in their order, and the patterns that choose none."""
    unmatched = set(patterns)
    chosen = []
    for name in names:
        hits = {pattern for pattern in patterns if matches(pattern, name)}
        unmatched -= hits
        if hits:
            chosen.append(name)
    return chosen, [pattern for pattern in patterns if pattern in unmatched]
