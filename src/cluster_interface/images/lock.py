"""An environment resolved: exact versions and hashes, by uv, for the base's own Python and never another."""

from __future__ import annotations

import json
import re
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from uv import find_uv_bin

from cluster_interface.images import failures
from cluster_interface.images.commands import environment, run
from cluster_interface.model.base import Model
from cluster_interface.model.errors import Permanent
from cluster_interface.model.state import FailureCode

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from cluster_interface.images.requirements import Wanted
    from cluster_interface.settings import Images

_PLATFORMS = (17, 28, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40)  #: manylinux_2_N that uv knows
_LONGEST = 300  #: characters of the reason why a release was withdrawn
_MOMENT = 5  #: seconds for which uv's cache is waited for before it is emptied
_PYPI = "https://pypi.org/simple"
_CONFIG = """\
[[index]]
url = {url}
default = true
cache-control = {{ api = "max-age=600", files = "max-age=31536000, immutable" }}
"""  #: for which an index's answers are good: what pypi.org says of its own, and many mirrors do not say
_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)
_YANKED = re.compile(r"^warning: `(\S+==\S+)` is yanked(?: \(reason: \"(.*)\"\))?", re.MULTILINE)
_NO_WHEELS = re.compile(
    r"\b([A-Za-z0-9][\w.-]*?)([=<>!~][^ ]*)? ha(?:s|ve) no (?:usable wheels|wheels with a matching Python)"
)


class OnlySource(Permanent):
    """The index has no wheel of some packages for this Python."""

    def __init__(self, message: str, names: tuple[str, ...]) -> None:
        super().__init__(message, code=FailureCode.IMAGE_FAILED)
        self.names = names


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
    """Make uv's environment, and its configuration in `home`: nothing of the host's, the site's index and cache.

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
        "UV_LOCK_TIMEOUT": str(int(settings.timeout)),  # while its cache is emptied; its own would fail the build
    }
    if torch:
        chosen["UV_TORCH_BACKEND"] = torch
    if indexes:
        chosen["UV_INDEX"] = " ".join(indexes)
    if settings.index_url:
        chosen["UV_DEFAULT_INDEX"] = settings.index_url  # not on the command line: it may have a password
    config = home / "uv.toml"
    config.touch(mode=0o600)
    config.write_text(_CONFIG.format(url=json.dumps(settings.index_url or _PYPI)))
    return {**chosen, "UV_CONFIG_FILE": str(config)}


@dataclass(frozen=True)
class Uv:
    """The installer, for the Python of an image, which need not be this program's own."""

    target: Target
    environ: Mapping[str, str]  #: of `uv_environment`
    log: Path
    timeout: float  #: seconds
    store: Path  #: is named where the disk is full
    withdrawn: dict[str, str] = field(default_factory=dict)  #: releases (name==version) that were, and why, once seen

    def pip(self, *words: str, text: str) -> str:
        """Run a command of `uv pip` that reads requirements and return what it says. Permanent or Transient, in words.

        What it refuses by what the index said minutes ago it is asked again, with what the index says now.
        """
        try:
            return self._pip(*words, text=text, environ=self.environ)
        except Permanent:
            fresh = {name: value for name, value in self.environ.items() if name != "UV_CONFIG_FILE"}
            return self._pip(*words, "--refresh", text=text, environ=fresh)

    def _pip(self, *words: str, text: str, environ: Mapping[str, str]) -> str:
        argv = [
            find_uv_bin(),
            "pip",
            *words,
            "--only-binary=:all:",
            f"--python={sys.executable}",  # uv wants one to run; what packages are for is the next two, maybe another
            f"--python-version={self.target.python}",
            f"--python-platform={self.target.platform}",
        ]
        answer, ended = run(argv, environ=environ, log=self.log, timeout=self.timeout, text=text)
        if ended.code != 0:
            error = failures.of_uv(ended.words, self.target.python, self.store)
            names = only_source(ended.words)
            raise OnlySource(str(error), names) if names and isinstance(error, Permanent) else error
        self.withdrawn.update(_YANKED.findall(ended.words))
        return answer


def only_source(said: str) -> tuple[str, ...]:
    """Name the packages that uv found as source alone; of one whose old releases are so it has newer ones."""
    found = _NO_WHEELS.findall(said)
    needed = [name for name, versions in found if not versions.startswith("<")] or [name for name, _ in found]
    return tuple(dict.fromkeys(str(canonicalize_name(name)) for name in needed))


def compile_lock(
    wanted: Sequence[Wanted], newest: str | None, uv: Uv, *, links: Sequence[Path] = (), more: Sequence[str] = ()
) -> str:
    """Resolve to a requirements text with hashes. Permanent or Transient, in words; OnlySource is one of them.

    `links` are directories with wheels besides those of the index, `more` are arguments that change what comes out.
    """
    words = ["compile", "-", "--generate-hashes", "--no-header", "--no-annotate"]
    words += [f"--exclude-newer={newest}"] if newest else []
    words += [*(f"--find-links={place}" for place in links), *more]
    answer = uv.pip(*words, text="".join(f"{one.requirement}\n" for one in wanted))
    return answer if more else _only_given_hashes(answer, wanted)


def forget(names: Collection[str], *, environ: Mapping[str, str], log: Path, timeout: float) -> bool:
    """Remove packages, and whatever else is of no use any more, from uv's cache; false while others use it.

    It must be nobody else's for that, and uv would wait for minutes: on a busy server that never comes to an end.
    """
    here = {**environ, "UV_LOCK_TIMEOUT": str(_MOMENT)}
    with suppress(Permanent):  # it took too long: what is gone is gone, the rest goes the next time
        commands = (("clean", *sorted(names)), ("prune",))
        ends = (run([find_uv_bin(), "cache", *one], environ=here, log=log, timeout=timeout)[1] for one in commands)
        return all(ended.code == 0 for ended in ends)
    return False


def pinned(requirements: str) -> tuple[str, ...]:
    """List name==version of a lock."""
    return tuple(f"{name}=={version}" for name, version in _PINNED.findall(requirements))


def warnings(packages: Collection[str], withdrawn: Mapping[str, str]) -> tuple[str, ...]:
    """Say which packages of a lock (name==version) were withdrawn by those who publish them, and for what reason."""
    whys = {package: f": {why[:_LONGEST].rstrip('. ')}" if why else "" for package, why in withdrawn.items()}
    return tuple(
        f"{package} was withdrawn by those who publish it (yanked){whys[package]}; it is taken because exactly that "
        "version is asked for"
        for package in packages
        if package in withdrawn
    )


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
