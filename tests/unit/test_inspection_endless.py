"""Programs that wait for others and never end: said before anything is submitted; what ends is left alone."""

from __future__ import annotations

import pytest

from cluster_interface.inspection import inspect


def told(name, text, **more):
    """What is said of a program that never ends; empty where it is taken to end."""
    found = inspect({name: text, **more}, name)
    return " ".join(warning for warning in found.warnings if "nobody can reach it" in warning)


ENDLESS = [
    "from flask import Flask\napp = Flask(__name__)\nif __name__ == '__main__':\n    app.run(debug=True)\n",
    "import dash\napp = dash.Dash()\ndef main():\n    app.run_server()\nmain()\n",
    "import uvicorn\nuvicorn.run('a:app')\n",
    "import gradio as gr\ngr.Interface(fn=str, inputs='text', outputs='text').launch()\n",
    "import gradio as gr\nwith gr.Blocks() as demo:\n    pass\ndemo.launch(share=True)\n",
    "from http.server import HTTPServer, BaseHTTPRequestHandler as H\nHTTPServer(('', 80), H).serve_forever()\n",
    "from aiohttp import web\nweb.run_app(web.Application())\n",
    "from tornado.ioloop import IOLoop\nIOLoop.current().start()\n",
    "import own\nown.thing.serve(port=80)\n",
    "import streamlit as st\nst.title('x')\n",
]


@pytest.mark.parametrize("text", ENDLESS)
def test_a_server_is_told_to_never_end(text):
    """By what is called, whatever it is called in the script; what to do is said with it."""
    assert "files" in told("a.py", text) or "`&`" in told("a.py", text)


@pytest.mark.parametrize(
    "text",
    [
        "import subprocess\nsubprocess.run(['ls'])\n",
        "import asyncio\nasync def main(): ...\nasyncio.run(main())\n",
        "from own import Model\nmodel = Model()\nmodel.run()\nmodel.launch()\n",
        "import sys\nfrom flask import Flask\napp = Flask(__name__)\nif '--serve' in sys.argv:\n    app.run()\n",
        "try:\n    import streamlit\nexcept ImportError:\n    streamlit = None\n",
    ],
)
def test_what_ends_is_left_alone(text):
    """Other things are run, too; and what happens on a condition may not happen."""
    assert told("a.py", text) == ""


def test_a_server_in_another_module_counts_where_it_is_called():
    """`main()` of a module beside the script; the same module imported for something else starts nothing."""
    web = "from flask import Flask\napp = Flask(__name__)\ndef main():\n    app.run()\ndef total(): return 1\n"
    assert "line 4 of web.py" in told("a.py", "from web import main\nmain()\n", **{"web.py": web})
    assert told("a.py", "from web import total\ntotal()\n", **{"web.py": web}) == ""


@pytest.mark.parametrize(
    "line",
    ["jupyter notebook --no-browser", "jupyter lab", "streamlit run page.py", "python -m http.server 80", "tail -f log",
     "nohup redis-server", "watch ls", "python3 manage.py runserver 80", "exec gunicorn app:app", "cd x && uvicorn a:b"],
)  # fmt: skip
def test_a_command_that_serves_is_told_to_never_end(line):
    """Behind what starts it, too."""
    assert told("run.sh", f"#!/bin/bash\n{line}\n")


@pytest.mark.parametrize(
    "line",
    ["jupyter nbconvert x.ipynb", "redis-server &", "nohup redis-server >log 2>&1 &", "timeout 60 tail -f log", "true",
     "tail -n 5 log", "python a.py", "sleep 1 && redis-server & wait", "streamlit --version", "dask-scheduler --help"],
)  # fmt: skip
def test_a_command_that_ends_is_left_alone(line):
    """What runs beside the rest ends with the script."""
    assert told("run.sh", f"#!/bin/bash\n{line}\n") == ""


def test_who_starts_a_server_for_notebooks_is_told_to_hand_over_the_notebook():
    """What to do fits what it is."""
    assert "hand over the notebook (.ipynb)" in told("run.sh", "jupyter lab\n").lower()


def test_other_languages_serve_too():
    """Shiny's pages, and a server of Node.js."""
    assert "runApp" in told("app.R", "library(shiny)\nrunApp(list(ui = x, server = y))\n")
    assert "line 2" in told("a.js", "const app = require('express')()\napp.listen(3000)\n")
    assert told("a.R", "x <- 1  # runApp(\nprint(x)\n") == ""
