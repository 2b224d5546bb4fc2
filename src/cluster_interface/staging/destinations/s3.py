"""`s3://BUCKET/PREFIX`: objects in a bucket, through the guarded web client, signed with the owner's key.

Every request carries the checksum of its body (AWS Signature Version 4), which the server compares; an object becomes
visible when all of it is there. What is larger than a part goes as a multipart upload (S3 API, CreateMultipartUpload).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode
from xml.etree import ElementTree as ET

from cluster_interface.model.errors import Permanent, Transient
from cluster_interface.staging.destinations.kinds import AtOnce

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cluster_interface.model.credential import Credential
    from cluster_interface.staging.destinations.kinds import Errand, Item
    from cluster_interface.staging.sources.s3 import Buckets
    from cluster_interface.staging.web import Answered

PART = 64 * 2**20  #: bytes of one request
MOST_PARTS = 9000  #: below the 10,000 that S3 takes
SHA256 = "x-amz-meta-sha256"


@dataclass(frozen=True)
class BucketPlaces:
    """Buckets."""

    buckets: Buckets
    part: int = PART

    @contextmanager
    def opened(self, errand: Errand) -> Iterator[BucketPlace]:
        """Find the key."""
        to = errand.to
        root, key = self.buckets.place(f"{to.rstrip('/')}/", errand.owner)
        if key is None:
            words = "add yours with `clif credentials add NAME --kind s3 --match s3://BUCKET …`"
            raise Permanent(f"{to} needs a credential: {words}")
        yield BucketPlace(self.buckets, root, key, to, self.part)


@dataclass(frozen=True)
class BucketPlace(AtOnce):
    """A prefix of a bucket."""

    buckets: Buckets
    root: str  #: address, ends in a slash
    key: Credential
    to: str
    part: int

    def has(self, item: Item) -> bool:
        """Say whether an object with this checksum is there."""
        answer = self._ask("HEAD", item.name)
        if answer.status == 404:
            return False
        self._must_be(answer, 200)
        return answer.headers.get(SHA256) == item.output.sha256

    def put(self, item: Item) -> None:
        """Send it in one request, or part by part."""
        size = max(self.part, -(-item.output.size // MOST_PARTS))
        if item.output.size <= size:
            data = b"".join(item.chunks())
            self._must_be(self._ask("PUT", item.name, data, {SHA256: item.output.sha256}), 200)
            return
        started = self._ask("POST", item.name, b"", {SHA256: item.output.sha256}, uploads="")
        upload = self._read(started, "UploadId")
        try:
            tags = [self._send(item, upload, number, data) for number, data in enumerate(_parts(item, size), start=1)]
            parts = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{tag}</ETag></Part>" for n, tag in tags)
            body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
            self._read(self._ask("POST", item.name, body, uploadId=upload), "ETag")
        except BaseException:
            self._ask("DELETE", item.name, uploadId=upload)
            raise

    def _send(self, item: Item, upload: str, number: int, data: bytes) -> tuple[int, str]:
        answer = self._ask("PUT", item.name, data, partNumber=str(number), uploadId=upload)
        self._must_be(answer, 200)
        return number, answer.headers.get("ETag", "")

    def _ask(
        self, method: str, name: str, body: bytes = b"", headers: Mapping[str, str] | None = None, **query: str
    ) -> Answered:
        address = self.root + quote(name, safe="/-_.~")
        if query:
            address += f"?{urlencode(sorted(query.items()))}"
        sign = self.buckets.signing_body(self.key, body, headers or {})
        return self.buckets.web.send(method, address, body, sign)

    def _read(self, answer: Answered, field: str) -> str:
        """Return a field of an XML answer. S3 may say 200 and mean an error (CompleteMultipartUpload)."""
        self._must_be(answer, 200)
        try:
            found = ET.fromstring(answer.body).findtext(f"{{*}}{field}")  # noqa: S314 - expat bounds entities
        except ET.ParseError:
            found = None
        if not found:
            raise Transient(f"{self.to}: the server's answer makes no sense")
        return found

    def _must_be(self, answer: Answered, status: int) -> None:
        if answer.status == status:
            return
        words = {
            301: "the bucket is in another region: say so in the credential",
            403: "the credential does not allow writing there",
            404: "there is no such bucket",
        }
        raise Permanent(f"{self.to}: {words.get(answer.status, f'the server answered {answer.status}')}")


def _parts(item: Item, size: int) -> Iterator[bytes]:
    """Gather pieces into parts of exactly `size` bytes, but for the last."""
    part = bytearray()
    for data in item.chunks():
        part += data
        while len(part) >= size:
            yield bytes(part[:size])
            del part[:size]
    if part:
        yield bytes(part)
