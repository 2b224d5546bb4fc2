"""What tools said when they failed, recorded from real ones, becomes a sentence that a newcomer can act on."""

import pytest

from cluster_interface.images import failures
from cluster_interface.model.errors import Permanent, Transient

UV = "error: No solution found when resolving dependencies\n  cause: "
PIP = """Processing /mnt/x-1.0.tar.gz
  Preparing metadata (pyproject.toml): finished with status 'error'
  error: subprocess-exited-with-error

  \u00d7 Preparing metadata (pyproject.toml) did not run successfully.
  │ exit code: 1
  ╰─> [2 lines of output]
      {}
      [end of output]

  note: This error originates from a subprocess, and is likely not a problem with pip.
error: metadata-generation-failed
"""
CONDA = "error: Cannot solve the request because of: "
BUILDKIT = "error: failed to solve with frontend dockerfile.v0: failed to create LLB definition: "


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            (
                "Because requests==2.31.0 depends on urllib3>=1.21.1,<3 and you require requests==2.31.0, we can conclude "
                "that you require urllib3>=1.21.1,<3. And because you require urllib3==1.20, we can conclude that your "
                "requirements are unsatisfiable."
            ),
            "exclude one another: requests==2.31.0 needs urllib3>=1.21.1,<3; loosen or leave out a version",
        ),
        (
            (
                "Because pandas==2.2.0 depends on numpy{python_full_version < '3.12'}>=1.23.2,<2 and you require "
                "numpy==1.20, we can conclude that your requirements and pandas==2.2.0 are incompatible."
            ),
            "exclude one another: pandas==2.2.0 needs numpy>=1.23.2,<2; loosen",
        ),
        (
            (
                "Because all versions of pywin32 have no source distribution and you require pywin32, we can conclude "
                "that your requirements are unsatisfiable."
            ),
            "`pywin32` is published for other kinds of machine alone",
        ),
    ],
)
def test_what_cannot_go_together_is_named(said, words):
    """Which package wants what, and what only other machines have."""
    error = failures.of_uv(UV + said, "3.11", "/store")
    assert isinstance(error, Permanent)
    assert words in str(error)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("running dist_info\n      error: PyObjC requires macOS to build", "it is made for macOS: leave it out"),
        ("The 'sklearn' PyPI package is deprecated, use 'scikit-learn'\n      rather", "ask for scikit-learn instead"),
        ("ModuleNotFoundError: No module named 'numpy.distutils'", "setup imports numpy.distutils, which it does not"),
        ("RuntimeError: the moon is full", "another Python (RuntimeError: the moon is full)"),
    ],
)
def test_a_packages_own_words_are_shown(said, words):
    """And not what pip says around them."""
    error = str(failures.of_source(PIP.format(said), "x"))
    assert words in error
    assert "finished with status" not in error
    assert "subprocess" not in error


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("No candidates were found for nosuch *.", "has a package `nosuch`: is it misspelt"),
        ("No candidates were found for one >=7.", "has `one` in the version >=7"),
        (
            (
                "three * cannot be installed because there are no viable options:\n└─ three 1.0 would require\n"
                "   └─ nosuchlib >=1, for which no candidates were found."
            ),
            "`three` needs nosuchlib >=1, which no channel that was named has",
        ),
        (
            (
                "The following packages are incompatible\n├─ two * can be installed with any of the following options:\n"
                "│  └─ two 1.0 would require\n│     └─ libc1 <2, which can be installed with any of the following "
                "options:\n│        └─ libc1 1.0\n└─ one * cannot be installed because there are no viable options:\n"
                "   └─ one 1.0 would require\n      └─ libc1 >=2, which cannot be installed because"
            ),
            "exclude one another: two needs libc1 <2, one needs libc1 >=2; loosen",
        ),
    ],
)
def test_what_the_solver_of_conda_says_becomes_a_sentence(said, words):
    """Which package, which version, which of two exclude one another."""
    assert words in str(failures.of_conda(CONDA + said))


def test_a_channel_that_cannot_be_reached_is_told_briefly():
    """The last of the causes is the one that matters."""
    causes = "client error (Connect) Caused by: failed to lookup address information: Name or service not known"
    error = failures.of_conda(f"error: error sending request for url (https://x) Caused by: {causes}")
    assert isinstance(error, Transient)
    words = "(failed to lookup address information: Name or service not known)"
    assert str(error) == f"the conda channel cannot be reached {words}"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("dockerfile parse error line 2: unknown instruction: RUNN", "RUNN is no instruction (line 2: unknown"),
        (
            "dockerfile parse error line 2: COPY requires at least two arguments, but only one was provided.",
            "cannot be built: line 2: COPY requires at least two arguments",
        ),
    ],
)
def test_a_dockerfiles_mistake_is_told_with_its_line(said, words):
    """Without what the engine says before it."""
    assert words in str(failures.of_dockerfile(BUILDKIT + said))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("+ test -d /data/model\n", "ends with 1, at `test -d /data/model`: it does not say why"),
        ("+ pip install x\n/bin/sh: 1: pip: not found\n", "name packages of Python in environment.python.packages"),
        ("+ apt-get install jq\nsh: apt-get: not found\n", "name distribution packages in environment.system"),
        ("+ wget x\nsh: 1: wget: not found\n", "add it to environment.system (a setup step has no network here)"),
        ("+ cp a b\ncp: write error: No space left on device\n", "the disk that holds the image store is full"),
    ],
)
def test_a_setup_step_says_where_it_stopped(said, words):
    """The command that failed, and what to do instead of what people do elsewhere."""
    assert words in str(failures.of_setup(said, 1, network=False))
