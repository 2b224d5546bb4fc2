"""Pipfile and Pipfile.lock, of Pipenv: https://github.com/pypa/pipfile."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from cluster_interface.inspection.python.indexes import of_tables
from cluster_interface.inspection.python.pyproject import read_toml, table_at
from cluster_interface.inspection.python.stated import Need, Stated, combined, version_range


def read_pipfile(file: str, text: str) -> Stated:
    """Read the [packages] and [requires] of a Pipfile."""
    document = read_toml(text)
    if isinstance(document, str):
        return Stated(file, troubles=(f"{file} is not TOML ({document}) and was not read",))
    version = table_at(document, "requires").get("python_version") or table_at(document, "requires").get(
        "python_full_version"
    )
    stated = _stated(file, "[packages]", table_at(document, "packages"), version)
    development = _stated(file, "[dev-packages]", table_at(document, "dev-packages"), None)
    return replace(
        stated,
        extras={"group dev": development.needs},
        indexes=of_tables(f"{file}, [[source]]", document.get("source")),
    )


def read_pipfile_lock(file: str, text: str) -> Stated:
    """Read the pinned versions of a Pipfile.lock's `default` section."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Stated(file, troubles=(f"{file} is not JSON ({error}) and was not read",))
    document = document if isinstance(document, dict) else {}
    version = table_at(document, "_meta", "requires").get("python_version")
    stated = _stated(file, "default", table_at(document, "default"), version)
    development = _stated(file, "develop", table_at(document, "develop"), None)
    indexes = of_tables(f"{file}, sources", table_at(document, "_meta").get("sources"))
    return replace(stated, extras={"group dev": development.needs}, indexes=indexes)


def _stated(file: str, section: str, packages: dict[str, Any], python: Any) -> Stated:
    where = f"{file}, {section}"
    needs: list[Need] = []
    troubles: list[str] = []
    local = False
    for name, value in packages.items():
        row = value if isinstance(value, dict) else {"version": value}
        if isinstance(row.get("path"), str) and row["path"].strip("./") == "":
            local = True
            continue
        try:
            needs.append(Need(_requirement(name, row), where))
        except ValueError as error:
            troubles.append(f"{where}: {name}: {error}; left out")
    requires = f"=={python}.*" if isinstance(python, str) and python.count(".") == 1 else None
    return Stated(file, tuple(needs), requires, troubles=tuple(troubles), local=local)


def _requirement(name: str, row: dict[str, Any]) -> str:
    if elsewhere := {"git", "path", "file", "url", "ref"} & set(row):
        raise ValueError(f"comes by {', '.join(sorted(elsewhere))}, not from PyPI")
    version, extras = row.get("version", "*"), row.get("extras", [])
    if not isinstance(version, str):
        raise ValueError("has no version")
    names = ",".join(map(str, extras)) if isinstance(extras, list) else ""
    return combined(name, names, version_range(version), str(row.get("markers", "")))
