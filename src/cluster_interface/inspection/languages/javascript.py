"""JavaScript for Node.js: its modules in the distribution are node-foo."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.archive.index import SUITES
from cluster_interface.inspection.languages import lexis
from cluster_interface.inspection.languages.files import Verbs
from cluster_interface.inspection.languages.javascript_options import javascript_options
from cluster_interface.inspection.languages.loading import Loading, beside_it
from cluster_interface.inspection.wordlist import words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.languages.lexis import Source
    from cluster_interface.inspection.project import Project


#: what only modules say at the top: https://nodejs.org/api/packages.html#determining-module-system
_MODULE = re.compile(r"^(?:import\b(?![ \t]*\()|export\b)", re.MULTILINE)
_SCRIPT = re.compile(r"(?<![\w.])(?:require[ \t]*\(|module\.exports\b|exports\.\w|__dirname\b|__filename\b)")


class Node(Loading):
    """JavaScript for Node.js; its modules in the distribution are node-foo."""

    moves = False  # what it is a part of is looked for above it

    own = words(
        "assert async_hooks buffer child_process cluster console constants crypto dgram diagnostics_channel dns "
        "domain events fs http http2 https inspector module net os path perf_hooks process punycode querystring "
        "readline repl stream string_decoder sys timers tls trace_events tty url util v8 vm wasi worker_threads zlib"
    )

    def modules(self, source: Source) -> Iterable[tuple[str, int]]:
        """Yield what require(), import and import() name."""
        for text in source.texts:
            if re.search(r"(?:\brequire\s*\(|\bimport\s*\(?|\bfrom)\s*$", text.before):
                module = text.value.removeprefix("node:")
                plain = (
                    module
                    if module.startswith((".", "/"))
                    else "/".join(module.split("/")[: 1 + module.startswith("@")])
                )
                yield plain, text.line

    def packages_of(self, draft: Draft, module: str) -> tuple[str, ...]:
        """List the packages of a module."""
        return draft.software.archive.find("node", module)

    def command(self, draft: Draft, source: Source) -> str:
        """Return the command line; modules are told from scripts by what they say, which older Nodes do not look at."""
        line = super().command(draft, source)
        is_script = not _MODULE.search(source.code) or _SCRIPT.search(source.code)
        if is_script or not draft.script.lower().endswith(".js") or draft.software.suite == SUITES[0]:
            return line
        return line.replace("node ", "node --experimental-default-type=module ", 1)

    def beside(self, project: Project, name: str, module: str) -> str | None:
        """Return the project's own file, or that of node_modules."""
        if module.startswith("."):
            return beside_it(project, name, module, "", ".js", ".mjs", ".cjs", ".json", "/index.js")
        return f"node_modules/{module}/package.json" if f"node_modules/{module}/package.json" in project else None


LANGUAGE = Node(
    says="JavaScript for Node.js (.js)",
    suffixes=(".js", ".mjs", ".cjs"),
    lexis=lexis.JAVASCRIPT,
    verbs=Verbs(
        reads=words("readFileSync readFile createReadStream readdirSync"),
        writes=words("writeFileSync writeFile appendFileSync appendFile createWriteStream"),
        opens=words("openSync"),
        joins=words("path.join path.resolve"),
        makes=words("mkdirSync mkdir"),
    ),
    packages=("nodejs",),
    program=("node",),
    declares=javascript_options,
    serves=re.compile(r"\b\w+\.listen\s*\("),
    interpreters=frozenset({"node", "nodejs"}),
)
