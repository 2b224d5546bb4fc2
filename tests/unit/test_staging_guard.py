"""The guard: which addresses are open, however they are written."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_interface.model.errors import Permanent, Rejected
from cluster_interface.staging.guard import Guard, networks, why_blocked

BLOCKED = [
    "0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255", "100.100.100.200",
    "127.0.0.1", "127.255.255.255", "168.63.129.16", "169.254.0.0", "169.254.169.254", "169.254.255.255",
    "172.16.0.0", "172.31.255.255", "192.0.0.1", "192.0.0.170", "192.0.2.1", "192.88.99.1", "192.168.0.0",
    "192.168.255.255", "198.18.0.0", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1",
    "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1", "100::1", "2001::1", "2001:0:7f00:1::", "2001:10::1", "2001:db8::1", "2002:7f00:1::",
    "2002:a9fe:a9fe::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fdff::1", "fe80::1", "fe80::1%1",
    "febf::1", "fec0::1", "feff::1", "ff02::1", "ff0e::1", "4000::1", "1fff::1",
]  # fmt: skip

OPEN = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
    "128.0.0.0", "151.101.0.223", "168.63.129.17", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0",
    "192.0.1.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "203.0.114.0", "223.255.255.255",
    "2000::1", "2001:200::1", "2606:4700::1111", "2a00:1450:4001:82a::200e", "3ffe::1", "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
]  # fmt: skip


def answering(*addresses):
    """A name service that always answers with these."""
    return lambda host, port, **_: [
        (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
        for address in addresses
    ]


@pytest.mark.parametrize("address", BLOCKED)
def test_inner_addresses_are_blocked(address):
    """Every special range is blocked, at both of its ends, in words that say what it is."""
    assert why_blocked(ip_address(address))
    with pytest.raises(Permanent, match=r"host.example is at .*allowed_networks"):
        Guard(lookup=answering(address)).addresses("host.example", 80)


def test_an_address_is_not_said_to_be_at_itself():
    """Where it is named as such, it is said what it is."""
    with pytest.raises(Permanent, match=r"^169\.254\.169\.254 is blocked: link-local, where clouds keep"):
        Guard().addresses("169.254.169.254", 80)


@pytest.mark.parametrize("address", OPEN)
def test_public_addresses_are_open(address):
    """What lies just outside the special ranges can be reached."""
    assert why_blocked(ip_address(address)) is None
    plain = str(ip_address(address.removeprefix("::ffff:")))
    assert Guard(lookup=answering(address)).addresses("host.example", 80) == [plain]


@pytest.mark.parametrize(
    "spelling",
    [
        "127.0.0.1", "127.1", "127.0.1", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001", "2130706433", "017700000001",
        "0", "0.0.0.0", "127.0.0.1.", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1", "::127.0.0.1",
        "0:0:0:0:0:ffff:7f00:0001", "0xa9fea9fe", "2852039166", "localhost", "LOCALHOST", "fec0::1",
    ],
)  # fmt: skip
def test_spellings_do_not_matter(spelling):
    """What the system's own resolver makes of odd spellings is blocked, or there is no such name."""
    with pytest.raises((Permanent, OSError)):
        Guard().addresses(spelling, 80)


@given(st.ip_addresses(v=4))
def test_hiding_an_address_does_not_open_it(address):
    """An IPv4 address inside an IPv6 one is open only if it is open by itself."""
    for hidden in (f"::ffff:{address}", f"64:ff9b::{address}"):
        assert bool(why_blocked(ip_address(hidden))) is bool(why_blocked(address))
    assert why_blocked(ip_address(f"::{address}"))
    assert why_blocked(IPv6Address(0x2002 << 112 | int(address) << 80))


@given(st.ip_addresses())
def test_private_addresses_are_never_open(address):
    """What the standard library knows to be private, loopback, link-local, multicast or reserved is never open."""
    inner = address.ipv4_mapped if isinstance(address, IPv6Address) and address.ipv4_mapped else address
    if inner.is_private or inner.is_loopback or inner.is_link_local or inner.is_multicast or inner.is_reserved:
        translated = isinstance(address, IPv6Address) and int(address) >> 32 == 0x64FF9B << 64
        assert why_blocked(address) or translated


def test_only_the_open_ones_of_several_addresses_are_used():
    """A name with a public and a private address is reached at the public one."""
    guard = Guard(lookup=answering("10.0.0.1", "8.8.8.8", "fd00::1", "8.8.8.8", "2a00::1"))
    assert guard.addresses("mixed.example", 443) == ["8.8.8.8", "2a00::1"]


def test_the_site_may_open_its_own_networks():
    """An allowed network is open, in the mapped spelling too, and nothing beside it."""
    guard = Guard(
        networks(["10.1.0.0/16", "fd00::/8"]), answering("10.1.2.3", "::ffff:10.1.2.4", "fd00::1", "10.2.0.1")
    )
    assert guard.addresses("data.campus.example", 80) == ["10.1.2.3", "10.1.2.4", "fd00::1"]


@pytest.mark.parametrize("text", ["10.1.2.3/16", "campus", "", "10.0.0.0/33"])
def test_a_wrong_setting_is_named(text):
    """What is not a network is refused, naming the setting."""
    with pytest.raises(Rejected, match=r"staging\.allowed_networks"):
        networks([text])


def test_a_name_without_addresses_is_unavailable():
    """An empty answer is told in words."""
    with pytest.raises(Permanent, match="has no address"):
        Guard(lookup=answering()).addresses("empty.example", 80)


def test_the_answer_is_a_plain_address():
    """What is connected to is an address that needs no further resolution."""
    [address] = Guard(lookup=answering("::ffff:8.8.8.8")).addresses("x.example", 80)
    assert IPv4Address(address)
