"""pyproject.toml: dependencies and Python version, by PEP 621 (uv, pdm, hatch …) or by poetry's own tables."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cluster_interface.inspection.python.indexes import of_tables
from cluster_interface.inspection.python.stated import Need, Stated, combined, version_range

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "pyproject.toml"


def read_pyproject(file: str, text: str) -> Stated:
    """Read what a pyproject.toml states for running; groups and extras are named, not taken."""
    document = read_toml(text)
    if isinstance(document, str):
        return Stated(file, troubles=(f"{file} is not TOML ({document}) and was not read",))
    project, poetry = table_at(document, "project"), table_at(document, "tool", "poetry")
    by_standard = project.get("dependencies") or not poetry.get("dependencies")
    stated = _by_standard(file, project) if by_standard else _by_poetry(file, poetry, project)
    return replace(stated, extras={**stated.extras, **_groups(file, document)}, indexes=_indexes(file, document))


def entry_points(text: str) -> dict[str, str]:
    """Return the commands that a pyproject.toml declares: name → `package.module:function`."""
    document = read_toml(text)
    if isinstance(document, str):
        return {}
    found = {**table_at(document, "tool", "poetry", "scripts"), **table_at(document, "project", "scripts")}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def read_toml(text: str) -> dict[str, Any] | str:
    """Parse TOML; the parser's words where it is none."""
    try:
        return tomllib.loads(text.replace("\r\n", "\n"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        return str(error)


def table_at(document: dict[str, Any], *path: str) -> dict[str, Any]:
    """Return the table at a path; an empty one where there is something else or nothing."""
    found: Any = document
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _by_standard(file: str, project: dict[str, Any]) -> Stated:
    stated = _texts(project.get("dependencies"))
    version, dynamic = project.get("requires-python"), project.get("dynamic")
    troubles: tuple[str, ...] = ()
    if isinstance(dynamic, list) and "dependencies" in dynamic:
        troubles = (f"{file} says that its dependencies are made by its build; they are taken from elsewhere",)
    return Stated(
        file,
        needs=tuple(Need(item, f"{file}, [project] dependencies") for item in stated),
        requires_python=version if isinstance(version, str) else None,
        troubles=troubles,
        extras=_lists(f"{file}, [project.optional-dependencies]", table_at(project, "optional-dependencies")),
    )


def _lists(where: str, table: dict[str, Any]) -> dict[str, tuple[Need, ...]]:
    """Read a table of lists of requirements."""
    return {name: tuple(Need(item, f"{where} {name}") for item in _texts(rows)) for name, rows in table.items()}


def _texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _groups(file: str, document: dict[str, Any]) -> dict[str, tuple[Need, ...]]:
    """Read dependency groups: by PEP 735, of poetry, and of uv and pdm from before that. None is for running."""
    tool = table_at(document, "tool")
    found = _lists(f"{file}, [dependency-groups]", table_at(document, "dependency-groups"))
    found |= _lists(f"{file}, [tool.pdm.dev-dependencies]", table_at(tool, "pdm", "dev-dependencies"))
    found |= _lists(f"{file}, [tool.uv]", {"dev-dependencies": table_at(tool, "uv").get("dev-dependencies")})
    tables = {name: table_at(tool, "poetry", "group", name) for name in table_at(tool, "poetry", "group")}
    tables["dev"] = {"dependencies": table_at(tool, "poetry", "dev-dependencies")}
    for name, table in tables.items():
        where = f"{file}, [tool.poetry.group.{name}]"
        rows = table_at(table, "dependencies").items()
        found.setdefault(f"poetry {name}", tuple(Need(one, where) for row in rows for one in _understood(*row)))
    return {f"group {name}": needs for name, needs in found.items() if needs}


def _understood(name: str, value: Any) -> list[str]:
    try:
        return list(_requirements(name, value))
    except ValueError:
        return []


def _indexes(file: str, document: dict[str, Any]) -> tuple[Need, ...]:
    """Read the package indexes that uv, poetry and pdm are told of."""
    uv = table_at(document, "tool", "uv")
    asked = [uv.get(name) for name in ("index", "index-url", "extra-index-url")]
    pip = [table_at(uv, "pip").get(name) for name in ("index-url", "extra-index-url")]
    return (
        *of_tables(f"{file}, [tool.uv]", *asked, *pip),
        *of_tables(f"{file}, [tool.poetry.source]", table_at(document, "tool", "poetry").get("source")),
        *of_tables(f"{file}, [tool.pdm.source]", table_at(document, "tool", "pdm").get("source")),
    )


def _by_poetry(file: str, poetry: dict[str, Any], project: dict[str, Any]) -> Stated:
    where = f"{file}, [tool.poetry.dependencies]"
    needs: list[Need] = []
    troubles: list[str] = []
    python = project.get("requires-python")
    for name, value in poetry["dependencies"].items():
        try:
            if name.lower() == "python":
                python = python or (version_range(value) if isinstance(value, str) else None)
            else:
                needs += [Need(requirement, where) for requirement in _requirements(name, value)]
        except ValueError as error:
            troubles.append(f"{where}: {name}: {error}; left out")
    extras = {
        extra: tuple(
            Need(one, f"{file}, [tool.poetry.extras] {extra}")
            for name in _texts(names)
            for one in _understood(name, _without_optional(poetry["dependencies"].get(name)))
        )
        for extra, names in table_at(poetry, "extras").items()
    }
    stated = python if isinstance(python, str) else None
    return Stated(file, tuple(needs), stated, troubles=tuple(troubles), extras=extras)


def _without_optional(value: Any) -> Any:
    return {**value, "optional": False} if isinstance(value, dict) else value


def _requirements(name: str, value: Any) -> Iterator[str]:
    """Write one dependency of poetry: a version, a table, or a list of them; optional ones are for extras."""
    for one in value if isinstance(value, list) else [value]:
        row = {"version": one} if isinstance(one, str) else one
        if not isinstance(row, dict) or not isinstance(version := row.get("version", ""), str):
            raise ValueError("is no version")
        if elsewhere := {"git", "path", "url", "file"} & set(row):
            raise ValueError(f"comes by {', '.join(elsewhere)}, not from PyPI")
        if row.get("optional") is True:
            continue
        extras = row.get("extras", [])
        python = row.get("python")
        marker = str(row.get("markers", ""))
        if isinstance(python, str) and not marker:
            marker = _python_marker(version_range(python))
        names = ",".join(map(str, extras)) if isinstance(extras, list) else ""
        yield combined(name, names, version_range(version), marker)


def _python_marker(versions: str) -> str:
    bounds = (re.fullmatch(r"([<>=!~]+)(.+)", bound) for bound in versions.split(","))
    return " and ".join(f"python_version {bound[1]} '{bound[2]}'" for bound in bounds if bound)
