"""Examines a server: what works, what does not, what to do about it, and where each setting came from."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from cluster_interface.model.errors import ClusterError
from cluster_interface.model.resources import show_bytes
from cluster_interface.settings import load
from cluster_interface.wire import DoctorReport, Finding, Setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster_interface.composition import Parts

LITTLE_SPACE = 5 * 2**30  #: bytes


def examine(parts: Parts) -> DoctorReport:
    """Look at runtimes, scheduler, images, disk and account, and list the settings with their origins."""
    settings, origins = load()
    values = settings.model_dump(mode="json")
    listed = []
    for name, origin in sorted(origins.items()):
        value = values
        for part in name.split("."):
            value = value[part]
        listed.append(Setting(name=name, value="" if value is None else str(value), origin=origin))
    return DoctorReport(findings=tuple(_findings(parts)), settings=tuple(listed))


def _findings(parts: Parts) -> Iterator[Finding]:
    yield from _runtimes(parts)
    yield from _queues(parts)
    yield from _images(parts)
    yield _account(parts)
    for name, place in (("state", parts.state), ("images", parts.settings.image_store)):
        free = shutil.disk_usage(place if place.exists() else parts.state).free
        yield Finding(
            about=f"disk of {name}",
            good=free >= LITTLE_SPACE,
            says=f"{show_bytes(free)} free at {place}",
            advice="" if free >= LITTLE_SPACE else "make room: images and job directories need several GiB",
        )


def _runtimes(parts: Parts) -> Iterator[Finding]:
    for name, runtime in parts.known_runtimes.items():
        trouble = runtime.probe()
        kept = ", ".join(f"{bound} {how}" for bound, how in runtime.bounds().items()) if trouble is None else ""
        yield Finding(about=f"runtime {name}", good=trouble is None, says=trouble or f"works; bounds: {kept}")
    if not parts.runtimes:
        yield Finding(
            about="runtimes", good=False, says="none works", advice="install bubblewrap, or start a Docker engine"
        )


def _queues(parts: Parts) -> Iterator[Finding]:
    try:
        for queue in parts.scheduler.queues():
            says = f"{queue.cpus} cores, {show_bytes(queue.memory)}; runs in {', '.join(queue.runtimes) or 'nothing'}"
            yield Finding(about=f"queue {queue.name}", good=bool(queue.runtimes), says=says)
    except ClusterError as error:
        yield Finding(about="scheduler", good=False, says=str(error))


def _images(parts: Parts) -> Iterator[Finding]:
    bases = [image.name for image in parts.images.images() if image.kind == "base"]
    can_make = shutil.which("mmdebstrap") is not None
    advice = "" if can_make or bases else "install mmdebstrap, or bring a base: clif images import-base FILE NAME"
    says = f"bases here: {', '.join(bases) or 'none yet'}; mmdebstrap is {'' if can_make else 'not '}installed"
    yield Finding(about="bases", good=bool(can_make or bases), says=says, advice=advice)


def _account(parts: Parts) -> Finding:
    try:
        account = parts.identity.account(parts.owner)
    except ClusterError as error:
        return Finding(about="account", good=False, says=str(error))
    return Finding(
        about="account", good=True, says=f"jobs run as {account.name} (uid {account.uid}); server uid {os.geteuid()}"
    )
