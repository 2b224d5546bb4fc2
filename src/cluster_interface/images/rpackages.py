"""R packages: those of Debian as they are; others from their sources, built in the sandbox into the layer.

A repository is what `tools::write_PACKAGES` describes: src/contrib/PACKAGES in Debian control format, one stanza for
each package (https://cran.r-project.org/doc/manuals/r-release/R-admin.html#Setting-up-a-package-repository).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import resources
from typing import TYPE_CHECKING

from cluster_interface.images import failures
from cluster_interface.images.commands import environment
from cluster_interface.images.fetching import fetch
from cluster_interface.images.layer import PLACE
from cluster_interface.model.base import Model
from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from cluster_interface.images.sandbox import Sandbox
    from cluster_interface.model.environment import REnvironment
    from cluster_interface.settings import Images

LIBRARY = f"{PLACE}/lib/R/library"
BASE, COMPILERS = "r-base-core", "r-base-dev"
_LARGEST = 512 * 2**20  #: bytes of one package
#: part of R itself: https://cran.r-project.org/doc/FAQ/R-FAQ.html#Add_002don-packages-in-R
_OWN = frozenset(
    [
        *("R", "base", "compiler", "datasets", "graphics", "grDevices", "grid", "methods", "parallel"),
        *("splines", "stats", "stats4", "tcltk", "tools", "utils"),
    ]
)
_NAME = re.compile(r"\s*([A-Za-z][A-Za-z0-9.]*)")


class Source(Model):
    """One package that is built from its source."""

    name: str
    version: str
    url: str
    md5: str | None = None
    compiled: bool = False
    needs: tuple[str, ...] = ()  #: other packages, of Debian or not

    @property
    def line(self) -> str:
        """Write it for a lock."""
        return f"{self.name} {self.version} {self.url} {self.md5 or '-'}"


def split(wanted: REnvironment, suite: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split what is asked for: Debian's packages, and the names of those it does not have."""
    debian, missing = [BASE], []
    for name in (*wanted.packages, *wanted.bioconductor):
        if name in _OWN:
            continue
        if package := in_debian(name, suite):
            debian.append(package)
        else:
            missing.append(name)
    return tuple(debian), tuple(missing)


def in_debian(name: str, suite: str) -> str | None:
    """Return the Debian package of an R package; None if there is none."""
    return next(
        (
            f"r-{kind}-{name.lower()}"
            for kind in ("cran", "bioc", "other")
            if f"r-{kind}-{name.lower()}" in _names(suite)
        ),
        None,
    )


@cache
def _names(suite: str) -> frozenset[str]:
    file = resources.files("cluster_interface.images") / "data" / f"r-{suite}.txt"
    return frozenset(file.read_text().split()) if file.is_file() else frozenset()


def resolve(names: Sequence[str], suite: str, newest: str | None, settings: Images, home: Path) -> list[Source]:
    """Find the sources of packages and of what they need, in the order they are built; Permanent or Transient."""
    found: dict[str, Source] = {}
    for url in repositories(settings, newest):
        listed = _fetch(f"{url}/src/contrib/PACKAGES", settings, home, names, suite)
        for source in _read(listed.decode(errors="replace"), url):
            found.setdefault(source.name, source)
    order = _Order(found, suite, partial(_archived, settings=settings, home=home))
    for name in names:
        order.add(name, ())
    return list(order.sources.values())


def repositories(settings: Images, newest: str | None) -> list[str]:
    """List the repositories; Rejected if packages of a day are asked for and the site has only today's."""
    if newest and "{date}" not in settings.cran:
        raise Rejected.field(
            "environment.as_of",
            "R packages that Debian does not have are only to be had as of today: the site's images.cran has no {date}",
        )
    urls = [settings.cran.replace("{date}", newest or "latest")]
    if settings.bioconductor:
        urls.append(settings.bioconductor)
    return [url.rstrip("/") for url in urls]


@dataclass
class _Order:
    """Sources, each after those it needs."""

    found: Mapping[str, Source]
    suite: str
    archived: Callable[[str], str]  #: the last version of a package that the repository gave up
    sources: dict[str, Source] = field(default_factory=dict)

    def add(self, name: str, above: tuple[str, ...]) -> None:
        """Add a package and what it needs; what Debian has is not built, unless it was asked for."""
        if name in self.sources or name in _OWN or name in above or (above and in_debian(name, self.suite)):
            return
        source = self.found.get(name)
        if source is None:
            raise failures.no_r_package(name, above[-1] if above else "", self.suite, self.archived(name))
        for need in source.needs:
            self.add(need, (*above, name))
        self.sources[name] = source


def debian_needs(sources: Sequence[Source], suite: str) -> tuple[str, ...]:
    """List the Debian packages that sources are built on."""
    names = {name for source in sources for name in source.needs}
    found = {package for name in names if (package := in_debian(name, suite))}
    return tuple(sorted({BASE, *found, *([COMPILERS] if any(source.compiled for source in sources) else [])}))


def _read(text: str, url: str) -> Iterator[Source]:
    for stanza in re.split(r"\n\s*\n", text.replace("\r\n", "\n")):
        joined = re.sub(r"\n[ \t]+", " ", stanza)
        entry = dict(line.split(":", 1) for line in joined.splitlines() if ":" in line)
        name, version = entry.get("Package", "").strip(), entry.get("Version", "").strip()
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9.]*", name) or not re.fullmatch(r"[0-9A-Za-z.-]+", version):
            continue
        needs = ",".join(entry.get(kind, "") for kind in ("Depends", "Imports", "LinkingTo")).split(",")
        names = [found[1] for need in needs if (found := _NAME.match(need))]
        yield Source(
            name=name,
            version=version,
            url=f"{url}/src/contrib/{name}_{version}.tar.gz",
            md5=entry.get("MD5sum", "").strip() or None,
            compiled=entry.get("NeedsCompilation", "").strip() == "yes",
            needs=tuple(dict.fromkeys(name for name in names if name not in _OWN)),
        )


def install(lines: Sequence[str], target: Path, sandbox: Sandbox, *, settings: Images, home: Path, log: Path) -> None:
    """Build the sources of a lock, one after the other, into a layer; `home`/sources is /mnt in the sandbox."""
    (target / "lib/R/library").mkdir(parents=True, exist_ok=True)
    sources = home / "sources"
    for line in lines:
        name, version, url, md5 = line.split()
        data = _fetch(url, settings, home)
        if md5 != "-" and hashlib.md5(data, usedforsecurity=False).hexdigest() != md5:  # all that repositories give
            raise failures.image_failed(
                f"the source of the R package {name} is not the one that was locked; submit again"
            )
        (sources / f"{name}_{version}.tar.gz").write_bytes(data)
        script = f"R CMD INSTALL --no-docs --no-test-load --library={LIBRARY} /mnt/{name}_{version}.tar.gz 1>&2\n"
        _, ended = sandbox.run(
            script,
            environ=environment(settings, home),
            log=log,
            timeout=settings.timeout,
            variables={"R_LIBS": LIBRARY},
        )
        if ended.code != 0:
            raise failures.of_r(ended.words, name)


def _archived(name: str, settings: Images, home: Path) -> str:
    """Return the last version of a package that CRAN took away, which its archive keeps; empty if that has none."""
    place = f"{repositories(settings, None)[0]}/src/contrib/Archive/{name}/"
    try:
        listing = fetch(place, _LARGEST, settings, home).decode(errors="replace")
    except (OSError, ValueError):  # not every mirror lists its directories
        return ""
    versions = re.findall(rf"\b{re.escape(name)}_(\d+(?:[.-]\d+)*)\.tar\.gz", listing)
    return max(versions, key=lambda version: [int(part) for part in re.split("[.-]", version)], default="")


def _fetch(url: str, settings: Images, home: Path, wanted: Sequence[str] = (), suite: str = "") -> bytes:
    """Read a file of a repository, whole; Transient if it does not answer, Permanent if it has no such file."""
    try:
        return fetch(url, _LARGEST, settings, home)
    except (OSError, ValueError) as error:
        raise failures.of_r_repository(error, url, wanted, suite) from None
