"""Packages of conda channels: solved and installed by rattler as the whole of a layer.

The packages' own link scripts are not run. What `conda activate` would set is found out once, in the sandbox.
Source of the rules: https://docs.conda.io/projects/conda/en/stable/dev-guide/deep-dives/activation.html
"""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

from cluster_interface.images import failures
from cluster_interface.images.commands import environment, run
from cluster_interface.images.layer import PLACE
from cluster_interface.images.lock import Target
from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cluster_interface.images.sandbox import Sandbox
    from cluster_interface.settings import Images

_PROGRAM = (sys.executable, "-P", "-m", "cluster_interface.images.conda_program")
_PLATFORMS = {"x86_64": "linux-64", "aarch64": "linux-aarch64"}
OLD_GLIBC = 28  #: what packages are chosen for where the base's own is not known
_KERNEL = "4.18"  #: the oldest that nodes are taken to have: Rocky 8's
_FILE = re.compile(r"^- conda: .*/([^/\s]+?)-([^-/\s]+)-[^-/\s]+?\.(?:conda|tar\.bz2)$", re.MULTILINE)
_PACKAGE = re.compile(r"^- conda: (\S+)\n((?:  .*\n)*)", re.MULTILINE)  #: its address, and what is known of it
_SHOW = "env -0; printf '\\1'; for file in /opt/env/etc/conda/activate.d/*.sh; do . \"$file\" >&2; done; env -0\n"
_NOT_OURS = ("PATH", "PWD", "OLDPWD", "SHLVL", "_", "HOME", "TMPDIR", "LANG")


def channels(settings: Images, names: Sequence[str]) -> tuple[str, ...]:
    """Return the channels' addresses; Rejected for one that the site does not allow."""
    found = []
    for name in names or ("conda-forge",):
        if "://" not in name:
            found.append(f"{settings.conda_alias.rstrip('/')}/{name}")
        elif name in {allowed.rstrip("/") for allowed in settings.conda_channels}:
            found.append(name)
        else:
            raise Rejected.field(
                "environment.conda.channels", f"{name} is not allowed here; the site lists those that are"
            )
    return tuple(found)


def solve(
    packages: Sequence[str],
    addresses: Sequence[str],
    glibc: int | None,
    newest: str | None,
    *,
    machine: str,
    settings: Images,
    cache: Path,
    home: Path,
    log: Path,
) -> str:
    """Solve to a lock file; Permanent or Transient, in words."""
    request = {
        "do": "solve",
        "packages": list(packages),
        "channels": list(addresses),
        "platform": _platform(machine),
        "virtual": {"__unix": "0", "__linux": _KERNEL, **({"__glibc": f"2.{glibc}"} if glibc else {})},
        "newest": newest,
        "cache": str(cache),
    }
    return _ask(request, settings, home, log)


def install(lock: str, target: Path, *, machine: str, settings: Images, cache: Path, home: Path, log: Path) -> None:
    """Install a lock into `target`, which will be seen at /opt/env; Permanent or Transient, in words."""
    request = {"do": "install", "lock": lock, "target": str(target), "place": PLACE, "platform": _platform(machine)}
    _ask({**request, "cache": str(cache)}, settings, home, log)
    (target / "CACHEDIR.TAG").unlink(missing_ok=True)


def pinned(lock: str) -> tuple[str, ...]:
    """List name=version of a lock, for people."""
    return tuple(sorted({f"{name}={version}" for name, version in _FILE.findall(lock)}))


def explicit(lock: str) -> str:
    """Write a lock as the file that conda and micromamba install as it is, each package with its channel's MD5."""
    lines = ["@EXPLICIT"]
    for url, said in _PACKAGE.findall(lock):
        md5 = re.search(r"^  md5: (\w+)$", said, re.MULTILINE)
        lines.append(f"{url}#{md5[1]}" if md5 else url)
    return "\n".join([*lines, ""])


def python(lock: str) -> str | None:
    """Say which Python a lock has, such as 3.12; None if none."""
    found = next((name.partition("=")[2] for name in pinned(lock) if name.startswith("python=")), None)
    return ".".join(found.split(".")[:2]) if found else None


def target(version: str, base: Target | None, machine: str) -> Target:
    """Say what packages of a package index are chosen for that go with a Python of conda's."""
    return Target(python=version, machine=machine, glibc=(base.glibc if base else None) or OLD_GLIBC)


def activation(target: Path, sandbox: Sandbox, *, settings: Images, home: Path, log: Path) -> dict[str, str]:
    """Return the variables that activating the environment sets."""
    always = {"CONDA_PREFIX": PLACE, "CONDA_DEFAULT_ENV": PLACE}
    if not list((target / "etc/conda/activate.d").glob("*.sh")):
        return always
    answer, ended = sandbox.run(
        _SHOW, environ=environment(settings, home), log=log, timeout=settings.timeout, variables=always
    )
    if ended.code != 0:
        raise failures.image_failed(f"the conda environment's activation fails: {ended.words.strip()[-300:]}")
    before, after = map(_variables, answer.split("\1", 1))
    return always | {k: v for k, v in after.items() if before.get(k) != v and k not in _NOT_OURS and "\n" not in v}


def _variables(text: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in text.split("\0") if "=" in pair)


def _platform(machine: str) -> str:
    if machine not in _PLATFORMS:
        raise failures.image_failed(f"conda packages are not published for {machine}")
    return _PLATFORMS[machine]


def _ask(request: dict[str, Any], settings: Images, home: Path, log: Path) -> str:
    environ = environment(settings, home)
    answer, ended = run(_PROGRAM, environ=environ, log=log, timeout=settings.timeout, text=json.dumps(request))
    if ended.code != 0:
        raise failures.of_conda(ended.words)
    return answer
