"""pyproject.toml: the [project] table's dependencies and Python version (PEP 621)."""

from __future__ import annotations

import posixpath
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cluster_interface.inspection.project import Project


@dataclass(frozen=True)
class Pyproject:
    """What a pyproject.toml states; `trouble` says why it could not be read."""

    file: str
    dependencies: tuple[str, ...] = ()
    requires_python: str | None = None
    trouble: str | None = None


def read_pyproject(project: Project, script: str) -> Pyproject | None:
    """Read the pyproject.toml beside the script, or else at the top; None if there is none."""
    for home in dict.fromkeys([posixpath.dirname(script), ""]):
        name = posixpath.join(home, "pyproject.toml")
        if (text := project.text(name)) is not None:
            return _read(name, text)
    return None


def _read(name: str, text: str) -> Pyproject:
    try:
        document: dict[str, Any] = tomllib.loads(text.replace("\r\n", "\n"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        return Pyproject(name, trouble=f"{name} is not TOML ({error}) and was not read")
    table = document.get("project")
    if not isinstance(table, dict):
        return Pyproject(name)
    version, dependencies = table.get("requires-python"), table.get("dependencies", [])
    stated = dependencies if isinstance(dependencies, list) else []
    trouble = None
    dynamic = table.get("dynamic")
    if isinstance(dynamic, list) and "dependencies" in dynamic:
        trouble = f"{name} says that its dependencies are made by its build; they are taken from the imports instead"
    return Pyproject(
        name,
        tuple(item for item in stated if isinstance(item, str)),
        version if isinstance(version, str) else None,
        trouble,
    )
