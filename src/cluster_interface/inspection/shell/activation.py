"""`conda activate ENV` and `source venv/bin/activate`: environments that are there already, or are to be made."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from cluster_interface.inspection.shell.words import HOLE
from cluster_interface.inspection.wording import shown
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    from cluster_interface.inspection.draft import Draft

_CONDA = ("conda", "mamba", "micromamba", "source", ".")
_SET_UP = ("shell.bash", "hook", "init", "deactivate", "info", "list", "config", "shell", "clean")


def activate(draft: Draft, words: tuple[str, ...], where: str) -> bool:
    """Read a command that activates an environment; False where it is none."""
    name = posixpath.basename(words[0])
    named = [word for word in words[1:] if not word.startswith("-")]
    if name in (".", "source"):
        return bool(named) and _sourced(draft, named, where)
    if named[:1] in (["activate"], ["run"]):
        prefix = _after(words, "-p", "--prefix", "-n", "--name")
        _conda(draft, prefix or (named[1] if len(named) > 1 else "base"), where)
        return True
    return any(word in _SET_UP for word in named)


def _sourced(draft: Draft, named: list[str], where: str) -> bool:
    path = named[0]
    if posixpath.basename(path) == "activate" and len(named) > 1:  # source activate ENV, the old way of conda
        _conda(draft, named[1], where)
        return True
    if path.endswith("/bin/activate"):
        home = path.removesuffix("/bin/activate")
        if home.startswith("/") and HOLE not in home:
            draft.use_ready("venv", home, f"{where} activates it")
        else:
            _virtual(draft, home, where)
        return True
    return path.endswith(("/etc/profile.d/conda.sh", "/etc/profile", "/.bashrc", "/etc/bashrc", "/conda.sh"))


def _virtual(draft: Draft, home: str, where: str) -> None:
    """A virtual environment beside the script, or one in the home directory, is not to be had by a path of here."""
    draft.uses_python = True
    path = home.replace(HOLE, "*")
    draft.guess("environment.venv", path, f"{where} activates it", Sureness.ASK)
    draft.warn(
        f"{where} activates {shown(path)}: to use it as it is, say environment.venv with its full path; else its "
        "packages come from a requirements file beside the script, or --with"
    )


def _conda(draft: Draft, environment: str, where: str) -> None:
    if HOLE in environment:
        return
    if environment.startswith("/"):
        draft.use_ready("conda", environment, f"{where} activates it")
        return
    if environment == "base":
        draft.uses_python = True
        return
    draft.uses_python = True
    draft.guess("environment.conda", environment, f"{where} activates it", Sureness.ASK)
    draft.warn_once(
        f"conda {environment}",
        f"{where} activates the conda environment {shown(environment)}: to use it as it is, say environment.conda with "
        "its full path (conda env list shows it); else its packages come from an environment.yml beside the script, "
        "or --with",
    )


def _after(words: tuple[str, ...], *options: str) -> str:
    return next((words[at + 1] for at, word in enumerate(words[:-1]) if word in options), "")
