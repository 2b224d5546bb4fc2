"""A sweep written out: the parameters of every task, and where they go in a command that was proposed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster_interface.inspection.tables import read_table
from cluster_interface.model.errors import Rejected
from cluster_interface.model.patterns import matches
from cluster_interface.model.placeholders import offer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from cluster_interface.model.proposal import Missing, Proposal
    from cluster_interface.model.sweep import Sweep, Values

FILE = "file"  #: the parameter of a sweep over files


def expand(sweep: Sweep, files: Collection[str], read: Callable[[str], bytes | None], most: int) -> list[Values]:
    """Return the parameters of every task, in order; Rejected if there are none or more than `most`.

    `files` are the names in the job's file tree, `read` returns the bytes of one (None: not to be had here).
    """
    if sweep.count is not None and sweep.count > most:
        raise _too_many(sweep.count, most)
    if sweep.table is not None:
        rows = read_table(sweep.table, read(sweep.table), most)
    else:
        rows = sweep.rows() if sweep.parameters else _from_files(sweep, files)
    if len(rows) > most:
        raise _too_many(len(rows), most)
    return rows


def with_places(proposal: Proposal, parameters: Collection[str]) -> Proposal:
    """Give parameters of a sweep to the script's options of their names; warn of those that have none."""
    command, notes = offer(proposal.command, parameters, [option.model_dump() for option in proposal.options])
    more = {
        "command": command,
        "warnings": (*proposal.warnings, *notes),
        "missing": _still_missing(proposal, parameters),
    }
    return proposal.model_copy(update=more)


def _still_missing(proposal: Proposal, parameters: Collection[str]) -> Missing | None:
    """Leave out what the parameters give."""
    if proposal.missing is None:
        return None
    given = {name.replace("-", "_") for name in parameters}
    names = tuple(name for name in proposal.missing.names if name.lstrip("-").replace("-", "_") not in given)
    return proposal.missing.model_copy(update={"names": names}) if names else None


def _from_files(sweep: Sweep, files: Collection[str]) -> list[Values]:
    found = sorted(name for name in files if not name.endswith("/") and matches(sweep.files or "", name))
    if not found:
        raise Rejected.field(
            "sweep.files", f"no input matches {sweep.files!r}; there are: {', '.join(files) or 'none'}"
        )
    return [{FILE: name} for name in found]


def _too_many(count: int, most: int) -> Rejected:
    return Rejected.field("sweep", f"{count:,} tasks; this site allows {most:,} in one job (sweeps.max_tasks)")
