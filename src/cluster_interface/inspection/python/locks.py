"""Lock files of uv, poetry and pdm, and pylock.toml (PEP 751): the versions that the project itself has pinned.

A lock holds everything that was ever wanted: for tests, for other platforms, for extras. Taken is what running needs,
found by walking from the project's own dependencies, each under the conditions of the way to it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from packaging.version import InvalidVersion, Version

from cluster_interface.inspection.python.pyproject import read_toml, table_at
from cluster_interface.inspection.python.stated import Need, Stated, both, combined, either, parsed
from cluster_interface.inspection.wanted import distribution_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MOST_CONDITIONS = 8  #: ways to a package that are kept apart; beyond that it is taken always
LONGEST_CONDITION = 500  #: characters of one of them; beyond that it counts as always fulfilled


@dataclass(frozen=True)
class Edge:
    """One package's wish for another; without a version, whichever is in the lock."""

    name: str
    marker: str = ""
    version: str = ""
    extras: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pinned:
    """One package of a lock."""

    name: str
    version: str
    edges: tuple[Edge, ...] = ()
    extras: dict[str, tuple[Edge, ...]] | None = None
    elsewhere: str = ""  #: where it comes from, if not from an index: git, path, url
    index: str = ""  #: the address of the index that it comes from, where that is said
    marker: str = ""  #: under which condition it is wanted at all

    @property
    def local(self) -> bool:
        """Whether it is the project itself or a part of it."""
        return self.elsewhere in ("editable", "virtual", "directory")


def read_uv_lock(file: str, text: str, wanted: Sequence[Need]) -> Stated:
    """Read uv.lock, walking from the project itself."""
    document = read_toml(text)
    if isinstance(document, str):
        return _broken(file, document)
    packages = [_of_uv(row) for row in _rows(document, "package")]
    roots = [edge for package in packages if package.local for edge in package.edges] or _edges_of(wanted)
    python = document.get("requires-python")
    return _walked(file, packages, roots, python if isinstance(python, str) else None)


def read_poetry_lock(file: str, text: str, wanted: Sequence[Need]) -> Stated:
    """Read poetry.lock, walking from what pyproject.toml wants."""
    document = read_toml(text)
    if isinstance(document, str):
        return _broken(file, document)
    packages = [_of_poetry(row) for row in _rows(document, "package")]
    return _walked(file, packages, _edges_of(wanted))


def read_pdm_lock(file: str, text: str, wanted: Sequence[Need]) -> Stated:
    """Read pdm.lock, walking from what pyproject.toml wants."""
    document = read_toml(text)
    if isinstance(document, str):
        return _broken(file, document)
    packages = [_of_pdm(row) for row in _rows(document, "package")]
    python = table_at(document, "metadata").get("requires_python")
    return _walked(file, packages, _edges_of(wanted), python if isinstance(python, str) else None)


def read_pylock(file: str, text: str, wanted: Sequence[Need]) -> Stated:  # noqa: ARG001 - it says all by itself
    """Read pylock.toml, which lists what is to be installed and under which conditions."""
    document = read_toml(text)
    if isinstance(document, str):
        return _broken(file, document)
    needs, troubles = [], []
    for row in _rows(document, "packages"):
        name, version = _text(row, "name"), _text(row, "version")
        if version and not {"vcs", "directory", "archive"} & set(row):
            needs.append(Need(combined(name, "", f"=={version}", _text(row, "marker")), f"{file}, {name}"))
        elif "directory" not in row:
            troubles.append(f"{file}: {name} comes from elsewhere than PyPI; left out")
    return Stated(file, tuple(needs), _text(document, "requires-python") or None, troubles=tuple(troubles))


def _broken(file: str, words: str) -> Stated:
    return Stated(file, troubles=(f"{file} is not TOML ({words}) and was not read",))


def _rows(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    rows = document.get(name)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _text(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


# --- the three dialects


def _of_uv(row: dict[str, Any]) -> Pinned:
    source = table_at(row, "source")
    elsewhere = next(
        (name for name in ("editable", "virtual", "directory", "git", "url", "path") if name in source), ""
    )
    extras = {name: _uv_edges(rows) for name, rows in table_at(row, "optional-dependencies").items()}
    edges, index = _uv_edges(row.get("dependencies")), _text(source, "registry")
    return Pinned(_text(row, "name"), _text(row, "version"), edges, extras, elsewhere, index)


def _uv_edges(rows: Any) -> tuple[Edge, ...]:
    return tuple(
        Edge(_text(row, "name"), _text(row, "marker"), _text(row, "version"), _texts(row.get("extra")))
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, dict)
    )


def _of_poetry(row: dict[str, Any]) -> Pinned:
    edges: list[Edge] = []
    for name, value in table_at(row, "dependencies").items():
        for one in value if isinstance(value, list) else [value]:
            wish = one if isinstance(one, dict) else {}
            if wish.get("optional") is not True:
                edges.append(Edge(name, _text(wish, "markers"), "", _texts(wish.get("extras"))))
    extras = {name: _edges(_texts(items)) for name, items in table_at(row, "extras").items()}
    kind, address = _text(table_at(row, "source"), "type"), _text(table_at(row, "source"), "url")
    elsewhere = kind if kind in ("git", "url", "file", "directory") else ""
    markers = row.get("markers")
    marker = _text(markers, "main") if isinstance(markers, dict) else _text(row, "markers")
    index = address if kind == "legacy" else ""  # what poetry calls every index but PyPI
    return Pinned(_text(row, "name"), _text(row, "version"), tuple(edges), extras, elsewhere, index, marker)


def _of_pdm(row: dict[str, Any]) -> Pinned:
    elsewhere = next((name for name in ("git", "url", "path") if name in row), "")
    return Pinned(
        _text(row, "name"),
        _text(row, "version"),
        _edges(_texts(row.get("dependencies"))),
        elsewhere=elsewhere,
        marker=_text(row, "marker"),
    )


def _edges_of(needs: Iterable[Need]) -> list[Edge]:
    return list(_edges(need.requirement for need in needs))


def _edges(requirements: Iterable[str]) -> tuple[Edge, ...]:
    found = [one for text in requirements if (one := parsed(text))]
    return tuple(
        Edge(one.name, str(one.marker or ""), "", tuple(sorted(one.extras)))
        for one in found
        if "extra ==" not in str(one.marker or "")
    )


# --- the walk


def _walked(file: str, packages: Sequence[Pinned], roots: Sequence[Edge], python: str | None = None) -> Stated:
    by_name: dict[str, list[Pinned]] = defaultdict(list)
    for package in packages:
        by_name[distribution_of(package.name)].append(package)
    conditions: dict[tuple[int, str], list[str]] = defaultdict(list)  # of a package, or of one of its extras
    found: dict[int, Pinned] = {}
    pending = [(edge, "") for edge in reversed(roots)]
    while pending:
        edge, above = pending.pop()
        condition = both(above, edge.marker)
        for package in by_name[distribution_of(edge.name)]:
            if edge.version and package.version != edge.version:
                continue
            found[id(package)] = package
            for part in ("", *edge.extras):
                seen = conditions[id(package), part]
                if condition in seen or "" in seen:
                    continue
                kept = len(seen) < MOST_CONDITIONS and len(condition) <= LONGEST_CONDITION
                seen.append(condition if kept else "")
                wishes = (package.extras or {}).get(part, ()) if part else package.edges
                pending += [(one, seen[-1]) for one in reversed(wishes)]
    taken = [(package, both(package.marker, either(conditions[key, ""]))) for key, package in found.items()]
    stated = _stated(file, [(package, marker) for package, marker in taken if not package.local], python)
    every = [one for one in packages if not one.local and not one.elsewhere and one.version]
    others = [one for one in every if id(one) not in found and len(by_name[distribution_of(one.name)]) == 1]
    return replace(
        stated,
        extras={"": tuple(Need(f"{one.name}=={one.version}", f"{file}, {one.name}") for one in others)},
        indexes=tuple({one.index: Need(one.index, file) for one in every if one.index}.values()),
    )


def _stated(file: str, taken: list[tuple[Pinned, str]], python: str | None) -> Stated:
    away = [package for package, _ in taken if package.elsewhere or not package.version]
    troubles = [f"{file}: {one.name} comes by {one.elsewhere or 'itself'}, not from PyPI; left out" for one in away]
    needs: list[Need] = []
    chosen: dict[str, list[tuple[Pinned, str]]] = defaultdict(list)
    for package, marker in taken:
        if package not in away:
            chosen[distribution_of(package.name)].append((package, marker))
    for several in chosen.values():
        pairs = several
        if len(pairs) > 1 and not all(marker for _, marker in pairs):
            pairs = [max(pairs, key=lambda pair: _version(pair[0].version))]
            troubles.append(f"{file}: {pairs[0][0].name} has several versions there; {pairs[0][0].version} is taken")
        needs += [Need(combined(p.name, "", f"=={p.version}", marker), f"{file}, {p.name}") for p, marker in pairs]
    return Stated(file, tuple(needs), python, troubles=tuple(troubles))


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")
