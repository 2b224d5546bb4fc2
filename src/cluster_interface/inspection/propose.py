"""The way in: files as text in, a proposal out. Nothing is run, read from disk or asked of the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster_interface.inspection.batch.reading import add_to_draft
from cluster_interface.inspection.choosing import choose_script
from cluster_interface.inspection.draft import Draft, shown
from cluster_interface.inspection.foreign import why_not
from cluster_interface.inspection.kinds import KINDS, follow, kind_of
from cluster_interface.inspection.project import Project
from cluster_interface.model.errors import Rejected
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cluster_interface.inspection.software import Software
    from cluster_interface.model.proposal import Proposal


def inspect(
    files: Mapping[str, str | None],
    script: str | None = None,
    arguments: Sequence[str] = (),
    software: Software | None = None,
) -> Proposal:
    """Propose how to run a script: environment, command, inputs, outputs, and what each guess rests on.

    `files` maps names (relative to the directory where the job starts) to text, or None where a file is binary
    or too large; `script` is one of them, or None to have the one plausible script found; `software` says where
    the site has its software from. Raises Rejected,
    naming field and file, where there is no such script, where it cannot be read or its kind is not supported.
    """
    project = Project(files)
    _check_arguments(arguments)
    if script is None:
        script, why = choose_script(project)
        sure = Sureness.LIKELY
    else:
        script, why, sure = script.removeprefix("./"), "named by you", Sureness.STATED
    if script not in project:
        raise Rejected.field("script", f"{shown(script)} is not among the files that were handed over")
    kind = kind_of(project, script)
    if kind is None:
        raise Rejected.field("script", why_not(project, script, tuple(k.says for k in KINDS)))
    draft = Draft(project, script, arguments, software)
    draft.follow = follow
    draft.followed.add(script)
    draft.guess("script", script, why, sure)
    add_to_draft(draft)
    _name(draft)
    kind.read(draft)
    return draft.proposal()


def _name(draft: Draft) -> None:
    for option in draft.batch.options("name") if draft.batch else ():
        draft.guess("name", draft.name, option.where, Sureness.STATED)
        return
    draft.guess("name", draft.name, f"the script is called {draft.script}", Sureness.LIKELY)


def _check_arguments(arguments: Sequence[str]) -> None:
    for argument in arguments:
        if "\0" in argument or any("\ud800" <= c <= "\udfff" for c in argument):
            raise Rejected.field("arguments", f"{shown(argument)} is not text that a program can be given")
