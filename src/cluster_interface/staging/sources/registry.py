"""Every kind of source, by its scheme: the one place that knows them all."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from cluster_interface.model.errors import ClusterError, NotFound, Permanent, Transient
from cluster_interface.model.filetree import IN_ARCHIVE
from cluster_interface.model.plan import SourceInfo
from cluster_interface.model.state import FailureCode
from cluster_interface.staging.acting import as_the_server
from cluster_interface.staging.cache import SMALL, Cache
from cluster_interface.staging.globus import Globus
from cluster_interface.staging.sources.archives import Members
from cluster_interface.staging.sources.dois import Records
from cluster_interface.staging.sources.files import Files
from cluster_interface.staging.sources.git import Repositories
from cluster_interface.staging.sources.globus import Endpoints
from cluster_interface.staging.sources.keys import Keys
from cluster_interface.staging.sources.kinds import Found, Here, unavailable
from cluster_interface.staging.sources.outputs import JobOutputs
from cluster_interface.staging.sources.s3 import Buckets
from cluster_interface.staging.sources.sftp import Hosts
from cluster_interface.staging.sources.shared import Shared
from cluster_interface.staging.sources.uploads import Uploaded
from cluster_interface.staging.sources.web import Addresses
from cluster_interface.staging.web import Web
from cluster_interface.trees.archives import split
from cluster_interface.trees.names import portable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from cluster_interface.model.filetree import FileEntry
    from cluster_interface.model.job import OutputFile
    from cluster_interface.settings import Staging
    from cluster_interface.staging.index import Kept
    from cluster_interface.staging.parts import Part
    from cluster_interface.staging.sources.kinds import Kind, Member
    from cluster_interface.staging.sources.outputs import OutputsOf
    from cluster_interface.staging.uploads import UploadStore
    from cluster_interface.trees.beneath import At

CONTENT = "content"
DIRECTORY = "directory"
LINK = "link"


def no_jobs(_owner: str, job: str) -> tuple[bool, Sequence[OutputFile]]:
    """Know no job."""
    raise NotFound(f"there is no job {job!r}")


def _no_output(_job: str, _task: int, path: str) -> BinaryIO:
    raise NotFound(f"there is no output {path!r}")


@dataclass(frozen=True)
class Sources:
    """Looks at sources and brings their bytes, as the account that the calling thread acts for."""

    kinds: Mapping[str, Kind] = field(repr=False)  #: by scheme
    members_of: Members | None = field(default=None, repr=False)
    shared: tuple[Web, Cache] | None = field(default=None, repr=False)  #: what several kinds reach the world through

    @classmethod
    def of(
        cls,
        settings: Staging,
        uploads: UploadStore,
        *,
        cache: Path,
        keys: Keys | None = None,
        outputs_of: OutputsOf = no_jobs,
        open_output: Callable[[str, int, str], BinaryIO] = _no_output,
    ) -> Self:
        """Make all kinds as the site says."""
        web, kept, keys = Web.of(settings), Cache(cache, settings.cache_bytes), keys or Keys()
        http = Addresses(web, kept, keys)
        kinds: dict[str, Kind] = {
            "upload": Uploaded(uploads),
            "file": Files(settings.copy_below),
            "http": http,
            "https": http,
            "site": Shared(settings.site),
            "job": JobOutputs(outputs_of, open_output),
            "doi": Records(web, kept, settings.zenodo),
            "git": Repositories(web, kept, keys, cache.with_name(f"{cache.name}-git"), float(settings.git_time)),
            "s3": Buckets(web, kept, keys, settings.s3_endpoint),
            "globus": Endpoints(Globus(settings.globus, keys), kept),
            "sftp": Hosts(web, kept, keys, settings.known_hosts),
        }
        made = cls(kinds)
        return cls(kinds, Members(made._plain, settings.max_bytes), (web, kept))

    def close(self) -> None:
        """Let go of the archives that were read and the connections that are idle; prune the cache."""
        if self.members_of is not None:
            self.members_of.close()
        for one in self.shared or ():
            one.close()

    def take(
        self, files: Mapping[str, FileEntry], owner: str, most: int, connections: int
    ) -> Iterator[tuple[str, SourceInfo]]:
        """Find size and checksum of many files of the web, and fetch small ones into the cache at once.

        Not more than about `most` bytes. What is left out, for whatever reason, is to be measured one by one.
        """
        wanted = {path: entry.source or "" for path, entry in files.items() if (entry.size or 0) <= SMALL}
        wanted = {path: source for path, source in wanted.items() if self._http(source)}
        if http := next(map(self._http, wanted.values()), None):
            with as_the_server():
                found = http.take(dict.fromkeys(wanted.values()), owner, most, connections)
            for path, source in wanted.items():
                if source in found:
                    with naming(path):
                        info = _info(path, files[path], found[source])
                    yield path, info

    def measure(self, path: str, entry: FileEntry, owner: str = "") -> SourceInfo:
        """Find size and checksum of one entry without fetching it; Permanent(input_unavailable) names it."""
        with naming(path):
            return _info(path, entry, self._measure(path, entry, owner))

    def place(self, source: str, owner: str) -> Path:
        """Say where on this machine the shared data lie that a `site:` source names; Permanent for any other."""
        kind = self._kind(source)
        if not isinstance(kind, Shared):
            raise unavailable(f"{source} is not on this machine, so it cannot be mounted; copy or link it")
        return kind.path(source, owner)

    def pinned(self, source: str, owner: str) -> str:
        """Return the source of the commit that a `git:` source names now."""
        kind = self.kinds["git"]
        assert isinstance(kind, Repositories)  # noqa: S101 - so it is made
        return kind.pinned(source, owner)

    def archives(self) -> Members:
        """Return a way to archives of one's own, to be closed."""
        assert self.members_of is not None  # noqa: S101 - those of a server have it
        return Members(self._plain, self.members_of.limit)

    def members(self, source: str, owner: str = "") -> Iterator[Member]:
        """List the files of a source that holds several: a directory, an archive, a repository, a record."""
        if source.startswith("git:") and split(source) is None:
            source = f"{source}{IN_ARCHIVE}"
        return self._kind(source).members(source, owner)

    def link(self, files: Sequence[SourceInfo], owner: str, home: At, below: str) -> list[Kept | None]:
        """Give what is in the cache by checksum its place, `below`/<path> in `home`; None for what must be brought."""
        wanted = {}
        for info in files:
            http = self._http(info.source)
            if http and info.sha256:
                wanted[info.path] = http.space(info.source, owner), info.sha256, f"{below}/{info.path}"
        if self.shared is None:
            return [None] * len(files)
        found = dict(zip(wanted, self.shared[1].link(wanted.values(), home), strict=True))
        return [found.get(info.path) for info in files]

    def _http(self, source: str) -> Addresses | None:
        """Return the kind of a source of the web, unless it is in an archive."""
        kind = self.kinds.get(source.partition(":")[0])
        return kind if isinstance(kind, Addresses) and split(source) is None else None

    def read(self, entry: FileEntry, owner: str, limit: int) -> bytes | None:
        """Read what is on this machine; None for what is elsewhere, or has more bytes than that."""
        if entry.content is not None:
            data = entry.content.encode()
            return data if len(data) <= limit else None
        kind = self._kind(entry.source or "")
        if not isinstance(kind, Here):
            return None
        with os.fdopen(kind.descriptor(entry.source or "", owner), "rb") as file:
            return file.read(limit) if os.fstat(file.fileno()).st_size <= limit else None

    def fetch(self, info: SourceInfo, entry: FileEntry, part: Part, owner: str = "") -> None:
        """Bring all bytes of a source into `part`."""
        if info.source == CONTENT:
            part.restart()
            part.write((entry.content or "").encode())
        else:
            self._kind(info.source).bring(info.source, owner, part, info.sha256)

    def _measure(self, path: str, entry: FileEntry, owner: str) -> Found:
        if path.endswith("/"):
            return Found(size=0)
        if entry.content is not None:
            data = entry.content.encode()
            return Found(size=len(data), sha256=hashlib.sha256(data).hexdigest())
        source = entry.source or ""
        if source.startswith("git:") and split(source) is None:
            raise unavailable(
                f"{source} is a directory: add `!/` and a file in it, or a name that ends in / to the entry"
            )
        return self._kind(source).measure(source, owner)

    def _kind(self, source: str) -> Kind:
        if self.members_of is not None and split(source) is not None:
            return self.members_of
        return self._plain(source)

    def _plain(self, source: str) -> Kind:
        kind = self.kinds.get(source.partition(":")[0])
        if kind is None:
            raise unavailable(f"{source}: this server knows no such kind of source; it knows {', '.join(self.kinds)}")
        return kind


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Say in every error which entry it is about, and turn the system's errors into ours."""
    path = path if path.isprintable() else portable(path)
    try:
        yield
    except Permanent as error:
        raise Permanent(f"files.{path}: {error}", code=error.code) from None
    except Transient as error:
        raise Transient(f"files.{path}: {error}") from None
    except ClusterError as error:
        raise Permanent(f"files.{path}: {error}", code=FailureCode.INPUT_UNAVAILABLE) from None


def _source(path: str, entry: FileEntry) -> str:
    if path.endswith("/"):
        return DIRECTORY
    return CONTENT if entry.content is not None else entry.source or ""


def _info(path: str, entry: FileEntry, found: Found) -> SourceInfo:
    """Put together what the job says of an entry and what was found; Permanent where that disagrees."""
    _must_agree(entry, found)
    return SourceInfo(
        path=path,
        source=_source(path, entry),
        size=entry.size if found.size is None else found.size,
        sha256=entry.sha256 or found.sha256,
    )


def _must_agree(entry: FileEntry, found: Found) -> None:
    if entry.size is not None and found.size is not None and found.size != entry.size:
        raise unavailable(f"has {found.size} bytes, not the {entry.size} that the job says")
    if entry.sha256 is not None and found.sha256 is not None and found.sha256 != entry.sha256:
        raise unavailable(f"has the SHA-256 {found.sha256}, not {entry.sha256} as the job says")
