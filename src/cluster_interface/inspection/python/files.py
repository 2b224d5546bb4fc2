"""The files that a program reads and writes, as far as its texts name them."""

from __future__ import annotations

import ast
import posixpath
import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.project import simplify
from cluster_interface.inspection.python.effects import Does, Effect, effects
from cluster_interface.inspection.python.values import HOLE, JOB, Values
from cluster_interface.inspection.wording import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.python.source import Module

MOST_PATTERNS = 200  #: looked up among the files per module
_OF_THE_SYSTEM = ("/dev/", "/proc/", "/sys/", "/etc/", "/usr/", "/tmp/", "/var/tmp/", "/bin/")  # noqa: S108 - only named
_PACKAGED = {  #: files of the system that many programs read and a small one does not have
    "/usr/share/dict/": "wamerican",
    "/usr/share/fonts/truetype/dejavu/": "fonts-dejavu-core",
    "/usr/share/fonts/truetype/freefont/": "fonts-freefont-ttf",
    "/usr/share/fonts/truetype/liberation/": "fonts-liberation",
    "/usr/share/zoneinfo/": "tzdata",
}
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]")
_PATHISH = re.compile(r"dir|path|folder|root|data|input", re.IGNORECASE)


def read_files(draft: Draft, module: Module, values: Values) -> None:
    """Add a module's inputs and outputs to the draft, and warn of files that will not be there."""
    written: set[int] = set()  # nodes that name only what is written
    found = [effect for node in module.nodes if isinstance(node, ast.Call) for effect in effects(node)]
    for effect in found[: 4 * MOST_PATTERNS]:
        _apply(draft, module, values, effect, written)
    _sweep(draft, module, values, written)


def _apply(draft: Draft, module: Module, values: Values, effect: Effect, written: set[int]) -> None:
    if effect.node is not None and effect.does in (Does.WRITE, Does.MAKE):
        written.add(id(effect.node))
    if Does.LIST in effect.does:
        _listed(draft, module, values, effect)
        return
    text = values.text(effect.node)
    if text is None or not text.strip(HOLE + "/"):
        return
    where = _where(draft, module, effect.node)
    if Does.WRITE in effect.does or Does.MAKE in effect.does:
        _written(draft, text, where, effect)
    if Does.READ in effect.does:
        _read(draft, text, where)


def _written(draft: Draft, text: str, where: str, effect: Effect) -> None:
    if _is_link(text):
        return
    if _is_absolute(text):
        if not text.startswith(_OF_THE_SYSTEM):
            draft.warn(f"{where} writes {shown(_pattern(text))}, which is not there in the job: write a relative path")
        return
    name = _clean(draft, text)
    if name is None:
        draft.warn(f"{where} writes {shown(_pattern(text))}, outside the job's directory, which is not possible")
    elif name:
        if effect.suffix and not name.endswith("*") and not posixpath.splitext(name)[1]:
            name += effect.suffix
        draft.add_output(f"{name}/**" if Does.MAKE in effect.does else name, where)


def _read(draft: Draft, text: str, where: str) -> None:
    if _is_link(text):
        draft.needs_network(f"{where} reads {shown(_pattern(text))}")
    elif _is_absolute(text):
        for package in (package for start, package in _PACKAGED.items() if text.startswith(start)):
            draft.add_system(package, f"{where} reads {shown(_pattern(text))}")
        if not text.startswith(_OF_THE_SYSTEM):
            _warn_of(draft, _pattern(text), where)
    elif (name := _clean(draft, text)) and "*" in name:
        draft.add_inputs(draft.project.matching(name), where)


def _warn_of(draft: Draft, path: str, where: str) -> None:
    """Say what to do about an absolute path; what the project has of that name is most likely meant."""
    same = _of_same_name(draft, path)
    here = f"write {shown(same)}, which is there" if same else ""
    if _WINDOWS.match(path):
        otherwise = "hand the file over with --input, and write the name that it has then"
        draft.warn(
            f"{where} reads {shown(path)}, of a Windows computer, which the job does not see: {here or otherwise}"
        )
    else:
        say = f"say --input {path}" + (f", or {here}" if here else "")
        draft.warn(f"{where} reads {shown(path)}, which the job does not see: {say}")


def _of_same_name(draft: Draft, path: str) -> str | None:
    """Return the file of the project that ends as a path does, as the program would call it; the longest end counts."""
    parts = path.replace("\\", "/").rstrip("/").split("/")
    for length in range(len(parts) - 1, 0, -1):
        end = "/".join(parts[-length:])
        found = [name for name in draft.project.files if f"/{name}".endswith(f"/{end}")]
        if len(found) == 1:
            return posixpath.relpath(draft.of_job(found[0]), posixpath.join(draft.home, draft.start) or ".")
    return None


def _listed(draft: Draft, module: Module, values: Values, effect: Effect) -> None:
    base = values.text(effect.node) if effect.node is not None else ""
    node = effect.pattern or effect.node
    where = _where(draft, module, node) if node is not None else module.name
    pattern = values.part(effect.pattern) if effect.pattern is not None else ""
    if base is None or pattern == HOLE:
        return
    text = posixpath.join(base, "**", pattern) if effect.deep and pattern else posixpath.join(base, pattern)
    if _is_absolute(text) or _is_link(text):
        _read(draft, text, where)
        return
    name = _clean(draft, text)
    if name is None:
        return
    if pattern:
        draft.add_inputs(draft.project.matching(name), where)
    else:
        below = draft.project.below(name)
        draft.add_inputs(below if effect.deep or name else [item for item in below if "/" not in item], where)


# --- every other text that names a file of the project


def _sweep(draft: Draft, module: Module, values: Values, written: set[int]) -> None:
    """Take every text that names a file of the project as an input, unless it only names what is written."""
    names = _used_names(module, values)
    looked_up = 0
    pending: list[tuple[ast.AST, str]] = [(module.tree, "")]
    while pending:
        node, label = pending.pop()
        if id(node) in written or _is_docstring(node):
            continue
        if isinstance(node, ast.expr) and (text := values.text(node)) is not None:
            looked_up += HOLE in text
            label = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else label
            if looked_up < MOST_PATTERNS:
                _named(draft, text, _where(draft, module, node), label, in_path=isinstance(node, ast.Call | ast.BinOp))
            continue
        pending.extend(reversed(list(_inside(node, label, names))))


def _used_names(module: Module, values: Values) -> set[str]:
    """Name the variables and options that are used: what they are given is looked at there, not where it stands.

    So a text that is only ever written to is no input, and a directory's name counts with what is joined to it.
    """
    used: set[str] = set()
    for node in module.nodes:
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else None
        if name is not None and isinstance(getattr(node, "ctx", None), ast.Load):
            used.add(name)
    named = {**values.attributes, **values.names}
    texts = {name for name in used & set(named) if values.text(named[name]) is not None}
    return texts | (used & set(values.options))


def _inside(node: ast.AST, label: str, used: set[str]) -> Iterable[tuple[ast.AST, str]]:
    """Yield what is inside a node, with the name it is given; skip what is looked at where the name is used."""
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        name = target.id if isinstance(target, ast.Name) else target.attr if isinstance(target, ast.Attribute) else ""
        return [] if name in used else [(node.value, name)]
    if isinstance(node, ast.arguments):
        return [(item, "") for item in (*node.defaults, *node.kw_defaults) if item is not None]
    if isinstance(node, ast.keyword):
        return [(node.value, node.arg or "")]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr.startswith("add_arg"):
        return _inside_option(node, used)
    if isinstance(node, ast.JoinedStr):
        return [(item, label) for item in node.values if not isinstance(item, ast.Constant)]
    return [(item, label if isinstance(node, ast.IfExp | ast.BoolOp) else "") for item in ast.iter_child_nodes(node)]


def _inside_option(node: ast.Call, used: set[str]) -> Iterable[tuple[ast.AST, str]]:
    names = [item.value for item in node.args if isinstance(item, ast.Constant) and isinstance(item.value, str)]
    dests = {name.lstrip("-").replace("-", "_") for name in names}
    if dests & used:
        return []
    label = next(iter(dests), "")
    return [(word.value, label) for word in node.keywords if word.arg == "default"]


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _named(draft: Draft, text: str, where: str, label: str, *, in_path: bool) -> None:
    if "\n" in text or _is_absolute(text) or not (name := _clean(draft, text)):
        return
    if name in draft.project:
        draft.add_inputs([name], where)
    elif "*" in name:
        home = name.split("*", 1)[0].rpartition("/")[0]
        if HOLE in text and home in draft.project.directories:
            draft.add_inputs(draft.project.matching(name), where)
    elif name in draft.project.directories and (in_path or text.endswith("/") or _PATHISH.search(label or name)):
        draft.add_inputs(draft.project.below(name), where)


# --- words and names


def _where(draft: Draft, module: Module, node: ast.AST | None) -> str:
    line = f"line {getattr(node, 'lineno', 1)}"
    return line if module.name == draft.script else f"{line} of {module.name}"


def _is_absolute(text: str) -> bool:
    return (text.startswith(("/", "~")) and not f"{text}/".startswith(f"{JOB}/")) or bool(_WINDOWS.match(text))


def _is_link(text: str) -> bool:
    return re.match(r"[a-z][a-z0-9+.-]*://", text) is not None


def _pattern(text: str) -> str:
    return simplify(text.replace(HOLE, "*"))


def _clean(draft: Draft, text: str) -> str | None:
    """Write a text as a name or pattern below the job's directory; None if it leads outside, empty: the whole."""
    name = place_of(posixpath.join(draft.home, draft.start), _pattern(text))
    return posixpath.relpath(name or ".", draft.home) if draft.home and name is not None else name


def place_of(start: str, text: str) -> str | None:
    """Write what a program that is started in a directory of the job calls so as a name in the job, as `_clean`."""
    name = posixpath.normpath(posixpath.join(JOB, start, text))
    return name[len(JOB) + 1 :] if f"{name}/".startswith(f"{JOB}/") else None


def read_arguments(draft: Draft, arguments: Sequence[str], written: set[str]) -> None:
    """Take arguments that name files or directories of the project as inputs; warn of paths outside it.

    `written` are the arguments that the program is known only to write.
    """
    for argument in arguments:
        for text in dict.fromkeys([argument, argument.partition("=")[2]]):
            if not text or text in written or len(text) > 4096:
                continue
            why = f"the argument {shown(argument)}"
            if _is_absolute(text):
                if argument == text or "=" in argument:
                    draft.warn(f"{why} is a path that the job does not see: say --input {text}")
            elif not _is_link(text) and (name := _clean(draft, text)):
                draft.add_inputs([name] if name in draft.project else draft.project.below(name), why)
