"""`s3://BUCKET/KEY`: an object of Amazon S3, or of whatever speaks its protocol.

Requests go through the same guarded web client as any other, and are signed (AWS Signature Version 4) by botocore
where the owner has a key for the bucket; without one the bucket must be open to everybody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode
from xml.etree import ElementTree as ET

from cluster_interface.model.filetree import MOST_MEMBERS
from cluster_interface.staging.cache import Cache, Origin
from cluster_interface.staging.parts import CHUNK
from cluster_interface.staging.sources.kinds import Away, Found, Member, unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cluster_interface.model.credential import Credential
    from cluster_interface.staging.parts import Part
    from cluster_interface.staging.sources.keys import Keys
    from cluster_interface.staging.web import Sign, Web

REGION = "us-east-1"
LONGEST_PAGE = 16 * CHUNK

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")  # "Bucket naming rules" of Amazon S3
_UNSIGNED = {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}


@dataclass(frozen=True)
class Buckets(Away):
    """Objects in buckets."""

    web: Web
    cache: Cache
    keys: Keys
    endpoint: str | None = None  #: the site's own, for buckets without a key that names one; None: Amazon's

    def measure(self, source: str, owner: str) -> Found:
        """Ask for its size."""
        address, sign, _ = self._place(source, owner)
        return Found(size=self.web.look(address, sign).size)

    def origin(self, source: str, owner: str) -> Origin:
        """Ask what version is there; what needed a key is its owner's alone."""
        address, sign, key = self._place(source, owner)
        return Origin(address=address, validator=self.web.look(address, sign).validator, owner=owner if key else None)

    def fetch(self, source: str, owner: str, part: Part) -> None:
        """Bring it."""
        address, sign, _ = self._place(source, owner)
        self.web.fetch(address, part, sign)

    def members(self, source: str, owner: str) -> Iterator[Member]:
        """List the objects below a prefix (ListObjectsV2 of the S3 API)."""
        bucket, prefix = parse(source)
        start = f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""
        key = self.keys.of(owner, f"s3://{bucket}/{start}")
        token, count = "", 0
        while True:
            query = {"list-type": "2", "prefix": start} | ({"continuation-token": token} if token else {})
            address = f"{self._root(key)}/{bucket}?{urlencode(sorted(query.items()), quote_via=quote)}"
            page = _page(self.web.read(address, LONGEST_PAGE, _signing(key)), bucket)
            for name, size in page.objects:
                if not name.endswith("/"):
                    count += 1
                    yield Member(path=name[len(start) :], source=f"s3://{bucket}/{name}", size=size)
            if count > MOST_MEMBERS:
                raise unavailable(f"{source} holds more than {MOST_MEMBERS} objects")
            token = page.onward
            if not token:
                break
        if not count:
            raise unavailable(f"{source}: there are no objects below it")

    def place(self, source: str, owner: str) -> tuple[str, Credential | None]:
        """Return the address of what is at a place, or below it if it ends in `/`, and the owner's key for it."""
        bucket, name = parse(source)
        key = self.keys.of(owner, f"s3://{bucket}/{name}")
        return f"{self._root(key)}/{bucket}/{quote(name, safe='/-_.~')}", key

    @staticmethod
    def signing_body(key: Credential, body: bytes, headers: Mapping[str, str]) -> Sign:
        """Return what signs requests with this body and these headers, which it sends along."""
        return _signing(key, body, headers)

    def _place(self, source: str, owner: str) -> tuple[str, Sign, Credential | None]:
        bucket, name = parse(source)
        if not name or name.endswith("/"):
            raise unavailable(f"{source}: write s3://bucket/key; a directory's entry has a name that ends in /")
        key = self.keys.of(owner, f"s3://{bucket}/{name}")
        return f"{self._root(key)}/{bucket}/{quote(name, safe='/-_.~')}", _signing(key), key

    def _root(self, key: Credential | None) -> str:
        secret = key.secret if key else {}
        amazon = f"https://s3.{secret.get('region', REGION)}.amazonaws.com"
        return (secret.get("endpoint") or self.endpoint or amazon).rstrip("/")


@dataclass(frozen=True)
class _Page:
    objects: list[tuple[str, int]]
    onward: str


def parse(source: str) -> tuple[str, str]:
    """Split a source into bucket and key; Permanent where it is none."""
    bucket, _, name = source.partition(":")[2].removeprefix("//").partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise unavailable(f"{source}: {bucket!r} is not the name of a bucket; write s3://bucket/key")
    return bucket, name


def _signing(key: Credential | None, body: bytes | None = None, more: Mapping[str, str] | None = None) -> Sign:
    if key is None:
        return lambda _method, _address: {}
    try:
        from botocore.auth import S3SigV4Auth  # noqa: PLC0415 - an optional library, 0.1 s to import
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415 - as above
        from botocore.credentials import Credentials  # noqa: PLC0415 - as above
    except ImportError:
        raise unavailable(
            "this server cannot sign requests to S3: its administrator can install `cluster-interface[s3]`"
        ) from None
    secret = key.secret
    credentials = Credentials(secret["access_key"], secret["secret_key"], secret.get("session_token"))
    auth = S3SigV4Auth(credentials, "s3", secret.get("region", REGION))

    def sign(method: str, address: str) -> Mapping[str, str]:
        request = AWSRequest(method, address, headers={**_UNSIGNED, **(more or {})}, data=body)
        auth.add_auth(request)
        return {name: value for name, value in request.headers.items() if name.lower() != "host"}

    return sign


def _page(data: bytes, bucket: str) -> _Page:
    try:
        root = ET.fromstring(data)  # noqa: S314 - expat bounds what entities make of a document
    except ET.ParseError:
        raise unavailable(f"the bucket {bucket} cannot be listed: the answer is not XML") from None
    objects = [
        (entry.findtext("{*}Key", ""), int(entry.findtext("{*}Size", "0"))) for entry in root.iterfind("{*}Contents")
    ]
    return _Page(objects, root.findtext("{*}NextContinuationToken", ""))
