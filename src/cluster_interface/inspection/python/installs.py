"""What shell lines install: `pip install`, and of notebooks `%pip install`, `!apt-get install`, `%conda install`."""

from __future__ import annotations

import itertools
import posixpath
import re
import shlex
from typing import TYPE_CHECKING

from cluster_interface.inspection.python.conda_files import of_conda
from cluster_interface.inspection.python.indexes import of_words, propose_indexes
from cluster_interface.inspection.python.requirements import is_requirement, read_requirements_file
from cluster_interface.inspection.python.stated import Need
from cluster_interface.inspection.wordlist import words as words_of
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.python.notebook import Command

_WITH_VALUE = words_of(
    "-i --index-url --extra-index-url -f --find-links -t --target --trusted-host --proxy --timeout -c --constraint "
    "--channel -n --name --progress-bar -e --editable --python --prefix --root --upgrade-strategy -C --config-settings "
    "--config-setting --global-option --build-option --platform --python-version --implementation --abi --no-binary "
    "--only-binary --src --log --cache-dir --cert --client-cert --retries --report --exists-action --use-feature "
    "--use-deprecated --keyring-provider --build-constraint"
)
_FETCHERS = frozenset({"wget", "curl", "gdown", "git", "kaggle", "aws", "gsutil", "huggingface-cli"})
_SYSTEM = frozenset({"apt", "apt-get", "aptitude"})
_CONDA = frozenset({"conda", "mamba", "micromamba"})
_INSTALLER = re.compile(
    r"\s*(?:sudo\s+(?:-\S+\s+)*)?(?:\S*(?:python|executable)\S*\s+-m\s+)?"
    r"(?:uv\s+)?(?:pip[0-9.]*|conda|mamba|micromamba|uv|apt|apt-get|aptitude)\b"
)
_DEBIAN = re.compile(r"[a-z0-9][a-z0-9+.-]+")


def read_installs(draft: Draft, commands: Sequence[Command]) -> list[Need]:
    """Add system packages and the wish for the network to the draft; return the Python packages."""
    needs: list[Need] = []
    for command in commands:
        where = f"line {command.line}"
        for part in re.split(r"&&|\|\||;|\n", command.text):
            try:
                words = shlex.split(part, comments=True)
            except ValueError:
                continue
            needs += _one(draft, _without_prefix(words), where)
    if needs:
        draft.warn_once("pip", "its lines that install packages do nothing in the job: the packages are there already")
    return needs


def is_install(text: str) -> bool:
    """Say whether a line is about installing: its program is not there in the job, nor needed."""
    return _INSTALLER.match(text) is not None


def _without_prefix(words: list[str]) -> list[str]:
    """Drop what stands before the program: sudo, variables, `python -m`."""
    while words and (words[0] in ("sudo", "yes", "|", "time", "-H", "-E") or re.match(r"\w+=", words[0])):
        words = words[1:]
    if len(words) > 2 and words[1] == "-m" and ("python" in words[0] or "executable" in words[0]):
        words = words[2:]
    if words[:2] == ["uv", "pip"] or words[:2] == ["uv", "add"]:
        words = ["pip", "install", *words[2:]] if words[1] == "add" else words[1:]
    return words


def _one(draft: Draft, words: list[str], where: str) -> list[Need]:
    if not words:
        return []
    program = posixpath.basename(words[0])
    if "install" in words[1:] and re.fullmatch(r"pip[0-9.]*", program):
        return installed_by_pip(draft, words[words.index("install") + 1 :], where)
    if "install" in words[1:] and program in _SYSTEM:
        for name in words[words.index("install") + 1 :]:
            if _DEBIAN.fullmatch(name.partition("=")[0]):
                draft.add_system(name.partition("=")[0], f"{program} install, {where}")
    elif "install" in words[1:] and program in _CONDA:
        return _conda(draft, _names(words[words.index("install") + 1 :]), where)
    elif program in _FETCHERS:
        draft.needs_network(f"{program}, {where}")
    return []


def _names(words: Sequence[str]) -> list[str]:
    found, skipped = [], False
    for word in words:
        if not skipped and not word.startswith("-"):
            found.append(word)
        skipped = word in _WITH_VALUE
    return found


def installed_by_pip(draft: Draft, words: Sequence[str], where: str) -> list[Need]:
    """Return the packages that `pip install` names, and those of its requirements files; indexes go into the draft."""
    needs: list[Need] = []
    for option, file in itertools.pairwise(words):
        if option in ("-r", "--requirement"):
            name = posixpath.normpath(posixpath.join(draft.start, file))
            if name in draft.project:
                draft.add_inputs([name], f"pip install -r, {where}", Sureness.STATED)
                needs += read_requirements_file(draft.project, name).needs
            words = [word for word in words if word not in (option, file)]
    propose_indexes(draft, of_words(words, f"pip install, {where}"))
    for name in _names(words):
        if is_requirement(name):
            needs.append(Need(name, f"pip install, {where}"))
        elif name not in (".", "./"):
            draft.warn(f"pip install, {where}: {name!r} is not a package by name and was left out")
    return needs


def _conda(draft: Draft, names: Sequence[str], where: str) -> list[Need]:
    stated = of_conda(f"conda install, {where}", names)
    for need in stated.system:
        draft.add_system(need.requirement, need.where)
    for need in stated.unsure:
        draft.warn(f"{need.where}: {need.requirement} is not well known outside conda and was left out; say --with")
    draft.warn(f"`conda` is not there in the job ({where}): where the line is %conda, take it out, for it would end it")
    return list(stated.needs)
