"""Live calls with a key, in every way that a key can be shown; none of them changes anything."""

from __future__ import annotations

import hashlib
import re
import secrets
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from html import escape

import msgspec

from licentia.client.soapcheck.explained import remedy, told
from licentia.client.soapcheck.findings import Finding, fault, ok, skipped
from licentia.client.soapcheck.line import Line
from licentia.client.soapcheck.messages import Answer, envelope
from licentia.client.soapcheck.probes import guarded
from licentia.contract import Request

Probes = Mapping[str, tuple[str, Request]]
"""For each service the name of an operation, and a request that changes nothing."""

CLOCKS_MAY_DIFFER_SECONDS = 300
"""How old a PasswordDigest may be."""

_WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
_NAMES = f'xmlns:w="{_WSS}wssecurity-secext-1.0.xsd" xmlns:u="{_WSS}wssecurity-utility-1.0.xsd"'
_KEY = re.compile(r"lic_([^_]+)_(.+)")
_LOST = "The key does not arrive: something before the server takes the header Authorization away."


def calls(lines: list[Line], key: str, probes: Probes) -> Iterator[Finding]:
    """Call each service with the key, and one service in each way to show it."""
    if not key:
        yield skipped("key", "no key was given", "Set LICENTIA_KEY to a key that `licentia key create` made.")
        return
    best: Line | None = None
    for line in lines:
        finding = guarded(f"key {line.service}", partial(_bearer, key=key, probes=probes), line)
        yield finding
        if best is None and finding.state == "ok":
            best = line
    if not (match := _KEY.fullmatch(key)):
        yield skipped("key by Basic", "this is no key of Licentia's", "Give one that `licentia key create` made.")
        return
    for name, show in _ways(*match.groups()).items():
        yield guarded(name, partial(_shown, name=name, show=show, probes=probes), best or lines[0])


def _bearer(line: Line, key: str, probes: Probes) -> Finding:
    name = f"key {line.service}"
    answer = _called(line, probes, authorization=f"Bearer {key}")
    if answer.code == "forbidden":
        help = f"Give one that `licentia key create --scopes {line.service}` made."
        return skipped(name, "the key is not for this service", help)
    return _judged(name, answer, _LOST)


def _shown(line: Line, name: str, show: Callable[[], dict[str, str]], probes: Probes) -> Finding:
    answer = _called(line, probes, **show())
    if answer.code == "forbidden":
        return ok(name, "the key is known, though it is not for this service")
    lost = _LOST if "Basic" in name else "Something before the server takes the header Security out of messages."
    if answer.code == "unauthenticated" and "Digest" in name and (apart := _clocks(answer)):
        return fault(name, f"the clocks of this computer and of the server are {apart} s apart", "Set both by NTP.")
    return _judged(name, answer, lost)


def _judged(name: str, answer: Answer, lost: str) -> Finding:
    if (answer.status == 200 and answer.is_soap) or answer.code == "not_found":
        return ok(name, "a call is answered")
    if answer.status == 401 and answer.code == "unauthenticated":
        return fault(name, "the server asks for a key although one was sent", lost)
    if answer.code == "unauthenticated":
        help = "Is the key whole, of this server, and not revoked? `licentia key list` there shows the keys."
        return fault(name, f"the key is refused: {answer.text}", help)
    return fault(name, told(answer), remedy(answer))


def _called(line: Line, probes: Probes, *, security: str = "", authorization: str = "") -> Answer:
    operation, request = probes[line.service]
    message = envelope(line.service, operation, msgspec.to_builtins(request), security)
    return line.post(message, authorization=authorization) if authorization else line.post(message)


def _ways(key_id: str, secret: str) -> dict[str, Callable[[], dict[str, str]]]:
    """How the key is shown, beside Bearer; each as what `_called` takes."""

    def basic() -> dict[str, str]:
        return {"authorization": "Basic " + b64encode(f"{key_id}:{secret}".encode()).decode()}

    def text() -> dict[str, str]:
        return {"security": _token(key_id, "PasswordText", escape(secret))}

    def digest() -> dict[str, str]:
        nonce, created = secrets.token_bytes(16), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        hashed = hashlib.sha1(nonce + created.encode() + secret.encode()).digest()  # noqa: S324 - the profile's hash
        more = f"<w:Nonce>{b64encode(nonce).decode()}</w:Nonce><u:Created>{created}</u:Created>"
        return {"security": _token(key_id, "PasswordDigest", b64encode(hashed).decode(), more)}

    return {"key by Basic": basic, "key by PasswordText": text, "key by PasswordDigest": digest}


def _token(key_id: str, kind: str, password: str, more: str = "") -> str:
    """A Security header with a UsernameToken (OASIS WSS UsernameToken Profile 1.0)."""
    told = f'<w:Password Type="{_WSS}username-token-profile-1.0#{kind}">{password}</w:Password>'
    token = f"<w:UsernameToken><w:Username>{escape(key_id)}</w:Username>{told}{more}</w:UsernameToken>"
    return f"<w:Security {_NAMES}>{token}</w:Security>"


def _clocks(answer: Answer) -> int:
    """By how many seconds the clocks differ, if that is too much; else 0."""
    try:
        server = parsedate_to_datetime(answer.headers["date"])
    except (KeyError, ValueError):
        return 0
    apart = abs((datetime.now(UTC) - server).total_seconds())
    return round(apart) if apart > CLOCKS_MAY_DIFFER_SECONDS - 5 else 0
