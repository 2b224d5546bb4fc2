"""Cargo projects: the crates that the distribution has, without the network.

The manifest: https://doc.rust-lang.org/cargo/reference/manifest.html. Debian's crates, of each one version, are a
directory source: https://doc.rust-lang.org/cargo/reference/source-replacement.html.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from typing import TYPE_CHECKING, Any

from cluster_interface.inspection.languages.building import PLACE
from cluster_interface.inspection.languages.loading import missing
from cluster_interface.inspection.languages.releases import newer_suite
from cluster_interface.inspection.python.pyproject import read_toml, table_at
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster_interface.inspection.draft import Draft

CARGO = "Cargo.toml"
LOCK = "Cargo.lock"
_CRATE = f"{PLACE}/crate"  #: the project as it is built: linked, but for its manifest, and without its lock
_REGISTRY = "/usr/share/cargo/registry"
_EDITIONS = {"2018": "1.31", "2021": "1.56", "2024": "1.85"}  # https://doc.rust-lang.org/edition-guide
# cargo wants the crates of tests and benchmarks to be there as well: without the network they are left out, but for
# those that an example uses
_FOR_RUNNING = r"/^[[:space:]]*\[/ { skip = /dev-dependencies/ } !skip"
_FOR_AN_EXAMPLE = r" || /^[[:space:]]*(\[dev-dependencies\]|(%s)[[:space:]]*=)/"


def add_crates(draft: Draft, cargo: str) -> None:
    """Add the packages of the crates that a manifest depends on, and the project's files."""
    draft.add_system("cargo", f"{cargo} is there")
    home = posixpath.dirname(cargo)
    files = [name for name in draft.project.below(home) if name.endswith((".rs", ".toml"))]
    draft.add_inputs([name for name in files if "target" not in name.split("/")], "cargo reads it", Sureness.KNOWN)
    document = read_toml(draft.project.text(cargo) or "")
    if isinstance(document, str):
        draft.warn(f"{cargo} is not TOML ({document}), so it is not known what it depends on")
        return
    package = table_at(document, "package")
    edition, version = str(package.get("edition", "")), str(package.get("rust-version", ""))
    newer_suite(draft, "Rust", version or _EDITIONS.get(edition, ""), cargo)
    for crate, wish in (*_dependencies(document), *_of_example(draft, cargo, document)):
        _add(draft, cargo, crate, wish)
    if posixpath.join(home, LOCK) in draft.project:
        draft.warn(f"{LOCK} is not used: of each crate there is the one version that Debian {draft.software.suite} has")


def by_cargo(draft: Draft, cargo: str) -> tuple[str, str]:
    """Return the command line that builds a project, and the program that it makes."""
    home, manifest = shlex.quote(posixpath.dirname(cargo) or "."), shlex.quote(cargo)
    options = ["--release", "--offline", "--ignore-rust-version"]
    options += ["--manifest-path", f"{_CRATE}/{CARGO}", "--target-dir", f"{PLACE}/target"]
    if any(package.startswith("librust-") for package in draft.system):
        settings = ('source.crates-io.replace-with="debian"', f'source.debian.directory="{_REGISTRY}"')
        options += [word for one in settings for word in ("--config", one)]
    program, kind = _program(draft, cargo), "bin"
    leaving_out = _FOR_RUNNING
    if example := _example(draft, cargo):
        program, kind = example, "example"
        document = read_toml(draft.project.text(cargo) or "")
        used = [] if isinstance(document, str) else [crate for crate, _ in _of_example(draft, cargo, document)]
        leaving_out += _FOR_AN_EXAMPLE % "|".join(used) if used else ""
    steps = [
        f'mkdir -p {_CRATE} && ln -sf "$PWD"/{home}/* {_CRATE}/ && rm -f {_CRATE}/{CARGO} {_CRATE}/{LOCK}',
        f"awk {shlex.quote(leaving_out)} {manifest} >{_CRATE}/{CARGO}",
        shlex.join(["cargo", "build", *options, f"--{kind}", program]),
    ]
    return " && ".join(steps), f"{PLACE}/target/release/{'examples/' if example else ''}{program}"


def _example(draft: Draft, cargo: str) -> str:
    """Name the example that a script is: examples/x.rs and examples/x/main.rs are x; empty: it is none."""
    parts = posixpath.relpath(draft.script, posixpath.dirname(cargo) or ".").split("/")
    if parts[0] != "examples" or len(parts) > 3 or (len(parts) == 3 and parts[2] != "main.rs"):
        return ""
    return parts[1].removesuffix(".rs")


def _of_example(draft: Draft, cargo: str, document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the crates for tests and examples that the draft's script uses, if it is an example."""
    text = draft.project.text(draft.script) or ""
    for crate, wish in table_at(document, "dev-dependencies").items() if _example(draft, cargo) else ():
        if re.search(rf"\b{re.escape(crate.replace('-', '_'))}\b", text):
            yield crate, wish


def _dependencies(document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    tables = [document, *(table_at(document, "target", name) for name in table_at(document, "target"))]
    for table in tables:
        for kind in ("dependencies", "build-dependencies"):
            yield from table_at(table, kind).items()


def _add(draft: Draft, cargo: str, name: str, wish: Any) -> None:
    table = wish if isinstance(wish, dict) else {}
    if "path" in table:
        return
    if "git" in table:
        draft.warn(f"{cargo}: {name} comes by git, which a job cannot ask: bring it among the files and name its path")
        return
    crate = str(table.get("package", name)).replace("_", "-")
    packages = draft.software.archive.find("rust", crate)
    if not packages:
        missing(draft, crate, cargo, "Rust")
        return
    draft.add_system(packages[0], f"{cargo} depends on {crate}")
    if packages[0] == f"librust-{crate}-dev" and table.get("default-features", True):  # what other crates depend on
        draft.add_system(f"librust-{crate}+default-dev", f"{cargo} wants {crate} with its default features")
    features = table.get("features")
    for feature in features if isinstance(features, list) else ():
        for part in draft.software.archive.find("rust", f"{crate}-{feature}")[:1]:
            draft.add_system(part, f"{cargo} wants {crate} with {feature}")


def _program(draft: Draft, cargo: str) -> str:
    """Name the program that a script of the project is: src/main.rs the package's, src/bin/x.rs is x."""
    home, stem = posixpath.split(posixpath.splitext(draft.script)[0])
    document = read_toml(draft.project.text(cargo) or "")
    document = {} if isinstance(document, str) else document
    rows = document.get("bin")
    below = posixpath.relpath(draft.script, posixpath.dirname(cargo) or ".")
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict) and posixpath.normpath(str(row.get("path", "src/main.rs"))) == below:
            return str(row.get("name", stem))
    if posixpath.basename(home) == "bin":
        return stem
    if stem == "main" and posixpath.basename(posixpath.dirname(home)) == "bin":
        return posixpath.basename(home)
    return str(table_at(document, "package").get("name", "main"))
