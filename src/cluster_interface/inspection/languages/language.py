"""A language whose files are run by one program: what is the same for all of them."""

from __future__ import annotations

import posixpath
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cluster_interface.inspection.endless import PAGES, warn_of_endless
from cluster_interface.inspection.languages.files import Verbs, Where, read_files
from cluster_interface.inspection.languages.lexis import Lexis, Source
from cluster_interface.inspection.project import LARGEST
from cluster_interface.inspection.python.files import read_arguments
from cluster_interface.inspection.python.source import normalize
from cluster_interface.inspection.rooted import named_in, where_it_starts
from cluster_interface.inspection.shebang import Shebang, read_shebang
from cluster_interface.inspection.suggestions import offer
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable, Sequence

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.project import Project
    from cluster_interface.model.proposal import Option


@dataclass(frozen=True)
class Language:
    """A language, as data; what it asks for by name is found in `needs` and `local`."""

    says: str
    suffixes: tuple[str, ...]
    lexis: Lexis
    verbs: Verbs
    packages: tuple[str, ...] = ()  #: of the distribution, always
    program: tuple[str, ...] = ()  #: what runs a file: the words before its name
    interpreters: frozenset[str] = field(default_factory=frozenset)  #: in a first line
    declares: Callable[[Source], Iterable[Option]] | None = None  #: finds the options of its command line
    serves: re.Pattern[str] | None = None  #: finds a call that starts a web server

    moves = True  #: it may be started in another directory of the job than its top

    def detects(self, name: str, shebang: Shebang | None) -> bool:
        """Say whether the first line names the language's program or, where there is none, the ending does."""
        if shebang is not None and shebang.interpreter.rstrip("0123456789.") in self.interpreters:
            return True
        return shebang is None and name.lower().endswith(self.suffixes)

    def uses(self, project: Project, name: str) -> frozenset[str]:
        """Name the other files of the project that this one names or loads."""
        source = self.source(project, name)
        named = {posixpath.normpath(text.value) for text in source.texts if text.value}
        return frozenset(file for file in named if file in project) | frozenset(self.local(project, name, source))

    def starts(self, project: Project, name: str, arguments: Sequence[str]) -> tuple[str, str]:
        """Return the directory that a file is started in, and what is found from there."""
        return where_it_starts(project, name, arguments, named_in(project, name)) if self.moves else ("", "")

    def read(self, draft: Draft) -> None:
        """Fill the draft."""
        source = self.source(draft.project, draft.script)
        self._add(draft, draft.script, source)
        read_arguments(draft, draft.arguments, draft.written(draft.arguments))
        draft.command = self.command(draft, source)
        draft.guess("command", draft.command, self.says, Sureness.KNOWN)
        if self.declares is not None:
            offer(draft, self.declares(source), f"read from {self.says}")
        if self.serves is not None and (found := self.serves.search(source.code)):
            warn_of_endless(draft, found[0].rstrip("( "), PAGES, f"line {source.line(found.start())}")

    def follow(self, draft: Draft, name: str, _arguments: Sequence[str]) -> None:
        """Add what a file needs that another one starts or loads."""
        self._add(draft, name, self.source(draft.project, name))

    def follow_text(self, draft: Draft, name: str, text: str) -> None:
        """Add what a text needs that stands in another file: `Rscript -e TEXT`."""
        self._add(draft, name, Source(normalize(text)[:LARGEST], self.lexis))

    def source(self, project: Project, name: str) -> Source:
        """Read a file; one that is too large is taken for empty."""
        text = project.text(name) or ""
        return Source(normalize(text) if len(text) <= LARGEST else "", self.lexis)

    def command(self, draft: Draft, _source: Source) -> str:
        """Return the command line."""
        shebang = read_shebang(draft.project.text(draft.script) or "")
        options = shebang.options if shebang and shebang.interpreter in self.interpreters else ()
        name = f"./{draft.script}" if draft.script.startswith("-") else draft.script
        return shlex.join([*self.program, *options, name, *draft.arguments])

    def needs(self, draft: Draft, name: str, source: Source) -> None:
        """Add what the file asks for; for most languages by names of modules."""

    def local(self, _project: Project, _name: str, _source: Source) -> Iterable[str]:
        """Name the files of the project that it loads by other than their whole names."""
        return ()

    def _add(self, draft: Draft, name: str, source: Source) -> None:
        for package in self.packages:
            draft.add_system(package, f"{name} is {self.says}")
        where = Where(draft, name)
        self.needs(draft, name, source)
        named = read_files(draft, source, self.verbs, where)
        for file in (*named, *self.local(draft.project, name, source)):
            draft.add_inputs([file], f"{name} loads it", Sureness.KNOWN)
            if posixpath.splitext(file)[1].lower() in self.suffixes:
                draft.follow(draft, file, ())
