"""Draw packages for the corpus from the fields of Debian's scientists, by a rule written before any was seen.

1. The fields: every source package of which Debian's own collections name a part (the metapackages science-*, med-*,
   astro-* and gis-*: what they depend on, recommend or suggest).
2. Of these, the packages that carry examples or demos in a language (`LANGUAGES`), by the archive's index of contents.
3. The most used first: by how many packages depend on or recommend the source's most wanted part; then by name.
4. Without those whose source the corpus has already, and without those of which the rule of corpus.py leaves fewer than
   two programs (the same rule then chooses among their programs).
5. Of each language as many as `LANGUAGES` says, three programs of each, evenly spaced.

It prints the entries for corpus.toml. It wants apt's lists of bookworm with their contents (apt-file update).
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import corpus

if TYPE_CHECKING:
    from collections.abc import Iterator

LISTS = Path("/var/lib/apt/lists")
COLLECTION = re.compile(r"(science|med|astro|gis)-")
PLACE = re.compile(
    r"(usr/share/doc/[^/]+/(?:examples?|demos?)|usr/lib/R/(?:site-)?library/[^/]+/demo)/(?:.*/)?[^/]+?(\.\w+|)(?:\.gz)?"
)
TAKE = 3  #: programs of a package
LANGUAGES = {  #: name -> endings, and how many packages
    "python": ([".py"], 7),
    "notebook": ([".ipynb"], 2),
    "perl": ([".pl"], 4),
    "r": ([".R"], 4),
    "compiled": ([".c", ".cpp", ".cc", ".f90", ".f", ".F90"], 5),
    "shell": ([".sh", ".bash", ""], 3),
    "ruby": ([".rb"], 1),
    "java": ([".java"], 1),
}


def listed(name: str) -> Iterator[str]:
    """Read one of apt's lists, line by line."""
    for path in LISTS.glob(f"*_dists_bookworm_main_{name}*"):
        yield from subprocess.run(
            ["/usr/lib/apt/apt-helper", "cat-file", path], check=True, capture_output=True, text=True
        ).stdout.splitlines()


def packages() -> tuple[dict[str, str], Counter[str], set[str]]:
    """Return each package's source, how many packages want it, and the sources of the fields."""
    source: dict[str, str] = {}
    wanted: Counter[str] = Counter()
    named: set[str] = set()
    package = ""
    for line in listed("binary-amd64_Packages"):
        field, _, value = line.partition(": ")
        if field == "Package":
            package = source[value] = value
        elif field == "Source":
            source[package] = value.split()[0]
        elif field in ("Depends", "Recommends", "Suggests"):
            names = set(re.findall(r"(?:^|[,|]\s*)([a-z0-9][a-z0-9.+-]+)", value))
            wanted.update(names if field != "Suggests" else ())
            named |= names if COLLECTION.match(package) else set()
    return source, wanted, {source[name] for name in named if name in source}


def examples(within: set[str], source: dict[str, str]) -> dict[str, dict[str, Counter[str]]]:
    """Count the examples of packages by ending and the directory that they are below."""
    found: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for name in ("Contents-all", "Contents-amd64"):
        for line in listed(name):
            path, _, where = line.rpartition(" ")
            if match := PLACE.fullmatch(path.strip()):
                for package in (one.rpartition("/")[2] for one in where.split(",")):
                    if source.get(package) in within:
                        found[package][match[2]][match[1]] += 1
    return found


def main() -> None:
    """Draw, and print what was drawn; what was passed over goes to standard error."""
    source, wanted, field = packages()
    have = tomllib.loads((corpus.HERE / "corpus.toml").read_text())["source"]
    have = [one for one in have if not one["category"].startswith(corpus.FIELDS)]  # what this has drawn already
    known = {source.get(one.get("debian", ""), one.get("index", "")) for one in have}
    known |= {f"python-{one['index']}" for one in have if "index" in one}
    used: Counter[str] = Counter()
    for package, its in source.items():
        used[its] = max(used[its], wanted[package])
    found = examples(field, source)
    for language, (endings, many) in LANGUAGES.items():
        drawn = 0
        for package in sorted(found, key=lambda one: (-used[source[one]], one)):
            below = sum((found[package][ending] for ending in endings if ending in found[package]), Counter())
            if drawn == many or not below or source[package] in known:
                continue
            entry = {"category": corpus.FIELDS + language, "debian": package, "take": TAKE, "endings": endings}
            entry["below"] = below.most_common(1)[0][0]
            left = corpus.choose(entry)[2][""]
            if left < 2:
                print(f"{language}: {package} leaves {left}", file=sys.stderr)
                continue
            known.add(source[package])
            drawn += 1
            print("\n[[source]]", *(f"{key} = {_toml(value)}" for key, value in entry.items()), sep="\n", flush=True)


def _toml(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(f'"{one}"' for one in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


if __name__ == "__main__":
    main()
