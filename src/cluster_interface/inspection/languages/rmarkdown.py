"""R Markdown and Quarto documents, rendered to the first of the formats that they name."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages.lexis import R as LEXIS
from cluster_interface.inspection.languages.lexis import Source
from cluster_interface.inspection.languages.r import VERBS, RLanguage
from cluster_interface.inspection.python.source import normalize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.project import Project

PLAIN = "html_document"
_CHUNK = re.compile(r"^[ \t]*```\{[rR][^}\n]*\}[ \t]*\n(.*?)^[ \t]*```", re.MULTILINE | re.DOTALL)
_HEAD = re.compile(r"\A\s*---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*$", re.MULTILINE | re.DOTALL)
_FORMAT = re.compile(r"^output:[ \t]*(?:\n[ \t]*(?:-[ \t]*)?)?([A-Za-z][\w.]*)(?:::([\w.]+))?", re.MULTILINE)
_BY_LATEX = re.compile(r"pdf_\w+|beamer_\w+|tufte_handout|latex_\w+")
_LATEX = ("texlive-latex-recommended", "texlive-latex-extra", "texlive-fonts-recommended", "lmodern")


class RMarkdown(RLanguage):
    """R Markdown and Quarto documents."""

    def source(self, project: Project, name: str) -> Source:
        """Read the chunks of code; what stands between them is blank."""
        whole = super().source(project, name).text
        parts: list[str] = []
        at = 0
        for chunk in _CHUNK.finditer(whole):
            parts += [re.sub(r"[^\n]", "", whole[at : chunk.start(1)]), chunk[1]]
            at = chunk.end(1)
        return Source("".join(parts), LEXIS)

    def starts(self, _project: Project, name: str, _arguments: Sequence[str]) -> tuple[str, str]:
        """Return its own directory: wherever rendering is started from, its code runs there."""
        return posixpath.dirname(name), name

    def command(self, draft: Draft, _source: Source) -> str:
        """Return the command line that renders it."""
        stem = draft.script.rsplit(".", 1)[0]
        draft.add_output(f"{stem}.*", "what it is rendered to")
        words = [json.dumps(draft.script), *(f'"{one}"' for one in self._format(draft))]
        return shlex.join(["Rscript", "-e", f"rmarkdown::render({', '.join(words)})", *draft.arguments])

    def _format(self, draft: Draft) -> list[str]:
        """Add what the document's format needs; return another one where it is of a package that Debian has not."""
        head = _HEAD.match(normalize(draft.project.text(draft.script) or ""))
        found = _FORMAT.search(head[1]) if head else None
        if found is None:
            return []
        package, name = (found[1], found[2]) if found[2] else ("", found[1])
        if _BY_LATEX.fullmatch(name):
            for one in _LATEX:
                draft.add_system(one, f"its format is {name}")
        has = draft.software.archive.find("r", package.lower())
        if has:
            draft.add_system(has[0], f"its format is {package}::{name}")
        elif package and package != "rmarkdown":
            draft.warn(
                f"its format is {package}::{name}, and Debian has no {package}: it is rendered to {PLAIN}; for that, "
                f"name {package} under environment.r.packages and say the command"
            )
            return [PLAIN]
        return []


DOCUMENT = RMarkdown(
    says="R Markdown (.Rmd, .qmd)",
    suffixes=(".rmd", ".qmd"),
    lexis=LEXIS,
    verbs=VERBS,
    packages=("r-base-core", "r-cran-rmarkdown", "pandoc"),
)
