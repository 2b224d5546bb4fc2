"""Programs that wait for others and never end by themselves: servers of pages and notebooks, of data, of work.

In a job nobody reaches them: it would run, for nothing, until its time is over. They are known by their calls, not by
running them; what stands behind `&` or `timeout` is left alone.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from cluster_interface.inspection.wordlist import words as split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.shell.calls import Call

PAGES, NOTEBOOKS, SERVICE, WATCH = "a web server", "a server for notebooks", "a server", "a watch"
REMEDY = {
    PAGES: "hand over a script that computes what the pages would show and writes it to files",
    NOTEBOOKS: "hand over the notebook (.ipynb) itself, which is run from top to bottom",
    SERVICE: "if the script itself needs it, start it beside the rest (`&`) and end it with the script",
    WATCH: "take it out: logs can be followed while the job runs",
}
#: name -> what it is, and the first words that make it so; none: always
_COMMANDS = {
    **dict.fromkeys(split("jupyter jupyter-server"), (NOTEBOOKS, split("notebook lab server nbclassic console"))),
    **dict.fromkeys(split("jupyter-lab jupyter-notebook jupyterhub voila code-server"), (NOTEBOOKS, frozenset())),
    **dict.fromkeys(split("streamlit flask shiny fastapi"), (PAGES, split("run dev"))),
    **dict.fromkeys(split("bokeh panel jekyll hugo mkdocs ng bentoml"), (PAGES, split("serve server"))),
    **dict.fromkeys(split("rails php"), (PAGES, split("server s -S"))),
    "mlflow": (PAGES, split("ui server")),
    **dict.fromkeys(
        split("uvicorn gunicorn hypercorn daphne waitress-serve tensorboard http-server http.server nginx httpd"),
        (PAGES, frozenset()),
    ),
    **dict.fromkeys(split("vllm ollama prefect"), (SERVICE, split("serve server"))),
    **dict.fromkeys(split("dask celery airflow"), (SERVICE, split("scheduler worker beat webserver standalone"))),
    **dict.fromkeys(
        split("redis-server mongod postgres mysqld mariadbd dask-scheduler dask-worker llama-server tritonserver"),
        (SERVICE, frozenset()),
    ),
    "tail": (WATCH, split("-f -F --follow")),
}
_ENDING = frozenset({"timeout"})  #: programs that end what they start
_ASKING = frozenset({"--help", "-h", "--version", "-V"})


def warn_of_endless(draft: Draft, what: str, kind: str, where: str) -> None:
    """Say, once, that something never ends, and what to do."""
    draft.warn_once(
        "endless",
        f"{where} starts {kind} (`{what}`), which never ends by itself, and nobody can reach it in a job: "
        f"{REMEDY[kind]}; as it is, the job runs until its time is over, which --time bounds",
    )


def look_at_call(draft: Draft, call: Call, where: str) -> None:
    """Warn of a command that never ends."""
    around = {posixpath.basename(wrapper) for wrapper in call.wrappers}
    if call.is_text or around & _ENDING or _ASKING & set(call.words):
        return
    if "watch" in around:
        warn_of_endless(draft, "watch", WATCH, where)
    elif call.words and (kind := _kind(call.words)):
        warn_of_endless(draft, " ".join(call.words[:2]), kind, where)


def _kind(words: Sequence[str]) -> str:
    name, given = posixpath.basename(words[0]), list(words[1:])
    if name.startswith("python"):
        if given[:1] == ["-m"] and given[1:]:
            return _kind(given[1:])
        return PAGES if given[1:2] == ["runserver"] else ""  # Django's manage.py
    kind, first = _COMMANDS.get(name, ("", frozenset()))
    return kind if not first or first & set(given) else ""
