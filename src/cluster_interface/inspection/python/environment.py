"""The Python environment of one or more programs: what is stated first, what the imports say after that."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from cluster_interface.inspection.archive.index import PYTHONS
from cluster_interface.inspection.python.beside import homes, stated_in
from cluster_interface.inspection.python.distributions import table
from cluster_interface.inspection.python.indexes import propose_indexes
from cluster_interface.inspection.python.metadata import read_metadata
from cluster_interface.inspection.python.names import look_up
from cluster_interface.inspection.python.needs import add_companions, add_imported, add_system
from cluster_interface.inspection.python.requirements import is_requirement
from cluster_interface.inspection.python.stated import loosened, without_build
from cluster_interface.inspection.python.versions import (
    BUILT,
    choose_version,
    nearest,
    older_than_all,
    read_version_file,
)
from cluster_interface.inspection.python.wheels import newest_python
from cluster_interface.inspection.wanted import distribution_of
from cluster_interface.inspection.wording import shown
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.python.imports import Import
    from cluster_interface.inspection.python.modules import Program
    from cluster_interface.inspection.python.stated import Need, Stated

VERSION = "environment.python.version"
CONDA = "environment.conda.packages"
MOST_UNSURE = 10  #: packages of conda that are asked about one by one


def propose_environment(draft: Draft, programs: Sequence[Program], installed: Sequence[Need] = ()) -> None:
    """Fill in Python's version and packages; `installed` is what the programs install themselves.

    Rejected: inline metadata that cannot be read.
    """
    draft.uses_python = True
    if not _by_metadata(draft, programs):
        stated, source, offered = _by_files(draft, programs)
        for need in installed:
            if need.where.partition(",")[0] != draft.requirements:  # that file is taken whole already
                _add(draft, need.requirement, need.where)
        _add_offered(draft, programs, stated, offered)
        limits = add_imported(draft, programs, stated, source or _source(installed, programs))
        _state_python_of_pins(draft, limits)
        add_companions(draft, programs, stated)
    if draft.python_version is None and (found := read_version_file(draft.project, draft.script)):
        draft.python_version = _built(draft, found[0], found[1])
        draft.guess(VERSION, draft.python_version, found[1], Sureness.STATED)
    for module in (module for program in programs for module in program.modules.values() if module.needs):
        _state_version(draft, f">={module.needs}", f"the syntax of {module.name}")
        break
    add_system(draft, programs)


def _source(installed: Sequence[Need], programs: Sequence[Program]) -> str:
    """Return a name for what is installed, if some of it is there for an import that is not well known."""
    known = {distribution_of(name) for item in _imported(programs) for name in _brought_by(item)}
    return "" if all(distribution_of(need.requirement) in known for need in installed) else "what is installed there"


def _by_metadata(draft: Draft, programs: Sequence[Program]) -> bool:
    found = False
    for program in programs:
        metadata = read_metadata(program.script, program.main.text)
        if metadata is None:
            continue
        found = True
        where = f"the `# /// script` block of {program.script}, line {metadata.line}"
        for item in metadata.dependencies:
            _add(draft, item, where)
        propose_indexes(draft, metadata.indexes)
        _state_version(draft, metadata.requires_python, where)
    return found


def _by_files(draft: Draft, programs: Sequence[Program]) -> tuple[dict[str, str], str, dict[str, Need]]:
    """Take the first file that names packages; return what it wants of each, its name, and what is offered.

    Of the others in its directory the Python version counts, and what only they name is said. Offered is what extras
    and groups name: it is taken where it is imported.
    """
    offered: dict[str, Need] = {}
    for home in homes(draft.script):
        found = [one for one in stated_in(draft.project, home, draft.script) if _concerns(draft, one, programs)]
        for one in found:
            _state_version(draft, one.requires_python, f"{one.file}, Python")
        found = [_of_old_python(draft, one) for one in found]
        propose_indexes(draft, (index for one in found for index in one.indexes))
        offered = {**{name: need for one in reversed(found) for name, need in one.offered.items()}, **offered}
        chosen = next((place for place, one in enumerate(found) if one.says_something), len(found))
        for trouble in (trouble for one in found[: chosen + 1] for trouble in one.troubles):
            draft.warn(trouble)
        if chosen < len(found):
            _state_python_of_pins(draft, found[chosen].needs)
            return _take(draft, found[chosen], found[chosen + 1 :]), found[chosen].file, offered
    return {}, "", offered


def _add_offered(draft: Draft, programs: Sequence[Program], stated: dict[str, str], offered: dict[str, Need]) -> None:
    """Add what is imported and named in an extra or group, as it is written there, and the Python for that."""
    taken: list[Need] = []
    for item in _imported(programs) if offered else ():
        names = [distribution_of(name) for name in (*_brought_by(item), item.top)]
        if item.optional or not stated.keys().isdisjoint(names) or any(map(draft.has_package, names)):
            continue
        if need := next((offered[name] for name in names if name in offered), None):
            _add(draft, need.requirement, f"import {item.name}, line {item.line}: {need.where}")
            taken.append(need)
    _state_python_of_pins(draft, taken)


def _concerns(draft: Draft, stated: Stated, programs: Sequence[Program]) -> bool:
    """Say whether a file speaks of this script: it lies beside it, or names something that is imported.

    At the top of a directory with many things in it, it may well be about another one of them.
    """
    if posixpath.dirname(stated.file) == posixpath.dirname(draft.script) or not (stated.needs or stated.extras):
        return True
    names = (name for item in _imported(programs) for name in (*_brought_by(item), item.top))
    named = stated.distributions.union(stated.offered)
    return any(distribution_of(name) in named for name in names)


def _imported(programs: Sequence[Program]) -> list[Import]:
    return [outside.item for program in programs for outside in program.outside]


def _brought_by(item: Import) -> tuple[str, ...]:
    return (*table().find(item), *look_up(item).distributions)


def _take(draft: Draft, stated: Stated, others: Sequence[Stated]) -> dict[str, str]:
    if stated.whole:
        draft.requirements = stated.file
        draft.guess("environment.python.requirements", stated.file, "lies beside the script", Sureness.STATED)
    if stated.whole or stated.includes:
        draft.add_inputs([stated.file, *stated.includes], "the requirements file", Sureness.STATED)
    own = tuple(_of_project(stated, others)) if stated.local else ()
    for need in () if stated.whole else (*stated.needs, *own):
        _add(draft, need.requirement, need.where)
    for need in stated.system:
        draft.add_system(need.requirement, need.where)
    _ask(draft, stated)
    taken = {distribution_of(need.requirement): need.requirement for need in (*stated.needs, *own)}
    _compare(draft, stated, taken, others)
    return taken


def _of_project(stated: Stated, others: Sequence[Stated]) -> Iterator[Need]:
    """Yield what the project itself needs, with those of its extras that are chosen: `-e .[plot]`."""
    yield from next((one.needs for one in others if one.needs), ())
    for extra in stated.chosen:
        yield from next((one.extras[extra] for one in others if extra in one.extras), ())


def _ask(draft: Draft, stated: Stated) -> None:
    for need in stated.unsure[:MOST_UNSURE]:
        words = f"{need.where}: no package of that name is well known outside conda"
        draft.guess(CONDA, need.requirement, words, Sureness.ASK)
    if stated.unsure:
        names = ", ".join(need.requirement for need in stated.unsure)
        draft.warn(
            f"{stated.file}: {names}: left out, because it is not known what brings that outside conda; "
            f"if the script needs it, say --with for a package of PyPI or --system for one of Debian, or name it "
            f"under environment.conda"
        )


def _compare(draft: Draft, stated: Stated, taken: dict[str, str], others: Sequence[Stated]) -> None:
    """Say what another file names that was not taken."""
    for other in others:
        missing = sorted(other.distributions - taken.keys())
        if missing and not stated.local:
            named = f"{', '.join(missing[:MOST_UNSURE])}{' …' if len(missing) > MOST_UNSURE else ''}"
            draft.warn(f"{stated.file} is taken; {other.file} names besides: {named}; to have them say --with")


def _add(draft: Draft, requirement: str, where: str) -> None:
    plain = without_build(requirement)
    if plain != requirement:
        draft.warn_once(
            "build of PyTorch", f"{where}: {shown(requirement)}: whether it is with CUDA follows from resources.gpus"
        )
    if is_requirement(requirement := plain):
        draft.add_package(requirement, where, Sureness.STATED)
    else:
        draft.warn(
            f"{where}: {shown(requirement)} is not a package by name and was left out; links and paths are refused"
        )


def _state_version(draft: Draft, requires: str | None, where: str) -> None:
    if requires is None:
        return
    try:
        version = choose_version(requires)
    except ValueError as error:
        draft.warn(f"{where}: {error}; the image's own Python is taken")
        return
    version = version and _built(draft, version, where)
    draft.python_version = draft.python_version or version
    draft.guess(VERSION, version or "the image's own", f"{where}: {shown(requires)}", Sureness.STATED)


def _of_old_python(draft: Draft, stated: Stated) -> Stated:
    """Loosen what is written for a Python older than any that an image has: its versions were not made for newer."""
    try:
        version = choose_version(stated.requires_python) if stated.requires_python else None
    except ValueError:
        version = None
    _, holder = newest_python((*stated.needs, *stated.offered.values()))
    if version is not None and older_than_all(version):
        why = f"are for Python {version}"
    elif holder is not None and not newest_python((holder,))[0]:
        why = f"are of a time before Python {BUILT[0]} ({holder.requirement})"
    else:
        return stated
    if (loose := loosened(stated)) != stated:
        draft.warn(f"{stated.file}: its exact versions {why}: they are taken as the oldest that will do")
    return loose


def _state_python_of_pins(draft: Draft, needs: Sequence[Need]) -> None:
    """Take an older Python than the image's own where the versions that are wanted are there for that one only."""
    newest, holder = newest_python(needs)
    own = draft.python_version or PYTHONS.get(draft.software.suite, BUILT[-1])
    if draft.python_version is None and holder is not None and newest in BUILT[: BUILT.index(own)]:
        draft.python_version = newest
        draft.guess(VERSION, newest, f"{holder.where}: {holder.requirement} is of before Python {own}", Sureness.LIKELY)


def _built(draft: Draft, version: str, where: str) -> str:
    """Return the Python that can be had for one that is stated, and say so where it is another."""
    found = nearest(version)
    if found != version:
        draft.warn(f"{where}: Python {version} is in no image; {found} is taken, the nearest of {', '.join(BUILT)}")
    return found
