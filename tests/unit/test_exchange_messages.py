"""Requests, receipts and updates as octets: written in one form, read in that form only."""

from __future__ import annotations

import json

import exchange_lab as lab
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from licentia.crypto import envelope
from licentia.crypto.signing import SoftwareKey
from licentia.crypto.suites import ED25519, HYBRID
from licentia.errors import DocumentInvalid
from licentia.exchange import messages
from licentia.exchange.messages import (
    CHAIN_LIMIT,
    LAST_SECOND,
    RECEIPT,
    REQUEST,
    STATEMENT_LIMIT,
    UPDATE_LIMIT,
    Evidence,
    Statement,
    Use,
)

KEY = SoftwareKey.generate(ED25519)
short = st.text(st.characters(codec="utf-8"), max_size=30)
statements = st.builds(
    Statement,
    key=st.just(KEY.public.ed25519),
    box=st.binary(min_size=32, max_size=32),
    name=short,
    sequence=st.integers(0, 2**31 - 1),
    head=st.binary(min_size=32, max_size=32),
    request_id=st.binary(min_size=16, max_size=16),
    manifest=st.integers(0, 2**31 - 1),
    at=st.integers(0, LAST_SECOND),
    evidence=st.lists(
        st.builds(Evidence, binding=short, data=st.binary(max_size=50)), max_size=3, unique_by=lambda each: each.binding
    ).map(tuple),
    returned=st.lists(short, max_size=3, unique=True).map(tuple),
    used=st.lists(
        st.builds(
            Use,
            activation_id=short,
            license_id=short,
            first_used_at=st.none() | st.integers(0, LAST_SECOND),
            units=st.dictionaries(short, st.integers(0, 2**53 - 1), max_size=3),
        ),
        max_size=3,
        unique_by=lambda each: (each.activation_id, each.license_id),
    ).map(tuple),
)


@given(said=statements, kind=st.sampled_from([REQUEST, RECEIPT]))
def test_what_is_said_is_read(said: Statement, kind: str) -> None:
    """A statement is read as it was said, by its type only."""
    data = messages.sign_statement(said, kind, KEY)
    assert messages.read_statement(data, kind) == said
    with pytest.raises(DocumentInvalid):
        messages.read_statement(data, RECEIPT if kind == REQUEST else REQUEST)


def said(**fields: object) -> Statement:
    """A statement."""
    given = {
        "key": KEY.public.ed25519,
        "box": bytes(32),
        "sequence": 0,
        "head": bytes(32),
        "request_id": bytes(16),
        "at": 0,
    }
    return Statement(**{**given, **fields})  # type: ignore[arg-type]


def test_only_the_named_key_counts() -> None:
    """A statement is signed by the key that it names, once, and by that of the suite for containers."""
    other = SoftwareKey.generate(ED25519)
    with pytest.raises(DocumentInvalid):
        messages.read_statement(messages.sign_statement(said(), REQUEST, other), REQUEST)
    payload = msgspec.json.encode(said())
    for signers in ((), (KEY, other), (SoftwareKey.generate(HYBRID),)):
        with pytest.raises(DocumentInvalid):
            messages.read_statement(envelope.sign(REQUEST, payload, *signers), REQUEST)


@pytest.mark.parametrize(
    "change",
    [
        lambda members: members | {"more": 1},
        lambda members: {name: value for name, value in members.items() if name != "box"},
        lambda members: dict(reversed(members.items())),
        lambda members: members | {"sequence": "0"},
        lambda members: members | {"sequence": 0.0},
        lambda members: members | {"key": members["key"].replace("=", "")},
        lambda members: members | {"at": LAST_SECOND + 1},
        lambda members: [members],
    ],
)
def test_there_is_one_form(change: object) -> None:
    """Unknown, missing, reordered or otherwise written members are refused, though the signature holds."""
    members = json.loads(msgspec.json.encode(said()))
    payload = json.dumps(change(members), separators=(",", ":")).encode()  # type: ignore[operator]
    with pytest.raises(DocumentInvalid):
        messages.read_statement(envelope.sign(REQUEST, payload, KEY), REQUEST)
    spaced = json.dumps(members).encode()
    with pytest.raises(DocumentInvalid, match="one form"):
        messages.read_statement(envelope.sign(REQUEST, spaced, KEY), REQUEST)


def test_a_statement_has_a_length() -> None:
    """One that is too long is refused before it is read."""
    evidence = tuple(Evidence(binding=name, data=bytes(60_000)) for name in "ab")
    data = messages.sign_statement(said(evidence=evidence), REQUEST, KEY)
    assert len(data) > STATEMENT_LIMIT
    with pytest.raises(DocumentInvalid, match="longer than"):
        messages.read_statement(data, REQUEST)


@given(
    documents=st.lists(
        st.binary(min_size=1, max_size=20).filter(lambda data: b"\n" not in data), min_size=1, max_size=CHAIN_LIMIT
    )
)
def test_a_chain_is_what_was_joined(documents: list[bytes]) -> None:
    """Updates joined to one file are the same updates again, in their order."""
    assert messages.split(messages.join(documents)) == documents


@pytest.mark.parametrize("chain", [b"", b"a", b"\n", b"a\n\n", b"\na\n", b"a\nb", b"a\n" * (CHAIN_LIMIT + 1)])
def test_what_is_no_chain(chain: bytes) -> None:
    """Cut, empty or too many: refused."""
    with pytest.raises(DocumentInvalid):
        messages.split(chain)


def test_a_chain_has_a_length() -> None:
    """Longer than the most updates of the longest size: refused before it is cut."""
    with pytest.raises(DocumentInvalid):
        messages.split(b"x" * (CHAIN_LIMIT * UPDATE_LIMIT) + b"\n")


def test_a_nonce_is_for_one_request() -> None:
    """It is 32 letters and digits, and differs by container and by request."""
    nonces = {messages.nonce(container, request * 16) for container in ("a", "b") for request in (b"1", b"2")}
    assert len(nonces) == 4
    assert all(len(nonce) == 32 and nonce.isalnum() for nonce in nonces)


def test_the_header_is_the_update_without_its_box() -> None:
    """What the contents are sealed to is all the rest, so nothing of it can be changed."""
    device = lab.machine()
    update = messages.unverified_update(lab.decode_update(device))
    assert update.box
    assert messages.header(update) == messages.header(msgspec.structs.replace(update, box=b""))
    assert messages.header(update) != messages.header(msgspec.structs.replace(update, issued_at=1))


def test_a_container_is_its_key() -> None:
    """Its id is that of its signing key, 43 characters."""
    assert messages.container_id(KEY.public.ed25519) == said().container == KEY.public.kid
    assert len(KEY.public.kid) == 43
