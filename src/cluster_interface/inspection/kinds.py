"""The kinds of script that can be read, in the order in which they are asked.

A new kind is one module with one class, and one line in KINDS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from cluster_interface.inspection.batch.directives import begins_with_directives
from cluster_interface.inspection.foreign import is_foreign
from cluster_interface.inspection.languages.jar import JAR
from cluster_interface.inspection.languages.language import Language
from cluster_interface.inspection.languages.program import PROGRAM, is_program
from cluster_interface.inspection.languages.registry import BUILDERS, LANGUAGES
from cluster_interface.inspection.languages.simple import NAMED, SAYS, SIMPLE, Simple
from cluster_interface.inspection.python.kind import PythonScript
from cluster_interface.inspection.python.notebook_kind import NotebookKind
from cluster_interface.inspection.shebang import read_shebang
from cluster_interface.inspection.shell.kind import ShellScript

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.project import Project
    from cluster_interface.inspection.shebang import Shebang


class Kind(Protocol):
    """One kind of script."""

    @property
    def says(self) -> str:
        """What it takes, for people: "Python (.py)"."""

    def detects(self, name: str, shebang: Shebang | None) -> bool:
        """Say whether a file of this name and first line is of this kind."""

    def uses(self, project: Project, name: str) -> frozenset[str]:
        """Name the other files of the project that this script imports or runs."""

    def read(self, draft: Draft) -> None:
        """Fill the draft from its script; raise Rejected if the script cannot be read."""


@runtime_checkable
class Followed(Protocol):
    """A kind whose files others may start."""

    def follow(self, draft: Draft, name: str, arguments: Sequence[str]) -> None:
        """Add what a file needs that the draft's script starts."""


@runtime_checkable
class Moving(Protocol):
    """A kind whose files may be started in another directory than the top, which all their names then count from."""

    def starts(self, project: Project, name: str, arguments: Sequence[str]) -> tuple[str, str]:
        """Return the directory that a file is started in, and what is found from there."""


MOST_FOLLOWED = 50
SHELL = ShellScript()
NOTEBOOK = NotebookKind()
KINDS: tuple[Kind, ...] = (PythonScript(), SHELL, NOTEBOOK, *LANGUAGES, *BUILDERS, JAR, PROGRAM, *SIMPLE, NAMED)
#: a file called configure is no shell script like others; and some endings are of two languages, which the text tells
_ASKED: tuple[Kind, ...] = (*BUILDERS, *SIMPLE, *KINDS)


def kind_of(project: Project, name: str) -> Kind | None:
    """Return the first kind that takes this file; None if it has no text or no kind wants it.

    What has no first line and no known ending but begins with directives of a batch system is a shell script.
    """
    text = project.text(name)
    if text is None:  # of a notebook and a jar it is known how they are run, whatever is in them
        return next((kind for kind in (NOTEBOOK, JAR) if kind.detects(name, None)), None)
    if is_program(text):
        return PROGRAM
    shebang = read_shebang(text)
    found = next((kind for kind in _ASKED if _takes(kind, name, shebang, text)), None)
    if found is None and shebang is None and not is_foreign(name) and begins_with_directives(text):
        return SHELL
    return found


def _takes(kind: Kind, name: str, shebang: Shebang | None, text: str) -> bool:
    return kind.detects(name, shebang) and (not isinstance(kind, Simple) or shebang is not None or kind.fits(text))


def supported() -> tuple[str, ...]:
    """List what can be run, for people."""
    return (*(kind.says for kind in KINDS if not isinstance(kind, Simple)), SAYS)


def follow(draft: Draft, name: str, arguments: Sequence[str]) -> bool:
    """Add what a file needs that another one starts, whatever its kind; False where it is of none."""
    kind = kind_of(draft.project, name)
    if not isinstance(kind, Followed):
        return False
    if name not in draft.followed and len(draft.followed) < MOST_FOLLOWED:
        draft.followed.add(name)
        kind.follow(draft, name, arguments)
    return True


def follow_text(draft: Draft, interpreter: str, name: str, text: str) -> None:
    """Add what a text needs that an interpreter is given to run on its command line."""
    language = next(
        (one for one in (*LANGUAGES, *SIMPLE) if isinstance(one, Language) and interpreter in one.interpreters), None
    )
    if language is not None:
        language.follow_text(draft, name, text)
