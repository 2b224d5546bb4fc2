"""An environment resolved: exact versions and hashes, by uv, for the base's own Python and never another."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from uv import find_uv_bin

from cluster_interface.images import failures
from cluster_interface.images.commands import environment, run
from cluster_interface.model.base import Model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cluster_interface.images.requirements import Wanted
    from cluster_interface.settings import Images

_PLATFORMS = (17, 28, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40)  #: manylinux_2_N that uv knows
_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)


class Target(Model):
    """What packages are resolved for."""

    python: str  #: 3.11.2, or 3.11 where the patch level is not known
    machine: str = "x86_64"
    glibc: int | None = None  #: None: musl

    @property
    def minor(self) -> str:
        """The version without its patch level, such as 3.11."""
        return ".".join(self.python.split(".")[:2])

    @property
    def platform(self) -> str:
        """The platform's name for uv."""
        if self.glibc is None:
            return f"{self.machine}-unknown-linux-musl"
        return f"{self.machine}-manylinux_2_{max((n for n in _PLATFORMS if n <= self.glibc), default=17)}"


def uv_environment(
    settings: Images, wheels: Path, home: Path, indexes: Sequence[str] = (), torch: str | None = None
) -> dict[str, str]:
    """Make uv's environment: nothing of the host's configuration, the site's index and cache.

    `indexes` are asked first; a package that one of them has is taken from there alone, whatever others publish.
    """
    chosen = {
        **environment(settings, home),
        "UV_CACHE_DIR": str(wheels),
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
        "UV_SYSTEM_CERTS": "1",
        "UV_NO_ENV_FILE": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }
    if torch:
        chosen["UV_TORCH_BACKEND"] = torch
    if indexes:
        chosen["UV_INDEX"] = " ".join(indexes)
    if settings.index_url:
        chosen["UV_DEFAULT_INDEX"] = settings.index_url  # not on the command line: it may have a password
    return chosen


def compile_lock(
    wanted: Sequence[Wanted],
    target: Target,
    newest: str | None,
    *,
    environ: Mapping[str, str],
    log: Path,
    timeout: float,
    store: Path,
) -> str:
    """Resolve to a requirements text with hashes. Permanent or Transient, in words."""
    argv = [
        find_uv_bin(),
        "pip",
        "compile",
        "--generate-hashes",
        "--no-header",
        "--no-annotate",
        "--only-binary=:all:",
        f"--python={sys.executable}",  # uv wants one to run; what it resolves for is the next two lines
        f"--python-version={target.python}",
        f"--python-platform={target.platform}",
        *([f"--exclude-newer={newest}"] if newest else []),
        "-",
    ]
    asked = "".join(f"{one.requirement}\n" for one in wanted)
    answer, ended = run(argv, environ=environ, log=log, timeout=timeout, text=asked)
    if ended.code != 0:
        raise failures.of_uv(ended.words, target.python, store)
    return _only_given_hashes(answer, wanted)


def pinned(requirements: str) -> tuple[str, ...]:
    """List name==version of a lock."""
    return tuple(f"{name}=={version}" for name, version in _PINNED.findall(requirements))


def _only_given_hashes(requirements: str, wanted: Sequence[Wanted]) -> str:
    """Where the user gave hashes, keep no other."""
    given = {one.name: one.hashes for one in wanted if one.hashes}
    if not given:
        return requirements
    lines: list[str] = []
    for entry in re.split(r"\n(?=\S)", requirements.strip()):
        name = entry.partition("==")[0]
        hashes = re.findall(r"sha256:[0-9a-f]{64}", entry)
        if name in given:
            hashes = [one for one in hashes if one in given[name]]
            if not hashes:
                raise failures.image_failed(f"no file of `{name}` on the index has one of the hashes that were given")
        first = entry.partition("\n")[0].removesuffix("\\").strip()
        lines.append(" \\\n".join([first, *(f"    --hash={one}" for one in hashes)]))
    return "\n".join(lines) + "\n"
