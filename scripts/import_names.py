"""Make the larger database of import names: python3 scripts/import_names.py PIGAR_DB TABLE OUT.gz [CONTENTS.gz…].

PIGAR_DB is the database that the package pigar carries (`.db.sqlite3` in its wheel; BSD-3-Clause, copyright the pigar
authors): which top-level modules the files of each distribution of PyPI have. TABLE has a distribution's name, its
newest version, and in its fourth column its place among the 15,000 that are downloaded most. Those are taken: who is
downloaded that much is nobody's trap. CONTENTS are Debian's indices of what its packages hold. What those have as
Python packages with their metadata is taken too, after all others, where PyPI has one of that name in the same version
or a newer one: who took only the name is far behind.

A line of the result is `module TAB distribution…`, sorted by module, the likeliest distribution first, and `?` behind
the module where it may not be the one that is meant.
"""

from __future__ import annotations

import gzip
import re
import sqlite3
import sys
from collections import defaultdict
from itertools import product
from pathlib import Path

CROWDED = 8  #: distributions that share a top-level name: it is a namespace, and says nothing by itself
CLEAR = 3  #: times as far behind is the next distribution that has a module of the same name
TRUSTED = 2000  #: ranks within which a module may have any name
LAST = 15001  #: the rank of what Debian packages and few others download
_METADATA = re.compile(r"usr/lib/python3/dist-packages/([^/ ]+?)-(\d[^-/ ]*)(?:-py3[^/]*)?\.(?:egg|dist)-info[/ ]")
_MODULE = re.compile(r"usr/lib/python3/dist-packages/([A-Za-z]\w*)(?:/__init__)?(?:\.py|\.cpython-\S+\.so|\.abi3\.so) ")

# What sloppy wheels put beside their package, and what people call their own modules: never a package.
OWN = frozenset(
    """
    algorithms analysis api app apps assets backend base bench benchmark benchmarks bin build build_tools ci classes cli
    client clients cmd common commands conf config configs configuration constants contrib controller controllers core
    crypto custom data database datasets db debug demo demos deploy dev devtools dist distutils doc docs domain engine
    entities env environment error errors etl example examples exceptions experiments ext extensions extras factory
    features fixtures forms foo frontend functions gui handler handlers helper helpers hooks images include install
    integration integrations interface io_utils job jobs lib libs license loader loaders local log logger loggers logs
    main manage manager managers metrics middleware misc mock mocks model models module modules my_package mypackage
    network node_modules notebooks npm other output package packages pages parsers pipeline pipelines plugin plugins
    preprocessing process processing project prompts proto protos public readme release requirements resources routes
    runner sample samples schema schemas scripts server service services session settings setup shared site skills
    solver source sources spec specs sql src static storage store stubs submodules task tasks template templates test
    test_utils testapp testing tests third_party tool tools toolkit training translations types ui unit unittests util
    utilities utility utils validation vendor version versions view views web wheelhouse widgets worker workers
    workflow workflows wrapper wrappers
    """.split()  # noqa: SIM905 - a list of 200 words is read as text
)


def normal(name: str) -> str:
    """Return the normalized name of a distribution (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_ranks(path: str) -> dict[str, int]:
    """Return the ranks by distribution."""
    rows = (line.split("\t") for line in Path(path).read_text("utf-8").splitlines())
    return {normal(row[0]): int(row[3]) for row in rows if len(row) > 3 and row[3].isdigit() and int(row[3])}


def read_modules(path: str, ranks: dict[str, int]) -> dict[str, set[str]]:
    """Return the top-level modules of each distribution that has a rank; its own name where none are known."""
    query = "SELECT d.name, t.name FROM distributions d JOIN top_level_module_names t ON t.distribution_id = d.id"
    found = defaultdict(set)
    for distribution, module in sqlite3.connect(f"file:{path}?mode=ro", uri=True).execute(query):
        if normal(distribution) in ranks:
            found[normal(distribution)].add(module)
    for distribution in ranks:
        if not found[distribution]:
            found[distribution] = {distribution.replace("-", "_")}
    return found


def read_versions(path: str) -> dict[str, tuple[int, ...]]:
    """Return the newest version of every distribution."""
    rows = (line.split("\t") for line in Path(path).read_text("utf-8").splitlines())
    return {normal(row[0]): numbers(row[1]) for row in rows if len(row) > 1}


def numbers(version: str) -> tuple[int, ...]:
    """Return the numbers with which a version begins: 4.8.1+dfsg is 4, 8, 1."""
    return tuple(map(int, re.findall(r"\d+", (re.match(r"[\d.]*", version) or [""])[0])))


def read_debian(paths: list[str], versions: dict[str, tuple[int, ...]]) -> dict[str, set[str]]:
    """Return the top-level modules of each distribution that a package of Debian has, and nothing else beside it."""
    owns: dict[str, set[tuple[str, str]]] = defaultdict(set)
    tops: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        for row in gzip.decompress(Path(path).read_bytes()).decode().splitlines():
            packages = [one.rpartition("/")[2] for one in row.rpartition(" ")[2].strip().split(",")]
            metadata, module = _METADATA.match(row), _MODULE.match(row)
            for package in packages:
                if metadata:
                    owns[package].add((normal(metadata[1]), metadata[2]))
                if module:
                    tops[package].add(module[1])
    found = defaultdict(set)
    for package, one in owns.items():
        (name, version), *others = one
        if not others and versions.get(name, ()) >= numbers(version):
            found[name] |= tops[package]
    return found


def provided(modules: dict[str, set[str]]) -> dict[str, set[str]]:
    """Turn it round: the distributions by module; those of a namespace by the longer names that theirs suggest."""
    by_module = defaultdict(set)
    for distribution, tops in modules.items():
        for top in tops:
            if all(part.isidentifier() for part in top.split(".")) and not top.startswith("_") and "__" not in top:
                by_module[top].add(distribution)
    for top, distributions in list(by_module.items()):
        for distribution in distributions if len(distributions) > 2 else ():
            for name in _longer(top, distribution):
                by_module[name].add(distribution)
    for module in [m for m, d in by_module.items() if m.lower() in OWN or m in sys.stdlib_module_names]:
        del by_module[module]
    return by_module


def _longer(top: str, distribution: str) -> list[str]:
    """Name what `azure-storage-blob` may bring below `azure`: azure.storage.blob, azure.storage_blob and so on."""
    start = f"{normal(top)}-"
    parts = distribution.removeprefix(start).split("-") if distribution.startswith(start) else []
    if not 0 < len(parts) < 5:
        return []
    joints = product("._", repeat=len(parts) - 1)
    names = (parts[0] + "".join(j + p for j, p in zip(joint, parts[1:], strict=True)) for joint in joints)
    return [f"{top}.{name}" for name in names if all(part.isidentifier() for part in name.split("."))]


def line(module: str, distributions: set[str], ranks: dict[str, int]) -> str | None:
    """Write one line; None where the name says nothing."""
    name = normal(module)
    first, *rest = sorted(distributions, key=lambda one: (ranks[one] / (CLEAR if one == name else 1), one))
    if len(distributions) > CROWDED:
        return None
    sure = _bare(first) == _bare(name) or ranks[first] <= TRUSTED
    if rest and first != name:
        sure = sure and ranks[rest[0]] > CLEAR * ranks[first]
    return f"{module}{'' if sure else '?'}\t{' '.join([first, *rest[:3]])}"


def _bare(name: str) -> str:
    """Drop what a distribution says of the language: python-foo, pyfoo and foo-py are foo."""
    return re.sub(r"^py(thon)?[23]?-?|-?py(thon)?[23]?$", "", name).replace("-", "") or name


def main(database: str, table: str, out: str, *contents: str) -> None:
    """Write the database, the same bytes for the same sources."""
    ranks = read_ranks(table)
    by_module = provided(read_modules(database, ranks))
    debian = read_debian(list(contents), read_versions(table))
    more = provided({distribution: tops for distribution, tops in debian.items() if distribution not in ranks})
    by_module = {**more, **by_module}
    ranks = {**dict.fromkeys(debian, LAST), **ranks}
    lines = filter(None, (line(module, by_module[module], ranks) for module in sorted(by_module)))
    text = "".join(f"{one}\n" for one in lines)
    Path(out).write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{text.count(chr(10))} modules, {Path(out).stat().st_size} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
