"""Putting job.sh together: what the server sets, the runtime's part, the common part."""

from __future__ import annotations

import re
import shlex
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from cluster_interface.model.errors import Permanent, Rejected
from cluster_interface.model.resources import MIB

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cluster_interface.ports import Run

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PATH = "/opt/env/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)

# The shell that runs the command stays while its program handles a TERM, and leaves with the program's own status.
PRELUDE = "trap exit TERM INT; trap : USR1; "

_LEAST_ID = 1000


def render(run: Run, part: str, settings: Mapping[str, str | int], become: Sequence[str]) -> str:
    """Write job.sh. `become` are words of shell, quoted already, that follow those the runtime's part has made."""
    common: dict[str, str | int] = {
        "job_dir": str(run.job_dir),
        "attempt": run.attempt,
        "mark": run.mark,
        "user": run.account.name,
        "uid": identifier(run)[0],
        "gid": identifier(run)[1],
    }
    lines = [f"{name}={shlex.quote(str(value))}" for name, value in {**common, **settings}.items()]
    return "\n".join(
        [
            "#!/bin/sh",
            "# shellcheck disable=SC2016,SC2317  # what users wrote stays as it is; traps call functions too",
            f"# One attempt at the tasks of {shlex.quote(run.mark)}, written by cluster-interface.",
            *lines,
            f'become() {{ exec "$@" {" ".join(become)}; }}',
            "",
            _shipped(part),
            _shipped("job.sh"),
        ]
    )


def environment(run: Run) -> dict[str, str]:
    """Return what the program finds in its environment; the user's own variables come last and win, but for ours."""
    for name in run.variables:
        if not _NAME.fullmatch(name):
            raise Rejected.field(f"environment.variables.{name[:40]}", "is not a variable's name: letters, digits, _")
    ours = {
        "HOME": f"/home/{run.account.name}",
        "USER": run.account.name,
        "LOGNAME": run.account.name,
        "CLIF_MARK": run.mark,
        "CLIF_ATTEMPT": str(run.attempt),
        "CLIF_CPUS": str(run.ask.cpus),
        "CLIF_MEMORY_MIB": str(run.ask.memory // MIB),
    }
    defaults = {
        "PATH": _PATH,
        "LANG": "C.UTF-8",
        "TMPDIR": "/tmp",  # noqa: S108 - private to the sandbox
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **dict.fromkeys(_THREADS, str(run.ask.cpus)),
    }
    return {**defaults, **run.variables, **ours}


def identifier(run: Run) -> tuple[int, int]:
    """Return uid and gid inside; Permanent if the account is one of the system's own."""
    uid, gid = run.account.uid, run.account.gid
    if uid < _LEAST_ID:
        words = (
            f"jobs never run as {run.account.name} (uid {uid}): an account with a uid of at least {_LEAST_ID} is needed"
        )
        raise Permanent(words)
    return uid, gid if gid >= _LEAST_ID else uid


@cache
def _shipped(name: str) -> str:
    return (resources.files(__package__) / name).read_text()
