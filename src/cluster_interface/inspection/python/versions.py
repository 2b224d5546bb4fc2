"""Which Python a script asks for, as the minor version that an image can have."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from cluster_interface.inspection.archive.index import PYTHONS

if TYPE_CHECKING:
    from cluster_interface.inspection.project import Project

MINORS = tuple(f"3.{n}" for n in range(6, 16))
CUSTOMARY = ("3.11", "3.13")  #: what current distributions bring: Debian 12 and 13
BUILT = tuple(PYTHONS.values())  #: those that an image can have, the oldest first


def choose_version(requires: str) -> str | None:
    """Choose a minor version for a `requires-python`; None where every customary one will do.

    Raises ValueError if it is no version specifier (PEP 440) or no Python 3 fits.
    """
    try:
        fits = SpecifierSet(requires)
    except InvalidSpecifier:
        raise ValueError(f"{requires!r} is not a version specifier such as >=3.11") from None
    allowed = [minor for minor in MINORS if any(fits.contains(f"{minor}.{patch}") for patch in range(40))]
    if not allowed:
        raise ValueError(f"{requires!r} fits no Python from {MINORS[0]} to {MINORS[-1]}")
    customary = [minor for minor in CUSTOMARY if minor in allowed]
    if len(customary) == len(CUSTOMARY):
        return None
    built = [minor for minor in BUILT if minor in allowed]
    return customary[0] if customary else built[-1] if built else allowed[-1]


def nearest(version: str) -> str:
    """Return the Python that an image can have instead of one: the oldest that is newer, else the newest."""
    return next((minor for minor in BUILT if _number(minor) >= _number(version)), BUILT[-1])


def older_than_all(version: str) -> bool:
    """Say whether no image has a Python as old as this one."""
    return _number(version) < _number(BUILT[0])


def _number(version: str) -> int:
    return int(version.partition(".")[2])


def read_version_file(project: Project, script: str) -> tuple[str, str] | None:
    """Return the minor version that a .python-version file asks for, and the file's name."""
    for home in dict.fromkeys([posixpath.dirname(script), ""]):
        name = posixpath.join(home, ".python-version")
        lines = (line.strip() for line in (project.text(name) or "").splitlines())
        first = next((line for line in lines if line and not line.startswith("#")), "")
        if found := re.match(r"(?:c?python-?)?(3\.\d{1,2})(?![\d])", first):
            return found[1], name
    return None
