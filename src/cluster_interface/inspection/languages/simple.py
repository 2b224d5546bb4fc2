"""Languages whose files one program runs or compiles: a table of them, `simple.toml`, and what a first line names."""

from __future__ import annotations

import posixpath
import re
import shlex
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import resources
from typing import TYPE_CHECKING, Any

from cluster_interface.inspection.archive.index import Archive
from cluster_interface.inspection.commands import need_command
from cluster_interface.inspection.languages.building import PLACE
from cluster_interface.inspection.languages.files import Verbs, Where
from cluster_interface.inspection.languages.language import Language
from cluster_interface.inspection.languages.lexis import Lexis
from cluster_interface.inspection.languages.loading import MOST_MODULES, beside_it, missing
from cluster_interface.inspection.project import LARGEST
from cluster_interface.inspection.rooted import found_from, named_in
from cluster_interface.inspection.shebang import Shebang, read_shebang
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from cluster_interface.inspection.archive.index import Section
    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.languages.lexis import Source
    from cluster_interface.inspection.project import Project

MOST_WRITTEN = 50  #: names of files that one program says it writes
_STRINGS = r'"(?:\\.|[^"\\\n])*"'
_NOTHING = re.compile(r"(?!x)x")


@dataclass(frozen=True, kw_only=True)
class Simple(Language):
    """A language of the table."""

    run: str = ""
    programs: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    like: re.Pattern[str] = re.compile("")
    unlike: re.Pattern[str] = _NOTHING
    module: re.Pattern[str] = _NOTHING
    writes: re.Pattern[str] = _NOTHING
    section: Section | None = None
    brings: Mapping[str, str]
    own: frozenset[str] = frozenset()
    endings: tuple[str, ...] = ()

    def detects(self, name: str, shebang: Shebang | None) -> bool:
        """Say whether the first line names the language's program or, where there is none, the name is one of its."""
        named = any(fnmatchcase(posixpath.basename(name), pattern) for pattern in self.names)
        return super().detects(name, shebang) or (named and shebang is None)

    def fits(self, text: str) -> bool:
        """Say whether a text may be of this language: others have the same ending."""
        said = re.sub(self.lexis.comments, "", text[:LARGEST], flags=re.DOTALL | re.MULTILINE)
        return bool(self.like.search(said)) and not self.unlike.search(said)

    def command(self, draft: Draft, _source: Source) -> str:
        """Return the command line."""
        file = f"./{draft.script}" if draft.script.startswith("-") else draft.script
        base = posixpath.splitext(file)[0]
        words = {"file": file, "base": base, "stem": posixpath.basename(base)}
        written = self.run.format(
            **{name: shlex.quote(word) for name, word in words.items()},
            place=PLACE,
            arguments=shlex.join(draft.arguments),
        )
        return re.sub(r" {2,}", " ", written).strip()

    def needs(self, draft: Draft, name: str, source: Source) -> None:
        """Add its program and the packages of the modules that it loads; name what it writes."""
        for program in self.programs:
            need_command(draft, program, f"{self.says} ({name})")
        where = Where(draft, name)
        for module, line in list(self._modules(source))[:MOST_MODULES]:
            if module not in self.own and not self._beside(draft.project, name, module):
                self._need(draft, module, where(line))
        for found in list(self.writes.finditer(source.text))[:MOST_WRITTEN]:
            draft.add_output(posixpath.normpath(found[1]), where(source.line(found.start())))

    def local(self, project: Project, name: str, source: Source) -> Iterable[str]:
        """Name the files that its text names, with or without an ending."""
        written = {posixpath.normpath(found[1]) for found in self.writes.finditer(source.text)}
        named = map(posixpath.normpath, found_from(project, "", named_in(project, name)))
        yield from (file for file in named if file in project and file not in written | {name})
        for text in source.texts if self.endings else ():
            for value in text.value.split(","):
                if file := beside_it(project, name, value.strip(), *self.endings):
                    yield file
        yield from (file for module, _ in self._modules(source) if (file := self._beside(project, name, module)))

    def _add(self, draft: Draft, name: str, source: Source) -> None:
        """Follow its parts too, in which there may be nothing that tells the language."""
        super()._add(draft, name, source)
        for file in self.local(draft.project, name, source):
            if file.lower().endswith(self.suffixes) and file not in draft.followed:
                draft.followed.add(file)
                self.follow(draft, file, ())

    def _modules(self, source: Source) -> Iterator[tuple[str, int]]:
        for found in self.module.finditer(source.text):
            if source.code[found.start() : found.start() + 1].strip():  # else in a comment
                for module in found[1].split(","):
                    yield module.strip(), source.line(found.start())

    def _beside(self, project: Project, name: str, module: str) -> str | None:
        return beside_it(project, name, module.replace(".", "/"), *self.endings) if module and self.endings else None

    def _need(self, draft: Draft, module: str, where: str) -> None:
        first = module.split("::", maxsplit=1)[0]
        if package := self.brings.get(first):
            draft.add_system(package, f"it loads {module}, {where}")
        elif self.section and module:
            archive = draft.software.archive
            keys = _KEYS[self.section](first)
            packages = next((found for key in keys if (found := archive.path(self.section, key))), ())
            if packages:
                draft.add_system(packages[0], f"it loads {module}, {where}")
            else:
                missing(draft, module, where, self.says)


#: how the index has a module: by files, or by a name in small letters
_KEYS: Mapping[str, Callable[[str], tuple[str, ...]]] = {
    "tex": lambda name: (f"{name}.sty", f"{name}.cls"),
    "haskell": lambda name: (name.replace(".", "/"),),
    "tcl": lambda name: (name, name.lower()),
}


class Named:
    """A script whose first line names a program that the distribution has."""

    says = "scripts whose first line names a program of the distribution"

    def detects(self, _name: str, shebang: Shebang | None) -> bool:
        """Say whether there is such a line."""
        return shebang is not None and bool(Archive().suites_with("command", shebang.interpreter))

    def uses(self, project: Project, name: str) -> frozenset[str]:
        """Name the files that its text names."""
        return frozenset(found_from(project, "", named_in(project, name))) & frozenset(project.files)

    def read(self, draft: Draft) -> None:
        """Fill the draft."""
        self.follow(draft, draft.script, draft.arguments)
        shebang = read_shebang(draft.project.text(draft.script) or "")
        words = [shebang.interpreter, *shebang.options] if shebang else []
        file = f"./{draft.script}" if draft.script.startswith("-") else draft.script
        draft.command = shlex.join([*words, file, *draft.arguments])
        draft.guess("command", draft.command, "its first line", Sureness.KNOWN)

    def follow(self, draft: Draft, name: str, _arguments: Iterable[str]) -> None:
        """Add its program and the files that it names."""
        if shebang := read_shebang(draft.project.text(name) or ""):
            need_command(draft, shebang.interpreter, f"the first line of {name}")
        draft.add_inputs(sorted(self.uses(draft.project, name)), f"{name} names it")


def _simple(entry: Mapping[str, Any]) -> Simple:
    given: dict[str, Any] = {
        key: re.compile(entry[key]) for key in ("like", "unlike", "module", "writes") if key in entry
    }
    given |= {key: tuple(entry[key]) for key in ("suffixes", "names", "packages", "endings") if key in entry}
    braces = r"|\{[^{}\n]*\}" if entry.get("section") == "tex" else ""
    return Simple(
        says=entry["says"],
        run=entry["run"],
        lexis=Lexis(entry["comments"], f"{_STRINGS}{braces}"),
        verbs=Verbs(),
        programs=tuple(entry.get("programs", entry["run"].split()[:1])),
        interpreters=frozenset(entry.get("interpreters", ())),
        section=entry.get("section"),
        brings=entry.get("brings", {}),
        own=frozenset(entry.get("own", ())),
        **given,
    )


def _table() -> tuple[Simple, ...]:
    text = resources.files(__package__).joinpath("simple.toml").read_text()
    return tuple(_simple(entry) for entry in tomllib.loads(text)["language"])


SIMPLE = _table()
SAYS = f"files of {', '.join(dict.fromkeys(one.says for one in SIMPLE))}"
NAMED = Named()
#: what runs such files where a shell script calls it
RUNNERS = frozenset(name for one in SIMPLE for name in one.interpreters)
