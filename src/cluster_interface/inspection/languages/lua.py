"""Lua: its modules in the distribution are lua-foo."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages import lexis
from cluster_interface.inspection.languages.files import Verbs
from cluster_interface.inspection.languages.loading import Loading, beside_it
from cluster_interface.inspection.wordlist import words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.languages.lexis import Source
    from cluster_interface.inspection.project import Project


class Lua(Loading):
    """Lua; its modules in the distribution are lua-foo."""

    own = words("string table math io os debug coroutine package utf8 bit32 jit ffi")

    def modules(self, source: Source) -> Iterable[tuple[str, int]]:
        """Yield what require names."""
        for text in source.texts:
            if re.search(r"\brequire\s*\(?\s*$", text.before):
                yield text.value, text.line

    def packages_of(self, draft: Draft, module: str) -> tuple[str, ...]:
        """List the packages of a module."""
        return draft.software.archive.find("lua", module.split(".", maxsplit=1)[0])

    def beside(self, project: Project, name: str, module: str) -> str | None:
        """Return the project's own file."""
        return beside_it(project, name, module.replace(".", "/"), ".lua")


LANGUAGE = Lua(
    says="Lua (.lua)",
    suffixes=(".lua",),
    lexis=lexis.LUA,
    verbs=Verbs(reads=words("io.lines dofile loadfile"), opens=words("io.open io.output io.input")),
    packages=("lua5.4",),
    program=("lua5.4",),
    interpreters=frozenset({"lua"}),
)
