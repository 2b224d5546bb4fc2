"""How far above the directory where a person stands the files of their program lie: `../data/runs.csv`."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HIGHEST = 3  #: directories above that are looked at
MOST_MODULES = 50  #: of one program that are read
LONGEST = 200_000  #: characters of one of them
MOST_DIRECTORIES = 500  #: of a clone that are searched for a module
_ENDINGS = (".py", ".ipynb")
_PATH = re.compile(r"""["']((?:\./)?(?:\.\./)+[^"'\\\n{}*%]*)""")  #: up to where a part of it varies
_UP = re.compile(r"""["']\.\.(?:/?\\?["'])""")  #: sys.path.append(".."), Path("..") / "data"
_BY_NAME = re.compile(
    r"(?<![\w).])[A-Za-z_]\w*\.parent\b(?!\.mkdir)"
)  #: HERE = Path(__file__).parent; HERE.parent / "data"
_OF_THE_FILE = re.compile(r"\bparents\[(\d)\]|((?:\.parent\b){2,})|((?:\bdirname\([^()\n]*){2,})")
_IMPORT = re.compile(
    r"""(?:^|["';])[ \t]*(?:from\s+([\w.]+)\s+import\b([\w \t,]*)|import\s+([\w \t,.]+))""", re.MULTILINE
)
_NAMED = re.compile(r"""["']([A-Za-z_][\w.]*)["']""")  #: what may be imported by a name from a list
_RELATIVE = re.compile(r"^[ \t]*from\s+(\.+)\s*\w*[\w.]*\s+import\b", re.MULTILINE)
_SOURCES = ("", "src", "lib")  #: directories of a project that its modules lie in


def project_of(script: Path, text: str | None) -> Path:
    """Return the directory whose files a program may need: its own, or one above that which its text leads to.

    That is never the person's home or what is above it, nor a directory at the top of the system or of somebody else.
    """
    here = script.parent
    if text is None or script.suffix not in _ENDINGS:
        return here
    base = here
    for _ in range(min(max(_levels(one, place) - below for place, one, below in _read(text, here)), HIGHEST)):
        if not is_of_a_project(base.parent, here):
            break
        base = base.parent
    return base


def _read(text: str, here: Path) -> Iterator[tuple[Path, str, int]]:
    """Yield a program and the modules beside and below it that it imports: directory, text, how far below it lies."""
    pending, seen = [(here, text)], {""}
    while pending:
        place, one = pending.pop()
        yield place, one, len(place.relative_to(here).parts)
        names = [*_imported(one), *(_NAMED.findall(one) if "import_module" in one else ())]
        for path in (name.replace(".", "/") for name in names):
            found = next((file for file in (f"{path}.py", f"{path}/__init__.py") if (here / file).is_file()), "")
            if found not in seen and len(seen) <= MOST_MODULES:
                seen.add(found)
                with suppress(OSError):
                    pending.append(((here / found).parent, (here / found).read_text("utf-8", "replace")[:LONGEST]))


def _levels(text: str, home: Path) -> int:
    """Count how many directories above its own a program speaks of; only what is there counts."""
    found = [1] if _UP.search(text) else []
    for path in set(_PATH.findall(text)):
        name = path if path.endswith("/") or (home / path).exists() else os.path.dirname(path)  # noqa: PTH120 - no Path
        if (home / name).exists():
            found.append(path.count("../"))
    found += [min(_in_clone(home), _above_package(dots, home)) for dots in set(_RELATIVE.findall(text))]
    found.append(_imports_from_above(text, home))
    if "__file__" not in text:
        return max(found)
    found += [1] if _BY_NAME.search(text) else []
    for number, parents, dirnames in _OF_THE_FILE.findall(text):
        found.append(int(number) if number else (parents or dirnames).count("parent" if parents else "dirname") - 1)
    return max(found)


def _above_package(dots: str, home: Path) -> int:
    """Count how many directories above lies that in which the package is from which a program imports by dots."""
    level = len(dots)
    while level < HIGHEST and (home.parents[level - 1] / "__init__.py").exists():
        level += 1
    return level


def _imports_from_above(text: str, home: Path) -> int:
    """Count how many directories above lie the modules that a program imports and does not have beside it.

    What is well known is a package: a directory of that name above it may hold no more than its source.
    """
    names = {name: name.replace(".", "/") for name in _imported(text)}
    missing = {name: module for name, module in names.items() if not _is_beside(module, home)}
    if not missing or not (highest := _in_clone(home)):
        return 0
    from cluster_interface.inspection.python.distributions import table  # noqa: PLC0415 - few programs want it
    from cluster_interface.inspection.python.imports import Import  # noqa: PLC0415 - as above
    from cluster_interface.inspection.python.names import look_up  # noqa: PLC0415 - as above

    levels = {name: _level_of(module, home) for name, module in missing.items() if not table().find(Import(name, 0))}
    unknown = {name.partition(".")[0] for name, level in levels.items() if not level and not look_up(Import(name, 0))}
    found = [level for level in levels.values() if level <= highest]
    return max(*found, _level_of_single(unknown, home, highest) if unknown else 0, 0)


def _in_clone(home: Path) -> int:
    """Count how many directories above are of the same clone: a program's modules lie in it, wherever it lies."""
    places = [home, *home.parents][: HIGHEST + 1]
    return next((level for level, place in enumerate(places) if (place / ".git").is_dir()), HIGHEST)


def _level_of_single(names: set[str], home: Path, highest: int) -> int:
    """Count how many directories above one leads down to modules that a clone has in one place only.

    Editors take every directory that they are told of for modules; nothing in the clone says which.
    """
    top = home.parents[highest - 1]
    if not (top / ".git").is_dir():
        return 0
    places: dict[str, set[Path]] = {}
    for number, (directory, inner, files) in enumerate(os.walk(top)):
        inner[:] = [name for name in inner if not name.startswith(".")] if number < MOST_DIRECTORIES else []
        for name in names.intersection(file.removesuffix(".py") for file in files if file.endswith(".py")):
            places.setdefault(name, set()).add(Path(directory))
    single = [next(iter(found)) for found in places.values() if len(found) == 1]
    shared = [Path(os.path.commonpath([home, place])) for place in single]
    return max((len(home.relative_to(place).parts) for place in shared), default=0)


def _imported(text: str) -> Iterator[str]:
    """Yield the modules that a program imports, and what may be modules, but for those of Python itself."""
    for origin, members, plain in set(_IMPORT.findall(text)):
        names = [origin, *(f"{origin}.{member}" for member in _listed(members))] if origin else _listed(plain)
        yield from (name for name in names if name.partition(".")[0] not in ("", *sys.stdlib_module_names))


def _listed(names: str) -> list[str]:
    """Take names apart: `a.b as c, d`."""
    return [words[0] for words in map(str.split, names.split(",")) if words]


def _is_beside(module: str, home: Path) -> bool:
    return (home / module.partition("/")[0]).is_dir() or (home / f"{module.partition('/')[0]}.py").exists()


def _level_of(module: str, home: Path) -> int:
    """Count how many directories above a program the nearest module of that name lies; 0: none does."""
    for level, directory in enumerate([*home.parents][:HIGHEST], 1):
        bases = [directory / source / module for source in _SOURCES]
        if any((base / "__init__.py").exists() or base.with_name(f"{base.name}.py").exists() for base in bases):
            return level
    return 0


def is_of_a_project(directory: Path, here: Path) -> bool:
    """Say whether a directory may be one of the person's projects: it is theirs, and not their home or above it."""
    home = Path.home()
    if len(directory.parts) <= 2 or home == directory or home.is_relative_to(directory):
        return False
    try:
        return directory.stat().st_uid == here.stat().st_uid
    except OSError:
        return False
