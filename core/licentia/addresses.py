"""Where a connection may lead that somebody else has named: the internet, and nothing inside our own network.

A name is resolved once and every address is judged; who connects uses these addresses, not the name, so that
nothing is resolved again after it was judged.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_UNICAST = ip_network("2000::/3")
"""All of IPv6 that is assigned on the internet (IANA, IPv6 Address Space): what maps or translates IPv4 is outside."""

_NOT_PUBLIC = tuple(
    map(
        ip_network,
        (
            "168.63.129.16/32",  # the platform of an Azure machine answers there
            "192.0.0.0/24",  # IETF protocol assignments; Oracle's metadata service is in it
            "192.88.99.0/24",  # relays of 6to4
            "2002::/16",  # 6to4 stands for any IPv4 address
            "2001::/23",  # IETF protocol assignments, Teredo among them
            "3fff::/20",  # documentation (RFC 9637)
        ),
    )
)
"""What `ipaddress` of some Python takes for global, and leads, or may lead, inside."""


def is_public(address: str) -> bool:
    """Whether an address is of the internet.

    It is neither private, loopback, link-local (where clouds keep their metadata), multicast, unspecified nor
    reserved (RFC 6890), nor an IPv6 address that stands for an IPv4 one (RFC 4291, section 2.5.5; RFC 6052).
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and (parsed not in _UNICAST or parsed.scope_id is not None):
        return False
    within: IPv4Address | IPv6Address = parsed
    return (
        parsed.is_global
        and not (parsed.is_multicast or parsed.is_reserved)
        and not any(within.version == network.version and within in network for network in _NOT_PUBLIC)
    )


def literal(host: str) -> str | None:
    """The host if it is an IP address and no name, as `ipaddress` writes it."""
    try:
        return str(ip_address(host))
    except ValueError:
        return None


async def resolve(host: str) -> list[str]:
    """The addresses of a name, or the address that it is, in the order in which to try them.

    Raises:
        OSError: there is no such name, or nobody knows now.
        UnicodeError: this can be no name.
    """
    if (address := literal(host)) is not None:
        return [address]
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))
