"""Where a job's outputs may be taken, as the spec says it: below file:, s3://, sftp:// or globus:."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator

SCHEMES = ("file", "s3", "sftp", "globus")

#: `globus:ENDPOINT/path`: the endpoint, a UUID, and an absolute path.
ENDPOINT = re.compile(r"globus:(?://)?([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})(/.*)", re.DOTALL)


def several(value: Any) -> Any:
    """Take one place for a list of one."""
    return (value,) if isinstance(value, str) else value


def check_destination(value: str) -> str:
    """Return a place if it is one; ValueError in words. No place has a password in it: keys are kept elsewhere."""
    scheme, _, rest = value.partition(":")
    if any(ord(c) < 32 or ord(c) == 127 for c in value) or len(value) > 1024:
        raise ValueError("has a control character in it, or is longer than 1024 characters")
    if scheme not in SCHEMES or not rest:
        raise ValueError(
            f"{value!r} is no place to deliver to; write file:/path, s3://bucket/prefix, "
            f"sftp://host/path or globus:ENDPOINT/path"
        )
    if scheme == "file":
        path = rest.removeprefix("//")
        if not path.startswith("/") or ".." in path.split("/"):
            raise ValueError(f"{value!r}: write file: and an absolute path without `..`")
    elif scheme == "globus":
        found = ENDPOINT.fullmatch(value)
        if found is None or ".." in found[2].split("/"):
            raise ValueError(f"{value!r}: write globus:ENDPOINT/path, the endpoint as its UUID, the path without `..`")
    else:
        _check_address(value, scheme, rest)
    return value


def _check_address(value: str, scheme: str, rest: str) -> None:
    try:
        split = urlsplit(value)
        named, secret = bool(split.hostname), split.username is not None or bool(split.query or split.fragment)
    except ValueError:
        named, secret = False, False
    if not named or not rest.startswith("//"):
        raise ValueError(f"{value!r} names no {'bucket' if scheme == 's3' else 'host'}; write {scheme}://NAME/path")
    if secret:
        raise ValueError(
            f"{scheme}: leave the user name, password and query out; keep them with `clif credentials add`"
        )
    if ".." in split.path.split("/"):
        raise ValueError(f"{value!r}: `..` is not allowed in it")


Destinations = Annotated[tuple[Annotated[str, AfterValidator(check_destination)], ...], BeforeValidator(several)]
