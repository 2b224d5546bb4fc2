"""What a root filesystem has, and what every image gets: mount points, `python`, files that scripts read in."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import struct
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from cluster_interface.images import failures
from cluster_interface.images.tree import Tree, Unsafe, inside
from cluster_interface.model.base import Model

if TYPE_CHECKING:
    from collections.abc import Iterator

MOUNT_POINTS = ("proc", "sys", "dev", "tmp", "var/tmp", "run", "job", "inputs", "opt/env", "home", "root", "etc")
_SHELLS = ("sh", "bash", "ksh", "zsh", "csh", "tcsh")
#: What scripts for clusters read in before they say `module`: where Environment Modules and Lmod of distributions and
#: sites keep it. In an image there is nothing to define, but a script that stops at errors needs the file.
#: A login shell begins with a PATH of its own, and then reads profile.d: what the job has goes before that.
_READ_IN = {
    "etc/profile.d/cluster-interface.sh": b'[ -z "${CLIF_PATH-}" ] || PATH=$CLIF_PATH:$PATH\n',
    **{f"etc/profile.d/{name}.{kind}": b"" for name in ("modules", "lmod", "z00_lmod") for kind in ("sh", "csh")},
    **{f"usr/share/{home}/init/{shell}": b"" for home in ("modules", "Modules", "lmod/lmod") for shell in _SHELLS},
    **dict.fromkeys(("etc/profile", "etc/bashrc"), b""),
}
_BOUND_FILES = ("etc/resolv.conf", "etc/hosts", "etc/hostname")  #: the runtime's; the host's are never kept
_INTERPRETERS = ("/usr/local/bin/python3", "/usr/bin/python3")
_LOADERS = (
    "/lib64/ld-linux-x86-64.so.2",
    "/lib/ld-linux-aarch64.so.1",
    "/lib/ld-musl-x86_64.so.1",
    "/lib/ld-musl-aarch64.so.1",
)
_LIBC = ("/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib")
_GLIBC_VERSION = re.compile(rb"stable release version 2\.(\d+)")
_VERSIONED = re.compile(r"python(3\.\d+)")


class Interpreter(Model):
    """The Python of a base. Paths are as seen inside."""

    path: str  #: such as /usr/bin/python3
    binary: str  #: what that leads to, such as /usr/bin/python3.11
    version: str  #: such as 3.11
    loader: str | None = None  #: the dynamic loader that starts it
    glibc: int | None = None  #: 36 for glibc 2.36; None: musl, or unknown


def interpreter(root: Path) -> Interpreter | None:
    """Find the Python of a root filesystem without running anything; None if it has none."""
    for path in _INTERPRETERS:
        binary = inside(root, path)
        if binary is None or not (found := _VERSIONED.fullmatch(binary.name)):
            continue
        loader = next((name for name in _LOADERS if inside(root, name)), None)
        return Interpreter(
            path=path,
            binary=f"/{binary.relative_to(root)}",
            version=found[1],
            loader=loader,
            glibc=None if loader is None or "musl" in loader else _glibc(root),
        )
    return None


def _glibc(root: Path) -> int | None:
    for directory in _LIBC:
        library = inside(root, f"{directory}/libc.so.6")
        if library and (found := _GLIBC_VERSION.search(library.read_bytes())):
            return int(found[1])
    return None


def finish(root: Path, certificates: bytes | None = None) -> Interpreter | None:
    """Make what every image needs, and say which Python it has. `certificates` (PEM) join the image's own, once."""
    python = interpreter(root)
    with Tree(root) as tree:
        for name in MOUNT_POINTS:
            tree.directory(name)
        for name in _BOUND_FILES:
            tree.write(name, b"")
        for name, text in _READ_IN.items():
            if inside(root, f"/{name}") is None:
                with contextlib.suppress(Unsafe):  # an image made elsewhere may have links among its directories
                    tree.write(name, text)
        if python and inside(root, "/usr/bin/python") is None and inside(root, "/usr/local/bin/python") is None:
            tree.link(f"{Path(python.path).parent}/python".lstrip("/"), "python3")
        bundle = inside(root, "/etc/ssl/certs/ca-certificates.crt")
        if certificates and bundle and not (own := bundle.read_bytes()).endswith(certificates):
            tree.write("etc/ssl/certs/ca-certificates.crt", own + b"\n" + certificates)
    return python


def copy(origin: Path, target: Path, *, link: bool = False) -> None:
    """Copy a tree, sharing its blocks where the filesystem can, or (`link`) as the same files; Permanent in words."""
    target.mkdir(parents=True, exist_ok=True)
    how = ["--link"] if link else ["--reflink=auto", "--no-preserve=ownership"]
    argv = ["cp", "--archive", *how, f"{origin}/.", str(target)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    if done.returncode != 0:
        if "No space left" in done.stderr:
            raise failures.disk_full(target)
        raise failures.image_failed(f"the image could not be copied: {done.stderr.strip()[-300:]}")


def settle(root: Path) -> int:
    """Leave only files, directories and links, readable to all and writable to nobody else; return the files' bytes."""
    size = 0
    for directory, _, names in os.walk(root):
        os.chmod(directory, 0o755)  # noqa: PTH101, S103 - jobs run as somebody else; the walk gives text
        for name in names:
            path = os.path.join(directory, name)  # noqa: PTH118
            status = os.lstat(path)
            if stat.S_ISREG(status.st_mode):
                size += status.st_size
                wanted = 0o755 if status.st_mode & 0o111 else 0o644
                if stat.S_IMODE(status.st_mode) != wanted:
                    os.chmod(path, wanted)  # noqa: PTH101
            elif not stat.S_ISLNK(status.st_mode):
                os.unlink(path)  # noqa: PTH108
    return size


def keep_bytecode(root: Path, *, times_changed: bool) -> None:
    """Turn .pyc files that trust the source's time into ones that trust it unseen (PEP 552, unchecked).

    Images come and go through archives that change times, and are read-only: stale bytecode would be made anew
    at every start. Only what fits its source is turned: by size, and by time unless `times_changed`.
    """
    for source, compiled in _bytecode(root):
        data = compiled.read_bytes()
        magic, flags, time, size = struct.unpack("<4sIII", data[:16].ljust(16, b"\0"))
        status = source.stat()
        fits = size == status.st_size & 0xFFFFFFFF and (times_changed or time == int(status.st_mtime))
        if flags == 0 and fits:
            compiled.unlink()  # not written over: it may be another base's too
            compiled.write_bytes(struct.pack("<4sIQ", magic, 0b01, 0) + data[16:])
            compiled.chmod(0o644)


def _bytecode(root: Path) -> Iterator[tuple[Path, Path]]:
    for top in ("usr/lib", "usr/local/lib"):
        for compiled in (root / top).glob("**/__pycache__/*.pyc"):
            source = compiled.parent.parent / f"{compiled.name.split('.')[0]}.py"
            if compiled.is_file() and not compiled.is_symlink() and source.is_file() and not source.is_symlink():
                yield source, compiled
