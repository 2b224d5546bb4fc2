"""Programs that serve pages to a browser: a job of one has nobody who looks at them, and no end."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from cluster_interface.inspection.wordlist import words

if TYPE_CHECKING:
    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.python.modules import Program

_FRAMEWORKS = words(
    "aiohttp bokeh bottle cherrypy dash fastapi flask gradio holoviews nicegui panel sanic shiny tornado uvicorn "
    "waitress"
)
_SERVES = words("run run_app run_server run_simple launch listen serve serve_forever")
_STARTED_APART = words("mesop streamlit")  #: whose programs are pages throughout


def warn_of_pages(draft: Draft, program: Program) -> None:
    """Say which line makes a program one that never ends."""
    imported = {outside.item.top: outside for outside in program.outside if outside.file == draft.script}
    if apart := next((one for one in imported if one in _STARTED_APART), None):
        draft.warn(
            f"line {imported[apart].item.line} makes pages for a browser ({apart}): such a program is started by "
            f"`{apart} run` where somebody looks at them; as a job it shows nothing"
        )
    framework = next((one for one in imported if one in _FRAMEWORKS), None)
    served = [node for node in program.main.nodes if isinstance(node, ast.Call) and _name(node) in _SERVES]
    if framework and served:
        draft.warn(
            f"line {served[0].lineno} serves pages to a browser ({framework}): nobody can look at those of a job, and "
            "it has no end but that of its --time"
        )


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""
