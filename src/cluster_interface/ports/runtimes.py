"""What runs an image on a node."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cluster_interface.model.host import HostSoftware
    from cluster_interface.model.job import Account
    from cluster_interface.model.plan import Ask, Bounds
    from cluster_interface.ports.images import Face, ImageRef


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A directory of the nodes that a container sees, with nothing else that may be mounted below it."""

    source: Path  #: where it really is; no component is a link
    target: Path  #: where it is seen: its absolute path outside, as people write it
    writable: bool = False
    lent: bool = False  #: the site's own, perhaps by way of a link, and on the nodes alone
    listing: str | None = None  #: SHA-256 of what must be in it when a task begins; None: nobody looks


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a runtime is to run: one attempt at a plan's tasks, in a job directory."""

    mark: str
    job_dir: Path
    attempt: int
    image: ImageRef | None  #: None: the host's own software
    command: str  #: a shell command line, run with `sh -c` in /job; parameters are $CLIF_PARAM_name in it
    account: Account
    ask: Ask
    network: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()  #: names of the parameters; the values are in attempts/<k>/parameters
    dialect: Literal["slurm", "gridengine", "pbs", "lsf"] | None = None
    modules: tuple[str, ...] = ()  #: of the host, where there is no image
    host: tuple[HostSoftware, ...] = ()  #: what the container is lent of the host; its trees are among the mounts
    name: str = ""  #: the job's, for people and for scripts that look at it
    tasks: int = 1  #: of the whole job
    array: tuple[int, int, int] | None = None  #: lowest, highest and step of the parameter `array`, where known
    packed: bool = False  #: elements run several tasks one after the other
    signal_before: int | None = None  #: seconds before the end of its time at which the program gets USR1
    mounts: tuple[Mount, ...] = ()  #: parents before what is in them; never below what a container has itself


class Runtime(Protocol):
    """What runs an image on a node."""

    name: str
    runs_as: Literal["user", "server"]  #: whom job.sh must run as: docker needs an account the engine obeys

    @property
    def face(self) -> Face | None:
        """The form in which it takes images; None: it takes none."""

    def probe(self) -> str | None:
        """Say why it cannot be used on this machine; None when it works."""

    def bounds(self) -> Bounds:
        """Say how well each limit is kept on the nodes it is for."""

    def job_script(self, run: Run) -> str:
        """Write job.sh: POSIX sh that fences, runs, forwards signals and writes status/<n>.json."""

    def shell_script(self, run: Run, task: int) -> str:
        """Write a script that opens an interactive shell in the image and a task's directory, on a terminal."""

    def reap(self, mark: str) -> None:
        """Stop and remove whatever containers this mark left behind on this machine."""

    def reap_script(self, mark: str) -> str:
        """Write what does the same on another node: POSIX sh; empty where nothing can be left behind."""
