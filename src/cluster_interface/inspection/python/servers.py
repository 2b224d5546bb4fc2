"""Calls that start a server and never come back: `app.run()`, `serve_forever()`, `uvicorn.run(app)`."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.endless import NOTEBOOKS, PAGES, REMEDY, SERVICE, warn_of_endless
from cluster_interface.inspection.python.conditions import DEEPEST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.python.modules import Program
    from cluster_interface.inspection.python.source import Module

#: by the name in full, as far as the module says where it is from
_KNOWN = (
    (PAGES, re.compile(
        r"^(?:flask|dash|quart|sanic|bottle|starlette|connexion|jupyter_dash|nicegui|cherrypy|shiny|flask_socketio|eel)"
        r"\..*\b(?:run|run_app|run_server|start|quickstart)$|^(?:uvicorn|hypercorn|bottle|shiny)\.run(?:_app)?$"
        r"|^(?:waitress|panel|livereload|bokeh\.\S+)\.serve$|^gradio\..*\blaunch$|^aiohttp\.web\.run_app$"
        r"|^tornado\.\S*(?:IOLoop|ioloop)\b.*\.start$|^eel\.start$|\.run_server$"
    )),
    (NOTEBOOKS, re.compile(r"^(?:notebook|jupyterlab|jupyter_server)\.\S*(?:main|launch(?:_new)?_instance)$")),
    (SERVICE, re.compile(
        r"\.(?:serve_forever|wait_for_termination|run_forever|infinity_polling|run_polling|start_polling)$"
        r"|^twisted\.internet\.reactor\.run$|^mcp\.\S+\.run$|^fastmcp\.\S+\.run$"
    )),
)  # fmt: skip
_LISTENING = frozenset({"run", "serve", "launch", "start_server", "listen"})  #: with a port: whatever is called so
_DRAWN = frozenset({"streamlit", "chainlit", "mesop"})  #: whose scripts another program serves


def look_for_servers(draft: Draft, program: Program) -> None:
    """Warn of a program that serves pages or waits for work instead of ending.

    What only happens on a condition (but for being the program that was started) is not warned of.
    """
    called = {name for node in _certain(program.main.tree) for name in _last(node)}
    for module in program.modules.values():
        named = _names(module)
        for node in _certain(module.tree, None if module is program.main else called):
            if kind := _kind(node, named):
                where = f"line {node.lineno}" + ("" if module.name == draft.script else f" of {module.name}")
                warn_of_endless(draft, f"{ast.unparse(node.func)[-40:]}()", kind, where)
    for outside in program.outside:
        if outside.item.top in _DRAWN and outside.file == program.script and not outside.item.optional:
            draft.warn_once(
                "endless",
                f"import {outside.item.name} (line {outside.item.line}) makes this a web page, for "
                f"`{outside.item.top} run`, and nobody can reach it in a job: {REMEDY[PAGES]}",
            )


def _certain(tree: ast.Module, functions: set[str] | None = None) -> Iterator[ast.Call]:
    """Yield the calls that no condition stands before; of other modules than the main one, those in `functions`."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Call):
            yield node
        if isinstance(node, ast.Module) and functions is not None:
            pending += [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name in functions]
        elif isinstance(node, ast.If) and "__name__" not in ast.dump(node.test):
            pending.append(node.test)
        else:
            pending += ast.iter_child_nodes(node)


def _last(node: ast.Call) -> Iterator[str]:
    if isinstance(node.func, ast.Name):
        yield node.func.id
    elif isinstance(node.func, ast.Attribute):
        yield node.func.attr


def _names(module: Module) -> dict[str, str]:
    """Map the module's names to what they are in full: `app` to `flask.Flask`, after `app = Flask(__name__)`."""
    named: dict[str, str] = {}
    for node in module.nodes:
        if isinstance(node, ast.Import):
            named |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            named |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif (
            isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and isinstance(node.targets[0], ast.Name)
        ):
            named[node.targets[0].id] = _full(node.value, named)
        elif isinstance(node, ast.withitem) and isinstance(node.optional_vars, ast.Name):
            named[node.optional_vars.id] = _full(node.context_expr, named)
    return named


def _full(node: ast.expr, named: dict[str, str]) -> str:
    """Write what is called, with the first name in full and without arguments: `flask.Flask.run`."""
    parts: list[str] = []
    for _ in range(DEEPEST):
        if isinstance(node, ast.Call):
            node = node.func
        elif isinstance(node, ast.Attribute):
            parts.insert(0, node.attr)
            node = node.value
        elif isinstance(node, ast.Name):
            return ".".join([named.get(node.id, node.id), *parts])
        else:
            break
    return ".".join(["", *parts])


def _kind(node: ast.Call, named: dict[str, str]) -> str:
    name = _full(node.func, named)
    for kind, pattern in _KNOWN:
        if pattern.search(name):
            return kind
    listens = any(word.arg == "port" for word in node.keywords) and name.rpartition(".")[2] in _LISTENING
    return PAGES if listens and isinstance(node.func, ast.Attribute) else ""
