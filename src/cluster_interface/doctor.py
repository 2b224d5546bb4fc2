"""Examines a server: what works, what does not, what to do about it, and where each setting came from."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from cluster_interface.model.errors import ClusterError
from cluster_interface.model.resources import show_bytes
from cluster_interface.settings import load
from cluster_interface.wire import DoctorReport, Finding, Setting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cluster_interface.model.job import Account
    from cluster_interface.ports import ImageStore, Runtime, Site
    from cluster_interface.settings import Settings

_PASSWORD = re.compile(r"(://[^:/@\s]*):[^/\s]*@")  # of a URL
LITTLE_SPACE = 5 * 2**30  #: bytes


def examine(  # noqa: PLR0917 - one for each thing looked at
    settings: Settings, why: str, refused: Mapping[str, str], runtimes: Mapping[str, Runtime], site: Site,
    images: ImageStore, account: Account, database: Callable[[], str],
) -> DoctorReport:  # fmt: skip
    """Look at runtimes, scheduler, images, disk, account and database, and list the settings with their origins."""
    findings = (
        *(_runtimes(why, refused, runtimes) if "local" in settings.schedulers else ()),
        *_queues(site),
        _bases(images),
        Finding(about="account", good=True, says=f"jobs run as {account.name}, uid {account.uid}"),
        _database(database),
        *_disks(settings),
    )
    return DoctorReport(findings=findings, settings=tuple(_settings()))


def _settings() -> Iterator[Setting]:
    settings, origins = load()
    for name, origin in sorted(origins.items()):
        value = settings.model_dump(mode="json")
        for part in name.split("."):
            value = value[part]
        yield Setting(name=name, value="" if value is None else _PASSWORD.sub(r"\1:***@", str(value)), origin=origin)


def _runtimes(why: str, refused: Mapping[str, str], runtimes: Mapping[str, Runtime]) -> Iterator[Finding]:
    advice = "" if runtimes else "install bubblewrap, or start a Docker engine; then start the server again"
    yield Finding(about="runtime", good=bool(runtimes), says=why, advice=advice)
    for name, runtime in runtimes.items():
        bounds = ", ".join(f"{bound} {kept}" for bound, kept in runtime.bounds().items())
        yield Finding(about=f"runtime {name}", good=True, says=f"works; bounds: {bounds}")
    for name, trouble in refused.items():
        yield Finding(about=f"runtime {name}", good=bool(runtimes), says=f"not used: {trouble}")


def _queues(site: Site) -> Iterator[Finding]:
    try:
        for queue in site.queues():
            says = f"{queue.cpus} cores, {show_bytes(queue.memory)}; runs in {', '.join(queue.runtimes) or 'nothing'}"
            yield Finding(about=f"queue {queue.name}", good=bool(queue.runtimes), says=says)
    except ClusterError as error:
        yield Finding(about="scheduler", good=False, says=str(error))


def _bases(images: ImageStore) -> Finding:
    bases = [image.name for image in images.images() if image.kind == "base"]
    makes = shutil.which("mmdebstrap") is not None
    advice = "" if makes or bases else "install mmdebstrap, or bring a base: clif images import-base FILE NAME"
    says = f"here: {', '.join(bases) or 'none yet'}; mmdebstrap is {'' if makes else 'not '}installed"
    return Finding(about="bases", good=bool(makes or bases), says=says, advice=advice)


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
