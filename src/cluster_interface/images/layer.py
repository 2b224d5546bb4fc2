"""A layer: the locked packages, installed once as an environment that is always seen at /opt/env.

Nothing that comes in a package is run here: only wheels are taken, and bytecode is compiled with the
site module off, so that no .pth file is read. The base's own interpreter does it, started through the
base's own loader: the machine needs no Python like it, nor the same C library.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.images import failures, rootfs
from cluster_interface.images.commands import environment, run
from cluster_interface.images.tree import Tree, Unsafe, inside

if TYPE_CHECKING:
    from pathlib import Path

    from cluster_interface.images.lock import Uv
    from cluster_interface.images.rootfs import Interpreter
    from cluster_interface.images.sandbox import Sandbox
    from cluster_interface.settings import Images

_TRIPLETS = ("x86_64-linux-gnu", "aarch64-linux-gnu")
_LIBRARIES = (
    *(f"{top}/{triplet}" for top in ("/lib", "/usr/lib") for triplet in _TRIPLETS),
    *("/usr/local/lib", "/lib64", "/usr/lib64", "/lib", "/usr/lib"),
)

_WORTH_WORKERS = 50  #: files to compile: below, starting processes costs more

PLACE = "/opt/env"  #: where every job sees its layer
_OWN = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class Installer:
    """Installs and compiles locks."""

    uv: Uv
    compiler: tuple[str, ...]  #: what starts a Python of that version here; empty: nothing is compiled

    def install(self, requirements: str, place: Path) -> None:
        """Install a lock into an empty directory, laid out as /opt/env is. Permanent or Transient, in words."""
        words = ("--no-deps", "--require-hashes", "--link-mode=hardlink", f"--prefix={place}", "--requirements=-")
        self.uv.pip("install", *words, text=requirements)
        minor = self.uv.target.minor
        for above in ("lib", "include/site"):
            own = place / above / f"python{_OWN}"
            if own.is_dir() and minor != _OWN:
                own.rename(place / above / f"python{minor}")
        for script in (place / "bin").glob("*"):
            _reach(script)
        if self.compiler:
            self._compile(place)
        rootfs.settle(place)

    def _compile(self, place: Path) -> None:
        """Compile it, to be believed unseen (PEP 552), with the names that tracebacks will show inside.

        Sources that are not for this Python do not compile, in packages that work: that is no error.
        """
        installed = place / "lib" / f"python{self.uv.target.minor}"
        count = sum(1 for _ in installed.rglob("*.py"))
        shown = ["-s", str(place), "-p", PLACE]
        workers = ["-j", str(min(4, os.cpu_count() or 1))] if count > _WORTH_WORKERS else []
        modes = ["-q", "-q", "--invalidation-mode", "unchecked-hash"]
        argv = [*self.compiler, "-I", "-S", "-B", "-m", "compileall", *modes, *workers, *shown, str(installed)]
        _, ended = run(argv, environ=self.uv.environ, log=self.uv.log, timeout=self.uv.timeout)
        if ended.code not in (0, 1):
            raise failures.image_failed(f"the base's Python does not run here: {ended.words.strip()[-300:]}")


def _reach(script: Path) -> None:
    """Have a console script that names this program's Python started by the one that it will find.

    The installer writes one line for it, or three of shell where its path is too long for one or has a space in it.
    """
    data = script.read_bytes()
    lines = data.split(b"\n", 3)
    own = sys.executable.encode()
    if lines[0].startswith(b"#!") and own in lines[0]:
        rest = data[len(lines[0]) + 1 :]
    elif lines[0] == b"#!/bin/sh" and len(lines) > 3 and lines[1].startswith(b"'''exec'") and own in lines[1]:
        rest = lines[3]
    else:
        return
    mode = script.stat().st_mode
    script.unlink()  # not written over: it may be a hard link
    script.write_bytes(f"#!{PLACE}/bin/python\n".encode() + rest)
    script.chmod(mode)


def begin(env: Path, python: Interpreter) -> None:
    """Lay out a virtual environment (PEP 405) of the base's interpreter; `python -m venv` would run the base's pip.

    What is there already may be hostile: no link in it is followed, Permanent where one is in the way.
    """
    about = (
        f"home = {os.path.dirname(python.path)}\nimplementation = CPython\nversion_info = {python.version}\n"  # noqa: PTH120 - a path inside, as text
        "include-system-site-packages = false\n"
    )
    for name in ("bin", "lib"):
        if (env / name).is_symlink():
            raise failures.image_failed(f"what was installed before the packages has made {PLACE}/{name} a link")
    try:
        with Tree(env) as tree:
            tree.directory("bin")
            for name in ("python", "python3", f"python{python.version}"):
                tree.link(f"bin/{name}", python.path)
            tree.write("pyvenv.cfg", about.encode())
    except Unsafe as error:
        raise failures.image_failed(f"the environment cannot be laid out at {PLACE}: {error}") from None


def compile_inside(sandbox: Sandbox, version: str, *, settings: Images, home: Path, log: Path) -> None:
    """Compile all of an environment's own Python files with its own Python, to be believed unseen (PEP 552)."""
    words = f"{PLACE}/bin/python -I -S -B -m compileall -q -q -j 2 --invalidation-mode unchecked-hash"
    script = f"{words} {PLACE}/lib/python{version} || [ $? -eq 1 ]\n"  # 1: some are not for this Python
    environ = environment(settings, home)
    _, ended = sandbox.run(script, environ=environ, log=log, timeout=settings.timeout, variables={})
    if ended.code != 0:
        raise failures.image_failed(f"the environment's Python does not run: {ended.words.strip()[-300:]}")


def compiler(root: Path, python: Interpreter) -> tuple[str, ...]:
    """Say how to run a base's interpreter on this machine."""
    binary, loader = inside(root, python.binary), inside(root, python.loader or "/nothing")
    if binary is None:
        raise failures.image_failed("the base's Python is gone; remove the base, it will be made again")
    if loader is None or (python.glibc is not None and python.glibc < 33):  # before 2.33 it cannot set argv[0]
        return (str(binary),)
    libraries = dict.fromkeys(str(path) for name in _LIBRARIES if (path := inside(root, name)))
    return (str(loader), "--library-path", ":".join(libraries), "--argv0", str(binary), str(binary))
