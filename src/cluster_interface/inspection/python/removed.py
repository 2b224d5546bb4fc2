"""Names that packages no longer have: a program that uses one, and pins nothing, wants them as they were before."""

from __future__ import annotations

import ast
import gzip
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from packaging.version import Version

from cluster_interface.inspection.python.conditions import dotted
from cluster_interface.inspection.python.stated import Need, parsed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from cluster_interface.inspection.python.modules import Program
    from cluster_interface.inspection.python.source import Module


@dataclass(frozen=True)
class Removed:
    """One name that a release took away."""

    of: str
    before: str
    also: str  #: a requirement that releases from before need besides; empty: none


@cache
def removed() -> dict[str, Removed]:
    """Read the tables, once per process: full name or CALL(KEYWORD) -> what took it away.

    `removed.tsv.gz` is made by scripts/removed_names.py; what `removed.toml` says of a name goes before it.
    """
    here = resources.files(__package__)
    said = tomllib.loads(here.joinpath("removed.toml").read_text("utf-8"))
    listed = gzip.decompress(here.joinpath("removed.tsv.gz").read_bytes()).decode("ascii").splitlines()
    found = {}
    for name, of, before in (line.split("\t") for line in listed):
        of_old_numpy = of in said["old_numpy"] and Version(before) <= Version(said["old_numpy"][of])
        found[name] = Removed(of, before, "numpy<2" if of_old_numpy else "")
    return found | {
        name: Removed(row["of"], row["before"], row.get("with", ""))
        for row in said["removed"]
        for name in (*row["names"], *row.get("keywords", ()))
    }


def bounds(programs: Sequence[Program], imported: Collection[str], stated: Mapping[str, str]) -> dict[str, Need]:
    """Return for each distribution of which a program uses what is gone the newest that has it, and where.

    A keyword counts only where its distribution is among the `imported` ones. What is `stated` (distribution ->
    requirement) stays as it is where it says how new a release may be, or wants a newer one.
    """
    found: dict[str, tuple[Version, Need]] = {}
    for name, where in _uses(programs):
        row = removed().get(name)
        if row is None or (name.endswith(")") and row.of not in imported):
            continue
        if not _leaves_open(stated.get(row.of, row.of), row.before):
            continue
        for requirement in filter(None, (f"{row.of}<{row.before}", row.also)):
            of, _, before = requirement.partition("<")
            if _leaves_open(stated.get(of, of), before) and (of not in found or Version(before) < found[of][0]):
                found[of] = Version(before), Need(requirement, f"{name}, {where}: {row.of} {row.before} has it no more")
    return {of: need for of, (_, need) in found.items()}


def needs_old_kernel(limits: Mapping[str, Need]) -> bool:
    """Say whether what programs use comes with releases that break in a notebook with IPython 9."""
    said = tomllib.loads(resources.files(__package__).joinpath("removed.toml").read_text("utf-8"))["old_kernel"]
    bounds = ((of, need.requirement.partition("<")[2]) for of, need in limits.items() if of in said)
    return any(Version(before) <= Version(said[of]) for of, before in bounds)


def _leaves_open(requirement: str, before: str) -> bool:
    """Say whether a requirement says nothing of how new a release may be, and takes those before another one."""
    wanted = parsed(requirement)
    return wanted is not None and all(
        one.operator == "!=" or (one.operator in (">=", ">") and Version(one.version) < Version(before))
        for one in wanted.specifier
    )


def _uses(programs: Sequence[Program]) -> Iterator[tuple[str, str]]:
    for program in programs:
        for module in program.modules.values():
            of = "" if module is program.main else f" of {module.name}"
            yield from ((name, f"line {line}{of}") for name, line in _used(module))


def _used(module: Module) -> Iterator[tuple[str, int]]:
    """Yield what a module uses of others by its full name, and the keywords of its calls, unless it only tries to."""
    called, tried = dict(full_names(module)), set(_tried(module))
    for node in (node for node in module.nodes if id(node) not in tried):
        match node:
            case ast.Import(names=names, lineno=line):
                yield from ((alias.name, line) for alias in names)
            case ast.ImportFrom(level=0, module=str(origin), names=names, lineno=line):
                yield from ((name, line) for name in (origin, *(f"{origin}.{alias.name}" for alias in names)))
            case ast.Attribute(lineno=line):
                first, _, rest = dotted(node).partition(".")
                if first in called:
                    yield f"{called[first]}.{rest}", line
            case ast.Call(func=ast.Attribute(attr=name), keywords=keywords, lineno=line):
                yield from ((f"{name}({one.arg})", line) for one in keywords)


def _tried(module: Module) -> Iterator[int]:
    """Yield the nodes of imports and assignments for whose failure there is something else."""
    for node in module.nodes:
        if isinstance(node, ast.Try) and all(
            isinstance(one, ast.Import | ast.ImportFrom | ast.Assign) for one in node.body
        ):
            yield from (id(inner) for one in node.body for inner in ast.walk(one))


def full_names(module: Module) -> Iterator[tuple[str, str]]:
    """Yield what a module calls others, and their full names."""
    for node in module.nodes:
        match node:
            case ast.Import(names=names):
                for alias in names:
                    top = alias.name.partition(".")[0]
                    yield (alias.asname, alias.name) if alias.asname else (top, top)
            case ast.ImportFrom(level=0, module=str(origin), names=names):
                yield from ((alias.asname or alias.name, f"{origin}.{alias.name}") for alias in names)
