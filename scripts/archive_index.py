"""Write the table of what Debian's packages hold that programs ask for by name: commands, headers, libraries, modules.

    python3 scripts/archive_index.py [--mirror URL] [--from DIRECTORY]

Read from the archive's own indices (Contents-*.gz and Packages.xz of each suite, see
https://wiki.debian.org/DebianRepository/Format), condensed into src/cluster_interface/inspection/archive/index.xz.
Run it when a suite is added or has changed much. `--from` is a directory that has the files already, each as
SUITE-NAME; what is not there is fetched into it.
"""

from __future__ import annotations

import argparse
import gzip
import lzma
import re
import tempfile
import urllib.request
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

SUITES = ("bullseye", "bookworm", "trixie")
FILES = ("main/binary-amd64/Packages.xz", "main/Contents-amd64.gz", "main/Contents-all.gz")
TARGET = Path(__file__).parent.parent / "src/cluster_interface/inspection/archive/index.xz"
PRIORITIES = ("required", "important", "standard", "optional", "extra")
MOST = 3  #: packages kept for one name
_LIB = r"(?:usr/)?lib/(?:x86_64-linux-gnu/)?"
_NO_SECTIONS = {"debug", "doc", "localization", "kernel", "metapackages"}
_NO_PACKAGE = re.compile(r".*-(?:dbg|dbgsym|doc|cross|examples)|.*-(?:arm64|armhf|i386|s390x|mips\w*|riscv64)-cross")

_TOOLBOXES = (  # of Octave, that have what MATLAB's toolboxes have
    "audio|communications|control|data-smoothing|dicom|econometrics|financial|fuzzy-logic-toolkit|ga|geometry|image|io|"
    "linear-algebra|mapping|netcdf|optim|parallel|queueing|signal|specfun|splines|statistics|strings|struct|symbolic"
)


class Rule(NamedTuple):
    """Paths that a section is made of; the group is the name."""

    section: str
    path: re.Pattern[str]
    folds: bool = False  #: directories that belong to one package are kept as such


RULES = [
    Rule("command", re.compile(r"(?:usr/s?bin|s?bin|usr/games)/((?!_)(?!.*-linux-gnu|.*mingw32)[^/ ]+)")),
    Rule("library", re.compile(_LIB + r"(?:blas/|lapack/)?(lib[^/]+\.so(?:\.\d+){0,3})")),
    Rule("header", re.compile(r"usr/include/(?:x86_64-linux-gnu/)?([^ ]+)"), folds=True),
    Rule("fortran", re.compile(rf"(?:usr/include|{_LIB}fortran/gfortran-mod-\d+)/(?:[^/]+/)?([^/]+\.mod)")),
    Rule("pkgconfig", re.compile(r"usr/(?:lib/(?:x86_64-linux-gnu/)?|share/)pkgconfig/([^/]+)\.pc")),
    Rule("cmake", re.compile(r"usr/(?:lib|share)/(?:[^/]+/){0,4}([A-Za-z0-9_+]+?)-?[cC]onfig\.cmake")),
    Rule("perl", re.compile(r"usr/(?:share/perl5|lib/x86_64-linux-gnu/perl5/[\d.]+)/([^ ]+\.pm)"), folds=True),
    Rule("perl", re.compile(r"usr/(?:share/perl|lib/x86_64-linux-gnu/perl(?:-base)?)/[\d.]+/([^ ]+\.pm)"), folds=True),
    Rule("ruby", re.compile(r"usr/lib/ruby/vendor_ruby/([a-z_][\w.-]*?)(?:\.rb|/.*\.rb)")),
    Rule("ruby", re.compile(r"usr/share/rubygems-integration/[^/]+/gems/[^/]+/lib/([\w-]+)(?:\.rb|/.*\.rb)")),
    Rule("node", re.compile(r"usr/(?:share|lib|lib/x86_64-linux-gnu)/nodejs/((?:@[\w.-]+/)?[\w.-]+)/package\.json")),
    Rule("go", re.compile(r"usr/share/gocode/src/([^ ]+)/[^/]+\.go"), folds=True),
    Rule("maven", re.compile(r"usr/share/maven-repo/((?!.*/debian/).+)/[\w.-]+\.jar")),
    Rule(
        "toolbox",
        re.compile(
            rf"usr/(?:share|lib/x86_64-linux-gnu)/octave/packages/(?:{_TOOLBOXES})-[\d.]+/"
            r"(?:(?!private/|test|doc/)[\w.-]+/)*([A-Za-z]\w*)\.(?:m|oct)"
        ),
    ),
    Rule("octave's", re.compile(r"usr/share/octave/[\d.]+/m/(?:[\w.-]+/)*(\w+)\.m")),  # what needs no toolbox
    Rule("lua", re.compile(r"usr/share/lua/5\.\d/([\w-]+)(?:\.lua|/.*\.lua)")),
    Rule("tex", re.compile(r"usr/share/(?:texlive/texmf-dist|texmf)/tex/(?!plain)(?:[^/ ]+/)*([\w.+-]+\.(?:sty|cls))")),
    Rule(
        "tcl", re.compile(r"usr/(?:share/tcltk|lib/tcltk(?:/x86_64-linux-gnu)?)/([A-Za-z]\w*?)-?[\d.]*/pkgIndex\.tcl")
    ),
    Rule(
        "haskell",
        re.compile(r"(?:usr|var)/lib/(?:haskell-packages/)?ghc/(?:lib/){0,2}[^/]+/[^/]+/([A-Z][^ ]*)\.hi"),
        folds=True,
    ),
    Rule("ocaml", re.compile(r"usr/lib/ocaml/([\w.-]+)/META")),
]
NAMED = {  # sections whose names are in the packages' own: octave-statistics, r-cran-dplyr
    "octave": re.compile(r"octave-([a-z0-9-]+)"),
    "r": re.compile(r"r-(?:cran|bioc)-([a-z0-9.]+)"),
    "rust": re.compile(r"librust-([a-z0-9-]+)-dev"),
    "ruby": re.compile(r"ruby-([a-z0-9-]+)"),
    "node": re.compile(r"node-([a-z0-9.-]+)"),
    "lua": re.compile(r"lua-([a-z0-9-]+)"),
}


class Packages(NamedTuple):
    """What is known of a suite's packages."""

    priority: dict[str, int]
    wanted: Counter[str]  #: how many others depend on it
    old: set[str]  #: those kept for what is compiled already: good for a library that a program names, for nothing else


def main() -> None:
    """Write the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--mirror", default="http://deb.debian.org/debian")
    options.add_argument("--from", dest="directory", type=Path, default=Path(tempfile.gettempdir()) / "archive-index")
    given = options.parse_args()
    given.directory.mkdir(parents=True, exist_ok=True)
    tables = {suite: read_suite(suite, given.directory, given.mirror) for suite in SUITES}
    text = "".join(section(name, tables) for name in sorted({name for table in tables.values() for name in table}))
    TARGET.parent.mkdir(exist_ok=True)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 24, "lp": 0, "lc": 4}]
    TARGET.write_bytes(lzma.compress(text.encode(), filters=filters))
    print(f"{TARGET.name}: {len(text):,} bytes, {TARGET.stat().st_size:,} compressed")


def read_suite(suite: str, directory: Path, mirror: str) -> dict[str, dict[str, list[str]]]:
    """Return section -> name -> packages, the best first."""
    paths = [fetch(suite, file, directory, mirror) for file in FILES]
    packages = read_packages(paths[0])
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for path in paths[1:]:
        with gzip.open(path, "rt", errors="replace") as lines:
            for line in lines:
                file, _, owners = line.rstrip("\n").rpartition(" ")
                take(file.rstrip(), owners, packages, found)
    for name in found.pop("octave's"):
        found["toolbox"].pop(name, None)
    for name, pattern in NAMED.items():
        for package in packages.priority.keys() - packages.old:
            if fits := pattern.fullmatch(package):
                found[name][fits[1]].add(package)
    tables = {
        name: {key: rank(key, owners, packages)[:MOST] for key, owners in table.items()}
        for name, table in found.items()
    }
    return {**tables, "library": shortest(tables["library"]), "below": roots(tables["header"], tables["pkgconfig"])}


def fetch(suite: str, file: str, directory: Path, mirror: str) -> Path:
    """Return one of the archive's files, fetched if it is not there yet."""
    path = directory / f"{suite}-{file.rpartition('/')[2]}"
    if not path.exists():
        with urllib.request.urlopen(f"{mirror}/dists/{suite}/{file}") as answer:
            path.write_bytes(answer.read())
    return path


def read_packages(path: Path) -> Packages:
    """Read the packages of a suite, without those that only stand for others."""
    found = Packages({}, Counter(), set())
    for stanza in lzma.decompress(path.read_bytes()).decode().split("\n\n"):
        field = dict(line.split(": ", 1) for line in stanza.split("\n") if ": " in line and not line.startswith(" "))
        name, section = field.get("Package", ""), field.get("Section", "").rpartition("/")[2]
        if not name or section in _NO_SECTIONS or _NO_PACKAGE.fullmatch(name):
            continue
        if re.search(r"transitional|dummy", field.get("Description", ""), re.IGNORECASE):
            continue
        found.priority[name] = PRIORITIES.index(field.get("Priority", "optional"))
        if section == "oldlibs":
            found.old.add(name)
        for other in set(re.findall(r"(?:^|[,|])\s*([a-z0-9][a-z0-9+.-]+)", field.get("Depends", ""))):
            found.wanted[other] += 1
    return found


def take(file: str, owners: str, packages: Packages, found: dict[str, dict[str, set[str]]]) -> None:
    """Take a file for each section that it belongs to."""
    for rule in RULES:
        if fits := rule.path.fullmatch(file):
            names = {owner.rpartition("/")[2] for owner in owners.split(",")} & packages.priority.keys()
            if rule.section != "library":
                names -= packages.old
            if rule.section == "header":
                names = {name for name in names if "-dev" in name or name.startswith(("lib", "linux-libc"))}
            if names:
                found[rule.section][fits[1]] |= names


def rank(name: str, owners: set[str], packages: Packages) -> list[str]:
    """Sort packages: the one called like what is asked for, then by priority and by how many others want them."""
    plain = name.lower()
    return sorted(
        owners,
        key=lambda p: (
            p not in (plain, f"ruby-{plain}", f"node-{plain}", f"lua-{plain}"),
            packages.priority[p],
            -packages.wanted[p],
            len(p),
            p,
        ),
    )


def fold(table: dict[str, str]) -> dict[str, str]:
    """Keep a directory instead of its files where one package (per suite) has all of them."""
    tree: dict = {}
    for path, owners in table.items():
        node = tree
        *above, last = path.split("/")
        for part in above:
            node = node.setdefault(part + "/", {})
        node[last] = owners
    kept: dict[str, str] = {}
    _keep(tree, "", kept)
    return kept


def _keep(node: dict, above: str, kept: dict[str, str]) -> None:
    for part, inside in node.items():
        if not isinstance(inside, dict):
            kept[above + part] = inside
        elif (owner := _only_owner(inside)) is not None:
            kept[above + part] = owner
        else:
            _keep(inside, above + part, kept)


def _only_owner(node: dict) -> str | None:
    """Return the one owner of all files below; a file that a suite does not have yet says nothing of it."""
    owners: list[str] | None = None
    for inside in node.values():
        found = _only_owner(inside) if isinstance(inside, dict) else inside
        if found is None:
            return None
        parts = found.split("|") if "|" in found else [found] * len(SUITES)
        parts = [part.split(",")[0] for part in parts]
        owners = owners or parts
        if any(one and two and one != two for one, two in zip(owners, parts, strict=True)):
            return None
        owners = [one or two for one, two in zip(owners, parts, strict=True)]
    return joined(owners or [])


def roots(headers: dict[str, list[str]], pkgconfig: dict[str, list[str]]) -> dict[str, list[str]]:
    """Name what lies in a directory that pkg-config tells compilers of: Eigen -> eigen3, glib.h -> glib-2.0."""
    top = {path.split("/")[0] for path in headers}
    found: dict[str, set[str]] = defaultdict(set)
    for path in headers:
        where, _, rest = path.partition("/")
        name = rest.partition("/")[0]
        if len(name) > 2 and name not in top and where in pkgconfig:
            found[name].add(where)
    return {name: sorted(where) for name, where in found.items() if len(where) == 1}


def shortest(libraries: dict[str, list[str]]) -> dict[str, list[str]]:
    """Leave libx.so.1.2.3 out where libx.so.1 is there from the same package."""
    return {
        name: owners
        for name, owners in libraries.items()
        if not any(
            libraries.get(".".join(name.split(".")[:end])) == owners
            for end in range(name.split(".").index("so") + 2, len(name.split(".")))
            if "so" in name.split(".")
        )
    }


def section(name: str, tables: dict[str, dict[str, dict[str, list[str]]]]) -> str:
    """Write a section: `name<TAB>packages`, with the suites apart where they do not agree."""
    keys = {key for table in tables.values() for key in table.get(name, {})}
    lines = {key: joined([",".join(tables[suite].get(name, {}).get(key, ())) for suite in SUITES]) for key in keys}
    if name in {rule.section for rule in RULES if rule.folds}:
        lines = fold(lines)
    return f"\n[{name}]\n" + "".join(f"{key}\t{value}\n" for key, value in sorted(lines.items()))


def joined(said: list[str]) -> str:
    """Write what each suite has, once where they all have the same."""
    return said[0] if len(set(said)) == 1 else "|".join(said)


if __name__ == "__main__":
    main()
