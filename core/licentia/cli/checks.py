"""The checks of `licentia doctor` on a server. Each says what is so and, at a fault, what to do."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx
import msgspec

from licentia.client.remote import RemoteLicentia
from licentia.contract import BY_NAME, OPERATIONS, Request
from licentia.contract.activations import GetActivation
from licentia.contract.leases import ListLeases
from licentia.contract.orders import GetOrder
from licentia.contract.products import ListProducts
from licentia.errors import Forbidden, LicensingError, NotFound

CLOCKS_MAY_DIFFER_SECONDS = 30
NOWHERE = "licentia-doctor"
"""An id that nothing has."""

PROBES: dict[str, tuple[str, Request]] = {
    "admin": ("ListProducts", ListProducts(limit=1)),
    "sales": ("GetOrder", GetOrder(source=NOWHERE, order_number=NOWHERE)),
    "depot": ("GetActivation", GetActivation(activation_id=NOWHERE)),
    "licensing": ("ListLeases", ListLeases(limit=1)),
}
"""For each scope, a request that changes nothing."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at. `help` says what to do at a fault."""

    name: str
    ok: bool
    detail: str
    help: str


def judged(name: str, ok: bool, detail: str, remedy: str = "") -> Check:
    """A check; the remedy is told only at a fault."""
    return Check(name=name, ok=ok, detail=detail, help="" if ok else remedy)


class Readiness(msgspec.Struct, frozen=True):
    """The answer of `/readyz`, as far as it is read here."""

    checks: dict[str, str] = {}


class Document(msgspec.Struct, frozen=True):
    """`/openapi.json`, as far as it is read here."""

    paths: dict[str, dict[str, msgspec.Raw]]


def remote_checks(licentia: RemoteLicentia, key: str) -> Iterator[Check]:
    """Look at a server from outside.

    Raises:
        Unreachable: there is none, or it is not Licentia.
    """
    alive = licentia.send("GET", "/livez")
    yield judged("server", alive.is_success, f"{licentia.url} answers {alive.status_code} to /livez", "Is it Licentia?")
    yield _readiness(licentia.send("GET", "/readyz"))
    yield _contract(licentia.send("GET", "/openapi.json"))
    yield _clock(alive)
    yield _transport(licentia.url)
    yield _key(licentia, key)


def _readiness(ready: httpx.Response) -> Check:
    try:
        found = msgspec.json.decode(ready.content, type=Readiness).checks
    except msgspec.DecodeError:
        found = {}
    detail = ", ".join(f"{name} {state}" for name, state in found.items()) or f"status {ready.status_code}"
    return judged("ready", ready.is_success, detail, "Run `licentia doctor --config FILE` on the server's machine.")


def _contract(document: httpx.Response) -> Check:
    try:
        paths = msgspec.json.decode(document.content, type=Document).paths
    except msgspec.DecodeError:
        return judged("contract", False, "/openapi.json is not there", "Is this the address of Licentia itself?")
    missing = [
        operation.name for operation in OPERATIONS if operation.method.lower() not in paths.get(operation.path, {})
    ]
    known = f"knows all {len(OPERATIONS)} operations of this command"
    told = f"does not know {', '.join(missing)}" if missing else known
    return judged("contract", not missing, told, "The server is older than this command: update it.")


def _clock(response: httpx.Response) -> Check:
    try:
        server = parsedate_to_datetime(response.headers["date"])
    except (KeyError, ValueError):
        return judged("clock", True, "the server tells no time")
    apart = abs((datetime.now(UTC) - server).total_seconds())
    return judged(
        "clock",
        apart <= CLOCKS_MAY_DIFFER_SECONDS,
        f"within {max(1, round(apart))} s of this computer's",
        "Set both clocks by NTP: leases end by the server's clock.",
    )


def _transport(url: str) -> Check:
    parts = urlsplit(url)
    if parts.scheme == "https":
        return judged("transport", True, "TLS")
    return judged(
        "transport",
        _is_loopback(parts.hostname or ""),
        "no TLS, loopback only" if _is_loopback(parts.hostname or "") else "keys and tickets travel in clear text",
        "Put a reverse proxy with TLS before the server, and use https.",
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _key(licentia: RemoteLicentia, key: str) -> Check:
    if not key:
        return judged("key", False, "none given", "Set LICENTIA_KEY; `licentia key create` makes one.")
    scopes = []
    for scope, (name, request) in PROBES.items():
        try:
            with contextlib.suppress(NotFound):
                licentia.call(BY_NAME[name], request)
            scopes.append(scope)
        except Forbidden:
            continue
        except LicensingError as refusal:
            return judged("key", False, refusal.detail, refusal.next_step)
    return judged(
        "key", bool(scopes), f"valid, for {', '.join(scopes) or 'nothing'}", "`licentia key create` makes one."
    )
