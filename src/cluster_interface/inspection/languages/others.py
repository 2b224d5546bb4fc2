"""Java, Rust and Go: compiled and run by one program from the distribution, with its packages where it has them."""

from __future__ import annotations

import posixpath
import re
import shlex
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages import lexis
from cluster_interface.inspection.languages.building import PLACE
from cluster_interface.inspection.languages.files import Verbs, Where
from cluster_interface.inspection.languages.language import Language
from cluster_interface.inspection.languages.scripting import MOST_MODULES, missing
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


_REGISTRY = "/usr/share/cargo/registry"
_CRATE_USE = re.compile(r"^[ \t]*(?:pub[ \t]+)?(?:use|extern crate)[ \t]+(?:::)?(\w+)", re.MULTILINE)
_MOD = re.compile(r"^[ \t]*(?:pub(?:\([^)]*\))?[ \t]+)?mod[ \t]+(\w+)[ \t]*;", re.MULTILINE)
_CARGO_DEPENDS = re.compile(
    r"^\[(?:dependencies|build-dependencies)\][ \t]*\n(.*?)(?=^\[|\Z)", re.MULTILINE | re.DOTALL
)


class Rust(Language):
    """Rust: one file by rustc; a cargo project with the crates that the distribution has, without the network."""

    def needs(self, draft: Draft, name: str, source: Source) -> None:
        """Add the crates' packages."""
        where = Where(draft, name)
        if cargo := _above(draft.project, name, "Cargo.toml"):
            draft.add_system("cargo", f"{cargo} is there")
            draft.add_inputs([cargo], "cargo reads it")
            for block in _CARGO_DEPENDS.findall(draft.project.text(cargo) or ""):
                for crate in re.findall(r"^([\w-]+)[ \t]*(?:=|\.)", block, re.MULTILINE):
                    if packages := draft.software.archive.find("rust", crate.replace("_", "-")):
                        draft.add_system(packages[0], f"{cargo} depends on it")
                    else:
                        missing(draft, crate, cargo, "Rust")
            return
        own = {
            *_MOD.findall(source.code),
            *re.findall(r"\bmod[ \t]+(\w+)", source.code),
            "std",
            "core",
            "alloc",
            "crate",
            "self",
            "super",
        }
        for found in _CRATE_USE.finditer(source.code):
            if (
                found[1] not in own
                and found[1][0].islower()
                and not re.search(rf"\benum[ \t]+{found[1]}\b", source.code)
            ):
                draft.warn_once(
                    f"crate {found[1]}",
                    f"{where(source.line(found.start()))} uses the crate {found[1]}: rustc alone finds none; hand over "
                    "the directory with its Cargo.toml",
                )

    def local(self, project: Project, name: str, source: Source) -> Iterable[str]:
        """Name the files of its modules."""
        home, stem = posixpath.split(posixpath.splitext(name)[0])
        places = [home, posixpath.join(home, stem)]
        for module in _MOD.findall(source.code):
            for place in places:
                for path in (posixpath.join(place, f"{module}.rs"), posixpath.join(place, module, "mod.rs")):
                    if path in project:
                        yield path

    def command(self, draft: Draft, _source: Source) -> str:
        """Return the command line that compiles and runs."""
        if cargo := _above(draft.project, draft.script, "Cargo.toml"):
            text = draft.project.text(cargo) or ""
            found = re.search(r"^\[package\].*?^name[ \t]*=[ \t]*\"([\w-]+)\"", text, re.MULTILINE | re.DOTALL)
            program = found[1] if found else "main"
            settings = ('source.crates-io.replace-with="debian"', f'source.debian.directory="{_REGISTRY}"')
            options = (
                [word for one in settings for word in ("--config", one)]
                if any(package.startswith("librust-") for package in draft.system)
                else []
            )
            build = shlex.join(
                [
                    "cargo",
                    "build",
                    "--release",
                    "--offline",
                    "--manifest-path",
                    cargo,
                    "--target-dir",
                    f"{PLACE}/target",
                    *options,
                ]
            )
            return f"{build} && {shlex.join([f'{PLACE}/target/release/{program}', *draft.arguments])}"
        program = f"{PLACE}/{posixpath.splitext(posixpath.basename(draft.script))[0]}"
        build = shlex.join(["rustc", "-O", "-o", program, draft.script])
        return f"{build} && {shlex.join([program, *draft.arguments])}"


def _above(project: Project, name: str, wanted: str) -> str | None:
    """Return the nearest file of a name in the directories above."""
    home = posixpath.dirname(name)
    while True:
        if (path := posixpath.join(home, wanted)) in project:
            return path
        if not home:
            return None
        home = posixpath.dirname(home)


class Go(Language):
    """Go: packages of the distribution lie below /usr/share/gocode."""

    def needs(self, draft: Draft, name: str, source: Source) -> None:
        """Add the packages that have what is imported."""
        where = Where(draft, name)
        module = re.search(
            r"^module[ \t]+(\S+)", draft.project.text(_above(draft.project, name, "go.mod") or "") or "", re.MULTILINE
        )
        own = module[1] if module else "\0"
        for text, imported in _go_imports(source):
            if "." not in imported.split("/")[0] or imported.startswith(own):
                continue
            if packages := draft.software.archive.path("go", imported):
                draft.add_system(packages[0], f"import {imported}, {where(text)}")
                draft.variables.setdefault("GOPATH", "/usr/share/gocode")
                draft.variables.setdefault("GO111MODULE", "off")
            else:
                missing(draft, imported, where(text), "Go")

    def local(self, project: Project, name: str, _source: Source) -> Iterable[str]:
        """Name the other files of its directory and what go.mod is above it."""
        home = posixpath.dirname(name)
        beside = [file for file in project.files if file.endswith(".go") and posixpath.dirname(file) == home]
        if module := _above(project, name, "go.mod"):
            return [
                file for file in project.below(posixpath.dirname(module)) if file.endswith((".go", "go.mod", "go.sum"))
            ]
        return [
            file
            for file in beside
            if file != name
            and not file.endswith("_test.go")
            and _is_main(project, name)
            and "func main(" not in (project.text(file) or "")
        ]

    def command(self, draft: Draft, source: Source) -> str:
        """Return the command line that compiles and runs."""
        home = posixpath.dirname(draft.script)
        program = f"{PLACE}/{posixpath.splitext(posixpath.basename(draft.script))[0]}"
        files = [
            draft.script,
            *(
                file
                for file in self.local(draft.project, draft.script, source)
                if file.endswith(".go")
                and posixpath.dirname(file) == home
                and not file.endswith("_test.go")
                and file != draft.script
            ),
        ]
        flags = (
            "GOCACHE=/tmp/go-cache GOFLAGS=-mod=mod GOTOOLCHAIN=local"
            if draft.variables.get("GO111MODULE") != "off"
            else "GOCACHE=/tmp/go-cache"
        )
        return (
            f"{flags} {shlex.join(['go', 'build', '-o', program, *files])} && {shlex.join([program, *draft.arguments])}"
        )


def _is_main(project: Project, name: str) -> bool:
    return bool(re.search(r"^package[ \t]+main\b", project.text(name) or "", re.MULTILINE))


def _go_imports(source: Source) -> Iterable[tuple[int, str]]:
    for text in source.texts:
        if "import" in text.calls or re.search(r"\bimport\s+(?:\w+\s+)?$", text.before):
            yield text.line, text.value


JAVA = Java(
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
RUST = Rust(
    says="Rust (.rs)",
    suffixes=(".rs",),
    lexis=lexis.RUST,
    verbs=Verbs(
        reads=words("open read_to_string read read_dir"),
        writes=words("create write"),
        makes=words("create_dir create_dir_all"),
    ),
    packages=("rustc",),
)
GO = Go(
    says="Go (.go)",
    suffixes=(".go",),
    lexis=lexis.GO,
    verbs=Verbs(
        reads=words("os.Open os.ReadFile ioutil.ReadFile Open ReadFile"),
        writes=words("os.Create os.WriteFile Create WriteFile"),
        opens=words("os.OpenFile"),
        joins=words("filepath.Join path.Join"),
        makes=words("os.Mkdir os.MkdirAll"),
    ),
    packages=("golang-go",),
)
