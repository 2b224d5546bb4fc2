"""Java: the jars of the distribution lie below /usr/share/java."""

from __future__ import annotations

import posixpath
import re
import shlex
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages import lexis
from cluster_interface.inspection.languages.building import PLACE
from cluster_interface.inspection.languages.files import Verbs, Where
from cluster_interface.inspection.languages.language import Language
from cluster_interface.inspection.languages.loading import MOST_MODULES, missing
from cluster_interface.inspection.wordlist import words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.languages.lexis import Source
    from cluster_interface.inspection.project import Project


_IMPORT = re.compile(r"^[ \t]*import[ \t]+(?:static[ \t]+)?([\w.]+)", re.MULTILINE)
_PACKAGE = re.compile(r"^[ \t]*package[ \t]+([\w.]+)", re.MULTILINE)
_JAVAS = ("java.", "javax.", "jdk.", "sun.", "com.sun.")


class Java(Language):
    """Java; the jars of the distribution lie below /usr/share/java."""

    def needs(self, draft: Draft, name: str, source: Source) -> None:
        """Add the packages of the jars that have what is imported."""
        where = Where(draft, name)
        own = {
            posixpath.splitext(posixpath.basename(file))[0] for file in draft.project.files if file.endswith(".java")
        }
        for found in list(_IMPORT.finditer(source.code))[:MOST_MODULES]:
            imported, line = found[1], where(source.line(found.start()))
            if imported.startswith(_JAVAS) or imported.rpartition(".")[2] in own:
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
        imported = [posixpath.join(root, f"{one.replace('.', '/')}.java") for one in _IMPORT.findall(source.code)]
        return [file for file in (*beside, *imported) if file in project and file != name]

    def command(self, draft: Draft, source: Source) -> str:
        """Return the command line: a single file is run as it is, several are compiled first."""
        jars = any(package.startswith("lib") and package.endswith("-java") for package in draft.system)
        path = "/usr/share/java/*" if jars else ""
        if not list(self.local(draft.project, draft.script, source)) and not _PACKAGE.search(source.code):
            return shlex.join(["java", *(["-cp", path] if path else []), draft.script, *draft.arguments])
        home = posixpath.dirname(draft.script)
        root = _root(home, source) or "."
        package = _PACKAGE.search(source.code)
        name = posixpath.splitext(posixpath.basename(draft.script))[0]
        main = f"{package[1]}.{name}" if package else name
        extra = f":{path}" if path else ""
        build = shlex.join(["javac", "-d", f"{PLACE}/classes", "-cp", f"{root}{extra}", draft.script])
        return f"{build} && {shlex.join(['java', '-cp', f'{PLACE}/classes{extra}', main, *draft.arguments])}"


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
    interpreters=frozenset({"java"}),
)
