"""Packages that an index has only as source: made into wheels in a sandbox, once per source, and kept in the store.

uv says which version it would take (what such packages need is not known then, for knowing means running them). Its
source is built with no network, by the Python that it is for, against the build requirements that its pyproject.toml
names; then the wheel says what it needs. The lock has the hashes of both: the wheel is what is installed here, the
source is what others find on the index.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
import tomllib
import urllib.request
import zipfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from cluster_interface.images import conda, failures, layer
from cluster_interface.images import lock as locks
from cluster_interface.images.commands import environment
from cluster_interface.images.fetching import fetch
from cluster_interface.images.sandbox import Sandbox
from cluster_interface.inspection.archive.index import Archive
from cluster_interface.model.environment import PythonEnvironment
from cluster_interface.model.errors import Permanent, Transient
from cluster_interface.model.job import Progress
from cluster_interface.model.jobspec import Environment
from cluster_interface.model.plan import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cluster_interface.images.lock import Target
    from cluster_interface.images.shelf import Shelf
    from cluster_interface.model.plan import Lock
    from cluster_interface.ports import Report
    from cluster_interface.settings import Images

MOST = 20  #: packages of one lock that are built from source
LARGEST = 200_000_000  #: bytes of a source
MOST_TRIES = 5  #: each with the packages of the headers that were missing before
_TOOLS = ("pip", "setuptools<81", "wheel")  # 81 has no pkg_resources, which old setup.py files import
_COMPILERS = ("gcc", "g++", "libc6-dev", "make", "pkg-config", "python3-dev")
_BESIDE_CONDA = {
    "CONDA_PREFIX": layer.PLACE,
    "CPATH": f"{layer.PLACE}/include",
    "LIBRARY_PATH": f"{layer.PLACE}/lib",
    "PKG_CONFIG_PATH": f"{layer.PLACE}/lib/pkgconfig:{layer.PLACE}/share/pkgconfig",
    "CMAKE_PREFIX_PATH": layer.PLACE,
    "LDFLAGS": f"-L{layer.PLACE}/lib -Wl,-rpath,{layer.PLACE}/lib",
}  #: headers and libraries of the conda packages are found, when it is built and when it runs
_COMPILED = (".c", ".cc", ".cpp", ".cxx", ".pyx", ".f", ".f90")
_HEADER = re.compile(r"fatal error: ([\w./+-]+): No such file")
_BUILD = (
    "export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INDEX=1 SOURCE_DATE_EPOCH=315619200\n"
    "/opt/env/bin/python -m pip wheel --no-deps --no-build-isolation --no-cache-dir -w /mnt/made /mnt/{name} 1>&2\n"
)


@dataclass(frozen=True)
class Source:
    """A file of an index."""

    name: str
    url: str
    sha256: str


@dataclass(frozen=True)
class Bench:
    """Where the packages of an environment are resolved, and who is told how far that is."""

    environment: Environment  #: whose distribution and conda packages and day are those of a build, too
    report: Report
    home: Path
    log: Path


@dataclass
class Workshop:
    """Builds the sources of one lock."""

    shelf: Shelf
    settings: Images
    target: Target
    toolchain: Callable[[Environment], Lock]  #: resolves and builds
    bench: Bench
    conda: str = ""  #: the lock of the conda packages beside which they will be
    _wheels: dict[str, tuple[Source, Path]] = field(default_factory=dict)

    @property
    def links(self) -> list[Path]:
        """The directories of the wheels so far."""
        return [wheel.parent for _, wheel in self._wheels.values()]

    def build(self, names: Sequence[str], compile_: Callable[..., str]) -> bool:
        """Have wheels of those packages that are taken; false if that cannot help: there were, or no source."""
        fresh = [name for name in names if name not in self._wheels]
        if not fresh or len(self._wheels) + len(fresh) > MOST:
            return False
        try:
            found = tomllib.loads(compile_(links=self.links, more=self._as_source(fresh)))
        except locks.OnlySource as error:
            return self.build([*fresh, *error.names], compile_) if set(error.names) - set(fresh) else False
        given = {one["name"]: one.get("sdist") or one.get("archive") for one in found.get("packages", [])}
        sources = [_source(name, given[name]) for name in fresh if given.get(name)]
        for number, source in enumerate(sources, start=1):
            self._say(f"building {source.name} from source ({number} of {len(sources)})")
            self._wheels[source.name] = (source, self._wheel(source))
        return bool(sources)  # those that other versions need are not among them

    def _say(self, note: str) -> None:
        self.bench.report(Progress(stage="image", unit="", note=note))
        with self.bench.log.open("a") as file:
            file.write(f"{note}\n")

    def _as_source(self, names: Sequence[str]) -> list[str]:
        """Write the arguments with which uv takes the sources of packages, without running them."""
        said, usual = self.bench.home / "sources.toml", self.bench.home / "uv.toml"
        said.touch(mode=0o600)  # the address of an index may have a password
        said.write_text(
            usual.read_text()
            + "".join(f"[[dependency-metadata]]\nname = {json.dumps(name)}\nrequires-dist = []\n" for name in names)
        )
        return ["--format=pylock.toml", f"--config-file={said}", *(f"--no-binary={name}" for name in names)]

    def with_sources(self, requirements: str) -> str:
        """Add the hashes of the sources to those of the wheels that were made of them."""
        for source, wheel in self._wheels.values():
            made = hashlib.sha256(wheel.read_bytes()).hexdigest()
            requirements = requirements.replace(
                f"--hash=sha256:{made}", f"--hash=sha256:{made} \\\n    --hash=sha256:{source.sha256}"
            )
        return requirements

    def _wheel(self, source: Source) -> Path:
        place = _place(self.shelf, source.sha256, self.target, self.conda)
        with self.shelf.hold(place.name):
            with suppress(FileNotFoundError):
                os.utime(place)  # it is used: not to be pruned
            if not place.is_dir():
                data = self._fetch(source)
                made = self.bench.home / f"made-{source.name}"
                (made / "made").mkdir(parents=True, mode=0o755)
                made.chmod(0o755)
                self._make(source, data, made)
                self.shelf.publish(made / "made", place)
        return next(place.glob("*.whl"))

    def _make(self, source: Source, data: bytes, made: Path) -> None:
        name = PurePosixPath(urllib.request.url2pathname(source.url.partition("#")[0])).name
        (made / name).write_bytes(data)
        requires, tools = _about(data, name)
        for _ in range(MOST_TRIES):
            lock = self._workbench(source, requires, tools)
            binds = {layer.PLACE: (self.shelf.layer(lock.image) / "env", False), "/mnt": (made, True)}
            sandbox = Sandbox(self.shelf.base(lock.base) / "rootfs", binds)
            with self.shelf.use(lock.base, lock.image):
                _, ended = sandbox.run(
                    _BUILD.format(name=name),
                    environ=environment(self.settings, self.bench.home),
                    log=self.bench.log,
                    timeout=self.settings.timeout,
                    variables=_BESIDE_CONDA if self.conda else {},
                )
            if ended.code == 0:
                return _check(source, made / "made")
            more = {package for header in _HEADER.findall(ended.words) for package in _brings(header, lock.suite or "")}
            if not more - set(tools):
                break
            tools = (*tools, *sorted(more - set(tools)))
        raise failures.of_source(ended.words, source.name)

    def _workbench(self, source: Source, requires: Sequence[str], tools: Sequence[str]) -> Lock:
        other = self.conda and not conda.python(self.conda)  # then it is the base's, and to ask for it brings conda's
        version = None if other else self.target.minor
        python = PythonEnvironment(version=version, packages=tuple(dict.fromkeys((*_TOOLS, *requires))))
        system = tuple(dict.fromkeys((*self.bench.environment.system, *tools)))
        beside = self.bench.environment.conda if self.conda else None
        try:
            return self.toolchain(
                Environment(python=python, conda=beside, system=system, as_of=self.bench.environment.as_of)
            )
        except Permanent as error:
            raise failures.image_failed(
                f"`{source.name}` is published only as source, and what it is to be built with cannot be had: {error}"
            ) from None

    def _fetch(self, source: Source) -> bytes:
        own = (self.settings.index_url or "", *self.settings.extra_index_urls)
        if not source.url.startswith(("http:", "https:")) and not any(one.startswith(("file:", "/")) for one in own):
            raise failures.image_failed(
                f"the index says that the source of {source.name} lies elsewhere than on the web"
            )
        try:
            data = fetch(source.url, LARGEST, self.settings, self.bench.home)
        except (OSError, ValueError) as error:
            said = failures.without_secrets(f"{source.url}: {getattr(error, 'reason', error)}")
            raise Transient(f"the source of {source.name} cannot be had ({said})") from None
        if hashlib.sha256(data).hexdigest() != source.sha256:
            raise failures.image_failed(f"the index gives other bytes for the source of {source.name} than it says")
        return data


def links(shelf: Shelf, lock: Lock, target: Target) -> list[Path]:
    """List the directories of the wheels that were made for a lock."""
    hashes = re.findall(r"sha256:([0-9a-f]{64})", lock.requirements)
    return [place for one in hashes if (place := _place(shelf, one, target, lock.conda)).is_dir()]


def wheels(shelf: Shelf, requirements: str) -> dict[str, bytes]:
    """Return the wheels that were made for a lock, by their names: elsewhere its sources may need compilers."""
    names = {one.partition("==")[0].replace("-", "_").lower() for one in locks.pinned(requirements)}
    made = [one for one in (shelf.root / "built").glob("*/*.whl") if one.name.split("-")[0].lower() in names]
    read = ((one.name, one.read_bytes()) for one in made)
    return {name: data for name, data in read if hashlib.sha256(data).hexdigest() in requirements}


def _place(shelf: Shelf, sha256: str, target: Target, beside: str) -> Path:
    made = {"source": sha256, "python": target.minor, "platform": target.platform}
    return shelf.built(digest({**made, **({"conda": beside} if beside else {})}))  # its libraries may be linked to


def _source(name: str, given: Mapping[str, Any]) -> Source:
    url = given.get("url") or Path(given["path"]).absolute().as_uri()
    return Source(name, url, given["hashes"]["sha256"])


def _about(data: bytes, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Read what building takes: the packages that pyproject.toml names, and compilers where there is work for them."""
    files: dict[str, bytes | None] = {}
    try:
        if name.endswith(".zip"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                files = {one: archive.read(one) if _is_project(one) else None for one in archive.namelist()}
        else:
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                for member in tar:
                    file = tar.extractfile(member) if _is_project(member.name) and member.isfile() else None
                    files[member.name] = file.read() if file else None
    except (tarfile.TarError, zipfile.BadZipFile, OSError, EOFError):
        raise failures.image_failed(f"{name} is no archive that can be read") from None
    stated = next((text for text in files.values() if text is not None), b"")
    try:
        system = tomllib.loads(stated.decode(errors="replace")).get("build-system", {})
        requires = tuple(str(Requirement(str(one))) for one in system.get("requires", ()))
    except (tomllib.TOMLDecodeError, InvalidRequirement, AttributeError, TypeError):
        requires = ()
    return requires, _COMPILERS if any(one.lower().endswith(_COMPILED) for one in files) else ()


def _is_project(name: str) -> bool:
    return name.count("/") == 1 and name.endswith("/pyproject.toml")


def _brings(header: str, suite: str) -> Sequence[str]:
    """Name the package that has a header, as far as the archive's table knows."""
    archive = Archive(suite)
    if found := archive.path("header", header):
        return found[:1]
    below = archive.find("below", header.split("/", maxsplit=1)[0])
    return archive.find("pkgconfig", below[0])[:1] if below else ()


def _check(source: Source, made: Path) -> None:
    """See that what was made is one wheel of this package, and a plain file."""
    found = [file for file in made.iterdir() if file.is_file() and not file.is_symlink()]
    try:
        names = [parse_wheel_filename(file.name)[0] for file in found]
    except InvalidWheelFilename:
        names = []
    if names != [canonicalize_name(source.name)] or len(list(made.iterdir())) != 1:
        raise failures.image_failed(f"building {source.name} from source made something else than a wheel of it")
