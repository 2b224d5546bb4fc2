"""Perl, Ruby, JavaScript, Octave, Julia and Lua: modules by name, each to the distribution's package that has it."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages import lexis
from cluster_interface.inspection.languages.files import Verbs, Where
from cluster_interface.inspection.languages.language import Language
from cluster_interface.inspection.wordlist import words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.languages.lexis import Source
    from cluster_interface.inspection.project import Project

MOST_MODULES = 300


def missing(draft: Draft, what: str, where: str, language: str) -> None:
    """Say that no package of the distribution has a module."""
    draft.warn_once(
        f"{language} {what}",
        f"{where} needs the {language} module {what}, which no package of Debian {draft.software.suite} has: bring it "
        "among the files, or say --system PACKAGE if one has it under another name",
    )


# --- Perl


class Perl(Language):
    """Perl; the modules of CPAN that the distribution carries are libfoo-bar-perl."""

    def needs(self, draft: Draft, name: str, source: Source) -> None:
        """Add the packages of the modules that are used."""
        where = Where(draft, name)
        archive = draft.software.archive
        for module, place in list(_perl_modules(source))[:MOST_MODULES]:
            path = f"{module.replace('::', '/')}.pm"
            if _PERL_OWN.fullmatch(module) or _perl_file(draft.project, name, path):
                continue
            if packages := archive.path("perl", path):
                if packages[0] not in ("perl", "perl-base"):
                    draft.add_system(packages[0], f"use {module}, {where(source.line(place))}")
            elif not any(archive.find("perl", key) for key in (f"{path[:-3]}/",)) and not _is_perls_own(module):
                missing(draft, module, where(source.line(place)), "Perl")

    def local(self, project: Project, name: str, source: Source) -> Iterable[str]:
        """Name the project's own modules."""
        found = (_perl_file(project, name, f"{m.replace('::', '/')}.pm") for m, _ in _perl_modules(source))
        return [file for file in found if file]


_PERL_USE = re.compile(r"^[ \t]*(?:use|require|no)\s+([A-Z][\w]*(?:::\w+)*)", re.MULTILINE)
_PERL_BASE = re.compile(r"^[ \t]*use\s+(?:base|parent)\b[^;]*;", re.MULTILINE)
_PERL_OWN = re.compile(r"[a-z]\w*")  # pragmas: strict, warnings, constant
#: the first names of Perl's own modules (perlmodlib); others of the same family are found in the index before these
_PERLS_FAMILIES = words(
    "AnyDBM_File App Archive Attribute AutoLoader AutoSplit B Benchmark Carp Class Compress Config Cwd DB_File Data "
    "Devel Digest DirHandle Dumpvalue DynaLoader Encode English Env Errno Exporter ExtUtils Fatal Fcntl File "
    "FileCache FileHandle Filter FindBin GDBM_File Getopt Hash HTTP I18N IO IPC JSON List Locale MIME Math Memoize "
    "Module NEXT Net O ODBM_File Opcode POSIX Params Parse Perl PerlIO Pod SDBM_File Safe Scalar Search SelectSaver "
    "SelfLoader Socket Storable Sub Symbol Sys TAP Term Test Text Thread Tie Time UNIVERSAL Unicode User XSLoader"
)
_NOT_PERLS = words(
    "JSON JSON::XS File::Slurp Text::CSV Math::GSL Test::Deep Data::Printer List::MoreUtils Time::Moment"
)


def _is_perls_own(module: str) -> bool:
    return module.split("::", maxsplit=1)[0] in _PERLS_FAMILIES and module not in _NOT_PERLS


def _perl_modules(source: Source) -> list[tuple[str, int]]:
    found = [(match[1], match.start()) for match in _PERL_USE.finditer(source.code)]
    for match in _PERL_BASE.finditer(source.text):
        found += [(name, match.start()) for name in re.findall(r"[A-Z]\w*(?:::\w+)*", match[0])]
    return found


def _perl_file(project: Project, name: str, path: str) -> str | None:
    beside = posixpath.dirname(name)
    places = (posixpath.join(beside, "lib", path), posixpath.join(beside, path), f"lib/{path}", path)
    return next((place for place in places if place in project), None)


PERL = Perl(
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
    interpreters=frozenset({"perl"}),
)


# --- languages whose modules are named in strings or after one word


class Loading(Language):
    """A language that loads modules by their first name, from one section of the index."""

    def needs(self, draft: Draft, name: str, source: Source) -> None:
        """Add the packages of the modules that are loaded."""
        where = Where(draft, name)
        for module, line in list(self.modules(source))[:MOST_MODULES]:
            if module in self.own or not module or self.beside(draft.project, name, module):
                continue
            if packages := self.packages_of(draft, module):
                if packages[0] not in self.packages:
                    draft.add_system(packages[0], f"it loads {module}, {where(line)}")
            elif self.complains:
                missing(draft, module, where(line), self.says.split(" (")[0])

    own: frozenset[str] = frozenset()
    complains = True

    def modules(self, _source: Source) -> Iterable[tuple[str, int]]:
        """Yield the modules that are loaded and the lines where they are."""
        return ()

    def packages_of(self, _draft: Draft, _module: str) -> tuple[str, ...]:
        """List the packages that have a module."""
        return ()

    def beside(self, _project: Project, _name: str, _module: str) -> str | None:
        """Return the project's own file that a module is."""
        return None

    def local(self, project: Project, name: str, source: Source) -> Iterable[str]:
        """Name the project's own modules."""
        return [file for module, _ in self.modules(source) if (file := self.beside(project, name, module))]


def _first(project: Project, name: str, module: str, *endings: str) -> str | None:
    path = posixpath.normpath(posixpath.join(posixpath.dirname(name), module))
    return next((path + ending for ending in endings if path + ending in project), None)


class Ruby(Loading):
    """Ruby; its gems in the distribution are ruby-foo."""

    own = words(
        "English abbrev base64 benchmark bigdecimal bundler bundler/setup cgi coverage csv date delegate "
        "did_you_mean digest drb erb etc expect fcntl fiddle fileutils find forwardable getoptlong io/console "
        "io/wait ipaddr irb json logger matrix monitor mutex_m net/http net/https net/ftp net/smtp nkf objspace "
        "observer open-uri open3 openssl optparse ostruct pathname pp prettyprint prime pstore psych pty rake "
        "rbconfig readline reline resolv rinda ripper rubygems securerandom set shellwords singleton socket stringio "
        "strscan syslog tempfile thread time timeout tmpdir tracer tsort un uri weakref yaml zlib bigdecimal/util "
        "digest/md5 digest/sha1 digest/sha2 minitest test/unit"
    )

    def modules(self, source: Source) -> Iterable[tuple[str, int]]:
        """Yield what require and require_relative name."""
        for text in source.texts:
            if found := re.search(r"\b(require|require_relative|load|gem)\s*\(?\s*$", text.before):
                yield f"./{text.value}" if found[1] == "require_relative" else text.value, text.line

    def packages_of(self, draft: Draft, module: str) -> tuple[str, ...]:
        """List the packages of a library or gem."""
        archive = draft.software.archive
        return archive.find("ruby", module.replace("/", "-")) or archive.find("ruby", module.split("/", maxsplit=1)[0])

    def beside(self, project: Project, name: str, module: str) -> str | None:
        """Return the project's own file."""
        return _first(project, name, module, ".rb", "") or _first(project, "", f"lib/{module}", ".rb")


class Node(Loading):
    """JavaScript for Node.js; its modules in the distribution are node-foo."""

    own = words(
        "assert async_hooks buffer child_process cluster console constants crypto dgram diagnostics_channel dns "
        "domain events fs http http2 https inspector module net os path perf_hooks process punycode querystring "
        "readline repl stream string_decoder sys timers tls trace_events tty url util v8 vm wasi worker_threads zlib"
    )

    def modules(self, source: Source) -> Iterable[tuple[str, int]]:
        """Yield what require(), import and import() name."""
        for text in source.texts:
            if re.search(r"(?:\brequire\s*\(|\bimport\s*\(?|\bfrom)\s*$", text.before):
                module = text.value.removeprefix("node:")
                plain = (
                    module
                    if module.startswith((".", "/"))
                    else "/".join(module.split("/")[: 1 + module.startswith("@")])
                )
                yield plain, text.line

    def packages_of(self, draft: Draft, module: str) -> tuple[str, ...]:
        """List the packages of a module."""
        return draft.software.archive.find("node", module)

    def beside(self, project: Project, name: str, module: str) -> str | None:
        """Return the project's own file, or that of node_modules."""
        if module.startswith("."):
            return _first(project, name, module, "", ".js", ".mjs", ".cjs", ".json", "/index.js")
        return f"node_modules/{module}/package.json" if f"node_modules/{module}/package.json" in project else None


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


class Julia(Loading):
    """Julia; the distribution has the language where it has it, and no packages."""

    own = words(
        "Base Core Main ArgTools Artifacts Base64 CRC32c Dates DelimitedFiles Distributed Downloads FileWatching "
        "Future InteractiveUtils LazyArtifacts LibCURL LibGit2 Libdl LinearAlgebra Logging Markdown Mmap "
        "NetworkOptions Pkg Printf Profile REPL Random SHA Serialization SharedArrays Sockets SparseArrays "
        "Statistics SuiteSparse TOML Tar Test UUIDs Unicode"
    )

    def needs(self, draft: Draft, name: str, source: Source) -> None:
        """Add the language itself, from a release of the distribution that has it."""
        from cluster_interface.inspection.commands import need_command  # noqa: PLC0415 - shell's tables are not small

        need_command(draft, "julia", f"{name} is Julia, which")
        super().needs(draft, name, source)

    def modules(self, source: Source) -> Iterable[tuple[str, int]]:
        """Yield what using and import name."""
        local = set(re.findall(r"^[ \t]*module\s+(\w+)", source.code, re.MULTILINE))
        for found in re.finditer(r"^[ \t]*(?:using|import)[ \t]+([^\n:]+)", source.code, re.MULTILINE):
            for name in re.findall(r"(?<![.\w])[A-Z]\w*", found[1]):
                if name not in local:
                    yield name, source.line(found.start())


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
        return _first(project, name, module.replace(".", "/"), ".lua")


RUBY = Ruby(
    says="Ruby (.rb)",
    suffixes=(".rb",),
    lexis=lexis.RUBY,
    verbs=Verbs(
        reads=words(
            "File.read File.readlines File.foreach IO.read CSV.read CSV.foreach CSV.table YAML.load_file read foreach"
        ),
        writes=words("File.write IO.write IO.binwrite"),
        opens=words("File.open File.new CSV.open open"),
        joins=words("File.join"),
        makes=words("mkdir mkdir_p FileUtils.mkdir_p Dir.mkdir"),
    ),
    packages=("ruby",),
    program=("ruby",),
    interpreters=frozenset({"ruby"}),
)
NODE = Node(
    says="JavaScript for Node.js (.js)",
    suffixes=(".js", ".mjs", ".cjs"),
    lexis=lexis.JAVASCRIPT,
    verbs=Verbs(
        reads=words("readFileSync readFile createReadStream readdirSync"),
        writes=words("writeFileSync writeFile appendFileSync appendFile createWriteStream"),
        opens=words("openSync"),
        joins=words("path.join path.resolve"),
        makes=words("mkdirSync mkdir"),
    ),
    packages=("nodejs",),
    program=("node",),
    interpreters=frozenset({"node", "nodejs"}),
)
OCTAVE = Octave(
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
JULIA = Julia(
    says="Julia (.jl)",
    suffixes=(".jl",),
    lexis=lexis.JULIA,
    verbs=Verbs(
        reads=words("include read readlines readdlm eachline readline CSV.File CSV.read load"),
        writes=words("write writedlm CSV.write savefig save"),
        opens=words("open"),
        joins=words("joinpath"),
        makes=words("mkdir mkpath"),
    ),
    program=("julia",),
    interpreters=frozenset({"julia"}),
)
LUA = Lua(
    says="Lua (.lua)",
    suffixes=(".lua",),
    lexis=lexis.LUA,
    verbs=Verbs(reads=words("io.lines dofile loadfile"), opens=words("io.open io.output io.input")),
    packages=("lua5.4",),
    program=("lua5.4",),
    interpreters=frozenset({"lua"}),
)
