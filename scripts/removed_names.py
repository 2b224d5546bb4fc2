"""Make the list of names that releases took away: python3 scripts/removed_names.py OUT.tsv [PACKAGE…].

Each release of a package that this Python can have (the newest of each minor version since OLDEST) is installed
beside what it was made with, and asked for the public names of its modules, by importing them. A name that the newest
release has no more was there before the release after the last one that has it. A line is `name TAB distribution TAB
before`, sorted; a module that is gone stands for all that was in it.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.version import Version

#: distribution -> its top-level module and the first release that is asked
OLDEST = {
    "astropy": ("astropy", "5.2"),
    "biopython": ("Bio", "1.78"),
    "dask": ("dask", "2022.1"),
    "gensim": ("gensim", "4.3"),
    "imageio": ("imageio", "2.10"),
    "lifelines": ("lifelines", "0.26"),
    "matplotlib": ("matplotlib", "3.6"),
    "networkx": ("networkx", "2.6"),
    "numpy": ("numpy", "1.23.2"),
    "pandas": ("pandas", "1.5"),
    "pillow": ("PIL", "9.3"),
    "scikit-image": ("skimage", "0.19.3"),
    "scikit-learn": ("sklearn", "1.1.3"),
    "scipy": ("scipy", "1.9.2"),
    "seaborn": ("seaborn", "0.11"),
    "statsmodels": ("statsmodels", "0.13.3"),
    "sympy": ("sympy", "1.9"),
    "xarray": ("xarray", "2022.3"),
}
MODULES = 2  #: levels below the top: scipy.stats.mstats
_ASK = """
import importlib, json, pkgutil, sys, types
top, deepest = sys.stdin.read().split()
deepest = int(deepest)
found, pending = {}, [top]
def own(thing):  # neither of the standard library nor a module of somebody else's
    if isinstance(thing, types.ModuleType):
        return thing.__name__.partition(".")[0] == top
    of = getattr(thing, "__module__", None) or ""
    return of.partition(".")[0] not in sys.stdlib_module_names - {"builtins"}
while pending:
    name = pending.pop()
    try:
        module = importlib.import_module(name)
        every = sorted({*dir(module), *vars(module)})
        found[name] = [one for one in every if not one.startswith("_") and own(getattr(module, one, sys))]
    except BaseException:
        continue
    if hasattr(module, "__path__") and name.count(".") < deepest:
        below = [one.name for one in pkgutil.iter_modules(module.__path__)]
        pending += [f"{name}.{one}" for one in below if not one.startswith("_") and one not in ("tests", "conftest")]
json.dump(found, sys.stdout)
"""
_STILL = """
import importlib, json, sys
def there(name):  # by asking for it: some names are made only then
    module, _, last = name.rpartition(".")
    try:
        return hasattr(importlib.import_module(module), last) if module else False
    except BaseException:
        return False
json.dump([name for name in sys.stdin.read().split() if there(name)], sys.stdout)
"""


def releases(distribution: str, oldest: str) -> list[Version]:
    """List the newest release of each minor version that has a wheel for this Python, oldest first."""
    argv = ["uv", "tool", "run", "pip", "index", "versions", "--only-binary=:all:", distribution]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    newest: dict[tuple[int, ...], Version] = {}
    for text in re.findall(r"[\w.]+", said.partition("Available versions:")[2].partition("\n")[0]):
        version = Version(text)
        if version >= Version(oldest):
            newest[version.release[:2]] = max(newest.get(version.release[:2], version), version)
    return sorted(newest.values())


def ask(distribution: str, version: Version, program: str, *arguments: str) -> str | None:
    """Return what a program says with a release installed, its last line; None where that cannot be had."""
    with tempfile.TemporaryDirectory() as place:
        older = ["numpy<2"] if distribution != "numpy" else []
        for more in (older, []):
            argv = [
                "uv",
                "pip",
                "install",
                "-q",
                "--only-binary=:all:",
                "--target",
                place,
                f"{distribution}=={version}",
            ]
            if subprocess.run([*argv, *more], capture_output=True, check=False).returncode == 0:
                break
        else:
            return None
        environ = {**os.environ, "PYTHONPATH": place, "MPLBACKEND": "agg"}
        argv = [sys.executable, "-W", "ignore", "-c", program]
        done = subprocess.run(
            argv, input="\n".join(arguments), env=environ, capture_output=True, text=True, check=False
        )
        return done.stdout.splitlines()[-1] if done.returncode == 0 else None


def names(distribution: str, module: str, version: Version) -> set[str] | None:
    """Return the full names that a release has: its modules, and what is in them; None where it cannot be had."""
    said = ask(distribution, version, _ASK, module, str(MODULES))
    if said is None:
        return None
    found = json.loads(said)
    return {*found, *(f"{name}.{one}" for name, inside in found.items() for one in inside)}


def removed(distribution: str, module: str, oldest: str) -> dict[str, str]:
    """Return what the newest release has no more, and the release that took it away."""
    asked = ((version, names(distribution, module, version)) for version in releases(distribution, oldest))
    known = [(version, found) for version, found in asked if found]
    print(distribution, *(f"{version}:{len(found)}" for version, found in known), file=sys.stderr, flush=True)
    last = known[-1][1] if known else set()
    gone: dict[str, str] = {}
    for (_, had), (after, _) in itertools.pairwise(known):
        gone |= dict.fromkeys(had - last, f"{after.major}.{after.minor}")
    gone = {name: before for name, before in gone.items() if name.rpartition(".")[0] not in gone}
    still = json.loads(ask(distribution, known[-1][0], _STILL, *gone) or "[]") if gone else []
    return {name: before for name, before in gone.items() if name not in still}


def main() -> None:
    """Ask every package, write the list."""
    out, wanted = Path(sys.argv[1]), sys.argv[2:] or [*OLDEST]
    lines: list[str] = []
    for distribution in wanted:
        found = removed(distribution, *OLDEST[distribution]).items()
        lines += [f"{name}\t{distribution}\t{before}" for name, before in found]
        out.write_text("\n".join(sorted(lines)) + "\n")


if __name__ == "__main__":
    main()
