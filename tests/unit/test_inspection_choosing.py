"""Which script is meant, and which files are none."""

from __future__ import annotations

import pytest

from cluster_interface.inspection import inspect
from cluster_interface.model.errors import Rejected


@pytest.mark.parametrize(
    ("files", "script"),
    [
        ({"a.py": "", "data.csv": "", "README.md": ""}, "a.py"),
        ({"a.py": "import b", "b.py": "import c", "c.py": ""}, "a.py"),
        ({"a.py": "", "setup.py": "", "test_a.py": "import a", "conftest.py": ""}, "a.py"),
        ({"a.py": "", "lib/b.py": "", "lib/__init__.py": ""}, "a.py"),
        ({"run.sh": "python a.py\npython b.py", "a.py": "", "b.py": ""}, "run.sh"),
        ({"main.py": "", "other.py": ""}, "main.py"),
        ({"a.py": "if __name__ == '__main__':\n  pass", "b.py": ""}, "a.py"),
        ({"tool": "#!/usr/bin/env python3\n", "x.bin": None}, "tool"),
        ({"broken.py": "import (", "main.py": ""}, "main.py"),
        ({"./a.py": ""}, "a.py"),
    ],
)
def test_the_one_plausible_script_is_found(files, script):
    """Others import it not, are tests, lie deeper or have no main part."""
    found = inspect(files)
    assert found.script == script
    assert [g.value for g in found.guesses if g.field == "script"] == [script]


def test_several_candidates_are_listed():
    """A choice that is not plain is the person's."""
    with pytest.raises(Rejected, match=r"'a\.py', 'b\.py'") as caught:
        inspect({"a.py": "", "b.py": "", "c.csv": ""})
    assert caught.value.problems[0].field == "script"


def test_hundreds_of_candidates_are_not_all_listed():
    """Nor are they all read."""
    with pytest.raises(Rejected, match="and 988 more"):
        inspect({f"s{n}.py": "" for n in range(1000)})


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("x.do", "use data", ["x.do", "Stata script"]),
        ("x.nf", "", ["Nextflow"]),
        ("prog", None, ["'prog' is a binary"]),
        ("x.py", None, ["is a binary or too large"]),
        ("x.tcl", "#!/usr/bin/own-tcl\n", ["interpreter 'own-tcl'"]),
        ("x.sh", "#!/usr/bin/pwsh\n", ["interpreter 'pwsh'"]),
        ("data", "1,2,3", ["neither a known ending"]),
        ("empty", "", ["is empty"]),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_an_unsupported_kind_is_refused_in_words(name, text, words, named):
    """The message names the file, says what it is and what is supported."""
    with pytest.raises(Rejected) as caught:
        inspect({name: text}, name if named else None)
    for word in [*words, "supported are Python (.py), shell (.sh"]:
        assert word in str(caught.value)


def test_a_script_that_is_not_there_is_refused():
    """By its name."""
    with pytest.raises(Rejected, match=r"'b\.py' is not among the files"):
        inspect({"a.py": ""}, "b.py")


def test_no_files_at_all():
    """There is nothing to run."""
    with pytest.raises(Rejected, match="none of the 0 files"):
        inspect({})


@pytest.mark.parametrize("argument", ["a\0b", "\udc80"])
def test_an_argument_that_no_program_can_get_is_refused(argument):
    """By its field."""
    with pytest.raises(Rejected, match="arguments"):
        inspect({"a.py": ""}, "a.py", [argument])
