"""Perl: the modules of CPAN that the distribution carries are libfoo-bar-perl."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages import lexis
from cluster_interface.inspection.languages.files import Verbs, Where
from cluster_interface.inspection.languages.language import Language
from cluster_interface.inspection.languages.loading import MOST_MODULES, missing
from cluster_interface.inspection.languages.perl_options import perl_options
from cluster_interface.inspection.languages.releases import newer_suite
from cluster_interface.inspection.wordlist import words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.languages.lexis import Source
    from cluster_interface.inspection.project import Project


_PERL_USE = re.compile(r"(?:^|;)[ \t]*(?:use|require|no)\s+([A-Za-z]\w*(?:::\w+)*)\b(?!-)", re.MULTILINE)
_PERL_VERSION = re.compile(r"(?:^|;)[ \t]*(?:use|require)\s+(?:v5\.(\d{1,3})|5\.(\d{3}))", re.MULTILINE)
_PERL_BASE = re.compile(r"(?:^|;)[ \t]*use\s+(?:base|parent)\b[^;]*;", re.MULTILINE)
_PRAGMA = re.compile(r"[a-z]\w*")  # strict, warnings, constant; some modules of CPAN are written so, too
_PERLS_OWN = ("perl", "libperl5")  # packages that have what comes with Perl


class Perl(Language):
    """Perl; the modules of CPAN that the distribution carries are libfoo-bar-perl."""

    def needs(self, draft: Draft, name: str, source: Source) -> None:
        """Add the packages of the modules that are used."""
        where = Where(draft, name)
        if found := _PERL_VERSION.search(source.code):
            newer_suite(draft, "Perl", f"5.{int(found[1] or found[2])}", name)
        archive = draft.software.archive
        for module, place in list(_perl_modules(source))[:MOST_MODULES]:
            path = f"{module.replace('::', '/')}.pm"
            if _perl_file(draft.project, name, path):
                continue
            if packages := archive.path("perl", path):
                if not any(package.startswith(_PERLS_OWN) for package in packages):
                    draft.add_system(packages[0], f"use {module}, {where(source.line(place))}")
            elif not _PRAGMA.fullmatch(module):
                missing(draft, module, where(source.line(place)), "Perl")

    def local(self, project: Project, name: str, source: Source) -> Iterable[str]:
        """Name the project's own modules."""
        found = (_perl_file(project, name, f"{m.replace('::', '/')}.pm") for m, _ in _perl_modules(source))
        return [file for file in found if file]


def _perl_modules(source: Source) -> list[tuple[str, int]]:
    found = [(match[1], match.start()) for match in _PERL_USE.finditer(source.code)]
    for match in _PERL_BASE.finditer(source.text):
        found += [(name, match.start()) for name in re.findall(r"[A-Z]\w*(?:::\w+)*", match[0])]
    return found


def _perl_file(project: Project, name: str, path: str) -> str | None:
    beside = posixpath.dirname(name)
    places = (posixpath.join(beside, "lib", path), posixpath.join(beside, path), f"lib/{path}", path)
    return next((place for place in places if place in project), None)


LANGUAGE = Perl(
    says="Perl (.pl)",
    suffixes=(".pl", ".pm", ".perl"),
    lexis=lexis.PERL,
    verbs=Verbs(
        reads=words("require do slurp read_file parse_file -e -f"),
        writes=words("write_file spew"),
        opens=words("open"),
        makes=words("mkdir make_path mkpath"),
        joins=words("catfile catdir"),
    ),
    packages=("perl",),
    program=("perl",),
    declares=perl_options,
    interpreters=frozenset({"perl"}),
)
