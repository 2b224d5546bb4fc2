"""Julia: the distribution has the language where it has it, and none of its packages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.commands import need_command
from cluster_interface.inspection.languages import lexis
from cluster_interface.inspection.languages.files import Verbs
from cluster_interface.inspection.languages.loading import Loading
from cluster_interface.inspection.wordlist import words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.languages.lexis import Source


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
        need_command(draft, "julia", f"{name} is Julia, which")
        super().needs(draft, name, source)

    def modules(self, source: Source) -> Iterable[tuple[str, int]]:
        """Yield what using and import name."""
        local = set(re.findall(r"^[ \t]*module\s+(\w+)", source.code, re.MULTILINE))
        for found in re.finditer(r"^[ \t]*(?:using|import)[ \t]+([^\n:]+)", source.code, re.MULTILINE):
            for name in re.findall(r"(?<![.\w])[A-Z]\w*", found[1]):
                if name not in local:
                    yield name, source.line(found.start())


LANGUAGE = Julia(
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
