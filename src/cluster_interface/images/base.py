"""A base: operating system packages in a directory, bootstrapped here or imported."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import time
from typing import TYPE_CHECKING

from cluster_interface.images import failures, rootfs, sources
from cluster_interface.images.commands import environment, running
from cluster_interface.images.keys import EPOCH, base_key
from cluster_interface.images.rootfs import Interpreter
from cluster_interface.images.unpack import Limits, unpack
from cluster_interface.model.base import Model
from cluster_interface.model.errors import Rejected
from cluster_interface.model.plan import Lock

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from cluster_interface.images.shelf import Shelf
    from cluster_interface.settings import Images

#: coreutils: console scripts ask realpath where they are; libstdc++6: wheels take it for granted (PEP 600).
ALWAYS = ("python3", "ca-certificates", "coreutils", "libstdc++6")
EXCLUDED = ("/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/doc/*", "/usr/share/lintian/*")
KEPT = ("/usr/share/doc/*/copyright", "/usr/share/locale/locale.alias")
#: update-alternatives(1) links manuals into these, and packages such as openjdk's fail to configure without them
MANUALS = 'for n in 1 2 3 4 5 6 7 8; do mkdir -p "$1/usr/share/man/man$n"; done'
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

#: What mmdebstrap leaves behind of the machine it ran on: mirrors and proxies, perhaps with passwords.
_OF_THE_HOST = ("dev/", "etc/apt/sources.list", "etc/apt/apt.conf.d/99mmdebstrap", "etc/resolv.conf", "etc/hostname")


class Suite(Model):
    """A release of Debian."""

    python: str  #: the version of its python3, patch level included
    glibc: int  #: 36 for 2.36
    also: tuple[str, ...] = ()  #: packages without which its Python is not whole


SUITES = {
    "bullseye": Suite(python="3.9.2", glibc=31, also=("python3-distutils",)),
    "bookworm": Suite(python="3.11.2", glibc=36),
    "trixie": Suite(python="3.13.5", glibc=41),
}


class Recipe(Model):
    """What a bootstrapped base is made from."""

    suite: str
    packages: tuple[str, ...]
    ca: str | None = None  #: SHA-256 of the certificates that are added

    @property
    def key(self) -> str:
        """The base's name in the store."""
        return base_key(
            suite=self.suite,
            packages=self.packages,
            architecture=platform.machine(),
            excluded=(*EXCLUDED, *KEPT),
            ca=self.ca,
        )


class Base(Model):
    """A base that is there, as base.json keeps it."""

    key: str
    name: str
    suite: str | None = None  #: None: imported
    packages: tuple[str, ...] = ()
    interpreter: Interpreter | None
    size: int
    created: float
    lock: Lock | None = None  #: what it was made from
    variables: dict[str, str] = {}  #: what an image made elsewhere sets in its programs' environment


def recipe(settings: Images, suite: str, system: tuple[str, ...]) -> Recipe:
    """Say what a base with these distribution packages is made from; Rejected for what apt would misread."""
    for name in system:
        if name.endswith("-"):  # apt-get install name- removes it
            raise Rejected.field("environment.system", f"{name!r} is not the name of a distribution package")
    return recipe_of(settings, suite, {*ALWAYS, *SUITES[suite].also, *settings.packages, *system})


def recipe_of(settings: Images, suite: str, packages: Collection[str]) -> Recipe:
    """Say what a base with exactly these distribution packages is made from."""
    return Recipe(suite=suite, packages=tuple(sorted(packages)), ca=_sha256(settings.ca_bundle))


def can_bootstrap() -> bool:
    """Say whether this machine has what a bootstrap takes."""
    return shutil.which("mmdebstrap") is not None and shutil.which("apt-get") is not None


def bootstrap(wanted: Recipe, target: Path, shelf: Shelf, settings: Images, home: Path) -> Base:
    """Make a base in `target`/rootfs from distribution packages; Permanent or Transient in words."""
    root = target / "rootfs"
    root.mkdir(mode=0o755)
    log = shelf.log(wanted.key)
    environ = {**environment(settings, home), "SOURCE_DATE_EPOCH": str(EPOCH), "TMPDIR": _room(home)}
    size = 0
    broken: Rejected | None = None
    with running(_argv(wanted, settings), environ=environ, log=log, timeout=settings.timeout) as (stream, ended):
        try:
            size = unpack(stream, root, Limits(), leave_out=_is_of_the_host)
        except Rejected as error:  # cut short: what mmdebstrap says is the reason
            broken = error
        while stream.read(1 << 16):
            pass  # padding after the end of the archive; mmdebstrap would die of a closed pipe
    if ended.code != 0:
        raise failures.of_bootstrap(ended.words, wanted.suite, shelf.root)
    if broken:
        raise failures.image_failed(f"mmdebstrap wrote no proper archive: {broken}")
    certificates = settings.ca_bundle.read_bytes() if settings.ca_bundle else None
    python = rootfs.finish(root, certificates)
    rootfs.keep_bytecode(root, times_changed=True)  # mmdebstrap sets them to SOURCE_DATE_EPOCH
    return Base(
        key=wanted.key,
        name=wanted.suite,
        suite=wanted.suite,
        packages=wanted.packages,
        interpreter=python,
        size=size,
        created=time.time(),
    )


def _room(home: Path) -> str:
    """Say where mmdebstrap may unpack: an ordinary user's is another uid by then, and cannot enter the store."""
    return str(home) if os.geteuid() == 0 else os.environ.get("TMPDIR", "/var/tmp")  # noqa: S108 - it makes its own below


def _argv(wanted: Recipe, settings: Images) -> list[str]:
    isolated = (
        ["unshare", "--mount", "--"] if os.geteuid() == 0 and shutil.which("unshare") else []
    )  # its mounts die with it
    options = [f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED]
    options += [f"--dpkgopt=path-include={pattern}" for pattern in KEPT]
    options += [f"--aptopt={line}" for line in _apt_options(settings)]
    mirrors = [settings.mirror] if settings.mirror else sources.of_this_machine(wanted.suite)
    return [
        *isolated,
        "mmdebstrap",
        "--mode=auto",
        "--variant=essential",
        "--format=tar",
        f"--architectures={_ARCHITECTURES.get(platform.machine(), platform.machine())}",
        "--dpkgopt=force-unsafe-io",
        *options,
        f"--setup-hook={MANUALS}",
        f"--include={','.join(wanted.packages)}",
        wanted.suite,
        "-",
        *mirrors,
    ]


def _apt_options(settings: Images) -> Iterator[str]:
    """Set apt up; the proxy is not here but in its environment, since it may have a password."""
    yield "Acquire::Retries 2"
    yield "Acquire::http::Timeout 30"
    if settings.ca_bundle:
        yield f'Acquire::https::CAInfo "{_quotable(str(settings.ca_bundle))}"'


def _quotable(text: str) -> str:
    if '"' in text or "\n" in text or "\\" in text:
        raise failures.image_failed(f"images.ca_bundle: {text!r} has a quote or a line break in it")
    return text


def _is_of_the_host(name: str) -> bool:
    return name.startswith(_OF_THE_HOST)


def _sha256(path: Path | None) -> str | None:
    if path is None:
        return None
    with contextlib.suppress(FileNotFoundError):
        return hashlib.sha256(path.read_bytes()).hexdigest()
    raise failures.image_failed(f"images.ca_bundle: there is no file {path}")
