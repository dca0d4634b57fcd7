"""The `Authorization` header: Bearer, Basic, or a clear refusal that does not repeat it."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Scope

from licentia.errors import InvalidRequest, Unauthenticated
from licentia.services.identity import BearerToken, KeyPair
from licentia_gateways.credentials import credentials


def scope(*values: bytes) -> Scope:
    """An HTTP request with these Authorization headers."""
    return {"type": "http", "headers": [(b"authorization", value) for value in values]}


def basic(pair: str) -> bytes:
    """The header of HTTP Basic."""
    return b"Basic " + b64encode(pair.encode())


def test_a_bearer_token_is_taken_as_it_is() -> None:
    """The scheme's case and spaces around the token do not matter, the token's case does."""
    assert credentials(scope(b"Bearer lic_A_b")) == BearerToken(token="lic_A_b")
    assert credentials(scope(b"bEARER   lic_A_b ")) == BearerToken(token="lic_A_b")


@given(
    key_id=st.text(st.characters(codec="utf-8", exclude_characters=":")), secret=st.text(st.characters(codec="utf-8"))
)
def test_basic_is_split_at_its_first_colon(key_id: str, secret: str) -> None:
    """A secret may hold colons and any character, in UTF-8 (RFC 7617)."""
    assert credentials(scope(basic(f"{key_id}:{secret}"))) == KeyPair(key_id=key_id, secret=secret)


def test_no_header_is_no_credentials() -> None:
    """Whether credentials are needed is not for the header to say."""
    assert credentials(scope()) is None


@pytest.mark.parametrize(
    "value",
    [
        b"Digest hunter2",
        b"hunter2",
        b"",
        b"Basic hunter2!",
        b"Basic aHVudGVyMg==",
        b"Basic /w==",
        "Basic \xe4".encode("latin-1"),
    ],
)
def test_what_is_not_understood_is_refused_and_not_repeated(value: bytes) -> None:
    """The refusal never holds what was sent: it might be a secret."""
    with pytest.raises(Unauthenticated) as refusal:
        credentials(scope(value))
    assert "hunter2" not in str(refusal.value)
    assert "aHVudGVyMg" not in str(refusal.value)


def test_two_headers_are_refused() -> None:
    """Of two keys it would be a guess which is meant."""
    with pytest.raises(InvalidRequest):
        credentials(scope(b"Bearer a", b"Bearer b"))
