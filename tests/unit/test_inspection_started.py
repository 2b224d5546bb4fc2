"""What a module does as a program of its own, and where its modules lie that nothing says."""

from __future__ import annotations

import pytest

from cluster_interface.inspection import inspect

MODULE = "import numpy\nif __name__ == '__main__':\n    import seaborn\n    open('own.csv')\n"


def test_what_a_module_does_as_a_program_is_not_what_its_importer_needs() -> None:
    """A test under `if __name__ == "__main__":` is left out where the module is imported, and counts where it runs."""
    files = {"x.py": "import model\n", "model.py": MODULE, "own.csv": "1"}
    found = inspect(files, "x.py")
    assert found.environment.python.packages == ("numpy",)
    assert found.inputs == ("model.py",)
    found = inspect(files, "model.py")
    assert found.environment.python.packages == ("numpy", "seaborn")
    assert found.inputs == ("own.csv",)


def test_a_module_that_is_both_is_started_as_what_it_is() -> None:
    """`else:` of a program's own question is for those that import it, and needs no package around it."""
    script = "if __name__ == '__main__':\n    import kernels\nelse:\n    from . import kernels\n"
    files = {"sim/__init__.py": "", "sim/run.py": script, "sim/kernels.py": ""}
    assert inspect(files, "sim/run.py").command == "python sim/run.py"
    assert inspect(files, "sim/run.py").environment.python.packages == ()


def test_a_module_that_lies_in_one_place_only_is_found() -> None:
    """Its directory is put on the path; what a package brings, or lies twice, is not taken from anywhere."""
    files = {"fits/x.py": "import growth\n", "models/growth.py": "import numpy\n", "models/numpy.py": ""}
    found = inspect(files, "fits/x.py")
    assert found.environment.variables == {"PYTHONPATH": "/job/models"}
    assert found.inputs == ("models/growth.py",)
    assert found.environment.python.packages == ("numpy",)
    twice = inspect({**files, "old/growth.py": ""}, "fits/x.py")
    assert "growth.py" not in str(twice.inputs)
    assert twice.environment.variables == {}


@pytest.mark.parametrize(
    "source",
    [
        "import matplotlib.pyplot as plt\nplt.show()\n",
        "from matplotlib import pyplot\npyplot.show(block=False)\n",
        "from pylab import *\nshow()\n",
        "from matplotlib.pyplot import plot, show\nshow()\n",
    ],
)
def test_figures_that_are_shown_are_an_output(source: str) -> None:
    """There is no screen: they come back as files, beside what the program writes itself."""
    assert inspect({"x.py": source}, "x.py").outputs == ("figure-*.png",)
    found = inspect({"fits/x.py": f"{source}open('a.csv')\n", "fits/a.csv": ""}, "fits/x.py")
    assert found.outputs == ("fits/figure-*.png",)
    assert "figure" not in str(inspect({"x.py": source.replace("show(", "plot(")}, "x.py").outputs)
    assert "figure" not in str(inspect({"x.py": "import plt\nplt.show()\nshow()\n"}, "x.py").outputs)


def test_modules_that_are_imported_by_a_name_from_a_list_come_along() -> None:
    """Where the name varies, it is one of the program's texts: those that are modules of its own are meant."""
    script = "import importlib\nSTEPS = [('First', 'clean'), ('Then', 'fit'), ('', 'os')]\n"
    script += "for _, name in STEPS:\n    importlib.import_module(name).main()\n"
    files = {"x.py": script, "clean.py": "import pandas\n", "fit.py": "import scipy\n", "other.py": "import torch\n"}
    found = inspect(files, "x.py")
    assert found.inputs == ("clean.py", "fit.py")
    assert set(found.environment.python.packages) == {"pandas", "scipy"}
    fixed = inspect({**files, "x.py": script.replace("(name)", "('fit')")}, "x.py")
    assert fixed.inputs == ("fit.py",)


def test_imports_in_texts_that_are_run_count() -> None:
    """What timeit is to set up is a program too; a text that is printed is none."""
    setup = '"""\nimport numpy\nfrom model import fit\n"""'
    files = {"x.py": f"import timeit\nSETUP = {setup}\ntimeit.timeit('fit()', SETUP)\n", "model.py": "import scipy\n"}
    found = inspect(files, "x.py")
    assert found.inputs == ("model.py",)
    assert set(found.environment.python.packages) == {"numpy", "scipy"}
    assert inspect({**files, "x.py": f"print({setup})\n"}, "x.py").environment.python.packages == ()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            r"open('E:\\AUT\\runs\\a.csv')",
            "of a Windows computer, which the job does not see: write 'data/a.csv', which is there",
        ),
        (
            r"open('E:\\AUT\\runs\\b.csv')",
            "of a Windows computer, which the job does not see: hand the file over with --input, and write",
        ),
        ("open('/Users/ada/lab/data/a.csv')", "say --input /Users/ada/lab/data/a.csv, or write 'data/a.csv', which is"),
        ("open('/home/ada/lab/b.csv')", "say --input /home/ada/lab/b.csv"),
    ],
)
def test_paths_of_another_computer_are_told_what_the_project_has(source: str, words: str) -> None:
    """A file of that name that came with the program is most likely it."""
    found = inspect({"x.py": source, "data/a.csv": "1", "data/c.csv": "2"}, "x.py")
    assert words in " ".join(found.warnings)
