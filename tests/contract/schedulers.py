"""Schedulers as the contract suite drives them: the fake, the local one, and the testbed's real ones."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path

from tests.conftest import wait_for
from tests.contract.fakes import FakeScheduler
from tests.contract.rig import Node, account_of, ask

from cluster_interface.adapters.schedulers.gridengine import GridEngineScheduler
from cluster_interface.adapters.schedulers.slurm import SlurmScheduler
from cluster_interface.ports import Handle, NativeState, Order
from cluster_interface.settings import Defaults, GridEngine, Slurm

#: Shell: the number of an element, as its scheduler's environment says it.
ELEMENT = """n=${CLIF_ELEMENT:-${SLURM_ARRAY_TASK_ID:-}}
case $n${SGE_TASK_ID:-undefined} in undefined) n=0 ;; [0-9]*undefined) ;; *) n=$((SGE_TASK_ID - 1)) ;; esac
"""


class Rig:
    """A scheduler, orders for it, and waiting for what becomes of them."""

    nodes: tuple[str, ...] = ()  #: names of some of its nodes
    real = True

    def __init__(self, place: Path, account: str, scheduler, **asked):
        self.place, self.account, self.scheduler, self.asked = place, account_of(account), scheduler, asked
        self.count = 0

    def order(
        self, text: str, mark: str | None = None, elements: int = 1, script: Path | None = None, **asked
    ) -> Order:
        """An order for a script as it stands, in a directory of its own."""
        more = {n: asked.pop(n) for n in ("offset", "max_running", "node", "log") if n in asked}
        self.count += 1
        mark = mark or f"ci-{self.place.name}-{self.count}"
        path = script or self.place / f"job{self.count}" / "job.sh"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}")
        if os.geteuid() == 0:
            shutil.chown(path.parent, self.account.uid, self.account.gid)
            path.parent.chmod(0o700)
            shutil.chown(path, self.account.uid, self.account.gid)
        asked = ask(**{**self.asked, **asked})
        more = {"log": path.with_name("job.log"), **more}
        return Order(
            script=path, mark=mark, account=self.account, ask=asked, time=asked.time, elements=elements, **more
        )

    def handle(self, mark: str, native_id: str | None = None) -> Handle:
        """A handle of the account's."""
        return Handle(mark=mark, account=self.account.name, native_id=native_id)

    def submit(self, text: str, **more) -> Handle:
        """Submit a script, and return by what it is known again."""
        order = self.order(text, **more)
        return self.handle(order.mark, self.scheduler.submit(order))

    def seen(self, handle: Handle, element: int = 0):
        """What is seen of an element; None if it is absent."""
        return self.scheduler.observe([handle]).get(handle.mark, {}).get(element)

    def until(self, handle: Handle, state: NativeState, element: int = 0, seconds: float = 120):
        """Wait until an element is in a state; return what is seen."""

        def look():
            seen = self.seen(handle, element)
            return seen if seen is not None and seen.state is state else None

        look.__doc__ = f"{handle.mark}[{element}] to be {state}"
        return wait_for(look, seconds, 0.1)

    def until_running(self, handle: Handle, element: int = 0):
        """Wait until it runs."""
        return self.until(handle, NativeState.RUNNING, element)

    def until_ended(self, handle: Handle, element: int = 0):
        """Wait until it has ended."""
        return self.until(handle, NativeState.ENDED, element)

    def output(self, handle: Handle) -> str:
        """What the script itself printed."""
        number = handle.mark.rpartition("-")[2]
        log = self.place / f"job{number}" / "job.log"
        return log.read_text() if log.exists() else ""

    def until_output(self, handle: Handle, words: str):
        """Wait until the script has printed something."""
        wait_for(lambda: words in self.output(handle), 60, 0.1)

    def clean(self):
        """Cancel what is left."""
        for number in range(1, self.count + 1):
            self.scheduler.cancel(self.handle(f"ci-{self.place.name}-{number}"))


class Faked(Rig):
    """The fake: elements get on as a test lets them."""

    real = False

    def __init__(self, place, account):
        super().__init__(place, account, FakeScheduler())

    def until_running(self, handle, element=0):
        """Let it run."""
        self.scheduler.run(handle.native_id, element)

    def until_ended(self, handle, element=0):
        """Let it end, if it has not."""
        if self.seen(handle, element).state is not NativeState.ENDED:
            self.scheduler.end(handle.native_id, element)
        return self.seen(handle, element)


class LocalRig(Rig):
    """The local scheduler with a dispatcher of its own."""

    nodes = (os.uname().nodename,)

    def __init__(self, place, account, **settings):
        self.node = Node(place, account_of(account), **settings)
        super().__init__(place, account, self.node.scheduler)


def slurm_rig(part, place, account, **settings) -> Rig:
    """A Slurm of the testbed."""
    conf = Path(part.env["SLURM_CONF"])
    accounting = "AccountingStorageType=accounting_storage/slurmdbd" in conf.read_text()
    scheduler = SlurmScheduler(Slurm(conf=conf, **settings), Defaults())
    more = {"account": "lab"} if accounting else {}
    rig = Rig(place, account, scheduler)
    rig.asked = {"queue": "main", "scheduler": "slurm", **more}
    rig.nodes = ("m1", "m2") if accounting else ("n1", "n2")
    return rig


def gridengine_rig(part, place, account, **settings) -> Rig:
    """The testbed's Grid Engine. What its clients must know is in the environment of whoever starts a server."""
    os.environ.update(part.env)
    scheduler = GridEngineScheduler(GridEngine(**settings), Defaults())
    rig = Rig(place, account, scheduler)
    rig.asked = {"queue": "all.q", "scheduler": "gridengine"}
    rig.nodes = (os.uname().nodename,)
    return rig


def stand_in(place: Path, monkeypatch, program: str, text: str) -> None:
    """Put a script before the real program, which it may call as $real."""
    directory = place / "bin"
    directory.mkdir(exist_ok=True)
    real = shutil.which(program)
    path = directory / program
    path.write_text(f"#!/bin/sh\nreal={shlex.quote(real or '')}\n{text}")
    directory.chmod(0o755)
    path.chmod(0o755)
    if not re.match(re.escape(f"{directory}:"), os.environ["PATH"]):
        monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
