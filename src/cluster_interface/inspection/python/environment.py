"""The Python environment of one or more programs: what is stated first, what the imports say after that."""

from __future__ import annotations

import ast
import posixpath
from typing import TYPE_CHECKING

from cluster_interface.inspection.draft import PACKAGES, distribution_of, shown
from cluster_interface.inspection.python.distributions import call_name, table
from cluster_interface.inspection.python.metadata import read_metadata
from cluster_interface.inspection.python.pyproject import read_pyproject
from cluster_interface.inspection.python.requirements import (
    add_requirements,
    find_requirements,
    is_requirement,
    names_in,
)
from cluster_interface.inspection.python.versions import choose_version, read_version_file
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.python.distributions import Companion
    from cluster_interface.inspection.python.modules import Outside, Program
    from cluster_interface.inspection.python.source import Module

VERSION = "environment.python.version"
_NOT_READ = ("environment.yml", "environment.yaml", "Pipfile", "poetry.lock", "setup.py", "setup.cfg")


def propose_environment(draft: Draft, programs: Sequence[Program]) -> None:
    """Fill in Python's version and packages. Rejected: inline metadata that cannot be read."""
    draft.uses_python = True
    if not _by_metadata(draft, programs):
        stated, source = _by_files(draft, programs)
        _by_imports(draft, programs, stated, source)
        _companions(draft, programs, stated)
    if draft.python_version is None and (found := read_version_file(draft.project, draft.script)):
        draft.python_version = found[0]
        draft.guess(VERSION, found[0], found[1], Sureness.STATED)
    _system(draft, programs)


def _by_metadata(draft: Draft, programs: Sequence[Program]) -> bool:
    found = False
    for program in programs:
        metadata = read_metadata(program.script, program.main.text)
        if metadata is None:
            continue
        found = True
        where = f"the `# /// script` block of {program.script}, line {metadata.line}"
        _state(draft, metadata.dependencies, where)
        _state_version(draft, metadata.requires_python, where)
    return found


def _by_files(draft: Draft, programs: Sequence[Program]) -> tuple[set[str], str]:
    """Take a requirements file or else pyproject.toml; return the distributions named there, and its name."""
    pyproject = read_pyproject(draft.project, draft.script)
    if pyproject is not None and not _concerns(draft, pyproject.file, pyproject.dependencies, programs):
        pyproject = None
    if pyproject is not None:
        _state_version(draft, pyproject.requires_python, f"{pyproject.file}, requires-python")
    name = find_requirements(draft.project, draft.script)
    if name is not None and not _concerns(draft, name, names_in(draft.project, name), programs):
        name = None
    if name is not None and (stated := add_requirements(draft, name)) is not None:
        return stated, name
    if pyproject is not None and pyproject.trouble:
        draft.warn(pyproject.trouble)
    if pyproject is not None and pyproject.dependencies:
        _state(draft, pyproject.dependencies, f"{pyproject.file}, [project] dependencies")
        return {distribution_of(item) for item in pyproject.dependencies}, pyproject.file
    unread = [name for name in _NOT_READ if name in draft.project]
    if unread:
        draft.warn(f"{', '.join(unread)} is not read yet: packages are taken from the imports; say --with for more")
    return set(), ""


def _concerns(draft: Draft, file: str, names: Sequence[str], programs: Sequence[Program]) -> bool:
    """Say whether a file speaks of this script: it lies beside it, or names something that is imported.

    At the top of a directory with many things in it, it may well be about another one of them.
    """
    if posixpath.dirname(file) == posixpath.dirname(draft.script):
        return True
    stated = {distribution_of(name) for name in names}
    imported = (outside.item for program in programs for outside in program.outside)
    return any(distribution_of(name) in stated for item in imported for name in table().find(item))


def _state(draft: Draft, dependencies: Sequence[str], where: str) -> None:
    for item in dependencies:
        if is_requirement(item):
            draft.add_package(item, where, Sureness.STATED)
        else:
            draft.warn(f"{where}: {shown(item)} is not a package by name and was left out; links and paths are refused")


def _state_version(draft: Draft, requires: str | None, where: str) -> None:
    if requires is None:
        return
    try:
        version = choose_version(requires)
    except ValueError as error:
        draft.warn(f"{where}: {error}; the image's own Python is taken")
        return
    draft.python_version = draft.python_version or version
    draft.guess(VERSION, version or "the image's own", f"{where}: {shown(requires)}", Sureness.STATED)


def _by_imports(draft: Draft, programs: Sequence[Program], stated: set[str], source: str) -> None:
    optional: dict[str, str] = {}
    for program in programs:
        for outside in program.outside:
            providers = table().find(outside.item)
            if why := table().why_unavailable(outside.item):
                if not outside.item.optional:
                    draft.warn(f"import {outside.item.name} ({_where(draft, outside)}) {why}")
            elif any(distribution_of(name) in stated or draft.has_package(name) for name in providers):
                pass
            elif outside.item.optional:
                optional.setdefault(providers[0] if providers else outside.item.top, _where(draft, outside))
            elif providers:
                _add_known(draft, outside, providers[0], source)
            elif distribution_of(outside.item.top) not in stated and not source:
                _ask(draft, outside)
    needless = [f"{name} ({where})" for name, where in optional.items() if not draft.has_package(name)]
    if needless:
        draft.warn(f"left out, because the script can do without: {', '.join(needless)}; to have them say --with")


def _where(draft: Draft, outside: Outside) -> str:
    return f"line {outside.item.line}" + ("" if outside.file == draft.script else f" of {outside.file}")


def _add_known(draft: Draft, outside: Outside, distribution: str, source: str) -> None:
    rests_on = f"import {outside.item.name}, {_where(draft, outside)} (curated table)"
    if source:
        rests_on += f"; {source} does not name it"
    draft.add_package(distribution, rests_on, Sureness.LIKELY if source else Sureness.KNOWN)


def _ask(draft: Draft, outside: Outside) -> None:
    name, where = outside.item.top, _where(draft, outside)
    draft.guess(PACKAGES, name, f"import {outside.item.name}, {where}: same name, not a well-known one", Sureness.ASK)
    draft.warn(
        f"import {outside.item.name} ({where}) is neither a file beside the script nor a well-known package. "
        f"If it is a file of yours, hand it over too; if you know that it is the package {name} "
        f"on PyPI, say --with {name}"
    )


def _companions(draft: Draft, programs: Sequence[Program], stated: set[str]) -> None:
    imported = _imported(programs)
    wanted = [row for row in table().companions if row.of in imported and distribution_of(row.needs) not in stated]
    for module in _modules(programs) if wanted else ():
        for node in module.nodes:
            if isinstance(node, ast.Call):
                _companions_of(draft, module, node, wanted)


def _imported(programs: Sequence[Program]) -> set[str]:
    found: set[str] = set()
    for program in programs:
        for outside in program.outside:
            parts = outside.item.name.split(".")
            found.update(".".join(parts[:length]) for length in range(1, len(parts) + 1))
            found.update(f"{outside.item.name}.{member}" for member in outside.item.members)
    return found


def _modules(programs: Sequence[Program]) -> list[Module]:
    return list({name: module for program in programs for name, module in program.modules.items()}.values())


def _companions_of(draft: Draft, module: Module, node: ast.Call, wanted: list[Companion]) -> None:
    names = list(call_name(node))
    fitting = [row for row in wanted if any(name in row.calls for name in names)]
    if not fitting:
        return
    arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
    texts = [item.value for item in arguments if isinstance(item, ast.Constant) and isinstance(item.value, str)]
    row = next((row for row in fitting if any(row.fits(name, texts) for name in names)), None)
    if row is not None:
        place = f"line {node.lineno}" + ("" if module.name == draft.script else f" of {module.name}")
        draft.add_package(row.needs, f"{row.of}'s {names[-1]}, {place}", Sureness.LIKELY)


def _system(draft: Draft, programs: Sequence[Program]) -> None:
    for requirement in draft.packages:
        for package in table().system_packages(requirement):
            draft.add_system(package, f"{distribution_of(requirement)} needs it")
    for program in programs:
        if found := program.standard.get("tkinter"):
            draft.warn(f"import tkinter ({_where(draft, found)}) opens windows: there are none on a cluster")
