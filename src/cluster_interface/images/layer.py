"""A layer: the locked packages, installed once as an environment that is always seen at /opt/env.

Nothing that comes in a package is run here: only wheels are taken, and bytecode is compiled with the
site module off, so that no .pth file is read. The base's own interpreter does it, started through the
base's own loader: the machine needs no Python like it, nor the same C library.
"""

from __future__ import annotations

import os
import shlex
import stat
import sys
from typing import TYPE_CHECKING

from uv import find_uv_bin

from cluster_interface.images import failures
from cluster_interface.images.commands import environment, run
from cluster_interface.images.tree import inside

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cluster_interface.images.bytecode import Bytecode
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


def install(
    target: Path,
    bytecode: Bytecode,
    root: Path,
    python: Interpreter,
    *,
    environ: Mapping[str, str],
    log: Path,
    timeout: float,
    store: Path,
) -> None:
    """Install the lock of `bytecode` into `target`. Permanent or Transient, in words."""
    bytecode.installed.mkdir(parents=True)
    (target / "bin").mkdir(exist_ok=True)
    starter = _starter(root, python)
    _environment(target, starter, root, python)
    argv = [
        find_uv_bin(),
        "pip",
        "install",
        "--no-deps",
        "--require-hashes",
        "--only-binary=:all:",
        "--link-mode=hardlink",
        f"--python={target / 'bin/python'}",
        "--requirements=-",
    ]
    _, ended = run(argv, environ=environ, log=log, timeout=timeout, text=bytecode.requirements)
    if ended.code != 0:
        raise failures.of_uv(ended.words, python.version, store)
    _compile(target, bytecode, starter, environ=environ, log=log, timeout=timeout)
    _settle(target, python)


def add(
    target: Path, version: str, requirements: str, *, environ: Mapping[str, str], log: Path, timeout: float, store: Path
) -> None:
    """Install a lock for the Python that is in `target` itself, without running that. Errors as `install`."""
    place = target / "lib" / f"python{version}" / "site-packages"
    argv = [
        find_uv_bin(),
        "pip",
        "install",
        "--no-deps",
        "--require-hashes",
        "--only-binary=:all:",
        "--link-mode=hardlink",
        f"--python={sys.executable}",
        f"--python-version={version}",
        f"--target={place}",
        "--requirements=-",
    ]
    _, ended = run(argv, environ=environ, log=log, timeout=timeout, text=requirements)
    if ended.code != 0:
        raise failures.of_uv(ended.words, version, store)
    for script in sorted((place / "bin").glob("*")):
        _take_script(script, target / "bin" / script.name)


def _take_script(script: Path, place: Path) -> None:
    """Move a console script to where programs are, and have it started by the Python beside it."""
    data = script.read_bytes()
    mode = script.stat().st_mode
    script.unlink()
    first, _, rest = data.partition(b"\n")
    place.unlink(missing_ok=True)
    place.write_bytes(f"#!{PLACE}/bin/python\n".encode() + rest if b"python" in first else data)
    place.chmod(mode)


def compile_inside(sandbox: Sandbox, version: str, *, settings: Images, home: Path, log: Path) -> None:
    """Compile all of an environment's own Python files with its own Python, to be believed unseen (PEP 552)."""
    words = f"{PLACE}/bin/python -I -S -B -m compileall -q -q -j 2 --invalidation-mode unchecked-hash"
    script = f"{words} {PLACE}/lib/python{version} || [ $? -eq 1 ]\n"  # 1: some are not for this Python
    environ = environment(settings, home)
    _, ended = sandbox.run(script, environ=environ, log=log, timeout=settings.timeout, variables={})
    if ended.code != 0:
        raise failures.image_failed(f"the environment's Python does not run: {ended.words.strip()[-300:]}")


def site_packages(target: Path, python: Interpreter) -> Path:
    """Say where packages go in a layer."""
    return target / "lib" / f"python{python.version}" / "site-packages"


def _starter(root: Path, python: Interpreter) -> list[str]:
    """Say how to run a base's interpreter on this machine; its name (--argv0) is still to be added."""
    binary, loader = inside(root, python.binary), inside(root, python.loader or "/nothing")
    if binary is None:
        raise failures.image_failed("the base's Python is gone; remove the base, it will be made again")
    if loader is None or (python.glibc is not None and python.glibc < 33):  # before 2.33 it cannot set argv[0]
        return [str(binary)]
    libraries = dict.fromkeys(str(path) for name in _LIBRARIES if (path := inside(root, name)))
    return [str(loader), "--library-path", ":".join(libraries), "--argv0", str(binary), str(binary)]


def _environment(target: Path, starter: list[str], root: Path, python: Interpreter) -> None:
    """Lay out a virtual environment (PEP 405) by hand: `python -m venv` would want to run the base's pip."""
    interpreter = target / "bin/python"
    if len(starter) == 1:
        interpreter.symlink_to(starter[0])
    else:
        before = " ".join(shlex.quote(word) for word in starter[:-2])
        interpreter.write_text(f'#!/bin/sh\nexec {before} "$0" {shlex.quote(starter[-1])} "$@"\n')
        interpreter.chmod(0o755)
    home = inside(root, os.path.dirname(python.binary))  # noqa: PTH120 - a path inside, as text
    _configure(target, str(home), python.version)


def _configure(target: Path, home: str, version: str) -> None:
    (target / "pyvenv.cfg").unlink(missing_ok=True)  # not written over: a wheel may have put a hard link there
    (target / "pyvenv.cfg").write_text(
        f"home = {home}\nimplementation = CPython\nversion_info = {version}\n"
        "include-system-site-packages = false\nrelocatable = true\n"
    )


def _settle(target: Path, python: Interpreter) -> None:
    """Point the environment at the interpreter as it is called inside."""
    for name in ("python", "python3", f"python{python.version}"):
        (target / "bin" / name).unlink(missing_ok=True)
        (target / "bin" / name).symlink_to(python.path)
    _configure(target, os.path.dirname(python.path), python.version)  # noqa: PTH120
    for leftover in (".lock", ".gitignore"):
        (target / leftover).unlink(missing_ok=True)


def _compile(
    target: Path, bytecode: Bytecode, starter: list[str], *, environ: Mapping[str, str], log: Path, timeout: float
) -> None:
    """Compile what has no bytecode yet, to be believed unseen (PEP 552), with the names tracebacks will show inside.

    Sources that are not for this Python do not compile, in packages that work: that is no error.
    """
    sources = bytecode.reuse()
    if not sources:  # compileall takes an empty list for everything there is, the base's own library too
        return
    shown = ["-s", str(target), "-p", PLACE]
    workers = ["-j", str(min(4, os.cpu_count() or 1))] if len(sources) > _WORTH_WORKERS else []
    modes = ["-q", "-q", "--invalidation-mode", "unchecked-hash", "-i", "-"]
    argv = [*starter, "-I", "-S", "-B", "-m", "compileall", *modes, *workers, *shown]
    text = "".join(f"{source}\n" for source in sources)
    _, ended = run(argv, environ=environ, log=log, timeout=timeout, text=text)
    if ended.code not in (0, 1):
        raise failures.image_failed(f"the base's Python does not run here: {ended.words.strip()[-300:]}")


def readable(target: Path) -> int:
    """Let everybody read it, nobody else write it; return the size of its files in bytes."""
    size = 0
    for directory, _, names in os.walk(target):
        os.chmod(directory, 0o755)  # noqa: PTH101, S103 - jobs run as somebody else; the walk gives text
        for name in names:
            path = os.path.join(directory, name)  # noqa: PTH118
            status = os.lstat(path)
            if stat.S_ISREG(status.st_mode):
                size += status.st_size
                wanted = 0o755 if status.st_mode & 0o111 else 0o644
                if stat.S_IMODE(status.st_mode) != wanted:
                    os.chmod(path, wanted)  # noqa: PTH101
    return size
