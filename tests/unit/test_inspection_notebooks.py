"""Notebooks: their Python, magics, shell lines, parameters, and the command that runs them."""

from __future__ import annotations

import ast
import contextlib
import json
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster_interface.inspection import inspect
from cluster_interface.inspection.python.notebook import read_notebook
from cluster_interface.model.errors import Rejected
from cluster_interface.model.placeholders import offer
from cluster_interface.model.proposal import Option, Sureness

PACKAGES = "environment.python.packages"
RUNNERS = {"papermill", "ipykernel"}


def notebook(*cells, parameters=None, **metadata):
    """Write a notebook of these code cells."""
    found = [{"cell_type": "markdown", "source": ["# Title"], "metadata": {}}]
    if parameters is not None:
        found.append({"cell_type": "code", "source": parameters, "metadata": {"tags": ["parameters"]}, "outputs": []})
    found += [{"cell_type": "code", "source": text, "metadata": {}, "outputs": []} for text in cells]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": found})


def read(*cells, name="a.ipynb", arguments=(), parameters=None, files=(), **metadata):
    """Inspect a notebook of these cells."""
    text = notebook(*cells, parameters=parameters, **metadata)
    return inspect({name: text, **dict.fromkeys(files, "")}, name, arguments)


def packages(proposal):
    """What is installed besides what runs every notebook."""
    return set(proposal.environment.python.packages) - RUNNERS


def test_a_notebook_is_run_by_papermill_and_comes_back_executed():
    """The executed notebook is an output, and what runs it is installed."""
    found = read("import numpy\n", "numpy.loadtxt('data.txt')\n", files=["data.txt"])
    command = "papermill a.ipynb a.executed.ipynb --kernel python3 --log-output --no-progress-bar"
    assert found.command == command
    assert set(found.environment.python.packages) == {*RUNNERS, "numpy"}
    assert found.outputs == ("a.executed.ipynb",)
    assert found.inputs == ("data.txt",)


def test_guesses_name_the_cell():
    """Nobody counts lines through a whole notebook."""
    found = read("x = 1\n\nimport numpy", "y = 2\nimport scipy")
    rests = {g.value: g.rests_on for g in found.guesses if g.field == PACKAGES}
    assert rests["numpy"] == "import numpy, cell 2, line 3 (curated table)"
    assert rests["scipy"] == "import scipy, cell 3, line 2 (curated table)"


def test_lines_of_other_files_are_called_as_they_are():
    """Only the notebook has cells: a line of a list or of a module keeps its number."""
    files = {"requirements.txt": "numpy\n" * 12 + "-e .\n", "fits.py": "\n" * 30 + "import scipy\n"}
    found = inspect({"a.ipynb": notebook("import os\n", "import fits\n"), **files}, "a.ipynb")
    places = " ".join(guess.rests_on for guess in found.guesses)
    assert "requirements.txt, line 1" in places
    assert "line 31 of fits.py" in places
    assert "import fits, cell 3, line 1" in places
    assert "cell" not in places.replace("cell 3, line 1", "")


def test_an_old_release_of_what_plots_has_an_old_kernel():
    """Matplotlib before 3.10 imports of IPython what its 9 has no more; a script has no kernel."""
    source = "import matplotlib.pyplot as plt\nplt.register_cmap('x')\n"
    assert packages(read(source)) == {"matplotlib<3.9", "ipython<9"}
    assert packages(read("import matplotlib.pyplot as plt\n")) == {"matplotlib"}
    assert "ipython<9" not in inspect({"a.py": source}, "a.py").environment.python.packages


def test_a_notebook_starts_in_its_own_directory():
    """As Jupyter starts it: names of files and modules are meant from there."""
    found = read("import tools\nopen('../data/x.csv')\nopen('out.txt', 'w')", name="nb/a.ipynb",
                 files=["nb/tools.py", "data/x.csv"])  # fmt: skip
    assert "--cwd nb" in found.command
    assert set(found.inputs) == {"nb/tools.py", "data/x.csv"}
    assert set(found.outputs) == {"nb/a.executed.ipynb", "nb/out.txt"}


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [
        ("%pip install -q rich 'pandas>=2'", {"rich", "pandas>=2"}),
        ("!pip install --upgrade --index-url https://e.org/simple rich", {"rich"}),
        ("!{sys.executable} -m pip install rich && echo ok", {"rich"}),
        ("! python3 -m pip install \\\n  rich \\\n  scipy", {"rich", "scipy"}),
        ("if True:\n    !pip3 install rich", {"rich"}),
        ("%%bash\nset -e\npip install rich", {"rich"}),
        ("!uv pip install rich", {"rich"}),
        ("%conda install -c conda-forge -y pytorch numpy=1.26", {"torch", "numpy==1.26.*"}),
        ("!pip install -r reqs.txt", {"click==8.0"}),
        ("!pip install git+https://e.org/x", set()),
        ("%time import scipy", {"scipy"}),
        ("%%time\nimport scipy", {"scipy"}),
        ("%%html\n<b>import scipy</b>", set()),
        ("%load_ext memory_profiler", {"memory-profiler"}),
        ("%load_ext autoreload\n%autoreload 2", set()),
        ("%matplotlib inline", {"matplotlib"}),
        ("files = !ls\nscipy?\n??x", set()),
        ("print('a'\n  % b)\nimport scipy", {"scipy"}),
        ("get_ipython().system('ls')", set()),
        ("import scipy\nawait f()\n!ls", {"scipy"}),
    ],
)
def test_magics_and_shell_lines(cell, wanted):
    """What they install is installed beforehand; the rest of them is no Python."""
    found = inspect({"a.ipynb": notebook(cell), "reqs.txt": "click==8.0\n"}, "a.ipynb")
    assert packages(found) == wanted
    assert not any("parsed" in warning for warning in found.warnings)


def test_apt_lines_are_system_packages_and_downloads_want_the_network():
    """What is installed by hand elsewhere belongs to the image."""
    found = read("!sudo apt-get install -y -qq samtools ncbi-blast+\n!wget https://e.org/x")
    assert found.environment.system == ("samtools", "ncbi-blast+", "wget")
    assert any(g.field == "network" and g.sure is Sureness.ASK for g in found.guesses)


def test_what_shell_lines_call_comes_along():
    """A program that `!` or %%bash calls is a package of the system, like in a script."""
    found = read(
        "!samtools view x.bam > view.txt",
        "%%bash\nfor name in *.vcf; do\n  bcftools index $name\n  pip install rich\ndone",
    )
    assert set(found.environment.system) == {"samtools", "bcftools"}
    assert "view.txt" in found.outputs
    assert packages(found) == {"rich"}
    assert any(g.value == "samtools" and "cell 2, line 1" in g.rests_on for g in found.guesses)


def test_a_module_that_a_cell_writes_is_the_notebooks_own():
    """It is not asked about, and what it imports counts."""
    found = read("%%writefile helper.py\nimport scipy", "import helper", name="nb/a.ipynb")
    assert packages(found) == {"scipy"}
    assert not [g for g in found.guesses if g.sure is Sureness.ASK]
    assert found.inputs == ()


def test_a_cell_that_cannot_be_parsed_costs_itself():
    """The others are read, and which one it is is said."""
    found = read("import numpy", "def (:", "import scipy")
    assert packages(found) == {"numpy", "scipy"}
    assert any("cell 3 is not Python" in warning for warning in found.warnings)


def test_parameters_are_options():
    """The cell with the tag `parameters` says names, defaults and kinds; a comment says what they are."""
    found = read(
        parameters="alpha = 0.5  # how much\nn: int = 3\nlabel = 'x'\nfast = True\ndata_path = 'd.csv'\nz = f()"
    )
    assert found.options == (
        Option(name="--alpha", default="0.5", kind="float", help="how much", written="-p alpha"),
        Option(name="--n", default="3", kind="int", written="-p n"),
        Option(name="--label", default="x", written="-r label"),
        Option(name="--fast", default="True", choices=("True", "False"), written="-p fast"),
        Option(name="--data_path", default="d.csv", kind="path", written="-r data_path"),
    )


def test_a_sweep_over_a_parameter_is_handed_to_papermill():
    """Many tasks, each with its own value, without a word about how it gets there."""
    proposal = read(parameters="alpha = 0.5").model_dump(mode="json")
    command, notes = offer(proposal["command"], ["alpha"], proposal["options"])
    assert command.endswith(" -p alpha {alpha}")
    assert not notes


@pytest.mark.parametrize(
    ("arguments", "end"),
    [
        (["--alpha", "0.7", "--label=1"], " -p alpha 0.7 -r label 1"),
        (["-p", "alpha", "0.7"], " -p alpha 0.7"),
        (["--label", "$(touch x)"], " -r label '$(touch x)'"),
    ],
)
def test_arguments_set_parameters(arguments, end):
    """As options, or in papermill's own words; a text stays a text."""
    found = read(parameters="alpha = 0.5\nlabel = 'x'", arguments=arguments)
    assert found.command.endswith(end)


@pytest.mark.parametrize("arguments", [["x.csv"], ["--beta", "1"], ["--alpha"]])
def test_arguments_that_set_nothing_are_refused(arguments):
    """With the parameters that there are."""
    with pytest.raises(Rejected, match="--alpha"):
        read(parameters="alpha = 0.5", arguments=arguments)


@pytest.mark.parametrize(("language", "kernel"), [("Scala", "almond"), ("julia", "julia-1.9")])
def test_notebooks_of_other_languages_are_refused_in_words(language, kernel):
    """Which language it is, and what can be done."""
    with pytest.raises(Rejected, match=f"notebook of {language.lower()} .*nbconvert"):
        read("library(x)", kernelspec={"name": kernel, "language": language})


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cells": 3}', "nothing"])
def test_what_is_no_notebook_is_said(text):
    """The name alone makes none."""
    with pytest.raises(Rejected, match="is not a notebook"):
        inspect({"a.ipynb": text}, "a.ipynb")


def test_a_notebook_too_large_to_be_read_is_run_all_the_same():
    """Pictures make notebooks large; how they are run is known without reading."""
    found = inspect({"a.ipynb": None}, "a.ipynb")
    assert found.command.startswith("papermill a.ipynb")
    assert any("too large" in warning for warning in found.warnings)


def test_executed_notebooks_are_not_candidates():
    """The output of the last run is not what is meant next time."""
    found = inspect({"a.ipynb": notebook("x = 1"), "a.executed.ipynb": notebook("x = 1")})
    assert found.script == "a.ipynb"


CELL = st.lists(
    st.sampled_from(
        ["%", "!", "%%", "time", "bash", "pip install ", "x", " = ", "\n", "    ", "if x:", "?", "import numpy", "\\",
         "'", '"', "(", ")", "{x}", "run a.py", "load_ext b", "\0", "\ud800", "é", "%%writefile y.py", "-r", ";", "&&"]
    ),
    max_size=14,
).map("".join)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(CELL | st.text(max_size=20), max_size=4), CELL)
def test_any_cells_are_answered(cells, parameters):
    """Whatever stands in the cells: what is taken of them is Python, with as many lines as they have."""
    text = notebook(*cells, parameters=parameters)
    found = read_notebook("a.ipynb", text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an escape that means nothing
        ast.parse(found.source)
    assert len(found.source.split("\n")) >= len(found.starts)
    inspect({"a.ipynb": text}, "a.ipynb").model_dump_json()


@settings(max_examples=80, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["cells", "source", "cell_type", "metadata", "tags", "kernelspec", "language_info", "name"]
                ),
                inner | st.just("code"),
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_document_is_answered(document):
    """JSON of any shape is a notebook or a refusal."""
    with contextlib.suppress(Rejected):
        inspect({"a.ipynb": json.dumps(document)}, "a.ipynb")
