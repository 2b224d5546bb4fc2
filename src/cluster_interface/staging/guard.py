"""The guard before every connection to a source: which addresses may be reached, checked where it counts.

A user names a host; the server connects. So the name is resolved once, every address it stands for is judged
by the table below, and the connection goes to exactly the address that was judged: a second answer of the
name server is never asked for. Spellings do not matter (`127.1`, `0x7f000001`, `2130706433`,
`::ffff:127.0.0.1`), since what is judged is what the resolver made of them.

The table is our own: `ipaddress.is_global` of Python 3.11.2 is wrong for several of these ranges.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from cluster_interface.model.errors import Permanent, Rejected
from cluster_interface.model.state import FailureCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Address = IPv4Address | IPv6Address
    Network = IPv4Network | IPv6Network

#: Special-purpose IPv4 networks (IANA registry of RFC 6890), and one that a cloud uses for its own.
_BLOCKED_V4 = tuple(
    (IPv4Network(network), words)
    for network, words in (
        ("0.0.0.0/8", "this host itself (RFC 791)"),
        ("10.0.0.0/8", "a private network (RFC 1918)"),
        ("100.64.0.0/10", "a carrier's shared network (RFC 6598)"),
        ("127.0.0.0/8", "the server itself (loopback, RFC 1122)"),
        ("168.63.129.16/32", "a cloud's service to its own machines (Azure)"),
        ("169.254.0.0/16", "link-local, where clouds keep their metadata (RFC 3927)"),
        ("172.16.0.0/12", "a private network (RFC 1918)"),
        ("192.0.0.0/24", "reserved for protocols (RFC 6890)"),
        ("192.0.2.0/24", "for documentation only (RFC 5737)"),
        ("192.88.99.0/24", "a 6to4 relay (RFC 7526)"),
        ("192.168.0.0/16", "a private network (RFC 1918)"),
        ("198.18.0.0/15", "for benchmarks only (RFC 2544)"),
        ("198.51.100.0/24", "for documentation only (RFC 5737)"),
        ("203.0.113.0/24", "for documentation only (RFC 5737)"),
        ("224.0.0.0/4", "multicast (RFC 5771)"),
        ("240.0.0.0/4", "reserved or broadcast (RFC 1112, RFC 919)"),
    )
)

#: IPv6 is the other way round: only global unicast, 2000::/3 (RFC 4291), is open, less these.
_GLOBAL_V6 = IPv6Network("2000::/3")
_BLOCKED_V6 = tuple(
    (IPv6Network(network), words)
    for network, words in (
        ("::1/128", "the server itself (loopback, RFC 4291)"),
        ("::/96", "an old way to write an IPv4 address (RFC 4291, 2.5.5.1)"),
        ("64:ff9b:1::/48", "a site's own address translation (RFC 8215)"),
        ("100::/64", "a black hole (RFC 6666)"),
        ("2001::/23", "reserved for protocols, Teredo among them (RFC 2928, RFC 4380)"),
        ("2001:db8::/32", "for documentation only (RFC 3849)"),
        ("2002::/16", "6to4, which hides an IPv4 address (RFC 7526)"),
        ("3fff::/20", "for documentation only (RFC 9637)"),
        ("fc00::/7", "a private network (RFC 4193)"),
        ("fe80::/10", "link-local (RFC 4291)"),
        ("fec0::/10", "site-local (RFC 3879)"),
        ("ff00::/8", "multicast (RFC 4291)"),
    )
)

#: Networks in which the last 32 bits are an IPv4 address, which is then what is judged.
_MAPPED = IPv6Network("::ffff:0:0/96")  # RFC 4291, 2.5.5.2
_TRANSLATED = IPv6Network("64:ff9b::/96")  # RFC 6052


def why_blocked(address: Address) -> str | None:
    """Say what an address is that no source may be at; None if it is open."""
    if isinstance(address, IPv4Address):
        return next((words for network, words in _BLOCKED_V4 if address in network), None)
    if address in _MAPPED or address in _TRANSLATED:
        return why_blocked(_inner(address))
    blocked = next((words for network, words in _BLOCKED_V6 if address in network), None)
    return blocked or (None if address in _GLOBAL_V6 else "not a public address (RFC 4291)")


def _inner(address: IPv6Address) -> IPv4Address:
    return IPv4Address(int(address) & 0xFFFFFFFF)


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Read the setting `staging.allowed_networks`; Rejected names what is not a network."""
    found: list[Network] = []
    for text in texts:
        try:
            found.append(ip_network(text))
        except ValueError as error:
            raise Rejected.field("staging.allowed_networks", f"{text!r} is not a network: {error}") from None
    return tuple(found)


@dataclass(frozen=True)
class Guard:
    """Resolves the hosts of sources, and refuses those that are inside."""

    allowed: tuple[Network, ...] = ()
    lookup: Callable[..., Sequence[tuple[object, ...]]] = socket.getaddrinfo

    def connect(self, host: str, port: int, timeout: float) -> socket.socket:
        """Open a connection to an address of a host that was judged, for protocols that are not HTTP.

        Raises Permanent(input_unavailable) if it has none but blocked ones, OSError if it does not answer.
        """
        trouble: OSError = OSError(f"{host} has no address")
        for address in self.addresses(host, port):
            try:
                return socket.create_connection((address, port), timeout)
            except OSError as error:
                trouble = error
        raise trouble

    def addresses(self, host: str, port: int) -> list[str]:
        """Return the open addresses of a host, in the resolver's order, to connect to as they are.

        Raises Permanent(input_unavailable) if it has none but blocked ones, OSError if it cannot be resolved.
        """
        found = []
        why = None
        for *_, where in self.lookup(host, port, type=socket.SOCK_STREAM):
            address = ip_address(str(where[0]))  # type: ignore[index]  # the last of getaddrinfo's five: (address, port, …)
            if isinstance(address, IPv6Address) and address in _MAPPED:
                address = _inner(address)
            blocked = why_blocked(address)
            if blocked and not any(address in network for network in self.allowed):
                why = f"{host} is blocked: {blocked}" if host == str(address) else f"{host} is at {address}, {blocked}"
            elif str(address) not in found:
                found.append(str(address))
        if not found:
            raise Permanent(
                f"{why or f'{host} has no address'}; sources must be on public addresses, unless the site allows "
                f"its own in the setting staging.allowed_networks",
                code=FailureCode.INPUT_UNAVAILABLE,
            )
        return found
