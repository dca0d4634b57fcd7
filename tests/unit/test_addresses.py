"""Which addresses are of the internet, and which lead inside."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licentia.addresses import is_public, literal, resolve

INSIDE = [
    "0.0.0.0", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "169.254.169.254",
    "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1",
    "192.168.0.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1",
    "255.255.255.255", "168.63.129.16",
    "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::ffff:0:8.8.8.8",
    "64:ff9b::a9fe:a9fe", "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "2001::1", "2001:2::1", "2001:db8::1",
    "2002:7f00:1::", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1",
    "ff02::1", "ff0e::1", "2606:4700::1111%eth0",
]  # fmt: skip
OUTSIDE = ["1.1.1.1", "8.8.8.8", "93.184.215.14", "172.32.0.1", "2606:4700:4700::1111", "2a00:1450:4001:80b::200e"]
NONE = ["", "localhost", "127.1", "0x7f000001", "2130706433", "010.0.0.1", "1.1.1.1 ", "1.1.1", "[::1]", "1.1.1.1:80"]


@pytest.mark.parametrize("address", INSIDE)
def test_what_leads_inside_is_not_public(address: str) -> None:
    """Private, loopback, link-local, metadata, multicast, reserved, and IPv6 that stands for IPv4."""
    assert not is_public(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_the_internet_is_public(address: str) -> None:
    """Plain unicast addresses of both versions."""
    assert is_public(address)


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_address_is_not_public(text: str) -> None:
    """Nor are the old ways to write one, which some resolvers take for one."""
    assert not is_public(text)
    assert literal(text) is None


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_no_more_public_in_ipv6(address: object) -> None:
    """However it is wrapped: mapped, compatible, translated (NAT64), 6to4."""
    number = int(ip_address(str(address)))
    for wrapped in (0xFFFF << 32 | number, number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80):
        assert not is_public(str(ip_address(wrapped.to_bytes(16, "big"))))


async def test_an_address_is_its_own() -> None:
    """An address is not looked up; a name is, and gives each address once."""
    assert await resolve("127.0.0.1") == ["127.0.0.1"]
    assert await resolve("::1") == ["::1"]
    assert set(await resolve("localhost")) <= {"127.0.0.1", "::1"}
