"""From a script's text to the request that its directives make, and from there into the draft."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.batch import gridengine, lsf, pbs, slurm
from cluster_interface.inspection.batch.directives import PREFIXES, Dialect, Directive, find_directives, overlooked
from cluster_interface.inspection.batch.request import Request
from cluster_interface.inspection.project import LARGEST
from cluster_interface.inspection.python.source import normalize
from cluster_interface.model.amounts import show_bytes, show_time
from cluster_interface.model.errors import Rejected
from cluster_interface.model.proposal import LeftOut, Sureness

if TYPE_CHECKING:
    from cluster_interface.inspection.draft import Draft

_READERS = {"slurm": slurm.read, "gridengine": gridengine.read, "pbs": pbs.read, "lsf": lsf.read}
_NAMES: dict[Dialect, str] = {"slurm": "Slurm", "gridengine": "Grid Engine", "pbs": "PBS", "lsf": "LSF"}
_COMPARED = ("cpus", "memory", "time", "gpus", "nodes", "tasks_per_node")  # what means the same everywhere
_OTHERS = re.compile(r"^#(COBALT|OAR|PJM|FLUX:|QSUB)\s+-", re.MULTILINE)
MOST_SHOWN = 5


def read_batch(text: str) -> Request | None:
    """Read a script's directives; None where it has none.

    Where there are several dialects the first in the file decides, and the others are left out. Raises Rejected,
    naming field and line, where directives contradict each other or cannot be read.
    """
    if len(text) > LARGEST:
        return None
    requests: dict[Dialect, Request] = {}
    found = find_directives(normalize(text))
    for directive in found:
        requests.setdefault(directive.dialect, Request(directive.dialect))
    for dialect, request in requests.items():
        _READERS[dialect](request, [directive for directive in found if directive.dialect == dialect])
    if not requests:
        return None
    first, *others = requests.values()
    for other in others:
        _compare(first, other)
        first.left_out += _all_of(other, first, found)
    return first


def _compare(first: Request, other: Request) -> None:
    for field in _COMPARED:
        one, two = first.resources.get(field), other.resources.get(field)
        if one is not None and two is not None and one != two:
            said = [f"{request.rests_on[f'resources.{field}']}" for request in (first, other)]
            words = f"{said[0]}, and {said[1]}, say different things; keep one of them, or let them agree"
            raise Rejected.field(f"resources.{field}", words)
    if first.sweep and other.sweep and first.sweep.parameters != other.sweep.parameters:
        words = f"{first.rests_on['sweep']}, and {other.rests_on['sweep']}, are different arrays; keep one of them"
        raise Rejected.field("sweep.parameters", words)


def _all_of(other: Request, first: Request, found: list[Directive]) -> list[LeftOut]:
    why = f"the script speaks to {_NAMES[first.dialect]} first, so what it says to {_NAMES[other.dialect]} is not read"
    return [
        LeftOut(line=one.line, directive=" ".join([PREFIXES[one.dialect], *one.words]), why=why)
        for one in found
        if one.dialect == other.dialect
    ]


def add_to_draft(draft: Draft) -> None:
    """Read the directives of the draft's script, if it has any, into the draft; raise Rejected as above."""
    text = draft.project.text(draft.script) or ""
    if other := _OTHERS.search(text[:LARGEST]):
        draft.warn(f"what its #{other[1]} lines ask for is not taken over: say --cpus, --memory, --time and --gpus")
    if late := overlooked(normalize(text[:LARGEST])):
        draft.warn(f"line {late[0]}: directives behind the first command count for nothing; move them to the top")
    draft.batch = request = read_batch(text)
    if request is None:
        return
    draft.dialect = request.dialect
    prefix = PREFIXES[request.dialect]
    draft.guess("dialect", request.dialect, f"its {prefix} lines", Sureness.STATED)
    for field, value in request.resources.items():
        draft.guess(f"resources.{field}", _shown(field, value), request.rests_on[f"resources.{field}"], Sureness.STATED)
    if request.sweep:
        draft.guess("sweep", _indices(request), request.rests_on["sweep"], Sureness.STATED)
    if request.checkpoint and request.checkpoint.signal_before:
        words = f"told {show_time(request.checkpoint.signal_before)} before its end"
        draft.guess("checkpoint", words, request.rests_on["checkpoint"], Sureness.STATED)
    for name, fact in request.variables.items():
        draft.set_variable(name, fact.value, fact.option.where)
    for warning in request.warnings:
        draft.warn(warning)


def _shown(field: str, value: object) -> str:
    if isinstance(value, int) and field in ("memory", "time"):
        return show_bytes(value) if field == "memory" else show_time(value)
    if isinstance(value, tuple):
        return ", ".join(value)
    return "true" if value is True else str(value)


def _indices(request: Request) -> str:
    indices, most = request.value("array")
    most = request.value("max_running") or most
    few = ", ".join(map(str, indices[:MOST_SHOWN])) + (", …" if len(indices) > MOST_SHOWN else "")
    return f"array: {len(indices)} tasks ({few})" + (f", {most} at a time" if most else "")
