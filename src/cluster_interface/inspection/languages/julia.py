"""Julia: the distribution has the language where it has it, and none of its packages."""

from __future__ import annotations

import posixpath
import re
import shlex
from typing import TYPE_CHECKING

from cluster_interface.inspection.commands import need_command
from cluster_interface.inspection.languages import lexis
from cluster_interface.inspection.languages.files import Verbs
from cluster_interface.inspection.languages.julia_options import julia_options
from cluster_interface.inspection.languages.loading import Loading
from cluster_interface.inspection.wordlist import words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.languages.lexis import Source
    from cluster_interface.inspection.project import Project


#: what moved out of Julia itself with 0.7 and 1.0, and where to: scripts of before do not say `using`
_MOVED = {
    "Printf": "@printf @sprintf",
    "LinearAlgebra": "norm dot cross det inv tr eigvals eigvecs eigen svd qr lu cholesky diagm rank kron",
    "Statistics": "mean median std var cor cov quantile",
    "DelimitedFiles": "readdlm writedlm",
    "SparseArrays": "sparse spzeros sprand sprandn nnz issparse",
    "Distributed": "addprocs pmap nprocs nworkers myid remotecall remotecall_fetch @everywhere @distributed @spawnat",
    "Dates": "now today DateTime",
}


class Julia(Loading):
    """Julia; the distribution has the language where it has it, and no packages."""

    moves = False  # what it is a part of is looked for above it
    otherwise = 'where jobs may (--network), `using Pkg; Pkg.add("{}")` at the top of the script brings it'

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
        used = {module for module, _ in self.modules(source)}
        for module, names in _MOVED.items() if name == draft.script else ():
            if module not in used and (called := _called_of(names.split(), source.code)):
                line = f"echo 'using {module}' >>~/.julia/config/startup.jl"
                why = f"it calls {called}, which was Julia's own and is {module}'s now"
                draft.first.setdefault(f"mkdir -p ~/.julia/config && {line}", why)

    def modules(self, source: Source) -> Iterable[tuple[str, int]]:
        """Yield what using and import name."""
        local = set(re.findall(r"^[ \t]*module\s+(\w+)", source.code, re.MULTILINE))
        for found in re.finditer(r"^[ \t]*(?:using|import)[ \t]+([^\n:]+)", source.code, re.MULTILINE):
            for name in re.findall(r"(?<![.\w])[A-Z]\w*", found[1]):
                if name not in local:
                    yield name, source.line(found.start())

    def command(self, draft: Draft, source: Source) -> str:
        """Return the command line; a script that uses the package whose project it is in starts in that project."""
        plain = super().command(draft, source)
        for module, _ in self.modules(source):
            if file := self.beside(draft.project, draft.script, module):
                home = posixpath.dirname(posixpath.dirname(file))
                why = f"it uses {module}, whose Project.toml is there"
                draft.add_inputs(draft.project.below(home), why)
                return plain.replace("julia ", f"julia --project={shlex.quote(home or '.')} ", 1)
        return plain

    def beside(self, project: Project, name: str, module: str) -> str | None:
        """Return the file of a package in whose project a script is."""
        home = posixpath.dirname(name)
        while True:
            text = project.text(posixpath.join(home, "Project.toml")) or ""
            file = posixpath.join(home, "src", f"{module}.jl")
            if file in project and re.search(rf"^name\s*=\s*\"{module}\"", text, re.MULTILINE):
                return file
            if not home:
                return None
            home = posixpath.dirname(home)


def _called_of(names: list[str], code: str) -> str:
    """Return the first of some names that is called and not defined; empty: none."""
    for name in names:
        called = rf"(?<![\w.@]){re.escape(name)}" + (r"[ \t(\"]" if name[0] == "@" else r"\(")
        plain = re.escape(name.lstrip("@"))
        own = rf"\b(?:function|macro)[ \t]+{plain}\b|^[ \t]*{plain}(?:\([^)\n]*\))?[ \t]*=(?!=)"
        if re.search(called, code) and not re.search(own, code, re.MULTILINE):
            return name
    return ""


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
    declares=julia_options,
    interpreters=frozenset({"julia"}),
)
