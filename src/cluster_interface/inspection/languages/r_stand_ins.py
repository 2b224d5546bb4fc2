"""What R scripts call that only a person's own machine has: a line of `~/.Rprofile` stands in for each.

A function of a package is replaced in its namespace before that is attached, so that `rm(list = ls())` leaves it.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from typing import TYPE_CHECKING

from cluster_interface.inspection.wording import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.languages.lexis import Source

_AWAY = re.compile(r"[/~]|[A-Za-z]:[\\/]")  #: a directory of some machine
#: a setwd that does not end a script which goes to a directory of another machine, as many begin
_STAYING = (
    "attach(list(setwd = function(dir) if (dir.exists(dir)) base::setwd(dir) else "
    'warning("there is no ", dir, ", it stays in ", getwd(), call. = FALSE)), warn.conflicts = FALSE)'
)


def _instead(package: str, name: str, function: str) -> str:
    return f'local({{ns <- asNamespace("{package}"); unlockBinding("{name}", ns); assign("{name}", {function}, ns)}})'


_DEVICE = "function(...) grDevices::dev.new()"  #: a file, Rplots.pdf, where there is no screen
_STAND_INS = {
    r"View": (_instead("utils", "View", "function(x, ...) print(utils::head(x, 20))"), "prints the first rows"),
    r"[xX]11": (
        f"{_instead('grDevices', 'x11', _DEVICE)}; {_instead('grDevices', 'X11', _DEVICE)}",
        "draws into a file",
    ),
    r"windows|win\.graph": (
        f"attach(list(windows = {_DEVICE}, win.graph = {_DEVICE}), warn.conflicts = FALSE)",
        "draws into a file",
    ),
}
_CALLED = {name: re.compile(rf"(?<![\w.$@])({name})[ \t]*\(") for name in _STAND_INS}
#: what says in RStudio which file it has open: many scripts go to that file's directory
_EDITOR = re.compile(r"(?<![\w.])(get(?:ActiveDocument|SourceEditor)Context)[ \t]*\(")


def stand_in(draft: Draft, source: Source, where: Callable[[int], str]) -> None:
    """Have what a script calls of a screen, of RStudio and of its author's directories stood in for."""
    if gone := next((text for text in source.texts if text.calls[:1] == ("setwd",) and _AWAY.match(text.value)), None):
        _begin(draft, _STAYING, f"{where(gone.line)} goes to {shown(gone.value)}: where that is not there, it stays")
    for name, called in _CALLED.items():
        if (found := called.search(source.code)) and not re.search(
            rf"\b(?:{name})[ \t]*(?:<-|=)[ \t]*function", source.code
        ):
            line, does = _STAND_INS[name]
            _begin(
                draft, line, f"{where(source.line(found.start()))} calls {found[1]}(), which {does} without a screen"
            )
    if found := _EDITOR.search(source.code):
        path = f"file.path(getwd(), {json.dumps(posixpath.basename(draft.script))})"
        line = (
            'setHook(packageEvent("rstudioapi", "onLoad"), function(...) for (f in c("getActiveDocumentContext", '
            f'"getSourceEditorContext")) utils::assignInNamespace(f, function(...) list(path = {path}), "rstudioapi"))'
        )
        _begin(draft, line, f"{where(source.line(found.start()))} asks RStudio which script is open: it is this one")


def _begin(draft: Draft, line: str, why: str) -> None:
    draft.first.setdefault(f"echo {shlex.quote(line)} >>~/.Rprofile", why)
