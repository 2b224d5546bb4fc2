"""Octave and MATLAB: Octave's packages in the distribution are octave-foo."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages import lexis
from cluster_interface.inspection.languages.files import Verbs
from cluster_interface.inspection.languages.loading import Loading
from cluster_interface.inspection.wordlist import words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.languages.lexis import Source
    from cluster_interface.inspection.project import Project


class Octave(Loading):
    """Octave and MATLAB; Octave's packages in the distribution are octave-foo."""

    complains = True

    def modules(self, source: Source) -> Iterable[tuple[str, int]]:
        """Yield what `pkg load` names."""
        for found in re.finditer(r"^[ \t]*pkg[ \t]+load[ \t]+([\w \t-]+)", source.code, re.MULTILINE):
            yield from ((name, source.line(found.start())) for name in found[1].split())
        for text in source.texts:
            if re.search(r"\bpkg\s*\(\s*\"\s*\"\s*,\s*$", text.before):
                yield text.value, text.line

    def packages_of(self, draft: Draft, module: str) -> tuple[str, ...]:
        """List the packages of an Octave package."""
        return draft.software.archive.find("octave", module)

    def local(self, project: Project, name: str, source: Source) -> Iterable[str]:
        """Name the functions beside the script that it calls: each is a file of its own name."""
        home = posixpath.dirname(name)
        called = set(re.findall(r"[A-Za-z]\w*", source.code))
        paths = (posixpath.join(home, f"{word}.m") for word in sorted(called))
        return [path for path in paths if path in project and path != name]


LANGUAGE = Octave(
    says="Octave or MATLAB (.m)",
    suffixes=(".m",),
    lexis=lexis.OCTAVE,
    verbs=Verbs(
        reads=words("load csvread dlmread importdata textread xlsread imread readtable readmatrix audioread fileread"),
        writes=words(
            "save csvwrite dlmwrite print saveas imwrite xlswrite writetable writematrix diary audiowrite "
            "exportgraphics"
        ),
        opens=words("fopen"),
        joins=words("fullfile"),
        makes=words("mkdir"),
    ),
    packages=("octave",),
    program=("octave-cli", "--no-window-system"),
    interpreters=frozenset({"octave", "octave-cli"}),
)
