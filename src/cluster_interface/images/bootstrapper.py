"""mmdebstrap, which needs neither a registry nor root: a root filesystem from nothing, or more packages in one."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.images import failures, oci, rootfs, sources
from cluster_interface.images.commands import environment, running
from cluster_interface.images.keys import EPOCH
from cluster_interface.images.tree import Tree
from cluster_interface.images.unpack import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import IO

    from cluster_interface.images.commands import Ended
    from cluster_interface.settings import Images

EXCLUDED = ("/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/doc/*", "/usr/share/lintian/*")
KEPT = ("/usr/share/doc/*/copyright", "/usr/share/locale/locale.alias")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

#: What mmdebstrap leaves behind of the machine it ran on: mirrors and proxies, perhaps with passwords.
_OF_THE_HOST = ("dev/", "etc/apt/sources.list", "etc/apt/apt.conf.d/99mmdebstrap", "etc/resolv.conf", "etc/hostname")
#: What it takes away again itself at the end, and its mounts.
_PASSING = (
    *("usr/sbin/policy-rc.d", "usr/sbin/start-stop-daemon", "usr/sbin/start-stop-daemon.REAL"),
    *("dev", "proc", "sys", "run", "tmp", "var/cache/apt", "var/lib/apt/lists", "var/log/apt", "var/log/dpkg.log"),
    *("var/log/alternatives.log", "var/cache/ldconfig/aux-cache", "etc/machine-id", "etc/apt/apt.conf.d/00mmdebstrap"),
)


@dataclass(frozen=True)
class Bootstrapper:
    """mmdebstrap for one suite, with the site's mirror, proxy and certificates."""

    suite: str
    settings: Images
    log: Path
    home: Path
    day: str | None  #: whose packages are taken; None: today's

    @contextmanager
    def running(self, form: str, options: Sequence[str]) -> Iterator[tuple[IO[bytes], Ended]]:
        """Run it, and hand out what it writes: an archive of this form."""
        # an ordinary user's is another uid by then, and cannot enter the store
        room = str(self.home) if os.geteuid() == 0 else os.environ.get("TMPDIR", "/var/tmp")  # noqa: S108 - it makes its own below
        environ = {**environment(self.settings, self.home), "SOURCE_DATE_EPOCH": str(EPOCH), "TMPDIR": room}
        argv = self._argv(form, options)
        with running(argv, environ=environ, log=self.log, timeout=self.settings.timeout) as (stream, ended):
            yield stream, ended

    def check(self, ended: Ended) -> None:
        """Raise Permanent or Transient, in words, if it failed."""
        if ended.code != 0:
            raise failures.of_bootstrap(ended.words, self.suite, self.home)

    def _argv(self, form: str, options: Sequence[str]) -> list[str]:
        isolated = (
            ["unshare", "--mount", "--"] if os.geteuid() == 0 and shutil.which("unshare") else []
        )  # its mounts die with it
        settled = [f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED]
        settled += [f"--dpkgopt=path-include={pattern}" for pattern in KEPT]
        settled += [f"--aptopt={line}" for line in _apt_options(self.settings)]
        settled += ['--aptopt=Acquire::Check-Valid-Until "false"'] if self.day else []
        return [
            *isolated,
            "mmdebstrap",
            "--mode=auto",
            f"--format={form}",
            f"--architectures={_ARCHITECTURES.get(platform.machine(), platform.machine())}",
            "--dpkgopt=force-unsafe-io",
            *settled,
            *options,
            self.suite,
            "-",
            *self._mirrors(),
        ]

    def _mirrors(self) -> list[str]:
        if self.day is None:
            return [self.settings.mirror] if self.settings.mirror else sources.of_this_machine(self.suite)
        if self.settings.snapshot is None:
            raise failures.image_failed(f"images.snapshot is gone, which the packages of {self.day} came from")
        return [self.settings.snapshot.replace("{date}", f"{self.day.replace('-', '')}T000000Z")]


def grow(under: Path, root: Path, packages: Sequence[str], tool: Bootstrapper) -> int:
    """Install packages into a copy of `under`; return the bytes of the result in `root`, Permanent or Transient.

    Only what is new or changed comes back out of the copy: the rest is the same files as in `under` (hard links).
    """
    names, delta = tool.home / "names", tool.home / "delta.tar"
    with tool.running("null", list(_growing(under, packages, names, delta))) as (stream, ended):
        stream.read()
    tool.check(ended)
    rootfs.copy(under, root, link=True)
    there = {name.decode(errors="surrogateescape") for name in names.read_bytes().split(b"\0")}
    with Tree(root) as tree:
        for name in sorted(_names(under) - there):
            if not is_of_the_host(name) and not _is_passing(name):
                tree.remove(name)
    oci.apply([delta], root, Limits(), leave_out=is_of_the_host)
    rootfs.keep_bytecode(root, times_changed=False)
    return rootfs.settle(root)


def is_of_the_host(name: str) -> bool:
    """Say whether a name in a root filesystem tells of the machine that it was made on."""
    return name.startswith(_OF_THE_HOST)


def _growing(under: Path, packages: Sequence[str], names: Path, delta: Path) -> Iterator[str]:
    """Yield options that begin with a copy, and have this machine's apt install into it as mmdebstrap does itself.

    What an ordinary user's mmdebstrap may not see of the store is handed in and out by it (sync-in, download).
    """
    place = shlex.quote(str(under))
    yield "--variant=custom"
    if os.geteuid() == 0:
        yield f'--setup-hook=cp --archive --reflink=auto {place}/. "$1"'
    else:
        yield from (f"--setup-hook=sync-in {place} /", '--setup-hook=chown -R -h 0:0 "$1"')
    yield '--setup-hook=chmod 1777 "$1/tmp" "$1/var/tmp" && touch "$1/.begun"'
    inside = "-o Dir::Bin::dpkg=env -o DPkg::Options::=--unset=TMPDIR -o DPkg::Options::=dpkg"
    inside += " -o DPkg::Options::=--force-confnew"  # a package's own instead of what finish() puts in its place
    apt = f'APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get {inside} -o DPkg::Chroot-Directory="$1" --yes install'
    yield f"--customize-hook={apt} {shlex.join(packages)} >&2"
    passing = " -o ".join(f"-path ./{name}" for name in (*_PASSING, ".begun", ".names", ".delta"))
    find = f"find . -xdev \\( {passing} \\) -prune -o"
    tar = f"tar --no-recursion --null --files-from=- --numeric-owner --format=pax --mtime=@{EPOCH} --clamp-mtime"
    list_all, pack_new = f"{find} -printf '%P\\0' >.names", f"{find} -cnewer .begun -print0 | {tar} -cf .delta"
    yield f'--customize-hook=cd "$1" && {list_all} && {pack_new}'
    yield f"--customize-hook=download /.names {shlex.quote(str(names))}"
    yield f"--customize-hook=download /.delta {shlex.quote(str(delta))}"


def _names(root: Path) -> set[str]:
    found = set()
    for directory, inner, files in os.walk(root):
        below = os.path.relpath(directory, root)
        found |= {os.path.normpath(f"{below}/{name}") for name in (*inner, *files)}
    return found


def _is_passing(name: str) -> bool:
    return any(name == one or name.startswith(f"{one}/") for one in _PASSING)


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
