"""Which Python the versions of a list were made for: packages with compiled parts are there for some only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.version import Version

from cluster_interface.inspection.python.distributions import table
from cluster_interface.inspection.python.stated import parsed
from cluster_interface.inspection.python.versions import BUILT
from cluster_interface.inspection.wanted import distribution_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.specifiers import Specifier

    from cluster_interface.inspection.python.stated import Need


def newest_python(needs: Iterable[Need]) -> tuple[str, Need | None]:
    """Return the newest Python of an image that every version can be had for, and which one is in the way.

    Empty where one is older than all; without anything in the way it is the newest there is.
    """
    newest, holder = len(BUILT) - 1, None
    for need in needs:
        first = table().wheels.get(distribution_of(need.requirement))
        wanted = parsed(need.requirement) if first else None
        if first is None or wanted is None:
            continue
        fits = sum(all(_reaches(bound, Version(release)) for bound in wanted.specifier) for release in first) - 1
        if fits < newest:
            newest, holder = fits, need
    return (BUILT[newest] if newest >= 0 else "", holder)


def _reaches(bound: Specifier, release: Version) -> bool:
    """Say whether a bound lets a release pass, or any later one."""
    match bound.operator, bound.version:
        case "~=", version:
            return _in_series(release, version.rpartition(".")[0])
        case "==", version if version.endswith(".*"):
            return _in_series(release, version.removesuffix(".*"))
        case (("==" | "<="), version):
            return release <= Version(version)
        case "<", version:
            return release < Version(version)
    return True


def _in_series(release: Version, series: str) -> bool:
    parts = Version(series).release
    return release.release[: len(parts)] <= parts
