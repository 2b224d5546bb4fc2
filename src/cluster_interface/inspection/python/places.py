"""The directory that a script is started in, where that is not the one the person stands in: by what it reads."""

from __future__ import annotations

import ast
import posixpath
import shlex
from typing import TYPE_CHECKING

from cluster_interface.inspection.python.beside import homes
from cluster_interface.inspection.python.files import place_of
from cluster_interface.inspection.python.values import HOLE, Values
from cluster_interface.inspection.wording import shown
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.project import Project
    from cluster_interface.inspection.python.modules import Program

MOST_TEXTS = 2000  #: of one program that are looked at
MOST_PATTERNS = 50  #: of these those of which a part is not known: each is compared with every file
_SHORTEST = 3  #: characters of what may be the name of a file


def where_to_start(draft: Draft, program: Program) -> str:
    """Return the directory that a program is started in: where the person stands, unless it finds its files elsewhere.

    People write a script where its data lie, or a directory above, start it there, and then name it from the top.
    """
    asked, home = draft.asked_start, posixpath.dirname(draft.script)
    if not home:
        return asked or ""
    texts = [*draft.arguments, *_texts(program)]
    if asked is not None and (not asked or any(_finds(draft.project, asked, text) for text in texts)):
        return asked
    given = [text for text in draft.arguments if _finds(draft.project, "", text)]
    found = {
        place: [text for text in texts if _finds(draft.project, place, text)]
        for place in ("", *homes(draft.script))
        if all(_finds(draft.project, place, text) for text in given)  # else what was given would not be found
    }
    best = max(found, key=lambda place: len(found[place]))  # the first of equal ones: where the person stands
    if asked and not found[best]:
        return asked
    if best:
        example = next(text for text in found[best] if text not in found[""])
        why = f"{shown(example.replace(HOLE, '*'))} is found from there, not from the directory above"
        draft.guess("command", f"cd {best}", why, Sureness.LIKELY)
    return best


def started_in(directory: str, command: str) -> str:
    """Write a command that is started in a directory of the job."""
    if not directory:
        return command
    return f"cd {shlex.quote(f'./{directory}' if directory.startswith('-') else directory)} && {command}"


def _texts(program: Program) -> Iterator[str]:
    """Yield what may name a file relative to where the program is started, each once."""
    seen: set[str] = set()
    patterns = 0
    for module in program.modules.values():
        values = Values(module, {})
        for node in module.nodes:
            if not isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp | ast.Call):
                continue
            text = values.text(node)
            if text is None or text in seen or "\n" in text or len(text.strip(f"{HOLE}./")) < _SHORTEST:
                continue
            patterns += HOLE in text
            if ("." in text or "/" in text) and not text.startswith(("/", "~")):
                seen.add(text)
                if HOLE not in text or patterns <= MOST_PATTERNS:
                    yield text
            if len(seen) >= MOST_TEXTS:
                return


def _finds(project: Project, start: str, text: str) -> bool:
    if (name := place_of(start, text.replace(HOLE, "*"))) is None or not name:
        return False
    if HOLE in text:
        home = name.split("*", 1)[0].rpartition("/")[0]
        return home in project.directories and bool(project.matching(name))
    return name in project or ("/" in text and name in project.directories)
