"""Looks names up in the table that `scripts/archive_index.py` makes of Debian's own indices."""

from __future__ import annotations

import lzma
import re
import tomllib
from bisect import bisect_left
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

SUITES = ("bullseye", "bookworm", "trixie")  #: in the order of the table's columns
CURRENT = "bookworm"
PYTHONS = {"bullseye": "3.9", "bookworm": "3.11", "trixie": "3.13"}  #: by which an environment names a suite

MOST_ALIKE = 100  #: commands that begin like one that is looked for

Section = Literal[
    "below", "cmake", "command", "fortran", "go", "haskell", "header", "library", "lua", "maven", "node", "ocaml",
    "octave", "perl", "pkgconfig", "r", "ruby", "rust", "tcl", "tex", "toolbox",
]  # fmt: skip


class Archive:
    """One suite of the archive, with the packages that a site prefers. Unknown suites are taken for the current one."""

    def __init__(self, suite: str = CURRENT, prefer: Mapping[str, str] | None = None) -> None:
        self.suite = suite if suite in SUITES else CURRENT
        self._prefer = prefer or {}

    def command(self, name: str) -> tuple[str, ...]:
        """List the packages that have a command, the site's choice or else the best known first."""
        if package := self._prefer.get(name):
            return (package,)
        return self.find("command", name) or self._alternative(name)

    def _alternative(self, name: str) -> tuple[str, ...]:
        """Find what update-alternatives(1) makes when it is installed: figlet's figlet-figlet becomes figlet."""
        lines, column = _lines("command"), SUITES.index(self.suite)
        for line in lines[bisect_left(lines, name.encode()) :][:MOST_ALIKE]:
            longer, _, packages = line.decode().partition("\t")
            if not longer.startswith(name):
                break
            if longer[len(name) :][:1] in ("-", ".") and name in _named(packages, column):
                return (name,)
        return ()

    def find(self, section: Section, name: str) -> tuple[str, ...]:
        """List the packages that have something of this name in this suite, the best first; empty: none."""
        if package := _preferred().get(section, {}).get(name):
            return (package,)
        return _named(_line(section, name), SUITES.index(self.suite))

    def path(self, section: Section, path: str) -> tuple[str, ...]:
        """Like `find`, for a path, of which the table may know only a directory above."""
        parts = path.split("/")
        above = ["/".join(parts[:end]) + "/" for end in range(len(parts) - 1, 0, -1)]
        names = [path, *above, f"{path}/"]
        preferred = _preferred().get(section, {})
        named = next((preferred[name] for name in names if name in preferred), None)
        return (named,) if named else next((found for name in names if (found := self.find(section, name))), ())

    def below(self, section: Section, start: str) -> tuple[str, ...]:
        """List the packages of the first name that lies directly below a path, which ends in a slash."""
        lines, head = _lines(section), start.encode()
        for line in lines[bisect_left(lines, head) :][:20]:
            name, _, packages = line.decode().partition("\t")
            if not name.startswith(start):
                break
            if "/" not in name[len(start) :] and (found := _named(packages, SUITES.index(self.suite))):
                return found
        return ()

    def versioned(self, directory: str) -> tuple[str, ...]:
        """List the packages that have a directory of headers with their version in its name: pcl-1.13 for pcl."""
        lines, head = _lines("header"), f"{directory}-".encode("utf-8", "replace")
        for line in lines[bisect_left(lines, head) :]:
            name, _, packages = line.decode().partition("\t")
            if not name.startswith(f"{directory}-"):
                break
            if re.fullmatch(r"\d[\d.]*/", name[len(head) :]) and (found := _named(packages, SUITES.index(self.suite))):
                return found
        return ()

    def names(self, section: Section, package: str) -> list[str]:
        """List what a package is the best for, the shortest names first."""
        column, ends = SUITES.index(self.suite), package.encode()
        lines = (line.decode().partition("\t") for line in _lines(section) if ends in line)
        return sorted((name for name, _, packages in lines if _named(packages, column)[:1] == (package,)), key=len)

    def suites_with(self, section: Section, name: str) -> tuple[str, ...]:
        """Name the suites that have it, the newest first."""
        line = _line(section, name)
        return tuple(suite for suite in reversed(SUITES) if _named(line, SUITES.index(suite)))


def _named(line: str, column: int) -> tuple[str, ...]:
    packages = line.split("|")[column] if "|" in line else line
    return tuple(packages.split(",")) if packages else ()


def _line(section: Section, name: str) -> str:
    if not name or "\t" in name or "\n" in name:
        return ""
    lines, start = _lines(section), f"{name}\t".encode("utf-8", "replace")
    at = bisect_left(lines, start)
    return lines[at][len(start) :].decode() if at < len(lines) and lines[at].startswith(start) else ""


@cache
def _lines(section: Section) -> list[bytes]:
    return sorted(_sections().get(section, b"").split(b"\n"))


@cache
def _sections() -> dict[str, bytes]:
    whole = lzma.decompress(resources.files(__package__).joinpath("index.xz").read_bytes())
    parts = (part.partition(b"\n") for part in whole.strip(b"\n").split(b"\n\n"))
    return {head.strip(b"[]").decode(): lines for head, _, lines in parts}


@cache
def _preferred() -> dict[str, dict[str, str]]:
    return tomllib.loads(resources.files(__package__).joinpath("preferred.toml").read_text())
