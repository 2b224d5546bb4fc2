"""What the imports and calls of programs need, beyond what files state."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, TypeGuard

from cluster_interface.inspection.python.distributions import call_name, table
from cluster_interface.inspection.python.names import look_up
from cluster_interface.inspection.python.removed import bounds, needs_old_kernel
from cluster_interface.inspection.wanted import PACKAGES, distribution_of
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.python.distributions import Companion
    from cluster_interface.inspection.python.imports import Import
    from cluster_interface.inspection.python.modules import Outside, Program
    from cluster_interface.inspection.python.source import Module
    from cluster_interface.inspection.python.stated import Need

_APART = {  #: parts of the standard library that Debian keeps apart
    "tkinter": "python3-tk",
    "turtle": "python3-tk",
    "_gdbm": "python3-gdbm",
}
#: what matplotlib hands texts to (matplotlib.org, "Text rendering with LaTeX")
_LATEX = ("texlive-latex-extra", "texlive-fonts-recommended", "cm-super", "dvipng")
_MOVIES = (".mp4", ".avi", ".mov", ".mkv", ".webm")  #: that matplotlib has ffmpeg write
CURATED = "curated table"
DOWNLOADED = "among the most downloaded of PyPI, or in Debian"


def add_imported(draft: Draft, programs: Sequence[Program], stated: Mapping[str, str], source: str) -> list[Need]:
    """Add what the imports need beyond what `source` states; ask about what is not well known.

    Returns what may be no newer than it is written, because the programs use what was taken away since.
    """
    optional: dict[str, str] = {}
    limits = bounds(programs, _well_known(programs), stated)
    for program in programs:
        for outside in program.outside:
            item = outside.item
            names = table().find(item) or look_up(item).distributions
            if why := table().why_unavailable(item):
                if not item.optional:
                    draft.warn(f"import {item.name} ({_where(draft, outside)}) {why}")
            elif any(distribution_of(name) in stated or draft.has_package(name) for name in names):
                pass
            elif item.optional:
                optional.setdefault(names[0] if names else item.top, _where(draft, outside))
            else:
                _add(draft, outside, stated, source, limits)
    for need in limits.values():
        draft.narrow_package(need.requirement, need.where)
    if draft.has_package("ipykernel") and needs_old_kernel(limits):
        draft.narrow_package("ipython<9", "the notebook's kernel, as old as what it plots with")
    needless = [f"{name} ({where})" for name, where in optional.items() if not draft.has_package(name)]
    if needless:
        draft.warn(f"left out, because the script can do without: {', '.join(needless)}; to have them say --with")
    return [need for need in limits.values() if need.requirement in draft.packages]


def _well_known(programs: Sequence[Program]) -> frozenset[str]:
    found = (table().find(outside.item) for program in programs for outside in program.outside)
    return frozenset(distribution_of(names[0]) for names in found if names)


def _add(draft: Draft, outside: Outside, stated: Collection[str], source: str, limits: Mapping[str, Need]) -> None:
    providers, larger = table().find(outside.item), look_up(outside.item)
    if providers and (limit := limits.get(distribution_of(providers[0]))):
        draft.add_package(limit.requirement, limit.where, Sureness.LIKELY)
    elif providers:
        _add_one(draft, outside, providers[0], CURATED, source)
    elif larger.sure:
        _add_one(draft, outside, larger.distributions[0], DOWNLOADED, source)
    elif distribution_of(outside.item.top) not in stated and not draft.has_package(outside.item.top) and not source:
        _ask(draft, outside, larger.distributions)


def _add_one(draft: Draft, outside: Outside, distribution: str, found_in: str, source: str) -> None:
    rests_on = f"import {outside.item.name}, {_where(draft, outside)} ({found_in})"
    if source:
        rests_on += f"; {source} does not name it"
    known = found_in == CURATED and not source
    draft.add_package(distribution, rests_on, Sureness.KNOWN if known else Sureness.LIKELY)


def _where(draft: Draft, outside: Outside) -> str:
    return f"line {outside.item.line}" + ("" if outside.file == draft.script else f" of {outside.file}")


def _ask(draft: Draft, outside: Outside, candidates: Sequence[str]) -> None:
    where = _where(draft, outside)
    name = candidates[0] if candidates else outside.item.top
    if name in draft.asked:
        return
    draft.asked.add(name)
    rests_on = f"one of {', '.join(candidates)}" if candidates else "same name, not a well-known one"
    draft.guess(PACKAGES, name, f"import {outside.item.name}, {where}: {rests_on}", Sureness.ASK)
    maybe = f" (maybe {' or '.join(candidates)})" if candidates else ""
    draft.warn(
        f"import {outside.item.name} ({where}) is neither a file beside the script nor a well-known package{maybe}. "
        f"If it is a file of yours, hand it over too; if you know that it is the package {name} "
        f"on PyPI, say --with {name}"
    )


def add_companions(draft: Draft, programs: Sequence[Program], stated: Collection[str]) -> None:
    """Add what some calls of the imported modules need besides them."""
    imported = _imported(programs)
    wanted = [row for row in table().companions if row.of in imported and distribution_of(row.needs) not in stated]
    for module in _modules(programs) if wanted else ():
        for node in module.nodes:
            if isinstance(node, ast.Call):
                _companions_of(draft, module, node, wanted)
            elif isinstance(node, ast.Name | ast.Attribute):
                _companions_used(draft, module, node, wanted)


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


def _companions_used(draft: Draft, module: Module, node: ast.Name | ast.Attribute, wanted: list[Companion]) -> None:
    name = node.id if isinstance(node, ast.Name) else node.attr
    for row in wanted:
        if name in row.uses:
            draft.add_package(row.needs, f"{row.of}'s {name}, {_line(draft, module, node)}", Sureness.LIKELY)


def _line(draft: Draft, module: Module, node: ast.expr | ast.stmt) -> str:
    return f"line {node.lineno}" + ("" if module.name == draft.script else f" of {module.name}")


def _companions_of(draft: Draft, module: Module, node: ast.Call, wanted: list[Companion]) -> None:
    names = list(call_name(node))
    fitting = [row for row in wanted if any(name in row.calls for name in names)]
    if not fitting:
        return
    arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
    texts = [item.value for item in arguments if isinstance(item, ast.Constant) and isinstance(item.value, str)]
    row = next((row for row in fitting if any(row.fits(name, texts) for name in names)), None)
    if row is not None:
        draft.add_package(row.needs, f"{row.of}'s {names[-1]}, {_line(draft, module, node)}", Sureness.LIKELY)


def add_system(draft: Draft, programs: Sequence[Program]) -> None:
    """Add the distribution packages that the Python packages need beside themselves."""
    for requirement in draft.packages:
        for package in table().system_packages(requirement):
            draft.add_system(package, f"{distribution_of(requirement)} needs it")
    for program in programs:
        for module, package in _APART.items():
            if (found := program.standard.get(module)) and not found.item.optional:
                draft.add_system(package, f"import {found.item.name}, {_where(draft, found)}")
        if any(outside.item.top == "matplotlib" for outside in program.outside):
            _add_latex(draft, program)
            _add_ffmpeg(draft, program)
        if found := program.standard.get("tkinter"):
            draft.warn(f"import tkinter ({_where(draft, found)}) opens windows: there are none on a cluster")


def _add_latex(draft: Draft, program: Program) -> None:
    """Add LaTeX where texts of plots are set by it."""
    for module in program.modules.values():
        for node in module.nodes:
            if _wants_latex(node):
                for package in _LATEX:
                    draft.add_system(package, f"usetex, {_line(draft, module, node)}")
                return


def _add_ffmpeg(draft: Draft, program: Program) -> None:
    """Add ffmpeg where animations of matplotlib are saved as movies."""
    if not any("animation" in (*item.name.split("."), *item.members) for item in _of_matplotlib(program)):
        return
    for module in program.modules.values():
        if (node := next(filter(_wants_ffmpeg, module.nodes), None)) is not None:
            draft.add_system("ffmpeg", f"a movie, {_line(draft, module, node)}")
            return


def _of_matplotlib(program: Program) -> list[Import]:
    return [outside.item for outside in program.outside if outside.item.top == "matplotlib"]


def _wants_ffmpeg(node: ast.AST) -> TypeGuard[ast.expr]:
    match node:
        case ast.Constant(str(text)):
            return text == "ffmpeg" or text.lower().endswith(_MOVIES)
        case ast.Name("FFMpegWriter") | ast.Attribute(attr="FFMpegWriter"):
            return True
    return False


def _wants_latex(node: ast.AST) -> TypeGuard[ast.expr | ast.stmt]:
    match node:
        case ast.Call(keywords=keywords):
            return any(one.arg == "usetex" and _is(one.value, True) for one in keywords)
        case ast.Dict(keys=keys, values=values):
            pairs = zip(keys, values, strict=True)
            return any(key is not None and _is(key, "text.usetex") and _is(value, True) for key, value in pairs)
        case ast.Assign(targets=[ast.Subscript(slice=key)], value=value):
            return _is(key, "text.usetex") and _is(value, True)
    return False


def _is(node: ast.expr, value: bool | str) -> bool:  # noqa: FBT001
    return isinstance(node, ast.Constant) and type(node.value) is type(value) and node.value == value
