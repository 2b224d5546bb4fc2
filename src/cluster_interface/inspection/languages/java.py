"""Java: the jars of the distribution lie below /usr/share/java."""

from __future__ import annotations

import posixpath
import re
import shlex
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages import lexis
from cluster_interface.inspection.languages.building import PLACE
from cluster_interface.inspection.languages.files import Verbs, Where
from cluster_interface.inspection.languages.java_options import java_options
from cluster_interface.inspection.languages.language import Language
from cluster_interface.inspection.languages.loading import MOST_MODULES, above, missing
from cluster_interface.inspection.languages.releases import newer_suite
from cluster_interface.inspection.wordlist import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.languages.lexis import Source
    from cluster_interface.inspection.project import Project


_IMPORT = re.compile(
    r"^[ \t]*import[ \t]+(?:static[ \t]+([\w.]+)\.(?:\w+|\*)|([\w.]+?)(\.\*)?)[ \t]*(?:;|$)", re.MULTILINE
)
_PACKAGE = re.compile(r"^[ \t]*package[ \t]+([\w.]+)", re.MULTILINE)
_RELEASE = re.compile(r"<(?:maven\.compiler\.(?:release|source|target)|release|source|target|java\.version)>(\d{1,3})<")
_MAIN = re.compile(r"\bstatic\s+(?:final\s+)?void\s+main\b")
_CLASS = re.compile(r"[{}]|\b(?:class|enum|record|interface)[ \t]+(\w+)")
_LATIN, _WIDER = re.compile("[\x80-\xff]"), re.compile("[^\x00-\xff]")
MOST_TOGETHER = 200  #: files that are compiled into one program
MOST_DOUBTFUL = 20  #: of them, whose encoding is looked at
_JAVAS = ("java.", "javax.", "jdk.", "sun.", "com.sun.")


class Java(Language):
    """Java; the jars of the distribution lie below /usr/share/java."""

    moves = False  # what it is a part of is looked for above it

    def needs(self, draft: Draft, name: str, source: Source) -> None:
        """Add the packages of the jars that have what is imported."""
        where = Where(draft, name)
        if pom := above(draft.project, name, "pom.xml"):
            asked = [int(found) for found in _RELEASE.findall(draft.project.text(pom) or "")]
            newer_suite(draft, "Java", f"{max(asked, default=0)}.0", pom)
        own = {
            posixpath.splitext(posixpath.basename(file))[0] for file in draft.project.files if file.endswith(".java")
        }
        for found in list(_IMPORT.finditer(source.code))[:MOST_MODULES]:
            imported, line = found[1] or found[2], where(source.line(found.start()))
            if f"{imported}.".startswith(_JAVAS) or imported.rpartition(".")[2] in own:
                continue
            if found[3] and _of_package(draft.project, _root(posixpath.dirname(name), source), imported):
                continue
            if packages := _jar(draft, imported):
                draft.add_system(packages[0], f"import {imported}, {line}")
            else:
                missing(draft, imported, line, "Java")

    def local(self, project: Project, name: str, source: Source) -> Iterable[str]:
        """Name the classes beside it, and those of its own packages."""
        home = posixpath.dirname(name)
        words_ = set(re.findall(r"[A-Z]\w*", source.code))
        beside = [posixpath.join(home, f"{word}.java") for word in sorted(words_)]
        root = _root(home, source)
        imported: list[str] = []
        for found in list(_IMPORT.finditer(source.code))[:MOST_MODULES]:
            if found[3]:
                imported += _of_package(project, root, found[2])
            else:
                imported.append(_of_class(project, root, found[1] or found[2]))
        return [file for file in dict.fromkeys((*beside, *imported)) if file in project and file != name]

    def command(self, draft: Draft, source: Source) -> str:
        """Return the command line: a single file is run as it is, several are compiled first."""
        jars = any(package.startswith("lib") and package.endswith("-java") for package in draft.system)
        path = "/usr/share/java/*" if jars else ""
        package = _PACKAGE.search(source.code)
        sources = self._together(draft.project, draft.script, source)
        files = [*sources]
        encoding = _encoding(draft.project, files)
        name = _main_class(draft.script, source)
        is_first = name == next((one for _, one in _outermost(source.code)), name)  # which is what java alone starts
        if len(files) == 1 and not package and not encoding and is_first:
            return shlex.join(["java", *(["-cp", path] if path else []), draft.script, *draft.arguments])
        home = posixpath.dirname(draft.script)
        root = _root(home, source)
        if not package or root != home:  # else its package's directories are above: javac is told of every file
            files = files[:1]
        main = f"{package[1]}.{name}" if package else name
        extra = f":{path}" if path else ""
        roots = dict.fromkeys(_root(posixpath.dirname(one), text) or "." for one, text in sources.items())
        words = ["javac", "-d", f"{PLACE}/classes", "-cp", f"{':'.join(roots)}{extra}"]
        build = " ".join([shlex.join(words), *encoding, shlex.join(files)])
        beside = [one.replace("src/main/java", "src/main/resources") for one in roots if "src/main/java" in one]
        data = [one for one in beside if one in draft.project.directories]
        for one in data:
            draft.add_inputs(draft.project.below(one), "it lies where Java looks for what a program brings along")
        classes = ":".join([f"{PLACE}/classes", *data])
        return f"{build} && {shlex.join(['java', '-cp', f'{classes}{extra}', main, *draft.arguments])}"

    def _together(self, project: Project, name: str, source: Source) -> dict[str, Source]:
        """Read a file and those of the project that it takes to compile it."""
        found = {name: source}
        for one in _growing(found):
            for other in self.local(project, one, found[one]):
                if other not in found and len(found) < MOST_TOGETHER:
                    found[other] = self.source(project, other)
        return found


def _growing(found: dict[str, Source]) -> Iterator[str]:
    """Yield the names in a dictionary, those that are added meanwhile as well."""
    at = 0
    while at < len(found):
        yield list(found)[at]
        at += 1


def _of_class(project: Project, root: str, imported: str) -> str:
    """Name the file of a class: from where the package names begin, or in another module of the project."""
    path = f"{imported.replace('.', '/')}.java"
    own = posixpath.join(root, path)
    others = (file for file in project.files if file.endswith(f"/{path}"))
    return own if own in project else next(others, own)


def _of_package(project: Project, root: str, package: str) -> list[str]:
    """List the files of a package of the project."""
    home = posixpath.join(root, package.replace(".", "/"))
    return [file for file in project.below(home) if file.endswith(".java") and posixpath.dirname(file) == home]


def _main_class(script: str, source: Source) -> str:
    """Name the class that is started: the outermost one that has `main`, else the one called like the file."""
    stem = posixpath.splitext(posixpath.basename(script))[0]
    outermost = _outermost(source.code)
    mains = [found.start() for found in _MAIN.finditer(source.code)]
    having = [[name for at, name in outermost if at < main][-1:] for main in mains]
    named = [one[0] for one in having if one]
    return stem if stem in named or not named else named[0]


def _outermost(code: str) -> list[tuple[int, str]]:
    """List the classes that lie in no other, and where."""
    depth, found = 0, []
    for sign in _CLASS.finditer(code):
        depth += {"{": 1, "}": -1}.get(sign[0], 0)
        if sign[1] and not depth:
            found.append((sign.start(), sign[1]))
    return found


def _encoding(project: Project, files: list[str]) -> list[str]:
    """Return the words that tell javac of Latin-1, where a source may be in it: that is seen when it is compiled."""
    doubtful = [name for name in files if _LATIN.search(text := project.text(name) or "") and not _WIDER.search(text)]
    tests = [f"iconv -f UTF-8 -t UTF-8 {shlex.quote(name)}" for name in doubtful[:MOST_DOUBTFUL]]
    return [f"$({' && '.join(tests)} >{PLACE}/as-utf-8 2>&1 || echo -encoding ISO-8859-1)"] if tests else []


def _root(home: str, source: Source) -> str:
    """Return the directory that package names begin at."""
    if found := _PACKAGE.search(source.code):
        path = found[1].replace(".", "/")
        if home == path or home.endswith(f"/{path}"):
            return home.removesuffix(path).rstrip("/")
    return home


def _jar(draft: Draft, imported: str) -> tuple[str, ...]:
    """Find the artifact whose group and name fit a package's name: org.apache.commons.math3 -> …/commons-math3."""
    parts = imported.split(".")
    archive = draft.software.archive
    for end in range(len(parts), 1, -1):
        for cut in range(end - 1, 0, -1):
            group, rest = "/".join(parts[:cut]), parts[cut:end]
            for artifact in dict.fromkeys(
                [*rest[::-1], "-".join(rest), "-".join(parts[cut - 1 : end]), parts[cut - 1]]
            ):
                if found := archive.below("maven", f"{group}/{artifact}/"):
                    return found
    return ()


LANGUAGE = Java(
    says="Java (.java)",
    suffixes=(".java",),
    lexis=lexis.C,
    verbs=Verbs(
        reads=words(
            "FileReader FileInputStream Scanner File newBufferedReader readAllLines readAllBytes readString lines"
        ),
        writes=words("FileWriter FileOutputStream PrintWriter PrintStream newBufferedWriter writeString"),
        joins=words("Paths.get Path.of"),
        makes=words("createDirectories createDirectory mkdirs"),
    ),
    packages=("default-jdk-headless",),
    program=("java",),
    declares=java_options,
    interpreters=frozenset({"java"}),
)
