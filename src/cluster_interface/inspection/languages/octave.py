"""Octave and MATLAB: Octave's packages in the distribution are octave-foo."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages import lexis
from cluster_interface.inspection.languages.files import Verbs
from cluster_interface.inspection.languages.loading import MOST_MODULES, Loading
from cluster_interface.inspection.languages.octave_options import octave_options
from cluster_interface.inspection.rooted import named_in, where_it_starts
from cluster_interface.inspection.wordlist import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.languages.lexis import Source
    from cluster_interface.inspection.project import Project
_CALL = re.compile(r"(?<![\w.])([A-Za-z]\w*)[ \t]*\(|@([A-Za-z]\w*)|^[ \t]*(syms)[ \t]", re.MULTILINE)
#: without a screen it has no other way to draw and to print
_DRAWING = ("gnuplot-nox", "ghostscript", "epstool", "fonts-freefont-otf")
_DRAWS = re.compile(
    r"(?<![\w.'])(?:figure|plot3?|subplot|surfc?|mesh[cz]?|contour[f3]?|histc?|histogram|bar[h3]?|scatter3?|semilog[xy]|"
    r"loglog|errorbar|area|pie3?|polar|quiver3?|stem3?|stairs|imagesc?|imshow|patch|fill|line|pcolor|ezplot|fplot|"
    r"axes|gcf|gca|print|saveas|waitbar|comet)\b(?![ \t]*=[^=])"
)
#: what stands left of `=`, without what stands in brackets, and what a function is declared with
_ASSIGNED = re.compile(
    r"""(?mx) ^[ \t]* function \b [^\n]*
    | (?:^|[;,]) [ \t]* (?: \[ [\w\ \t,~.]{1,200} \] | [A-Za-z]\w* ) (?= (?: [({.] [^=\n]{0,80} )? [ \t]* =(?!=) )"""
)
_ADDED = re.compile(r"^[ \t]*addpath[ \t]+(?![ \t(=])([\w./ \t-]+)", re.MULTILINE)
_ADDED_ALL = re.compile(r"\baddpath[ \t]*\([ \t]*genpath[ \t]*\([ \t]*(?:pwd|cd)\b")


class Octave(Loading):
    """Octave and MATLAB; Octave's packages in the distribution are octave-foo."""

    complains = True

    def needs(self, draft: Draft, name: str, source: Source) -> None:
        """Add the packages that are loaded, and load those whose functions are called: MATLAB has no `pkg load`."""
        super().needs(draft, name, source)
        if found := _DRAWS.search(source.code):
            for package in _DRAWING:
                draft.add_system(package, f"line {source.line(found.start())} calls {found[0]}")
        own = {posixpath.splitext(posixpath.basename(file))[0] for file in draft.project.files if file.endswith(".m")}
        loaded = {module for module, _ in self.modules(source)}
        for function, line in list(_called(source).items())[:MOST_MODULES]:
            packages = draft.software.archive.find("toolbox", function) if function not in own else ()
            toolbox = packages[0].removeprefix("octave-").removesuffix("-common") if packages else ""
            if packages and toolbox not in loaded:
                why = f"line {line}{'' if name == draft.script else f' of {name}'} calls {function}"
                draft.add_system(f"octave-{toolbox}", why)
                draft.first.setdefault(f"echo 'pkg load {toolbox}' >>~/.octaverc", why)

    def starts(self, project: Project, name: str, arguments: Sequence[str]) -> tuple[str, str]:
        """Count the functions beside it that it calls, too: they are found in the directory it is started in."""
        beside = [posixpath.basename(file) for file in self.local(project, name, self.source(project, name))]
        return where_it_starts(project, name, arguments, [*beside, *named_in(project, name)])

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
        """Name the functions that it calls: each is a file of its own name, beside it or on the path that it makes."""
        homes = [posixpath.dirname(name), *_added(project, source)]
        called = set(re.findall(r"[A-Za-z]\w*", source.code))
        paths = (posixpath.join(home, f"{word}.m") for word in sorted(called) for home in homes)
        others = (file for home in homes[1:] for file in project.below(home) if posixpath.dirname(file) == home)
        return dict.fromkeys(path for path in (*paths, *others) if path in project and path != name)


def _added(project: Project, source: Source) -> list[str]:
    """List the directories that `addpath` adds, with those below them where `genpath` is asked."""
    words = [found[1].split() for found in _ADDED.finditer(source.code)]
    texts = [(text.value, "genpath" in text.calls) for text in source.texts if "addpath" in text.calls]
    texts += [(word, False) for line in words for word in line]
    if _ADDED_ALL.search(source.code):
        texts.append((".", True))
    found: dict[str, None] = {}
    for text, deep in texts:
        top = posixpath.normpath(text)
        below = f"{top}/" if top != "." else ""
        found |= dict.fromkeys([top] if top in project.directories else [])
        found |= dict.fromkeys(one for one in sorted(project.directories) if deep and one.startswith(below))
    return [*found][:MOST_MODULES]


def _called(source: Source) -> dict[str, int]:
    """Return the functions that a file calls and does not have itself, and the first line where it does."""
    own = {name for found in _ASSIGNED.finditer(source.code) for name in re.findall(r"[A-Za-z]\w*", found[0])}
    found: dict[str, int] = {}
    for call in _CALL.finditer(source.code):
        name = call[1] or call[2] or call[3]
        if name not in own and name not in found:
            found[name] = source.line(call.start())
    return found


LANGUAGE = Octave(
    says="Octave or MATLAB (.m)",
    suffixes=(".m",),
    lexis=lexis.OCTAVE,
    verbs=Verbs(
        reads=words(
            "run load csvread dlmread importdata textread xlsread imread readtable readmatrix audioread fileread"
        ),
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
    declares=octave_options,
    interpreters=frozenset({"octave", "octave-cli"}),
)
