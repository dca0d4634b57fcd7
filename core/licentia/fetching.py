"""Fetches small documents, as a certificate or a set of keys, bounded in size and time.

`get` asks an address that the operator has chosen. The one that `fetch` is given may come out of a
document that nobody has verified yet, so it leads only where the list of hosts allows, after a redirect
too: no proxy, no private address.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from urllib.parse import SplitResult, urljoin, urlsplit

import httpx

from licentia.addresses import is_public, literal, resolve

MAX_REDIRECTS = 2


class FetchError(Exception):
    """The document could not be had; the message is a clause that says at which step and why."""


async def get(url: str, *, seconds: float, max_bytes: int) -> bytes:
    """The document at an address of the operator's, by the proxy of the environment; redirects are not followed.

    Raises:
        FetchError: it cannot be had.
    """
    try:
        async with (
            asyncio.timeout(seconds),
            httpx.AsyncClient(timeout=seconds) as client,
            client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as reply,
        ):
            return await _body(reply, url, max_bytes)
    except TimeoutError:
        raise FetchError(f"no answer within {seconds:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise FetchError(f"{url} cannot be reached: {type(error).__name__}: {error}") from None


async def fetch(url: str, *, hosts: Collection[str], seconds: float, max_bytes: int) -> bytes:
    """The document at an address.

    Args:
        url: http or https, on the scheme's own port unless `hosts` names `host:port`.
        hosts: where it may be. A name has to lead to public addresses; an IP address in the list may be any.
        seconds: how long it may take in all.
        max_bytes: how large it may be.

    Raises:
        FetchError: it may not be fetched, or cannot.
    """
    parts = _allowed(url, hosts)
    try:
        async with asyncio.timeout(seconds):
            for _ in range(1 + MAX_REDIRECTS):
                found = await _get(parts, await _address(parts), max_bytes)
                if isinstance(found, bytes):
                    return found
                parts = _allowed(urljoin(parts.geturl(), found), hosts)
            raise FetchError(f"{parts.hostname} redirects too often")
    except TimeoutError:
        raise FetchError(f"{parts.hostname} did not answer within {seconds:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
        raise FetchError(f"{parts.hostname} cannot be reached: {type(error).__name__}") from None


def _allowed(url: str, hosts: Collection[str]) -> SplitResult:
    try:
        parts = urlsplit(url)
        named = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
    except ValueError:
        raise FetchError("its address is no URL") from None
    if parts.scheme not in ("http", "https") or parts.username is not None or named not in hosts:
        raise FetchError("its address is not on one of the hosts that may be asked")
    return parts


async def _address(parts: SplitResult) -> str:
    """The IP address to connect to, so that nothing is resolved again after it was judged."""
    host = parts.hostname or ""
    addresses = await resolve(host)
    if not addresses or not (literal(host) or all(map(is_public, addresses))):
        raise FetchError(f"{host} leads to an address that is not public")
    return addresses[0]


async def _get(parts: SplitResult, address: str, max_bytes: int) -> bytes | str:
    """The body, or the place that a redirect names."""
    port = "" if parts.port is None else f":{parts.port}"
    literal = f"[{address}]" if ":" in address else address
    url = parts._replace(netloc=f"{literal}{port}", fragment="").geturl()
    headers = {"Host": f"{parts.hostname}{port}", "Accept-Encoding": "identity"}
    async with (
        httpx.AsyncClient(trust_env=False, timeout=None) as client,  # noqa: S113 - `fetch` limits the whole
        client.stream("GET", url, headers=headers, extensions={"sni_hostname": parts.hostname}) as reply,
    ):
        if reply.has_redirect_location:
            return reply.headers["Location"]
        return await _body(reply, parts.hostname or "", max_bytes)


async def _body(reply: httpx.Response, whose: str, max_bytes: int) -> bytes:
    """The body of a good answer, as far as it may go."""
    if reply.status_code != httpx.codes.OK:
        raise FetchError(f"{whose} answered with status {reply.status_code}")
    body = bytearray()
    async for chunk in reply.aiter_raw():
        body += chunk
        if len(body) > max_bytes:
            raise FetchError(f"{whose} sent more than {max_bytes} bytes")
    return bytes(body)
