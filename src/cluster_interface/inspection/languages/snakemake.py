"""Workflows of Snakemake: what its rules call, the scripts and files that they name, what is imported at the top.

The language: https://snakemake.readthedocs.io/en/stable/snakefiles/rules.html
"""

from __future__ import annotations

import posixpath
import re
import shlex
from bisect import bisect_right
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages import lexis
from cluster_interface.inspection.languages.files import Verbs, Where
from cluster_interface.inspection.languages.language import Language
from cluster_interface.inspection.shell.reader import Reader
from cluster_interface.inspection.shell.words import HOLE
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.languages.lexis import Source, Text
    from cluster_interface.inspection.project import Project

MOST_RULES = 1000  #: texts of one workflow that are read
CUSTOMARY = ("Snakefile", "workflow/Snakefile")  #: what snakemake itself looks for
_DIRECTIVE = re.compile(r"^[ \t]*(?:([a-z_]+)[ \t]*:(?!=)|(?:rule|checkpoint|module)\b[^:\n]*:)", re.MULTILINE)
_WILDCARD = re.compile(r"\{[^{}]*\}|\*")
_IMPORT = re.compile(r"^(?:import|from)[ \t]+[\w.]+.*$", re.MULTILINE)
_CORES = re.compile(r"--(?:cores|jobs)(?:=.*)?|-[cj]\d*|--(?:dry-run|dag|list|lint)|-n")
_WRITING = frozenset({"output", "log", "benchmark", "message"})  #: what is named there is no input
_STARTED = frozenset({"script", "notebook"})
_RUN_BY = {".py": "python", ".r": "Rscript", ".jl": "julia", ".sh": "bash"}
_NOT_TAKEN = {
    "conda": "environments of rules are not made in the container: what the rules call comes from the distribution",
    "container": "images of rules are not taken in the container: what the rules call comes from the distribution",
    "singularity": "images of rules are not taken in the container: what the rules call comes from the distribution",
    "wrapper": "wrappers are fetched as the workflow runs, which needs --network, and bring environments of their own",
}


class Snakemake(Language):
    """A workflow."""

    def detects(self, name: str, shebang: object) -> bool:
        """Say whether a file is called as workflows are."""
        return shebang is None and (posixpath.basename(name) == "Snakefile" or name.lower().endswith(self.suffixes))

    def starts(self, project: Project, name: str, arguments: Sequence[str]) -> tuple[str, str]:
        """Return the directory that it is started in: above `workflow/`, as projects are laid out."""
        home = posixpath.dirname(name)
        if posixpath.basename(home) == "workflow":
            return posixpath.dirname(home), name
        return super().starts(project, name, arguments)

    def command(self, draft: Draft, _source: Source) -> str:
        """Return the command line: as many cores as the job has."""
        cores = [] if any(_CORES.fullmatch(word) for word in draft.arguments) else ['--cores "$CLIF_CPUS"']
        file = [] if draft.script in CUSTOMARY else ["--snakefile", draft.script]
        return " ".join(["snakemake", *cores, shlex.join([*file, *draft.arguments])]).strip()

    def local(self, project: Project, name: str, source: Source) -> Iterable[str]:
        """Name the files that its rules name: its own parts and scripts as seen from it, data from the top."""
        for directive, text in _told(source):
            yield from _files(project, name, directive, text.value)

    def _add(self, draft: Draft, name: str, source: Source) -> None:
        draft.add_package("snakemake", f"{name} is {self.says}", Sureness.KNOWN)
        where = Where(draft, name)
        reader = Reader(draft)
        if imports := "\n".join(_IMPORT.findall(source.code)):
            reader.read_python(imports, f"the top of {name}")
        for directive, text in _told(source):
            said = where(text.line)
            if directive == "shell":
                reader.read_text(_WILDCARD.sub(HOLE, _plain(text.value)), draft.script, at=text.line - 1)
            elif directive == "output" and "\n" not in text.value:
                draft.add_output(_WILDCARD.sub("*", text.value), said)
            elif directive in _NOT_TAKEN:
                draft.warn_once(f"snakemake {directive}", f"{said}: {_NOT_TAKEN[directive]}")
            else:
                for file in _files(draft.project, name, directive, text.value):
                    draft.add_inputs([file], f"{said} names it")
                    if directive == "include":
                        draft.follow(draft, file, ())
                    elif directive in _STARTED and (program := _RUN_BY.get(posixpath.splitext(file)[1].lower())):
                        reader.read_text(f"{program} {shlex.quote(file)}", draft.script, at=text.line - 1)
        reader.finish()


def _told(source: Source) -> Iterator[tuple[str, Text]]:
    """Yield each text with the directive that it belongs to: `input:`, `shell:`; empty outside of all."""
    found = [(one.start(), one[1] or "") for one in _DIRECTIVE.finditer(source.code)]
    starts = [start for start, _ in found]
    for text in source.texts[:MOST_RULES]:
        at = bisect_right(starts, text.start)
        yield (found[at - 1][1] if at else ""), text


def _files(project: Project, name: str, directive: str, value: str) -> list[str]:
    """List the files of the project that a text names; wildcards of inputs stand for anything."""
    if directive in _WRITING or "\n" in value or not value.strip("*./"):
        return []
    home = posixpath.dirname(name) if directive in (*_STARTED, "include") else ""
    path = posixpath.normpath(posixpath.join(home, value))
    if path in project:
        return [path]
    pattern = _WILDCARD.sub("*", path)
    varies = directive == "input" and "*" in pattern and pattern.strip("*./")
    return project.matching(pattern) if varies else []


def _plain(text: str) -> str:
    """Write doubled braces, which are none of wildcards, as parentheses: what is called stays the same."""
    return text.replace("{{", "(").replace("}}", ")")


WORKFLOW = Snakemake(
    says="a Snakemake workflow (Snakefile, .smk)", suffixes=(".smk",), lexis=lexis.PYTHON, verbs=Verbs()
)
