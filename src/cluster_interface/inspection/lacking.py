"""What a program that failed says it did not find, and how it is given that the next time.

Only the last words count: what a program missed and went on without stands further up.
"""

from __future__ import annotations

import ntpath
import posixpath
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.inspection.archive.index import CURRENT, Archive
from cluster_interface.inspection.python.distributions import table
from cluster_interface.inspection.python.imports import Import
from cluster_interface.inspection.python.names import look_up
from cluster_interface.inspection.shell.known import HOSTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_OF_LIBRARIES = r"DataFrame|Series|ndarray|\w*Index|\w*Axes\w*|\w*Graph"  #: classes whose methods have changed
LAST_LINES = 12  #: of its stderr
LONGEST = 200  #: characters of a name that is told
LONGEST_LINE = 1000  #: characters of a line that are looked at
_QUOTE = "['\"`\u2018\u2019\u201c\u201d]"  #: programs use any
_FILE = rf"{_QUOTE}?((?:(?!{_QUOTE})[^\s:]|(?<=\w) (?=\w))+){_QUOTE}?"


@dataclass(frozen=True)
class Lack:
    """What a program did not find: in a clause, and the package that brings it, where that is known."""

    words: str
    field: str = ""  #: of the job spec, to which the package is added
    package: str = ""


def lack(said: str, suite: str | None = None, *, network: bool = False) -> Lack | None:
    """Say what is missing, by a program's stderr, and which flag brings it; None where it does not tell.

    `network` says whether the program was let out.
    """
    archive = Archive(suite or CURRENT)
    lines = [line.strip()[:LONGEST_LINE] for line in reversed(said.rstrip().splitlines()[-LAST_LINES:])]
    for line in lines:
        for pattern, words in _CAUSES:
            if (found := pattern.search(line)) and len(found[1]) <= LONGEST:
                return Lack(words.format(found[1]))
    for line in lines:
        for pattern, told in _SAID:
            found = pattern.search(line)
            if found and len(found[1]) <= LONGEST:
                return told(found[1], archive)
        if not network and _UNREACHABLE.search(line):
            return Lack("it wanted the network, which a job has only where it asks: `--network`")
    return None


def _python(module: str, _: Archive) -> Lack:
    top = module.partition(".")[0]
    item = Import(module, 0)
    names = table().find(item) or look_up(item).distributions
    if names:
        words = f"it found no Python module `{top}`: `--with {names[0]}` brings it"
        return Lack(words, "environment.python.packages", names[0])
    return Lack(
        f"it found no Python module `{top}`: if it is a package, say `--with {top}`; if a file, `--input {top}.py`"
    )


def _part(module: str, archive: Archive) -> Lack:
    """A package that is there has no such part any more; one that nobody knows is the program's own."""
    item = Import(module, 0)
    if table().find(item) or look_up(item):
        return _older(module, archive)
    return Lack(f"it found no part `{module}` of your own modules: if it is a file, hand it over with `--input`")


def _of_windows(path: str, _: Archive) -> Lack:
    name = ntpath.basename(path.replace("\\\\", "\\"))
    return Lack(
        f"it reads a path of a Windows computer, which the job does not have: in the program write the name alone, "
        f"`{name}`, and hand that over with `--input`"
    )


def _older(what: str, _: Archive) -> Lack:
    return Lack(
        f"it may be written for older packages (`{what}`): "
        "`--as-of YYYY-MM-DD` takes those of a day when it worked, in 2021 or later"
    )


def _r(package: str, archive: Archive) -> Lack:
    what = f"no R package `{package}`"
    if found := archive.find("r", package.lower()):
        return _brought(what, found[0])
    return Lack(f"it found {what}: name it in environment.r.packages", "environment.r.packages", package)


def _perl(path: str, archive: Archive) -> Lack:
    what = f"no Perl module `{path.removesuffix('.pm').replace('/', '::')}`"
    if found := archive.path("perl", path):
        return _brought(what, found[0])
    return Lack(f"it found {what}: if it is a file of yours, say `--input {path}`")


def _library(name: str, archive: Archive) -> Lack:
    if found := archive.find("library", posixpath.basename(name)):
        return _brought(f"no library `{name}`", found[0])
    return Lack(f"it found no library `{name}`: add the package that has it with `--system`")


def _header(path: str, archive: Archive) -> Lack:
    if found := archive.path("header", path):
        return _brought(f"no header `{path}`", found[0])
    return Lack(f"it found no header `{path}`: if it is a file of yours, say `--input {shlex.quote(path)}`")


def _command(name: str, archive: Archive) -> Lack:
    if name in HOSTED:
        return Lack(
            f"it found no command `{name}`, which is licensed software that no package has: it runs where a site has "
            "it on its machines and lets jobs use that (`--runtime none`)"
        )
    if "/" in name:
        return Lack(f"it found no program `{name}`: bring it with `--input`, or build it first")
    if found := archive.command(name):
        return _brought(f"no command `{name}`", found[0])
    return Lack(f"it found no command `{name}`: add the package that has it with `--system`, or yours with `--input`")


def _file(path: str, archive: Archive) -> Lack:
    if "/" not in path and "." not in path and archive.command(path):
        return _command(path, archive)
    return Lack(f"it found no file `{path}`: if that is one of yours, say `--input {shlex.quote(path)}`")


def _ruby(name: str, archive: Archive) -> Lack:
    if found := archive.find("ruby", name.replace("/", "-")):
        return _brought(f"no Ruby library `{name}`", found[0])
    return Lack(f"it found no Ruby library `{name}`: if it is a file of yours, say `--input`")


def _lua(name: str, archive: Archive) -> Lack:
    if found := archive.find("lua", name.partition(".")[0]):
        return _brought(f"no Lua module `{name}`", found[0])
    return Lack(
        f"it found no Lua module `{name}`: if it is a file of yours, say `--input {name.replace('.', '/')}.lua`"
    )


def _brought(what: str, package: str) -> Lack:
    return Lack(f"it found {what}: `--system {package}` brings it", "environment.system", package)


def _patterns() -> Iterator[tuple[re.Pattern[str], Callable[[str, Archive], Lack]]]:
    said: dict[str, Callable[[str, Archive], Lack]] = {
        r"^ModuleNotFoundError: No module named '(\w+)'": _python,
        r"^ModuleNotFoundError: No module named '([\w.]+)'": _part,
        r"^ImportError: cannot import name '(\w+)' from '[\w.]+' \(.*/(?:site|dist)-packages/": _older,
        r"^AttributeError: module '\w[\w.]*' has no attribute '(\w+)'": _older,
        rf"^AttributeError: '(?:{_OF_LIBRARIES})' object has no attribute '(\w+)'": _older,
        r"^TypeError: ([\w.]+\(\)) got an unexpected keyword argument": _older,
        r"^TypeError: (load\(\)) missing 1 required positional argument: 'Loader'": _older,
        r"^ValueError: .*(inhomogeneous shape) after": _older,
        r"^\w+Error: .*\b(was removed in|has been removed|no longer (?:available|supported|exists))\b": _older,
        r"^(A module that was compiled using NumPy 1)": _older,
        rf"there is no package called {_QUOTE}([\w.]+){_QUOTE}": _r,
        r"^Can't locate (\S+\.pm) in @INC": _perl,
        r"error while loading shared libraries: ([^\s:]+): cannot open": _library,
        r"^(?:ImportError|OSError): ([^\s:]+\.so[.\d]*): cannot open shared object file": _library,
        r"\bcannot load such file -- ([\w./-]+) \(LoadError\)": _ruby,
        r"\bmodule '([\w.-]+)' not found:": _lua,
        r"(?:^|: )([^\s:]+): (?:command )?not found$": _command,
        r"^([^\s:]+): Command not found\.$": _command,
        r"fatal error: ([^\s:]+): No such file": _header,
        r"executable file not found in \$PATH: ([^\s:]+)": _command,
        r"No such file or directory: '([A-Za-z]:[\\/][^']+)'$": _of_windows,
        rf"No such file or directory: {_FILE}$": _file,
        rf"unable to find file {_FILE}$": _file,
        rf"unable to open file: name = {_FILE}, errno = 2\b": _file,  # HDF5
        rf"[Cc](?:annot|an't|ould not) open (?:the )?(?:file )?{_FILE}(?: for reading)?: No such file": _file,
        rf"(?:^|: ){_FILE}: No such file or directory$": _file,
    }
    for pattern, told in said.items():
        yield re.compile(pattern), told


_SAID = tuple(_patterns())
#: what other complaints follow from, with what to do
_CAUSES = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (
            r"ArgumentError: Package (\w+) not found in current path",
            (
                "it found no Julia package `{0}`, and Debian has none of Julia's: where jobs may (`--network`), "
                '`using Pkg; Pkg.add("{0}")` at the top of the script brings it'
            ),
        ),
        (
            r"error: no matching package named `([\w-]+)` found",
            (
                "it found no Rust crate `{0}`: jobs have those that Debian has; with another one build it where cargo "
                "reaches crates.io, and hand over the program"
            ),
        ),
        (
            rf"Cannot open module file {_QUOTE}([\w.]+)\.(?:mod|smod){_QUOTE}",
            (
                "it found no Fortran module `{0}`: its source has to be compiled before what uses it; if that is in "
                "another directory, say `--input`"
            ),
        ),
        (
            rf"undefined reference to {_QUOTE}([^'`\u2019]+)",
            (
                "what it calls as `{0}` is in none of the sources and libraries that were linked: name its library, or "
                "bring the source that has it with `--input`"
            ),
        ),
        (
            rf"^Error.*\bobject {_QUOTE}([\w.]+){_QUOTE} not found$",
            (
                "it uses `{0}` before anything has made that: a script that goes on from another one's session starts "
                "with source() of that one, or load() of what it saved"
            ),
        ),
        (
            rf"^Error.*\bcould not find function {_QUOTE}([\w.]+){_QUOTE}$",
            (
                "it calls `{0}`, which it does not define: where a package has that, it takes library() of that; where "
                "another script has it, source()"
            ),
        ),
        (
            rf"^error: {_QUOTE}(\w+){_QUOTE} undefined",
            (
                "it found no function or variable `{0}`: if that is a file of yours, say `--input {0}.m`; Octave has "
                "not all that MATLAB has"
            ),
        ),
    )
)
_UNREACHABLE = re.compile(
    r"Temporary failure in name resolution|Name or service not known|Could not resolve host|Network is unreachable|"
    r"Failed to establish a new connection|getaddrinfo|unable to resolve host|nodename nor servname",
    re.IGNORECASE,
)
