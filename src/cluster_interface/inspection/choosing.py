"""Finding the one script that is meant, where nobody named it."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.foreign import why_not
from cluster_interface.inspection.kinds import kind_of, supported
from cluster_interface.inspection.languages.simple import Named, Simple
from cluster_interface.inspection.python.starting import entry_files
from cluster_interface.inspection.wording import shown
from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster_interface.inspection.project import Project

MOST_SHOWN = 12
MOST_COMPARED = 200  #: scripts that are read to see which use which
_CUSTOMARY = ("main", "run", "__main__")
_NOT_MEANT = re.compile(
    r"(?:__init__|setup|conftest|noxfile|tasks|test_.*|.*_test|versioneer)\.py|\..*|install\.sh"
    r"|.*(?:\.executed|-checkpoint)\.ipynb"
)
_IS_MAIN = re.compile(r"^if\s+__name__\s*==\s*['\"]__main__['\"]", re.MULTILINE)


def choose_script(project: Project) -> tuple[str, str]:
    """Return the one plausible script and why; raise Rejected, listing the candidates, where there is not one."""
    runnable = [name for name in project.files if kind_of(project, name)]
    if not runnable:
        raise Rejected.field("script", _nothing(project))
    if len(runnable) == 1:
        return runnable[0], "the only script"
    candidates = runnable
    for sieve, why in _SIEVES:
        kept = sieve(project, candidates)
        if len(kept) == 1:
            return kept[0], why
        candidates = kept or candidates
    raise Rejected.field("script", _which(candidates))


def _nothing(project: Project) -> str:
    says = supported()
    if len(project.files) == 1:
        return why_not(project, next(iter(project.files)), says)
    return f"none of the {len(project.files)} files can be run; supported are {', '.join(says)}"


def _which(candidates: list[str]) -> str:
    listed = ", ".join(shown(name) for name in sorted(candidates)[:MOST_SHOWN])
    more = f" and {len(candidates) - MOST_SHOWN} more" if len(candidates) > MOST_SHOWN else ""
    return f"which one is to be run? Name one of {listed}{more}"


def _programs(project: Project, names: list[str]) -> list[str]:
    """Keep what is no text, plot, query or input of another program, of which projects have many beside their own."""
    return [name for name in names if not isinstance(kind_of(project, name), Simple | Named)]


def _at_the_top(_: Project, names: list[str]) -> list[str]:
    return [name for name in names if "/" not in name]


def _entry_points(project: Project, names: list[str]) -> list[str]:
    entries = entry_files(project)
    return [name for name in names if name in entries]


def _package_mains(_: Project, names: list[str]) -> list[str]:
    """Keep the outermost `__main__.py`, if only packages are there."""
    mains = [name for name in names if posixpath.basename(name) == "__main__.py"]
    return [name for name in mains if name.count("/") == min(one.count("/") for one in mains)]


def _meant_to_run(_: Project, names: list[str]) -> list[str]:
    return [name for name in names if not _NOT_MEANT.fullmatch(posixpath.basename(name))]


def _used_by_none(project: Project, names: list[str]) -> list[str]:
    if len(names) > MOST_COMPARED:
        return []
    used: set[str] = set()
    for name in names:
        if kind := kind_of(project, name):
            used |= kind.uses(project, name) - {name}
    return [name for name in names if name not in used]


def _customary(_: Project, names: list[str]) -> list[str]:
    for stem in _CUSTOMARY:
        kept = [name for name in names if posixpath.splitext(posixpath.basename(name))[0] == stem]
        if len(kept) == 1:
            return kept
    return []


def _says_main(project: Project, names: list[str]) -> list[str]:
    return [name for name in names if _IS_MAIN.search(project.text(name) or "")]


_SIEVES: tuple[tuple[Callable[[Project, list[str]], list[str]], str], ...] = (
    (_programs, "the only program; other files are read by programs"),
    (_meant_to_run, "the only script that is neither a test nor part of the packaging"),
    (_at_the_top, "the only script at the top"),
    (_entry_points, "the only command that the project's metadata declares"),
    (_package_mains, "the only package with a __main__.py"),
    (_used_by_none, "the only script that no other one uses"),
    (_customary, "named as the main script customarily is"),
    (_says_main, "the only script with a main part"),
)
