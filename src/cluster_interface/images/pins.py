"""Locks of other tools as requirements with hashes: the packages that hold for this Python on Linux, and nothing else.

Formats: pylock.toml (https://packaging.python.org/specifications/pylock-toml/), uv.lock, poetry.lock, Pipfile.lock.
"""

from __future__ import annotations

import json
import platform
import tomllib
from typing import TYPE_CHECKING, Any

from packaging.markers import InvalidMarker, Marker

from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_FIELD = "environment.python.lock"


def requirements(name: str, data: bytes, python: str) -> str:
    """Write a lock as a requirements text for a version of Python (3.11.2); Rejected if it is no lock."""
    last = name.rpartition("/")[2]
    try:
        text = data.decode()
        if last == "Pipfile.lock":
            pins = list(_pipfile(json.loads(text), python))
        else:
            pins = list(_toml(last, tomllib.loads(text), python))
        return "".join(_line(pin) for pin in pins)
    except (UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Rejected.field(_FIELD, f"{name} is no lock that can be read: {error}") from None


def _line(pin: tuple[str, str, Iterable[str]]) -> str:
    name, version, hashes = pin
    return f"{name}=={version}{''.join(f' --hash={one}' for one in hashes if one.startswith('sha256:'))}\n"


def _toml(name: str, document: dict[str, Any], python: str) -> Iterator[tuple[str, str, Iterable[str]]]:
    if "lock-version" in document:
        yield from _pylock(document, python)
    elif name == "poetry.lock":
        yield from _poetry(document, python)
    elif "package" in document and "version" in document:
        yield from _uv(document, python)
    else:
        raise ValueError("known are pylock.toml, uv.lock, poetry.lock and Pipfile.lock")


def _pylock(document: dict[str, Any], python: str) -> Iterator[tuple[str, str, Iterable[str]]]:
    for package in document.get("packages", []):
        if "version" in package and _holds(package.get("marker"), python):
            files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
            yield package["name"], package["version"], [f"sha256:{f['hashes']['sha256']}" for f in files]


def _poetry(document: dict[str, Any], python: str) -> Iterator[tuple[str, str, Iterable[str]]]:
    for package in document["package"]:
        markers = package.get("markers")
        marker = markers.get("main") if isinstance(markers, dict) else markers
        main = "main" in package.get("groups", ["main"]) and package.get("category", "main") == "main"
        if main and not package.get("optional") and _holds(marker, python):
            yield package["name"], package["version"], [file["hash"] for file in package.get("files", [])]


def _pipfile(document: dict[str, Any], python: str) -> Iterator[tuple[str, str, Iterable[str]]]:
    for name, entry in document["default"].items():
        version = entry.get("version", "")
        if version.startswith("==") and _holds(entry.get("markers"), python):
            yield name, version.removeprefix("=="), entry.get("hashes", [])


def _uv(document: dict[str, Any], python: str) -> Iterator[tuple[str, str, Iterable[str]]]:
    """Walk from the project itself along the dependencies that hold here."""
    packages: dict[str, list[dict[str, Any]]] = {}
    for package in document["package"]:
        packages.setdefault(package["name"], []).append(package)
    roots = [p for p in document["package"] if {"editable", "virtual", "directory"} & set(p.get("source", {}))]
    waiting = [dependency for root in roots for dependency in root.get("dependencies", [])]
    seen: set[tuple[str, str, str]] = set()
    while waiting:
        wanted = waiting.pop()
        extras = wanted.get("extra", [])
        if not _holds(wanted.get("marker"), python):
            continue
        for package in packages.get(wanted["name"], []):
            if wanted.get("version", package.get("version")) != package.get("version") or "version" not in package:
                continue
            needs = list(package.get("dependencies", []))
            for extra in extras:
                needs += package.get("optional-dependencies", {}).get(extra, [])
            key = (package["name"], package["version"], ",".join(extras))
            if key in seen:
                continue
            fresh = not any(one[:2] == key[:2] for one in seen)
            seen.add(key)
            waiting += needs
            if fresh and "registry" in package.get("source", {}):
                files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
                yield package["name"], package["version"], [file["hash"] for file in files if "hash" in file]


def _holds(marker: str | None, python: str) -> bool:
    if not marker:
        return True
    here = {
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "platform_machine": platform.machine(),
        "python_version": ".".join(python.split(".")[:2]),
        "python_full_version": python if python.count(".") == 2 else f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
    }
    try:
        return Marker(marker).evaluate(here)
    except InvalidMarker as error:
        raise ValueError(str(error).partition("\n")[0]) from None
