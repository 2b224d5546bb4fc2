"""Examines a server: what works, what does not, what to do about it, and where each setting came from."""

from __future__ import annotations

import re
import shlex
import shutil
import stat
from collections import Counter
from typing import TYPE_CHECKING, Protocol

from cluster_interface.model.errors import ClusterError
from cluster_interface.model.resources import show_bytes
from cluster_interface.settings import load
from cluster_interface.wire import DoctorReport, Finding, Setting

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from cluster_interface.model.job import Account
    from cluster_interface.model.plan import Bounds
    from cluster_interface.model.queue import Queue
    from cluster_interface.ports import ImageStore, Runtime, Site
    from cluster_interface.settings import Settings

_PASSWORD = re.compile(r"(://[^:/@\s]*):[^/\s]*@")  # of a URL
LITTLE_SPACE = 5 * 2**30  #: bytes


class Choice(Protocol):
    """Which runtimes this machine has for jobs of its own queue."""

    @property
    def why(self) -> str:
        """Why the first one is the default."""

    @property
    def refused(self) -> dict[str, str]:
        """Name -> why not."""

    @property
    def runtimes(self) -> tuple[Runtime, ...]:
        """Those that work."""


def examine(
    *,
    settings: Settings,
    runtimes: Choice | None,
    site: Site,
    images: ImageStore,
    account: Account,
    surveyed: Callable[[Queue], Iterable[tuple[str, bool, str]]] | None,
    database: Callable[[], str],
    patterns: Sequence[tuple[str, str]],
) -> DoctorReport:
    """Look at runtimes, schedulers, images, disk, account and database, and list the settings with their origins.

    `runtimes` are this machine's, None where it runs no jobs itself. `surveyed` tells what was found on the nodes of
    a queue, as lines of (about, good, says); None: not asked for. `database` says which one it is, or raises.
    `patterns` are the site's files of patterns that cannot be used, each with what is wrong.
    """
    findings = (
        *(_runtimes(runtimes) if runtimes is not None else ()),
        *_queues(site, surveyed),
        _bases(images),
        *_registry(settings),
        Finding(about="account", good=True, says=f"jobs run as {account.name}, uid {account.uid}"),
        _database(database),
        *_disks(settings),
        *reach(settings, account),
        *(Finding(about=f"pattern {file}", good=False, says=says) for file, says in patterns),
    )
    return DoctorReport(findings=findings, settings=tuple(_settings()))


def _settings() -> Iterator[Setting]:
    settings, origins = load()
    for name, origin in sorted(origins.items()):
        value = settings.model_dump(mode="json")
        for part in name.split("."):
            value = value[part]
        yield Setting(name=name, value="" if value is None else _PASSWORD.sub(r"\1:***@", str(value)), origin=origin)


def _runtimes(choice: Choice) -> Iterator[Finding]:
    works = bool(choice.runtimes)
    advice = "" if works else "install bubblewrap, or start a Docker engine; then start the server again"
    yield Finding(about="runtime", good=works, says=choice.why, advice=advice)
    for runtime in choice.runtimes:
        yield Finding(about=f"runtime {runtime.name}", good=True, says=f"works; bounds: {_kept(runtime.bounds())}")
    for name, trouble in choice.refused.items():
        yield Finding(about=f"runtime {name}", good=works, says=f"not used: {trouble}")


def _queues(site: Site, surveyed: Callable[[Queue], Iterable[tuple[str, bool, str]]] | None) -> Iterator[Finding]:
    try:
        queues = site.queues()
    except ClusterError as error:
        yield Finding(about="scheduler", good=False, says=str(error))
        return
    for queue in queues:
        about = f"queue {queue.name} of {queue.scheduler}"
        runs = ", ".join(queue.runtimes) or queue.why_not or "it is being found out what works there"
        nodes = f"{queue.nodes} node{'s' * (queue.nodes != 1)}, "
        amounts = f"up to {queue.cpus} cores and {show_bytes(queue.memory)}"
        says = f"{nodes}{amounts}; runs in: {runs}{f'; {queue.state}' if queue.state else ''}"
        yield Finding(about=about, good=bool(queue.runtimes) or queue.surveying, says=says)
        for what, good, words in surveyed(queue) if surveyed else ():
            yield Finding(about=f"{about}: {what}", good=good, says=words)


def _kept(bounds: Bounds) -> str:
    return ", ".join(f"{bound} {kept}" for bound, kept in bounds.items())


def reach(settings: Settings, account: Account) -> Iterator[Finding]:
    """Say what keeps the jobs' account from its own directories: as far as permissions tell, not access lists."""
    place = settings.workspace
    for above in (*reversed(place.parents), place):
        if above.is_dir() and not _may_pass(above.stat(), account):
            advice = f"chmod o+x {shlex.quote(str(above))}, or set server.workspace to another place"
            says = f"{account.name} cannot pass through {above} to {place}: its jobs cannot begin"
            yield Finding(about="way to the workspace", good=False, says=says, advice=advice)
            return


def _may_pass(seen: os.stat_result, account: Account) -> bool:
    if seen.st_uid == account.uid:
        return bool(seen.st_mode & stat.S_IXUSR)
    return bool(seen.st_mode & (stat.S_IXGRP if seen.st_gid in (account.gid, *account.groups) else stat.S_IXOTH))


def _bases(images: ImageStore) -> Finding:
    bases = Counter(image.name for image in images.images() if image.kind == "base")
    here = ", ".join(f"{name} ({count})" if count > 1 else name for name, count in bases.items())
    makes = shutil.which("mmdebstrap") is not None
    advice = "" if makes or bases else "install mmdebstrap, or bring a base: clif images import-base FILE NAME"
    says = f"here: {here or 'none yet'}; mmdebstrap is {'' if makes else 'not '}installed"
    return Finding(about="bases", good=bool(makes or bases), says=says, advice=advice)


def _registry(settings: Settings) -> Iterator[Finding]:
    """Say what is pushed where; whether the registry takes it is seen with the first image."""
    if settings.images.registry:
        pushes = shutil.which("skopeo") is not None
        advice = "" if pushes else "install skopeo, which pushes the images"
        says = f"nodes with docker pull images from {settings.images.registry}"
        yield Finding(about="images.registry", good=pushes, says=says, advice=advice)


def _database(title: Callable[[], str]) -> Finding:
    try:
        return Finding(about="database", good=True, says=title())
    except ClusterError as error:
        advice = "see to it that it runs; until then nothing moves, and nothing is lost"
        return Finding(about="database", good=False, says=str(error), advice=advice)


def _disks(settings: Settings) -> Iterator[Finding]:
    places = {"state": settings.server.state, "workspace": settings.workspace, "images": settings.image_store}
    for name, place in places.items():
        standing = next(path for path in (place, *place.parents) if path.exists())
        free = shutil.disk_usage(standing).free
        advice = "" if free >= LITTLE_SPACE else "make room: images and job directories need several GiB"
        yield Finding(
            about=f"disk of {name}", good=not advice, says=f"{show_bytes(free)} free at {place}", advice=advice
        )
