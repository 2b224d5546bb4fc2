"""Import names to distributions, by a table of well-known ones: never a guess that a stranger could squat."""

from __future__ import annotations

import ast
import tomllib
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import TYPE_CHECKING, Any

from cluster_interface.inspection.wanted import distribution_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from cluster_interface.inspection.python.imports import Import


@dataclass(frozen=True)
class Companion:
    """What some calls of an imported module need besides it."""

    of: str
    calls: frozenset[str]
    needs: str
    files: tuple[str, ...] = ()  #: only where a text in the call ends so
    uses: frozenset[str] = frozenset()  #: names that need it wherever they stand, called or handed on

    def fits(self, call: str, texts: Collection[str]) -> bool:
        """Say whether this call (`read_excel`, `plot.bar`), with these texts in it, needs the companion."""
        return call in self.calls and (not self.files or any(text.lower().endswith(self.files) for text in texts))


@dataclass(frozen=True)
class Table:
    """The shipped table, distributions.toml."""

    providers: dict[str, tuple[str, ...]]  #: import -> distributions that bring it, the default first
    unavailable: dict[str, str]
    system: dict[str, tuple[str, ...]]
    companions: tuple[Companion, ...]
    conda: dict[str, str]  #: conda's name -> PyPI's, where they differ
    conda_system: dict[str, str]  #: conda's name -> Debian's
    conda_parts: frozenset[str]  #: what Python, its wheels or the base bring by themselves
    other_systems: frozenset[str]  #: what only Windows or macOS can have
    wheels: dict[str, tuple[str, ...]]  #: distribution -> its first release for each Python of an image

    def has(self, distribution: str) -> bool:
        """Say whether some import is known to be brought by this distribution."""
        return distribution_of(distribution) in self.distributions

    @cached_property
    def distributions(self) -> frozenset[str]:
        """Every distribution of the table, by its normalized name."""
        return frozenset(distribution_of(name) for names in self.providers.values() for name in names)

    def find(self, item: Import) -> tuple[str, ...]:
        """Return the distributions that bring an import, the default first; empty if it is not well known."""
        return next((self.providers[name] for name in item.names() if name in self.providers), ())

    def why_unavailable(self, item: Import) -> str | None:
        """Say why no package can bring an import; None if one might."""
        return next((self.unavailable[name] for name in item.names() if name in self.unavailable), None)

    def system_packages(self, requirement: str) -> tuple[str, ...]:
        """List the Debian packages that a requirement needs."""
        return self.system.get(distribution_of(requirement), ())


@cache
def table() -> Table:
    """Read the table, once per process."""
    text = resources.files(__package__).joinpath("distributions.toml").read_text("utf-8")
    data: dict[str, Any] = tomllib.loads(text)
    providers: dict[str, tuple[str, ...]] = {name: (name.replace("_", "-"),) for name in data["same"].split()}
    for name, value in data["imports"].items():
        providers[name] = (value,) if isinstance(value, str) else tuple(value)
    return Table(
        providers=providers,
        unavailable=data["unavailable"],
        system={distribution_of(name): tuple(value) for name, value in data["system"].items()},
        companions=tuple(
            Companion(
                row["of"],
                frozenset(row.get("calls", ())),
                row["needs"],
                tuple(row.get("files", ())),
                frozenset(row.get("uses", ())),
            )
            for row in data["companions"]
        ),
        conda=data["conda"],
        conda_system=data["conda_system"],
        conda_parts=frozenset(data["conda_parts"].split()),
        other_systems=frozenset(data["other_systems"].split()),
        wheels={name: tuple(first) for name, first in data["wheels"].items()},
    )


def call_name(node: ast.Call) -> Iterable[str]:
    """Name a call by its last words: `df.plot.bar(…)` is `bar` and `plot.bar`."""
    if isinstance(node.func, ast.Name):
        yield node.func.id
    elif isinstance(node.func, ast.Attribute):
        yield node.func.attr
        if isinstance(node.func.value, ast.Attribute):
            yield f"{node.func.value.attr}.{node.func.attr}"
