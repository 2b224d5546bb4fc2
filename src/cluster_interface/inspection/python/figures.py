"""Figures that a program shows and does not save: a job has no screen, so they are saved for it (runtimes/figures)."""

from __future__ import annotations

import ast
import posixpath
from typing import TYPE_CHECKING

from cluster_interface.inspection.python.conditions import dotted
from cluster_interface.inspection.python.removed import full_names

if TYPE_CHECKING:
    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.python.modules import Program

SAVED = "figure-*.png"
_PLOTTING = ("matplotlib.pyplot", "matplotlib.pylab", "pylab")


def add_figures(draft: Draft, program: Program) -> None:
    """Name what is shown as an output, where matplotlib shows something."""
    for module in program.modules.values():
        called = dict(full_names(module))
        for node in module.nodes:
            if isinstance(node, ast.Call) and _shows(dotted(node.func), called):
                of = "" if module.name == draft.script else f" of {module.name}"
                words = f"shown, line {node.lineno}{of}: saved, for a job has no screen"
                draft.add_output(posixpath.join(draft.start, SAVED), words)
                return


def _shows(name: str, called: dict[str, str]) -> bool:
    first, _, rest = name.partition(".")
    if name == "show":  # from pylab import *
        return called.get("show", called.get("*", "")).rpartition(".")[0] in _PLOTTING
    return rest == "show" and called.get(first) in _PLOTTING
