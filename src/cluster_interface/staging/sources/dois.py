"""`doi:10.5281/zenodo.N[/file]`: the files of a record of Zenodo (https://developers.zenodo.org, "Records").

Records are open, never change once they are published, and tell size and MD5 of each file.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from cluster_interface.staging.cache import Cache, Origin
from cluster_interface.staging.parts import CHUNK
from cluster_interface.staging.sources.kinds import Away, Found, Member, unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cluster_interface.staging.parts import Part
    from cluster_interface.staging.web import Web

LONGEST_RECORD = 32 * CHUNK

_DOI = re.compile(r"10\.\d{4,9}/(?:zenodo\.)(\d{1,12})(?:/(.*))?", re.DOTALL)


@dataclass(frozen=True)
class _File:
    key: str
    size: int
    md5: str | None
    address: str


@dataclass(frozen=True)
class Records(Away):
    """Files of published records."""

    web: Web
    cache: Cache
    zenodo: str  #: where its REST API is
    _known: dict[str, dict[str, _File]] = field(default_factory=dict)

    def measure(self, source: str, owner: str) -> Found:
        """Look its size up."""
        del owner
        return Found(size=self._file(source).size)

    def origin(self, source: str, owner: str) -> Origin:
        """Say where it lies: its checksum tells versions apart."""
        del owner
        file = self._file(source)
        return Origin(address=source, validator=f"md5:{file.md5}" if file.md5 else None)

    def fetch(self, source: str, owner: str, part: Part) -> None:
        """Bring it, and check what the record says of it."""
        del owner
        file = self._file(source)
        self.web.fetch(file.address, part)
        if file.md5 and part.digest("md5") != file.md5:
            part.restart()
            raise unavailable(f"{source} has not the MD5 that its record says, {file.md5}; try again")
        part.note = {**part.note, "validator": f"md5:{file.md5}" if file.md5 else ""}

    def members(self, source: str, owner: str) -> Iterator[Member]:
        """List the files of the record."""
        del owner
        record, inside = _parse(source)
        if inside:
            raise unavailable(f"{source} is one file, not a directory")
        for file in self._files(record).values():
            yield Member(path=file.key, source=f"{source.rstrip('/')}/{file.key}", size=file.size)

    def _file(self, source: str) -> _File:
        record, name = _parse(source)
        files = self._files(record)
        if not name:
            raise unavailable(
                f"{source} is a record of {len(files)} files: add the name of one, such as /{next(iter(files), 'x')}"
            )
        if name not in files:
            raise unavailable(f"{source}: the record has no file {name!r}; it has {', '.join(list(files)[:5])}")
        return files[name]

    def _files(self, record: str) -> dict[str, _File]:
        if record not in self._known:
            data = self.web.read(f"{self.zenodo}/api/records/{record}", LONGEST_RECORD)
            try:
                self._known[record] = {file.key: file for file in self._read(record, json.loads(data))}
            except (ValueError, KeyError, TypeError, AttributeError):
                raise unavailable(
                    f"the record {record} cannot be read: {self.zenodo} answers with something else"
                ) from None
        return self._known[record]

    def _read(self, record: str, document: Mapping[str, object]) -> Iterator[_File]:
        for entry in document["files"]:  # type: ignore[attr-defined]  # whatever it is, a wrong one raises TypeError
            name, _, value = str(entry.get("checksum", "")).partition(":")
            address = f"{self.zenodo}/api/records/{record}/files/{quote(entry['key'])}/content"
            yield _File(
                key=str(entry["key"]), size=int(entry["size"]), md5=value if name == "md5" else None, address=address
            )


def _parse(source: str) -> tuple[str, str]:
    found = _DOI.fullmatch(source.partition(":")[2])
    if found is None:
        raise unavailable(
            f"{source}: only records of Zenodo are resolved (doi:10.5281/zenodo.1234/file.csv); for others give the "
            f"file's https address"
        )
    return found[1], (found[2] or "").strip("/")
