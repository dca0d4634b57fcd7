"""API keys: their form, what is stored of them, and the digest of WS-Security."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licentia.crypto.apikeys import (
    DIGEST_WINDOW,
    created_is_fresh,
    digest_matches,
    hash_secret,
    new_key_id,
    secret_matches,
    secret_of,
    split_key,
)

MASTER = bytes(range(32))
NOW = datetime(2026, 5, 1, 8, tzinfo=UTC)


def test_an_id_is_random_and_fits_every_header() -> None:
    """16 lower-case letters and digits; no id comes twice, and none holds the separator of a key."""
    ids = {new_key_id() for _ in range(500)}
    assert len(ids) == 500
    assert all(re.fullmatch(r"[a-z2-7]{16}", key_id) for key_id in ids)


def test_the_secret_follows_from_master_and_id() -> None:
    """The same id gives the same 43 characters, another id or another master gives others."""
    secret = secret_of(MASTER, "abc")
    assert secret == secret_of(MASTER, "abc") == "Ht7dWr-iyyCWwQgs_ktV670Cf3OKzBF5pBE1qsCIYbo"
    assert len({secret, secret_of(MASTER, "abd"), secret_of(MASTER[::-1], "abc")}) == 3


@given(st.from_regex(r"[a-z2-7]{16}", fullmatch=True), st.binary(min_size=32, max_size=32))
def test_a_key_splits_into_what_it_was_made_of(key_id: str, master: bytes) -> None:
    """The secret may hold the separator itself."""
    secret = secret_of(master, key_id)
    assert split_key(f"lic_{key_id}_{secret}") == (key_id, secret)


@pytest.mark.parametrize("key", ["", "lic_", "lic_abc", "lic_abc_", "lic__secret", "LIC_abc_secret", "abc_secret", "x"])
def test_what_is_no_key(key: str) -> None:
    """A text without the prefix, an id and a secret is no key."""
    assert split_key(key) is None


def test_only_a_hash_is_stored() -> None:
    """The stored text is SHA-256 of the secret, and only the secret itself matches it."""
    assert hash_secret("secret") == hashlib.sha256(b"secret").hexdigest()
    assert secret_matches("secret", hash_secret("secret"))
    for wrong in ("", "Secret", "secret ", hash_secret("secret"), "s\u00e9cret"):
        assert not secret_matches(wrong, hash_secret("secret"))


def test_the_digest_is_that_of_ws_security() -> None:
    """Base64(SHA-1(nonce + created + password)), by a vector computed with openssl."""
    # printf '\x01\x02\x03\x04\x05\x06\x07\x082026-05-01T08:00:00Zpassword' | openssl sha1 -binary | base64
    digest = base64.b64decode("sul7TwpTYD1/4YP2+I34rG7FcSk=")
    nonce, created = bytes(range(1, 9)), "2026-05-01T08:00:00Z"
    assert digest_matches("password", digest, nonce, created)
    assert not digest_matches("passwore", digest, nonce, created)
    assert not digest_matches("password", digest, nonce[::-1], created)
    assert not digest_matches("password", digest, nonce, "2026-05-01T08:00:01Z")
    assert not digest_matches("password", digest[:-1], nonce, created)
    assert not digest_matches("password", b"", nonce, created)


@pytest.mark.parametrize("created", ["2026-05-01T08:00:00Z", "2026-05-01T10:00:00.000+02:00", "2026-05-01T08:00:00"])
def test_a_time_of_now_is_fresh(created: str) -> None:
    """With any offset, and without one as UTC."""
    assert created_is_fresh(created, NOW)


@pytest.mark.parametrize("direction", [-1, 1])
def test_the_window_is_exact(direction: int) -> None:
    """A clock may be wrong by the window in either direction, and not by more."""
    edge = NOW + direction * DIGEST_WINDOW
    assert created_is_fresh(edge.isoformat(), NOW)
    assert not created_is_fresh((edge + direction * timedelta(microseconds=1)).isoformat(), NOW)


@given(st.one_of(st.text(), st.sampled_from(["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-13-01"])))
def test_what_is_no_time_is_not_fresh(created: str) -> None:
    """A text that is no time is stale, whatever it is, and breaks nothing."""
    assert not created_is_fresh(created, NOW)
