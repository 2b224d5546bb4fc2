"""Rust: one file by rustc, or a cargo project with the crates that the distribution has, without the network."""

from __future__ import annotations

import posixpath
import re
import shlex
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages import lexis
from cluster_interface.inspection.languages.building import PLACE
from cluster_interface.inspection.languages.cargo import CARGO, add_crates, by_cargo
from cluster_interface.inspection.languages.files import Verbs, Where
from cluster_interface.inspection.languages.language import Language
from cluster_interface.inspection.languages.loading import above
from cluster_interface.inspection.wordlist import words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.languages.lexis import Source
    from cluster_interface.inspection.project import Project


_CRATE_USE = re.compile(r"^[ \t]*(?:pub[ \t]+)?(?:use|extern crate)[ \t]+(?:::)?(\w+)", re.MULTILINE)
_MOD = re.compile(r"^[ \t]*(?:pub(?:\([^)]*\))?[ \t]+)?mod[ \t]+(\w+)[ \t]*;", re.MULTILINE)


class Rust(Language):
    """Rust: one file by rustc; a cargo project with the crates that the distribution has, without the network."""

    moves = False  # what it is a part of is looked for above it

    def needs(self, draft: Draft, name: str, source: Source) -> None:
        """Add the crates' packages."""
        where = Where(draft, name)
        if cargo := above(draft.project, name, CARGO):
            add_crates(draft, cargo)
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
        if cargo := above(draft.project, draft.script, CARGO):
            build, program = by_cargo(draft, cargo)
        else:
            program = f"{PLACE}/{posixpath.splitext(posixpath.basename(draft.script))[0]}"
            build = shlex.join(["rustc", "-O", "-o", program, draft.script])
        return f"{build} && {shlex.join([program, *draft.arguments])}"


LANGUAGE = Rust(
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
