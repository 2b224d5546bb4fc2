"""The files around a script that state an environment: which there are, and which of them counts.

The nearest directory counts first, from the script's own to the top. In one directory a lock file goes before what it
was made from, a requirements file before the project's metadata, and PyPI's names before conda's.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from cluster_interface.inspection.python.conda_files import read_environment_file
from cluster_interface.inspection.python.locks import read_pdm_lock, read_poetry_lock, read_pylock, read_uv_lock
from cluster_interface.inspection.python.pipfiles import read_pipfile, read_pipfile_lock
from cluster_interface.inspection.python.pyproject import NAME as PYPROJECT
from cluster_interface.inspection.python.pyproject import read_pyproject
from cluster_interface.inspection.python.requirements import find_requirements, read_requirements_file
from cluster_interface.inspection.python.setup_files import read_setup_cfg, read_setup_py

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cluster_interface.inspection.project import Project
    from cluster_interface.inspection.python.stated import Need, Stated

LARGEST = 4 * 2**20  #: characters of one file that are read

_LOCKS: dict[str, Callable[[str, str, Sequence[Need]], Stated]] = {
    "uv.lock": read_uv_lock,
    "poetry.lock": read_poetry_lock,
    "pdm.lock": read_pdm_lock,
    "pylock.toml": read_pylock,
}
_READERS: dict[str, Callable[[str, str], Stated]] = {
    PYPROJECT: read_pyproject,
    "Pipfile.lock": read_pipfile_lock,
    "Pipfile": read_pipfile,
    "environment.yml": read_environment_file,
    "environment.yaml": read_environment_file,
    "conda.yml": read_environment_file,
    "conda.yaml": read_environment_file,
    "setup.cfg": read_setup_cfg,
    "setup.py": read_setup_py,
}


def homes(script: str) -> Iterator[str]:
    """Yield the directories that may speak of a script, its own first, the top last."""
    home = posixpath.dirname(script)
    while home:
        yield home
        home = posixpath.dirname(home)
    yield ""


def stated_in(project: Project, home: str, script: str) -> list[Stated]:
    """Read what the files of one directory state, by their order."""
    pyproject = _read(project, home, PYPROJECT)
    wanted = pyproject.needs if pyproject else ()
    found: list[Stated | None] = []
    for name, reader in _LOCKS.items():
        file = posixpath.join(home, name)
        if (text := _text(project, file)) is not None:
            found.append(reader(file, text, wanted))
    if requirements := find_requirements(project, home, script):
        found.append(read_requirements_file(project, requirements))
    found += [pyproject if name == PYPROJECT else _read(project, home, name) for name in _READERS]
    return [stated for stated in found if stated is not None]


def _read(project: Project, home: str, name: str) -> Stated | None:
    file = posixpath.join(home, name)
    text = _text(project, file)
    return None if text is None else _READERS[name](file, text)


def _text(project: Project, file: str) -> str | None:
    text = project.text(file)
    return None if text is None or len(text) > LARGEST else text
