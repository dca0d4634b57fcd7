"""API keys: every way to prove that one holds a key, and what becomes of those who do not."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from licentia.errors import NotFound, TooManyRequests, Unauthenticated
from licentia.services.identity import BearerToken, KeyDigest, KeyPair
from licentia.settings import Limits

HOME = "192.0.2.1"


def digest(key_id: str, password: str, *, age: float = 0, nonce: bytes | None = None) -> KeyDigest:
    """What a WS-Security client sends, made some seconds ago."""
    nonce = os.urandom(16) if nonce is None else nonce
    created = (datetime.now(UTC) - timedelta(seconds=age)).isoformat()
    return KeyDigest(key_id, hashlib.sha1(nonce + created.encode() + password.encode()).digest(), nonce, created)


def secret_of(key: str) -> str:
    """The secret part of a whole key."""
    return key.split("_", 2)[2]


async def denied(desk: Any, credentials: Any, error: Any = Unauthenticated, address: str = HOME) -> Any:
    """Fail to authenticate."""
    with pytest.raises(error) as refusal:
        await desk.application.authenticate(credentials, address)
    return refusal.value


async def test_every_form_of_a_good_key(desk: Any) -> None:
    """Bearer, Basic and both kinds of WS-Security, with the secret alone or the whole key, are the same caller."""
    key_id, key = await desk.key("depot", name="web shop")
    secret = secret_of(key)
    for credentials in (
        BearerToken(key),
        KeyPair(key_id, secret),
        KeyPair(key_id, key),
        digest(key_id, secret),
        digest(key_id, key),
        digest(key_id, secret, age=250),
        digest(key_id, secret, age=-250),
    ):
        caller = await desk.application.authenticate(credentials, HOME)
        assert (caller.actor, caller.scopes, caller.address) == (key_id, frozenset({"depot"}), HOME)
    (shown,) = await desk.application.list_keys()
    assert (shown.key_id, shown.name, shown.scopes, shown.revoked_at) == (key_id, "web shop", ["depot"], None)
    assert secret not in repr(shown)


async def test_no_other_key_opens(desk: Any) -> None:
    """A wrong secret, another key's secret, an unknown id, a stale or a foreign digest: one and the same answer."""
    key_id, key = await desk.key("depot")
    other_id, other = await desk.key("admin")
    secret = secret_of(key)
    details = {
        (await denied(desk, credentials)).detail
        for credentials in (
            BearerToken(key[:-1] + ("A" if key[-1] != "A" else "B")),
            BearerToken(f"lic_{key_id}_{secret_of(other)}"),
            KeyPair(key_id, ""),
            KeyPair(key_id, other),
            KeyPair("nobody", secret),
            KeyPair("", secret),
            KeyPair(key_id.upper(), secret),
            KeyPair("x" * 5000, secret),
            KeyPair("nul\0", secret),
            KeyPair(key_id, "\0"),
            digest(key_id, "wrong"),
            digest("nobody", secret),
            digest(other_id, secret),
            digest(key_id, secret, age=301),
            digest(key_id, secret, age=-301),
            KeyDigest(key_id, b"", b"", "now"),
        )
    }
    assert len(details) == 1
    assert "No credentials" in (await denied(desk, None)).detail


async def test_a_revoked_key_is_useless_at_once(desk: Any) -> None:
    """In every form; revoking it again changes nothing, and one that never was is not found."""
    key_id, key = await desk.key("depot")
    await desk.application.revoke_key(key_id)
    await desk.application.revoke_key(key_id)
    for credentials in (BearerToken(key), KeyPair(key_id, key), digest(key_id, key)):
        await denied(desk, credentials)
    with pytest.raises(NotFound):
        await desk.application.revoke_key("nobody")
    assert (await desk.kinds())[:2] == ["key.created", "key.revoked"]
    assert (await desk.application.list_keys())[0].revoked_at is not None


async def test_a_digest_is_good_once(open_desk: Callable[..., Any]) -> None:
    """Who overheard a digest cannot use it, here or at another process of the same server."""
    desk, other = await open_desk(), await open_desk()
    key_id, key = await desk.key("depot")
    overheard = digest(key_id, key)
    await desk.application.authenticate(overheard, HOME)
    await denied(desk, overheard)
    await denied(other, overheard)
    second = digest(key_id, key, nonce=overheard.nonce, age=1)
    await denied(desk, second)
    await other.application.authenticate(digest(key_id, key), HOME)


async def test_old_nonces_are_forgotten(small_desk: Any) -> None:
    """The list of used nonces holds those that could still be replayed, and no more."""
    key_id, key = await small_desk.key("depot")
    for _ in range(3):
        await small_desk.application.authenticate(digest(key_id, key), HOME)
    await small_desk.sql("UPDATE nonce SET expires_at = 1")
    await small_desk.application.authenticate(digest(key_id, key), HOME)
    assert await small_desk.sql("SELECT COUNT(*) AS n FROM nonce") == [{"n": 1}]


async def test_failures_are_recorded_then_limited(open_desk: Callable[..., Any]) -> None:
    """A few failures from an address are in the trail; then it has to wait, while good keys still pass."""
    desk = await open_desk(limits=Limits(failed_authentications_per_minute=3))
    key_id, key = await desk.key("depot")
    for _ in range(3):
        await denied(desk, KeyPair(key_id, "wrong"))
    for _ in range(3):
        refusal = await denied(desk, KeyPair(key_id, "wrong"), TooManyRequests)
        assert 1 <= refusal.retry_after_seconds <= 60
    await desk.application.authenticate(BearerToken(key), HOME)
    await denied(desk, KeyPair(key_id, "wrong"), Unauthenticated, "192.0.2.2")
    failures = [event for event in await desk.events() if event.kind == "authentication.failed"]
    assert [(event.actor, event.data) for event in failures] == [
        ("anyone", {"address": address, "key_id": key_id}) for address in (HOME, HOME, HOME, "192.0.2.2")
    ]


async def test_a_key_in_the_wrong_field_does_not_reach_the_trail(small_desk: Any) -> None:
    """Who sends the whole key, or a password, as the user name fails, and no part of it is written down."""
    _, key = await small_desk.key("depot")
    for credentials in (KeyPair(key, ""), KeyPair("hunter2", ""), BearerToken("hunter2-token"), digest(key, "x")):
        await denied(small_desk, credentials)
    written = repr([event.data for event in await small_desk.events() if event.kind == "authentication.failed"])
    assert secret_of(key)[:6] not in written
    assert "hunter2" not in written


def test_credentials_do_not_show_themselves() -> None:
    """What is printed of credentials, in a traceback say, is not their secret."""
    for credentials in (BearerToken("hunter2"), KeyPair("id", "hunter2"), KeyDigest("id", b"hunter2", b"", "")):
        assert "hunter2" not in repr(credentials)
        assert base64.b64encode(b"hunter2").decode() not in repr(credentials)
