"""Names that make a tree: relative, without `..`, told apart by every filesystem; links that stay inside of it."""

from __future__ import annotations

import unicodedata
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

LONGEST_NAME = 255  #: bytes of one path component: NAME_MAX of ext4, XFS and NFS
LONGEST_PATH = 3072  #: bytes of a relative path: PATH_MAX is 4096, and a workspace stands before it
MOST_ENTRIES = 100_000  #: of one tree; more belong in a directory with a source of its own
MOST_NODES = 4 * MOST_ENTRIES  #: names of one tree, directories that are only part of others' included
MOST_HOPS = 40  #: links that a path may lead through, as in Linux (path_resolution(7))
MOST_PROBLEMS = 20  #: that are told at once
SHOWN = 200  #: characters of a name in a message

_NO_PARTS = frozenset(("", ".", ".."))


class NoTree(ValueError):
    """Entries that make no tree; `problems` are their names and what is wrong with each, its text all of that."""

    def __init__(self, problems: Iterable[tuple[str, str]]) -> None:
        self.problems = list(problems)[:MOST_PROBLEMS]
        super().__init__("; ".join(f"{name[:SHOWN]!r}{words}" for name, words in self.problems))


def check_all(checks: Iterable[Iterator[tuple[str, str]]]) -> None:
    """Raise NoTree with what the checks yield, the first of which finds something: the next ones rest on it."""
    for check in checks:
        if found := [problem for problem, _ in zip(check, range(MOST_PROBLEMS), strict=False)]:
            raise NoTree(found)


def check_name(name: str) -> str:
    """Return `name` if it is a safe relative path (a directory ends in `/`); raise ValueError otherwise."""
    if words := _wrong(name):
        raise NoTree([(name, words)])
    return name


def _wrong(name: str) -> str | None:
    path = name.removesuffix("/")
    parts = path.split("/")
    words = None
    if not path or path.startswith("/"):
        words = f": write a path relative to the job's directory, such as {path.lstrip('/')[:SHOWN] or 'data/x.csv'}"
    elif "\\" in name or (not name.isprintable() and any(unicodedata.category(c) in ("Cc", "Cs") for c in name)):
        words = " has a control character or a backslash in it; rename it"
    elif len(name.encode()) > LONGEST_PATH:
        words = f" is longer than {LONGEST_PATH} bytes; shorten it"
    elif not _NO_PARTS.isdisjoint(parts):
        odd = next(part for part in parts if part in _NO_PARTS)
        words = f": `{odd or '//'}` is not allowed in a path; write one below the job's directory"
    elif long := next((part for part in parts if len(part.encode()) > LONGEST_NAME), None):
        words = f": {long[:40]!r}… is longer than {LONGEST_NAME} bytes; shorten it"
    return words


def check_names(names: Iterable[str]) -> None:
    """Raise NoTree where two names collide: a file that is also a directory, or alike but for case or form."""
    check_all([wrong_names(names)])


def wrong_names(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the names that are none, and those that collide with an earlier one."""
    nodes: dict[tuple[int, str], _Node] = {}
    for name in names:
        if words := _wrong(name) or _collision(name, nodes):
            yield name, words


def _collision(name: str, nodes: dict[tuple[int, str], _Node]) -> str | None:
    parts = name.removesuffix("/").split("/")
    here = 0
    for depth, part in enumerate(parts, 1):
        last = depth == len(parts)
        node = nodes.get((here, _alike(part)))
        if node is None:
            if len(nodes) > MOST_NODES:
                return f" and all before lie in more than {MOST_NODES:,} directories; give them as an archive"
            node = nodes[here, _alike(part)] = _Node(len(nodes) + 1, part, file=last and name[-1] != "/", named=last)
        elif node.part != part or (last and node.named):
            other = "/".join([*parts[: depth - 1], node.part])
            why = "is there twice" if node.part == part else f"and {other!r} differ only in case or in unicode form"
            return f" {why}: they are the name of something else too on some filesystems; rename one"
        elif node.file or (last and name[-1] != "/"):
            spelled = "/".join(parts[:depth])
            which = "" if spelled == name.rstrip("/") else f": {spelled!r}"
            return f"{which} is a file and also a directory; rename one"
        node.named |= last
        here = node.number
    return None


@dataclass(slots=True)
class _Node:
    number: int
    part: str
    _: KW_ONLY
    file: bool
    named: bool  #: it has an entry, rather than only entries in it


def _alike(part: str) -> str:
    return part.lower() if part.isascii() else unicodedata.normalize("NFC", part).casefold()


def check_links(links: Mapping[str, str]) -> None:
    """Raise NoTree for a link that leads out of the tree, also through other links, or round in a circle."""
    check_all([wrong_links(links)])


def wrong_links(links: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the links that lead out, or nowhere."""
    for name, target in links.items():
        if words := _wrong_target(target) or _follow(name, links):
            yield name, words


def _wrong_target(target: str) -> str | None:
    if not target or target.startswith("/") or any(unicodedata.category(c) in ("Cc", "Cs") for c in target):
        return f" is a link to {target[:SHOWN]!r}; write a path from the link to its target"
    if len(target.encode()) > LONGEST_PATH:
        return f": its target is longer than {LONGEST_PATH} bytes"
    return None


def _follow(name: str, links: Mapping[str, str]) -> str | None:
    here: list[str] = []
    ahead = name.split("/")[::-1]
    hops = 0
    while ahead:
        part = ahead.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if not here:
                return f" is a link to {links[name][:SHOWN]!r}, which is outside of the tree"
            here.pop()
            continue
        here.append(part)
        if (target := links.get("/".join(here))) is not None:
            hops += 1
            if hops > MOST_HOPS or target.startswith("/"):
                return f" is a link that leads {'out' if hops <= MOST_HOPS else 'round in a circle'}"
            here.pop()
            ahead += target.split("/")[::-1]
    return None
