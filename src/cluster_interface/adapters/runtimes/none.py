"""No container: the host's own software, for what a site has only there. A class of its own in every policy."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Literal

from cluster_interface.adapters.runtimes import ordinary
from cluster_interface.adapters.runtimes.modules import FIND, loading
from cluster_interface.adapters.runtimes.parts import shipped
from cluster_interface.adapters.runtimes.script import program, render, render_shell, shell_program, variables
from cluster_interface.model.errors import Permanent
from cluster_interface.model.plan import Bound, Bounds

if TYPE_CHECKING:
    from cluster_interface.model.job import Account
    from cluster_interface.ports import Face, Run

_PARTS = ("canary.sh", "own.sh", "none.sh")
_CONTAINERS = ("PATH", "TMPDIR", "HOME", "LANG", "PYTHONDONTWRITEBYTECODE")  #: what holds in an image alone
_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"


class NoContainer:
    """Runs the command as the account itself, with the modules of the site.

    Nothing is kept but the time: the scheduler's limits are what there is, and `cgroups` says whether it has them.
    """

    name = "none"
    face: Face | None = None
    runs_as: Literal["user", "server"] = "user"

    def __init__(self, *, account: Account | None = None, cgroups: bool = False, grace: int = 2) -> None:
        self._account = account
        self._cgroups = cgroups
        self._grace = grace

    def probe(self) -> str | None:
        """Nothing is needed but a shell."""

    def bounds(self) -> Bounds:
        """Say what there is: the scheduler's word on memory and processors, and the time."""
        kept = Bound.ENFORCED if self._cgroups else Bound.BEST_EFFORT
        return {
            "memory": kept,
            "cpus": kept,
            "pids": Bound.NONE,
            "disk": Bound.BEST_EFFORT,
            "time": Bound.ENFORCED,
            "network": Bound.NONE,
            "filesystem": Bound.NONE,
        }

    def job_script(self, run: Run) -> str:
        """Write job.sh."""
        return render(run, _PARTS, self._settings(run) | {"interactive": "no"}, self._words(run, program(run)))

    def shell_script(self, run: Run, task: int) -> str:
        """Write what opens a shell in the directory of a task, with its modules."""
        settings = self._settings(run) | {"interactive": "yes", "job_source": ""}
        return render_shell(run, task, _PARTS, settings, self._words(run, shell_program(run)))

    def reap(self, mark: str) -> None:
        """End what has this mark in its environment."""
        ordinary.carry_out(self.reap_script(mark))

    def reap_script(self, mark: str) -> str:
        """Write what ends processes with this mark, or this name of an element (mark-number), in their environment."""
        return f"mark={shlex.quote(mark)}\n{shipped('none-reap.sh')}"

    def _settings(self, run: Run) -> dict[str, str | int]:
        if run.image is not None:
            raise Permanent("the runtime none has the host's own software and takes no image")
        return {"home": run.account.home or "", "grace": self._grace}

    def _words(self, run: Run, text: str) -> list[str]:
        given = [f"{name}={word}" for name, word in variables(run) if name not in _CONTAINERS or name in run.variables]
        home = ['"HOME=$home"'] if "HOME" not in run.variables else []
        begin = [
            f"PATH={_PATH}",
            "LANG=C.UTF-8",
            "SHELL=/bin/sh",
            *given,
            *home,
            '"CLIF_NAME=$mark-$element"',
            '"CLIF_INPUTS=$job_dir/inputs"',
        ]
        enter = f'while [ "$1" != -- ]; do command export "$1"; shift; done; {_load(run)}echo began >&3; exec 3>&-; '
        return ["/bin/sh", "-c", shlex.quote(enter + 'exec /bin/sh -c "$2"'), "sh", *begin, "--", shlex.quote(text)]


def _load(run: Run) -> str:
    """Write what loads the modules, after finding `module` on the node; a script may want that, too."""
    if run.modules:
        return FIND + loading(run.modules)
    return FIND if run.dialect else ""
