"""The way in: files as text in, a proposal out. Nothing is run, read from disk or asked of the network."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from cluster_interface.inspection.batch.reading import add_to_draft
from cluster_interface.inspection.batch.uses import settle_modules
from cluster_interface.inspection.choosing import choose_script
from cluster_interface.inspection.draft import Draft
from cluster_interface.inspection.foreign import why_not
from cluster_interface.inspection.kinds import Moving, follow, follow_text, kind_of, supported
from cluster_interface.inspection.languages.unbuilt import build_first
from cluster_interface.inspection.project import Project
from cluster_interface.inspection.python.places import started_in
from cluster_interface.inspection.rooted import Rooted
from cluster_interface.inspection.wording import shown
from cluster_interface.model.errors import Rejected
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cluster_interface.inspection.kinds import Kind
    from cluster_interface.inspection.software import Software
    from cluster_interface.model.proposal import Proposal


def inspect(
    files: Mapping[str, str | None],
    script: str | None = None,
    arguments: Sequence[str] = (),
    software: Software | None = None,
    start: str | None = None,
) -> Proposal:
    """Propose how to run a script: environment, command, inputs, outputs, and what each guess rests on.

    `files` maps names (relative to the directory where the job starts) to text, or None where a file is binary
    or too large; `script` is one of them, or None to have the one plausible script found; `software` says where
    the site has its software from; `start` is the directory among them in which the program is started, None to have
    that found out. Raises Rejected,
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
        raise Rejected.field("script", why_not(project, script, supported()))
    home, example = _home(project, script, kind, arguments, start)
    if home:
        project, script = Rooted(project, home), posixpath.relpath(script, home)
    draft = Draft(project, script, arguments, software, start, home=home)
    draft.follow, draft.follow_text = follow, follow_text
    draft.followed.add(script)
    draft.guess("script", draft.of_job(script), why, sure)
    if home and start is None:
        why = f"{shown(example)} is found from there, not from the directory above"
        draft.guess("command", f"cd {home}", why, Sureness.LIKELY)
    add_to_draft(draft)
    _name(draft)
    kind.read(draft)
    build_first(draft)
    settle_modules(draft)
    for command, why in draft.first.items():
        draft.guess("command", command, why, Sureness.LIKELY)
    draft.command = started_in(home, " && ".join([*draft.first, draft.command]))
    return draft.proposal()


def _home(project: Project, script: str, kind: Kind, arguments: Sequence[str], asked: str | None) -> tuple[str, str]:
    """Return the directory that all names count from but those of Python, which asks for its own by itself."""
    if not isinstance(kind, Moving):
        return "", ""
    home, example = kind.starts(project, script, arguments)
    return (home, example) if asked is None else (asked, "")


def _name(draft: Draft) -> None:
    for option in draft.batch.options("name") if draft.batch else ():
        draft.guess("name", draft.name, option.where, Sureness.STATED)
        return
    draft.guess("name", draft.name, f"the script is called {draft.script}", Sureness.LIKELY)


def _check_arguments(arguments: Sequence[str]) -> None:
    for argument in arguments:
        if "\0" in argument or any("\ud800" <= c <= "\udfff" for c in argument):
            raise Rejected.field("arguments", f"{shown(argument)} is not text that a program can be given")
