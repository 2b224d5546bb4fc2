"""Addresses of the web, as a person writes them or a server answers with them."""

from __future__ import annotations

import re
from urllib.parse import urljoin

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from cluster_interface.model.errors import Permanent
from cluster_interface.model.state import FailureCode

PORTS = {"http": 80, "https": 443}
_PLAIN = re.compile(r"(https?)://([a-z0-9.-]{1,63})(?::([1-5]?\d{1,4}))?(/[\w./~-]*)", re.ASCII)  #: split at a glance


def parse(address: str) -> Url:
    """Split an address; Permanent if it is none we fetch."""
    if (plain := _PLAIN.fullmatch(address)) and "/." not in plain[4]:
        return Url(plain[1], None, plain[2], int(plain[3]) if plain[3] else None, plain[4])
    try:
        url = parse_url(address)
    except LocationParseError:
        raise gone(f"{shown(address)} is not an address") from None
    if url.scheme not in PORTS or not url.host:
        raise gone(f"{shown(address)} is not an http or https address")
    if url.auth is not None:
        raise gone(f"{shown(address)} has a user name in it; upload the file, or give a link that needs none")
    return url


def joined(address: str, target: str) -> str:
    """Return the address that a redirect leads to; Permanent if it is none."""
    try:
        return urljoin(address, target)
    except ValueError:
        raise gone(f"{shown(address)} leads to {target!r}, which is not an address") from None


def shown(address: str) -> str:
    """Return an address for messages: without a password, and without a query, which may be a secret too."""
    return re.sub(r"//[^/@]*@", "//", address.partition("?")[0].partition("#")[0])


def gone(message: str) -> Permanent:
    """Make the error of what cannot be had from where it should be."""
    return Permanent(message, code=FailureCode.INPUT_UNAVAILABLE)
