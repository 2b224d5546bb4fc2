"""A base: operating system packages in a directory, bootstrapped here or imported.

Only a site's plain base is bootstrapped whole; what a job wants beyond its packages is installed into a copy of it. So
it does not matter what the store has when one is made: the same packages are always made in the same way.
"""

from __future__ import annotations

import contextlib
import hashlib
import platform
import shutil
import time
from typing import TYPE_CHECKING

from cluster_interface.images import failures, rootfs
from cluster_interface.images.bootstrapper import EXCLUDED, KEPT, Bootstrapper, grow, is_of_the_host
from cluster_interface.images.keys import base_key, grown_key
from cluster_interface.images.lock import Target
from cluster_interface.images.rootfs import Interpreter
from cluster_interface.images.unpack import Limits, unpack
from cluster_interface.model.base import Model
from cluster_interface.model.errors import Rejected
from cluster_interface.model.plan import Lock

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from cluster_interface.images.shelf import Shelf
    from cluster_interface.settings import Images

#: coreutils: console scripts ask realpath where they are; libstdc++6: wheels take it for granted (PEP 600).
ALWAYS = ("python3", "ca-certificates", "coreutils", "libstdc++6")

#: update-alternatives(1) links manuals into these, and packages such as openjdk's fail to configure without them
_MANUALS = 'for n in 1 2 3 4 5 6 7 8; do mkdir -p "$1/usr/share/man/man$n"; done'


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
    """What a base of distribution packages is made from."""

    suite: str
    packages: tuple[str, ...]  #: all that are asked for, those of `under` included
    ca: str | None = None  #: SHA-256 of the certificates that are added
    day: str | None = None  #: whose packages are taken, such as 2026-01-31; None: today's
    under: Recipe | None = None  #: the plain base that the rest is installed into; None: this is one

    @property
    def more(self) -> tuple[str, ...]:
        """The packages beyond those of the base under it."""
        return tuple(name for name in self.packages if not self.under or name not in self.under.packages)

    @property
    def key(self) -> str:
        """The base's name in the store."""
        if self.under:
            return grown_key(under=self.under.key, packages=self.more)
        return base_key(
            suite=self.suite,
            packages=self.packages,
            architecture=platform.machine(),
            excluded=(*EXCLUDED, *KEPT),
            ca=self.ca,
            day=self.day,
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
    under: str | None = None  #: key of the base that this one is with more packages
    variables: dict[str, str] = {}  #: what an image made elsewhere sets in its programs' environment

    @property
    def target(self) -> Target | None:
        """What packages for its own Python are made for; None if it has none."""
        has, known = self.interpreter, SUITES.get(self.suite or "")
        if has is None:
            return None
        python, glibc = (known.python, known.glibc) if known else (has.version, has.glibc)
        return Target(python=python, machine=platform.machine(), glibc=glibc)


def recipe(settings: Images, suite: str, system: tuple[str, ...], day: str | None) -> Recipe:
    """Say what a base with these distribution packages is made from; Rejected for what apt would misread."""
    for name in system:
        if name.endswith("-"):  # apt-get install name- removes it
            raise Rejected.field("environment.system", f"{name!r} is not the name of a distribution package")
    packages = {*_plain(settings, suite), *system}
    return recipe_of(settings, suite, packages, day if settings.snapshot else None)


def recipe_of(settings: Images, suite: str, packages: Collection[str], day: str | None) -> Recipe:
    """Say what a base with exactly these distribution packages is made from."""
    whole = Recipe(suite=suite, packages=tuple(sorted(packages)), ca=_sha256(settings.ca_bundle), day=day)
    plain = _plain(settings, suite)
    if not plain < set(packages):
        return whole
    under = whole.model_copy(update={"packages": tuple(sorted(plain))})
    return whole.model_copy(update={"under": under})


def _plain(settings: Images, suite: str) -> set[str]:
    return {*ALWAYS, *SUITES[suite].also, *settings.packages}


def can_bootstrap() -> bool:
    """Say whether this machine has what a bootstrap takes."""
    return shutil.which("mmdebstrap") is not None and shutil.which("apt-get") is not None


def bootstrap(wanted: Recipe, target: Path, shelf: Shelf, settings: Images, home: Path) -> Base:
    """Make a base in `target`/rootfs from distribution packages; Permanent or Transient in words.

    The base under it, if there is one, must be in the store.
    """
    root = target / "rootfs"
    root.mkdir(mode=0o755)
    tool = Bootstrapper(wanted.suite, settings, shelf.log(wanted.key), home, wanted.day)
    if wanted.under:
        size = grow(shelf.base(wanted.under.key) / "rootfs", root, wanted.more, tool)
    else:
        size = _from_nothing(wanted, root, tool)
        rootfs.keep_bytecode(root, times_changed=True)  # mmdebstrap sets them to SOURCE_DATE_EPOCH
    python = rootfs.finish(root, settings.ca_bundle.read_bytes() if settings.ca_bundle else None)
    return Base(
        key=wanted.key,
        name=wanted.suite,
        suite=wanted.suite,
        packages=wanted.packages,
        interpreter=python,
        size=size,
        created=time.time(),
        under=wanted.under and wanted.under.key,
    )


def _from_nothing(wanted: Recipe, root: Path, tool: Bootstrapper) -> int:
    size = 0
    broken: Rejected | None = None
    options = ["--variant=essential", f"--setup-hook={_MANUALS}", f"--include={','.join(wanted.packages)}"]
    with tool.running("tar", options) as (stream, ended):
        try:
            size = unpack(stream, root, Limits(), leave_out=is_of_the_host)
        except Rejected as error:  # cut short: what mmdebstrap says is the reason
            broken = error
        while stream.read(1 << 16):
            pass  # padding after the end of the archive; mmdebstrap would die of a closed pipe
    tool.check(ended)
    if broken:
        raise failures.image_failed(f"mmdebstrap wrote no proper archive: {broken}")
    return size


def _sha256(path: Path | None) -> str | None:
    if path is None:
        return None
    with contextlib.suppress(FileNotFoundError):
        return hashlib.sha256(path.read_bytes()).hexdigest()
    raise failures.image_failed(f"images.ca_bundle: there is no file {path}")
