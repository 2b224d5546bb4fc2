"""Python scripts: environment, files and command, read without running anything."""

from __future__ import annotations

import sys
import textwrap

import pytest

from cluster_interface.inspection import inspect
from cluster_interface.model.errors import Rejected
from cluster_interface.model.proposal import Proposal, Sureness

PACKAGES = "environment.python.packages"


def read(source: str, *arguments: str, name: str = "analyse.py", **files: str | None) -> Proposal:
    """Inspect one script; further files are named with two underscores where a dot stands."""
    beside = {key.replace("__", "."): text for key, text in files.items()}
    return inspect({name: textwrap.dedent(source), **beside}, name, arguments)


def packages(proposal: Proposal) -> set[str]:
    """The Python packages of a proposal."""
    assert proposal.environment.python is not None
    return set(proposal.environment.python.packages)


def asked(proposal: Proposal) -> set[str]:
    """The packages that a person has to say yes to."""
    return {g.value for g in proposal.guesses if g.sure is Sureness.ASK and g.field == PACKAGES}


# --- modules


@pytest.mark.parametrize(
    ("module", "distribution"),
    [
        ("numpy", "numpy"),
        ("sklearn.svm", "scikit-learn"),
        ("yaml", "PyYAML"),
        ("bs4", "beautifulsoup4"),
        ("cv2", "opencv-python-headless"),
        ("PIL.Image", "pillow"),
        ("Bio.SeqIO", "biopython"),
        ("skimage", "scikit-image"),
        ("dateutil", "python-dateutil"),
        ("dotenv", "python-dotenv"),
        ("serial", "pyserial"),
        ("usb.core", "pyusb"),
        ("git", "GitPython"),
        ("attr", "attrs"),
        ("jwt", "PyJWT"),
        ("OpenSSL", "pyOpenSSL"),
        ("Crypto.Cipher", "pycryptodome"),
        ("magic", "python-magic"),
        ("docx", "python-docx"),
        ("pptx", "python-pptx"),
        ("fitz", "PyMuPDF"),
        ("google.protobuf", "protobuf"),
        ("mpl_toolkits.mplot3d", "matplotlib"),
        ("pkg_resources", "setuptools"),
        ("ruamel.yaml", "ruamel.yaml"),
        ("umap", "umap-learn"),
        ("hdbscan", "hdbscan"),
        ("igraph", "igraph"),
        ("cairo", "pycairo"),
        ("psycopg2", "psycopg2-binary"),
        ("MySQLdb", "mysqlclient"),
        ("zmq", "pyzmq"),
        ("palmerpenguins", "palmerpenguins"),
        ("torch", "torch"),
    ],
)
def test_a_well_known_import_names_its_distribution(module, distribution):
    """The curated table says which distribution brings a module, and the guess says so."""
    found = read(f"import os\nimport {module}\n")
    assert packages(found) == {distribution}
    (guess,) = [g for g in found.guesses if g.field == PACKAGES]
    assert guess.rests_on == f"import {module}, line 2 (curated table)"
    assert guess.sure is Sureness.KNOWN


def test_from_google_cloud_import_storage_looks_at_the_member():
    """A namespace package's distribution is found by what is imported from it."""
    assert packages(read("from google.cloud import storage")) == {"google-cloud-storage"}


def test_an_unknown_name_is_asked_about_and_never_installed():
    """A name outside the table could be a squatter's: it is a question, not a package."""
    found = read("import pandsa_tools\n")
    assert packages(found) == set()
    assert asked(found) == {"pandsa_tools"}
    assert any("--with pandsa_tools" in warning for warning in found.warnings)


def test_the_standard_library_needs_nothing():
    """Nor does what was in it before."""
    found = read("import os.path, json, tomllib, asyncore, imp, __future__\nfrom xml.etree import ElementTree\n")
    assert packages(found) == set()
    assert not asked(found)


def test_windows_and_python_2_modules_are_explained():
    """What no package for Linux can bring is neither installed nor asked about."""
    found = read("import win32com.client\nimport urllib2\n")
    assert packages(found) == set()
    assert not asked(found)
    assert any("belongs to Windows" in w for w in found.warnings)
    assert any("urllib.request" in w for w in found.warnings)


def test_local_modules_are_inputs_and_followed():
    """A file beside the script is no package, and what it imports counts."""
    found = read("import helper\n", helper__py="from deeper import x\nimport numpy\n", deeper__py="import scipy\n")
    assert packages(found) == {"numpy", "scipy"}
    assert set(found.inputs) == {"helper.py", "deeper.py"}


@pytest.mark.parametrize("namespace", [False, True])
def test_a_local_package_comes_whole_with_its_data(namespace):
    """Relative imports are followed and everything below the package is an input."""
    files = {
        "analyse.py": "from sim.model import Model\n",
        "sim/__init__.py": "",
        "sim/model.py": "from . import tools\nfrom .parts.gear import Gear\n",
        "sim/tools.py": "import scipy",
        "sim/parts/__init__.py": "",
        "sim/parts/gear.py": "import pandas",
        "sim/data/table.csv": "1",
        "other.csv": "1",
    }
    if namespace:
        del files["sim/__init__.py"]
    found = inspect(files, "analyse.py")
    assert packages(found) == {"scipy", "pandas"}
    assert "sim/data/table.csv" in found.inputs
    assert "other.csv" not in found.inputs


def test_a_local_module_shadows_a_package_and_the_library():
    """As Python does it, the script's own directory comes first."""
    found = read("import numpy, random\n", numpy__py="", random__py="import scipy")
    assert packages(found) == {"scipy"}


def test_cyclic_imports_end():
    """Modules that import each other are read once."""
    assert set(read("import a\n", a__py="import b", b__py="import a, analyse").inputs) == {"a.py", "b.py"}


def test_a_broken_local_module_is_a_warning():
    """The script itself can be read; what its module needs is not known."""
    found = read("import helper\n", helper__py="def (:\n")
    assert any("'helper.py', line 1" in warning for warning in found.warnings)
    assert found.inputs == ("helper.py",)


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("try:\n  import numpy\nexcept ImportError:\n  numpy = None\n", set()),
        ("try:\n  import numpy\nexcept ImportError:\n  raise SystemExit('numpy')\n", {"numpy"}),
        ("import sys\ntry:\n  import numpy\nexcept:\n  print('!')\n  sys.exit(1)\n", {"numpy"}),
        ("try:\n  import ujson as json\nexcept ImportError:\n  import json\n", set()),
        ("try:\n  import ujson\nexcept ImportError:\n  import simplejson as ujson\n", {"ujson"}),
        ("try:\n  import tomllib\nexcept ImportError:\n  import tomli as tomllib\n", set()),
        ("try:\n  from yaml import CLoader\nexcept ImportError:\n  from yaml import Loader\n", {"PyYAML"}),
        ("try:\n  import numpy\nexcept ValueError:\n  pass\n", {"numpy"}),
        ("try:\n  import numpy\n  for x in y:\n    print(x)\nexcept Exception:\n  pass\n", {"numpy"}),
        ("try:\n  import numpy\nexcept* ImportError:\n  pass\n", set()),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n  import numpy\nelse:\n  import scipy\n", {"scipy"}),
        ("import typing as t\nif t.TYPE_CHECKING:\n  import numpy\n", set()),
        ("import sys\nif sys.version_info < (3, 8):\n  import numpy\nelse:\n  import scipy\n", {"scipy"}),
        ("import sys\nif sys.version_info[0] == 2:\n  import numpy\n", set()),
        ("import sys\nif sys.platform == 'win32':\n  import numpy\nelif x:\n  import scipy\n", {"scipy"}),
        ("import os\nif not os.name == 'nt':\n  import numpy\n", {"numpy"}),
        ("import platform\nif platform.system() == 'Windows' and x:\n  import numpy\n", set()),
        ("if __name__ == '__main__':\n  import numpy\n", {"numpy"}),
        ("async def f():\n  import numpy\n", {"numpy"}),
        ("match x:\n  case 1:\n    import numpy\n", {"numpy"}),
        ("import importlib\nimportlib.import_module('numpy')\n", {"numpy"}),
        ("__import__('numpy.linalg')\n", {"numpy"}),
        ("from importlib import import_module as load\nload('numpy')\n", {"numpy"}),
        ("import importlib as il\nil.import_module('numpy')\n", {"numpy"}),
        ("try:\n    import cupy as np\nexcept ImportError:\n    import numpy as np\n", {"numpy"}),
        ("import cupy\n", {"cupy-cuda12x"}),
        ("import importlib\nimportlib.import_module(name)\nimportlib.import_module('-x')\n", set()),
        ("from numpy import *\n", {"numpy"}),
        ("import numpy; import scipy\n", {"numpy", "scipy"}),
    ],
)
def test_only_imports_that_happen_and_matter_count(source, wanted):
    """Guards, platforms, versions and places are understood."""
    assert packages(read(source)) == wanted


def test_what_the_script_can_do_without_is_named():
    """An optional package is left out, and how to have it is said."""
    found = read("try:\n  from tqdm import tqdm\nexcept ImportError:\n  tqdm = list\n")
    assert any("tqdm (line 2)" in w and "--with" in w for w in found.warnings)
    assert not asked(found)


# --- stated environments


METADATA = """\
#!/usr/bin/env -S uv run --script
# /// script
# requires-python = ">=3.12,<3.13"
# dependencies = [
#   "requests<3",
#   "rich[jupyter]>=13; python_version > '3.8'",
# ]
# ///
import numpy
"""


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_inline_metadata_is_the_environment(ending):
    """PEP 723 states everything: neither imports nor a requirements file add to it."""
    found = inspect({"a.py": METADATA.replace("\n", ending), "requirements.txt": "scipy"}, "a.py")
    assert packages(found) == {"requests<3", "rich[jupyter]>=13; python_version > '3.8'"}
    assert found.environment.python.version == "3.13"
    assert found.environment.python.requirements is None
    assert all(g.sure is Sureness.STATED for g in found.guesses if g.field == PACKAGES)


@pytest.mark.parametrize(
    ("block", "word"),
    [
        ("# /// script\n# dependencies = 3\n# ///\n", "not a list"),
        ("# /// script\n# dependencies = [\n# ///\n", "not TOML"),
        ("# /// script\n# x = 1\n# ///\n\n# /// script\n# x = 1\n# ///\n", "more than one"),
        ("# /// script\n# requires-python = 3\n# ///\n", "requires-python"),
        ("# /// script\n" * 100 + "# ///\n", "too many"),
    ],
)
def test_inline_metadata_that_cannot_be_read_is_refused(block, word):
    """The PEP asks for an error, and the message says which."""
    with pytest.raises(Rejected, match=word):
        inspect({"a.py": block}, "a.py")


@pytest.mark.parametrize(
    "text", ["#/// script\n# dependencies=['x-y']\n# ///\n", "# /// script\n\n# ///\n", "# /// other\n# a\n# ///\n"]
)
def test_what_only_resembles_metadata_is_a_comment(text):
    """The block is read exactly as the PEP's regular expression reads it."""
    assert packages(read(text + "import numpy\n")) == {"numpy"}


def test_a_link_in_the_metadata_is_left_out_and_said():
    """Only packages by name are taken."""
    found = read("# /// script\n# dependencies = ['x @ https://e.org/x.whl', 'numpy']\n# ///\n")
    assert packages(found) == {"numpy"}
    assert any("https://e.org/x.whl" in w for w in found.warnings)


def test_a_requirements_file_is_named_not_copied():
    """The file is the environment and an input."""
    found = read("import numpy\n", requirements__txt="numpy==2.0\npandas\n")
    assert found.environment.python.requirements == "requirements.txt"
    assert packages(found) == set()
    assert "requirements.txt" in found.inputs


def test_what_a_requirements_file_forgot_is_added():
    """A well-known import that it does not name is taken from the table; an unknown one is its own business."""
    found = read("import numpy, scipy, cv2, strange\n", requirements__txt="numpy\nopencv-python\n")
    assert packages(found) == {"scipy"}
    assert not asked(found)


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://e.org",
        "-i https://e.org",
        "-e ./other",
        "./wheels/x.whl",
        "https://e.org/x.whl",
        "x @ https://e.org/x.whl",
        "--find-links .",
        "/etc/passwd",
        "-r ../other.txt",
        "-r missing.txt",
        "-c constraints.txt",
        "git+https://e.org/x",
    ],
)
def test_a_line_the_builder_refuses_is_named(line):
    """Options, paths and links are warned of by file and line."""
    found = read("", requirements__txt=f"numpy\n\n{line}  # why\n")
    assert any("requirements.txt, line 3" in w for w in found.warnings), found.warnings


def test_what_can_be_installed_of_a_requirements_file_is():
    """A line that is refused costs itself, not the job."""
    found = read(
        "import numpy\n", requirements__txt="numpy==2.0\n--extra-index-url https://e.org\ngit+https://e.org/x\n"
    )
    assert packages(found) == {"numpy==2.0"}
    assert found.environment.python.requirements is None


def test_included_requirements_are_copied_out():
    """Images are built from one text, so a file that includes others is given as packages."""
    found = read(
        "",
        requirements__txt="-r base.txt\nscipy\n",
        base__txt="numpy==2.0 \\\n  --hash=sha256:aa\n-r requirements.txt\n",
    )
    assert packages(found) == {"numpy==2.0", "scipy"}
    assert found.environment.python.requirements is None
    assert set(found.inputs) == {"requirements.txt", "base.txt"}


def test_requirements_for_developers_are_not_the_environment():
    """requirements-dev.txt alone says nothing about running the script; another single file does."""
    assert read("import numpy\n", **{"requirements-dev__txt": "pytest"}).environment.python.requirements is None
    found = read("import numpy\n", requirements_scientific__txt="numpy")
    assert found.environment.python.requirements == "requirements_scientific.txt"


def test_a_requirements_file_that_is_no_text_is_said():
    """Windows writes UTF-16 there; the imports are taken instead."""
    found = read("import numpy\n", requirements__txt=None)
    assert packages(found) == {"numpy"}
    assert any("UTF-8" in w for w in found.warnings)


def test_pyproject_dependencies_are_packages():
    """The [project] table states packages and the Python."""
    text = "[project]\nname='x'\nrequires-python='==3.10.*'\ndependencies=['numpy>=1']\n"
    found = read("import numpy, scipy\n", pyproject__toml=text)
    assert packages(found) == {"numpy>=1", "scipy"}
    assert found.environment.python.version == "3.11"
    assert any("Python 3.10 is in no image; 3.11 is taken" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    "text", ["[tool.ruff]\n", "[project]\nname='x'\n", "not toml", "[project]\ndynamic=['dependencies']\n", "project=1"]
)
def test_a_pyproject_without_dependencies_leaves_it_to_the_imports(text):
    """Most pyproject.toml files only configure tools."""
    assert packages(read("import numpy\n", pyproject__toml=text)) == {"numpy"}


@pytest.mark.parametrize(
    ("requires", "version"),
    [
        (">=3.8", None),
        (">=3.11", None),
        (">=3.12", "3.13"),
        (">=3.10,<3.13", "3.11"),
        ("==3.9.*", "3.9"),
        ("~=3.10.4", "3.11"),
        (">=3.8,<3.11", "3.9"),
        ("==3.7.*", "3.9"),
        (">=3.14", "3.13"),
        ("3", None),
        (">=4", None),
    ],
)
def test_a_version_is_chosen_only_where_not_every_image_will_do(requires, version):
    """Null means the image's own Python; what the customary ones satisfy asks for none."""
    found = read(f"# /// script\n# requires-python = '{requires}'\n# ///\n")
    assert found.environment.python.version == version


@pytest.mark.parametrize(
    ("text", "version"), [("3.10\n", "3.11"), ("# mine\n3.12.1\n", "3.13"), ("pypy3.9\n", None), ("system\n", None)]
)
def test_a_python_version_file_is_heeded(text, version):
    """The file of pyenv and uv names a version; the nearest that an image can have is taken."""
    assert read("", **{"__python-version": text}).environment.python.version == version


# --- companions and system packages


@pytest.mark.parametrize(
    ("call", "needs"),
    [
        ("pd.read_excel('x.xlsx')", "openpyxl"),
        ("pd.read_excel('x.xls')", "xlrd"),
        ("df.to_excel('x.xlsx', engine='xlsxwriter')", "XlsxWriter"),
        ("df.to_parquet('x')", "pyarrow"),
        ("pd.read_html(page)", "lxml"),
        ("df.plot.bar()", "matplotlib"),
        ("df.x.hist()", "matplotlib"),
    ],
)
def test_hidden_companions_of_pandas(call, needs):
    """What pandas imports only when a call is made is needed; the guess says where it is."""
    found = read(f"import pandas as pd\n{call}\n")
    assert packages(found) == {"pandas", needs}
    assert any(g.value == needs and "line 2" in g.rests_on for g in found.guesses)


@pytest.mark.parametrize(
    ("source", "needs"),
    [
        ("import networkx as nx\nnx.nx_agraph.graphviz_layout(g)", "pygraphviz"),
        ("import networkx as nx\nnx.drawing.nx_pydot.to_pydot(g)", "pydot"),
        ("from networkx.drawing.nx_pydot import graphviz_layout\ngraphviz_layout(g)", "pydot"),
    ],
)
def test_graphs_that_graphviz_lays_out_have_it(source, needs):
    """The Python package that knows Graphviz comes with Graphviz itself."""
    found = inspect({"x.py": source}, "x.py").environment
    assert set(found.python.packages) == {"networkx", needs}
    assert "graphviz" in found.system


def test_a_companion_needs_its_package():
    """A method of the same name means nothing where pandas is not imported."""
    assert packages(read("book.to_excel('x')\n")) == set()


def test_a_system_package_comes_with_what_needs_it():
    """python-magic is nothing without libmagic."""
    assert read("import magic\n").environment.system == ("libmagic1",)
    assert read("import pymc\n").environment.system == ("g++", "python3-dev")


@pytest.mark.parametrize(
    ("source", "command"),
    [
        ("@profile\ndef f(): pass\nf()\n", "python -m kernprof -l -v analyse.py"),
        ("from memory_profiler import profile\n@profile\ndef f(): pass\n", "python analyse.py"),
        ("from tools import *\n@profile\ndef f(): pass\n", "python analyse.py"),
        ("def profile(f): return f\n@profile\ndef f(): pass\n", "python analyse.py"),
        ("profile = str\n@profile\ndef f(): pass\n", "python analyse.py"),
    ],
)
def test_a_script_for_a_profiler_is_run_by_it(source, command):
    """`@profile` is defined by kernprof alone: without that the script ends at once."""
    found = read(source)
    assert found.command == command
    assert ("line_profiler" in packages(found)) is ("kernprof" in command)


@pytest.mark.parametrize(
    ("source", "system"),
    [
        ("import matplotlib.animation as an\nan.FuncAnimation(f, g).save('x.mp4')\n", ("ffmpeg",)),
        ("from matplotlib.animation import FuncAnimation\nname = f'{x}.MP4'\n", ("ffmpeg",)),
        ("from matplotlib import animation\nanimation.FFMpegWriter(fps=3)\n", ("ffmpeg",)),
        ("from matplotlib import animation\na.save('x.gif', writer='ffmpeg')\n", ("ffmpeg",)),
        ("from matplotlib import animation\na.save('x.gif')\n", ()),
        ("import matplotlib\nopen('x.mp4')\n", ()),
    ],
)
def test_movies_of_matplotlib_bring_ffmpeg(source, system):
    """It writes them by that program alone."""
    assert read(source).environment.system == system


# --- scripts that no one can parse


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("x = (\n", ["'a.py', line 1", "never closed"]),
        ("import os\nprint 'hello'\n", ["line 2", "Python 2", "2to3"]),
        ("import os\n<<<<<<< HEAD\nx = 1\n=======\n", ["line 2", "both sides of a conflict"]),
        ("try:\n  pass\nexcept IOError, e:\n  pass\n", ["line 3", "Python 2"]),
        ("exec 'x'\n", ["Python 2"]),
        ("f = lambda (a, b): a\n", ["Python 2"]),
        ("if x:\n        a\n\tb\n", ["line 3", "Python 2", "spaces"]),
        ("(" * 500, ["nested"]),
        ("x = " + "-" * 5000 + "1", ["nested too deeply"]),
        ("x\0", ["null bytes"]),
    ],
)
def test_a_script_that_cannot_be_parsed_is_refused_in_words(source, words):
    """The message names file and line and says what Python says."""
    with pytest.raises(Rejected) as caught:
        inspect({"a.py": source}, "a.py")
    assert caught.value.problems[0].field == "script"
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        "\ufeffimport numpy\n",
        "# -*- coding: latin-1 -*-\nimport numpy\n",
        "\x0c\nimport numpy\n",
        "import numpy\r\nx = 1\r\n",
        "import numpy\rx = 1\r",
        "import numpy\nx = '\\d'\n",
    ],
)
def test_marks_cookies_and_line_endings_do_no_harm(source):
    """What editors and old platforms leave in files is read past."""
    assert packages(inspect({"a.py": source}, "a.py")) == {"numpy"}


def test_a_huge_script_is_run_unread():
    """Beyond a mebibyte it is data; the command still stands, and that it was not read is said."""
    found = inspect({"a.py": "import numpy\n" * 100_000}, "a.py")
    assert found.command == "python a.py"
    assert any("was not read" in w for w in found.warnings)


@pytest.mark.parametrize(
    "source",
    [
        "def first[T: (int, str)](items: list[T]) -> T:\n    return items[0]\nimport numpy\n",
        "class Box[\n    T,\n](list[T]):\n    pass\nimport numpy\n",
        "type Pair[T] = tuple[T, T]\ntype Name = str\nimport numpy\n",
        "names = {'a': 1}\nprint(f'{names['a']} {{x}} {f'{1}'}')\nimport numpy\n",
        'print(f"{", ".join(["a"])}\\n")  # it\'s\nimport numpy\n',
        "print(f'{\n  1  # one\n}')\nimport numpy\n",
    ],
)
def test_newer_syntax_asks_for_a_newer_python(source):
    """What the server's own Python cannot parse is no mistake of the script's."""
    found = read(source)
    assert packages(found) == {"numpy"}
    assert found.environment.python.version == "3.13" or sys.version_info >= (3, 12)
    (guess,) = [g for g in found.guesses if g.field == PACKAGES]
    assert f"line {source.count(chr(10))} " in guess.rests_on


# --- command


@pytest.mark.parametrize(
    ("first", "arguments", "command"),
    [
        (
            "",
            ("$(touch canary)", "a b", "it's", "--x=`id`"),
            "python a.py '$(touch canary)' 'a b' 'it'\"'\"'s' '--x=`id`'",
        ),
        ("#!/usr/bin/env python3\n", (), "python a.py"),
        ("#!/usr/bin/python3 -u\n", ("x\ny",), "python -u a.py 'x\ny'"),
        ("#! /usr/bin/env -S python3 -u -W ignore\n", (), "python -u -W ignore a.py"),
        ("#!/usr/bin/env python3 -u; rm\n", (), "python a.py"),
    ],
)
def test_the_command_is_literal(first, arguments, command):
    """Nothing in an argument is ever interpreted; plain options of the first line are kept."""
    assert inspect({"a.py": first}, "a.py", arguments).command == command


def test_odd_script_names_are_quoted():
    """A name is never an option nor two words."""
    assert inspect({"-c.py": ""}, "-c.py").command == "python ./-c.py"
    assert inspect({"my script.py": ""}, "my script.py").command == "python 'my script.py'"


def test_a_part_of_a_package_is_run_as_a_module():
    """Relative imports work only with -m."""
    found = inspect({"tool/__init__.py": "", "tool/cli.py": "from . import core", "tool/core.py": ""}, "tool/cli.py")
    assert found.command == "python -m tool.cli"


def test_a_package_at_the_top_is_put_on_the_path():
    """A script in a directory that imports the project's package finds it."""
    files = {"scripts/run.py": "import pkg", "pkg/__init__.py": "", "src/x.py": ""}
    found = inspect(files, "scripts/run.py")
    assert found.environment.variables == {"PYTHONPATH": "/job"}
    assert "pkg/__init__.py" in found.inputs


def test_the_name_is_clean():
    """The job is called after the script."""
    assert inspect({"dir/-my script (2).v1.py": ""}, "dir/-my script (2).v1.py").name == "my-script-2-.v1"
    assert inspect({"été.py": ""}, "été.py").name == "t"


def test_every_line_rests_on_something():
    """Each package, input, output, version and command has its guess."""
    found = read(METADATA + "open('in.txt'); open('out.txt', 'w')\n", in__txt="")
    lines = {(g.field, g.value) for g in found.guesses}
    assert {("files", name) for name in found.inputs} <= lines
    assert {("outputs", name) for name in found.outputs} <= lines
    assert {(PACKAGES, name) for name in packages(found)} <= lines
    assert ("command", found.command) in lines
    assert ("name", found.name) in lines
    assert ("environment.python.version", found.environment.python.version) in lines


@pytest.mark.parametrize(
    "source",
    [
        "import requests\n",
        "import urllib.request\n",
        "import pandas as pd\npd.read_csv('https://e.org/x.csv')\n",
        "import seaborn as sns\nsns.load_dataset('tips')\n",
        "from sklearn.datasets import fetch_openml\nfetch_openml('x')\n",
    ],
)
def test_signs_of_the_network_are_said(source):
    """A job has no network unless its spec says so."""
    found = read(source)
    assert any("--network" in w for w in found.warnings)
    assert any(g.field == "network" and g.sure is Sureness.ASK for g in found.guesses)


def test_an_ordinary_script_speaks_of_no_network():
    """Loading what a package carries is no network."""
    assert not read("from sklearn.datasets import load_iris\nload_iris()\nimport urllib.parse\n").warnings


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("import pandas as pd\ndf = pd.DataFrame()\ndf.style.format('{:.1f}')\n", {"pandas", "jinja2"}),
        ("from skimage import data\nx = data.cells3d()\n", {"scikit-image", "pooch"}),
        ("from skimage import data\nx = data.camera()\n", {"scikit-image"}),
        (
            "from skimage.restoration import calibrate_denoiser, denoise_wavelet\ncalibrate_denoiser(x, denoise_wavelet)\n",
            {"scikit-image", "PyWavelets"},
        ),
    ],
)
def test_what_a_use_needs_besides_its_package_is_added(source, wanted):
    """Some functions want a package that theirs does not depend on."""
    assert packages(read(source)) == wanted


@pytest.mark.parametrize(
    "line",
    ["plt.rc('text', usetex=True)", "plt.rcParams['text.usetex'] = True", "plt.rcParams.update({'text.usetex': True})"],
)
def test_plots_whose_texts_latex_sets_bring_it(line):
    """Matplotlib calls latex and dvipng only where it is told to."""
    told = read(f"import matplotlib.pyplot as plt\n{line}\n")
    assert {"texlive-latex-extra", "cm-super", "dvipng"} <= set(told.environment.system)
    assert read(f"import matplotlib.pyplot as plt\n{line.replace('True', 'False')}\n").environment.system == ()
    assert read(f"import seaborn as plt\n# {line}\n").environment.system == ()


def test_parts_of_the_standard_library_that_debian_keeps_apart():
    """Tkinter is a package of the distribution; where the script can do without, it is not."""
    assert read("import turtle, sqlite3\n").environment.system == ("python3-tk",)
    assert read("from tkinter import filedialog\n").environment.system == ("python3-tk",)
    assert read("try:\n    import tkinter\nexcept ImportError:\n    tkinter = None\n").environment.system == ()
