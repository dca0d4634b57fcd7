"""The key manifest: who may say which keys count, and how one version follows another."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from licentia.crypto import envelope, manifest
from licentia.crypto.leases import SigningKey
from licentia.crypto.manifest import TYPE, Body, Issuing, Manifest, Roots, State, draft, make
from licentia.crypto.signing import SoftwareKey
from licentia.crypto.suites import ED25519, HYBRID
from licentia.errors import DocumentInvalid

ROOTS = [SoftwareKey.generate(HYBRID) for _ in range(3)]
NEW_ROOTS = [SoftwareKey.generate(HYBRID) for _ in range(2)]
STRANGER = SoftwareKey.generate(HYBRID)
ISSUING = [SoftwareKey.generate(HYBRID) for _ in range(3)]


def at(seconds: int) -> datetime:
    """A time."""
    return datetime.fromtimestamp(seconds, UTC)


def body(version: int = 1, **changes: Any) -> Body:
    """A body under two of three roots."""
    states: tuple[State, ...] = ("current", "old", "revoked")
    said = {
        "version": version,
        "vendor": "Acme",
        "issued_at": 1_800_000_000,
        "roots": Roots(threshold=2, keys=tuple(key.public for key in ROOTS)),
        "issuing": tuple(
            Issuing(key=key.public, not_before=100, not_after=200, state=state)
            for key, state in zip(ISSUING, states, strict=True)
        ),
        "suites": (HYBRID,),
    }
    return Body(**said | changes)


def succession(version: int = 2, **changes: Any) -> Body:
    """A body that hands over to the new roots."""
    roots = Roots(threshold=2, keys=tuple(key.public for key in NEW_ROOTS))
    return body(version, roots=roots, former_roots=tuple(key.public for key in ROOTS), **changes)


FIRST = make(body(), *ROOTS[:2])


def refused(data: bytes, current: Manifest = FIRST, match: str | None = None) -> None:
    """Assert that it does not follow."""
    with pytest.raises(DocumentInvalid, match=match):
        manifest.verify_next(current, data)


def test_a_manifest_is_read_back_as_it_was_written() -> None:
    """By whoever has pinned the file, the roots, or the version before."""
    again = make(body(2), *ROOTS[1:])
    assert manifest.read_pinned(FIRST.to_bytes()).body == FIRST.body
    assert manifest.verify_first(again.to_bytes(), FIRST.body.roots).body == again.body
    followed = manifest.verify_next(FIRST, again.to_bytes())
    assert (followed.version, followed.vendor, followed.suites) == (2, "Acme", (HYBRID,))
    assert followed.to_bytes() == again.to_bytes()
    assert followed.signed_by == tuple(sorted(key.public.kid for key in ROOTS[1:]))
    assert "Acme" in repr(followed)


@pytest.mark.parametrize("signers", [[], ROOTS[:1], [ROOTS[0], ROOTS[0]], [*ROOTS[:1], STRANGER], NEW_ROOTS])
def test_too_few_roots_are_refused(signers: list[SoftwareKey]) -> None:
    """Two of three must sign: not one, not one twice, not one and a stranger."""
    data = envelope.sign(TYPE, msgspec.json.encode(body(2)), *signers)
    refused(data)
    with pytest.raises(DocumentInvalid):
        manifest.read_pinned(data)


def test_a_stranger_beside_enough_roots_is_refused() -> None:
    """Every signature in the file must be of a root, or an added one would go unseen."""
    refused(envelope.sign(TYPE, msgspec.json.encode(body(2)), *ROOTS, STRANGER), match="not trusted")


def test_new_roots_must_be_signed_for_by_the_old_and_by_themselves() -> None:
    """A succession needs two of the three before and both after it."""
    handed = make(succession(), *ROOTS[:2], *NEW_ROOTS)
    followed = manifest.verify_next(FIRST, handed.to_bytes())
    third = make(body(3, roots=succession().roots), *NEW_ROOTS)
    assert manifest.verify_next(followed, third.to_bytes()).version == 3
    refused(third.to_bytes(), match="roots that are trusted here|not trusted")
    refused(make(body(3), *ROOTS).to_bytes(), followed)
    for too_few in ([ROOTS[0], *NEW_ROOTS], [*ROOTS, NEW_ROOTS[0]], NEW_ROOTS, ROOTS):
        refused(envelope.sign(TYPE, msgspec.json.encode(succession()), *too_few))


def test_former_roots_have_no_say() -> None:
    """Whoever names strangers as former roots and signs with them has no more signatures than before."""
    forged = body(2, former_roots=(STRANGER.public,))
    refused(envelope.sign(TYPE, msgspec.json.encode(forged), STRANGER, ROOTS[0]), match="it has 1")
    own = Roots(threshold=1, keys=(STRANGER.public,))
    refused(make(body(2, roots=own, former_roots=FIRST.body.roots.keys), STRANGER).to_bytes(), match="it has 0")
    with pytest.raises(DocumentInvalid, match="that are trusted here"):
        manifest.verify_first(make(body(roots=own), STRANGER).to_bytes(), FIRST.body.roots)


def test_an_older_version_is_refused() -> None:
    """However good its signatures: a key that was revoked since must not come back."""
    fifth = make(body(5), *ROOTS)
    refused(FIRST.to_bytes(), fifth, match="older than the one that is known: version 1 after 5")


def test_the_same_version_is_the_same_or_refused() -> None:
    """Other roots may have signed it; it may not say something else."""
    other = make(body(), *ROOTS[1:])
    assert manifest.verify_next(FIRST, other.to_bytes()) is FIRST
    refused(make(body(vendor="Acme Ltd"), *ROOTS).to_bytes(), match="two key manifests of version 1")


def test_an_issuing_key_counts_in_its_time_only() -> None:
    """From `not_before`, before `not_after`, and never once it is revoked."""
    current, old, _ = (key.public for key in ISSUING)
    assert FIRST.issuing_keys(at(99)) == []
    assert FIRST.issuing_keys(at(100)) == FIRST.issuing_keys(at(199)) == [current, old]
    assert FIRST.issuing_keys(at(200)) == []


def test_a_document_of_a_revoked_key_is_refused() -> None:
    """The keys that a manifest gives are those that an envelope is verified with."""
    for key, good in zip(ISSUING, (True, True, False), strict=True):
        data = envelope.sign("text/plain", b"update", key)
        keys = FIRST.issuing_keys(at(150))
        if good:
            assert envelope.verify(data, "text/plain", keys, suites=FIRST.suites).payload == b"update"
        else:
            with pytest.raises(DocumentInvalid, match="not trusted"):
                envelope.verify(data, "text/plain", keys, suites=FIRST.suites)


def test_lease_keys_are_named_as_in_lease_tokens() -> None:
    """By the thumbprint that the header of a token has."""
    key = SigningKey.generate().public
    point = base64.urlsafe_b64decode(key.x + "=")
    assert make(body(lease=(point,)), *ROOTS).lease_keys == {key.kid: point}


PLAIN = SoftwareKey.generate(ED25519).public


@pytest.mark.parametrize(
    ("why", "changes"),
    [
        ("different keys", {"roots": {"threshold": 1, "keys": [ROOTS[0].public, ROOTS[0].public]}}),
        ("must sign", {"roots": {"threshold": 4, "keys": [key.public for key in ROOTS]}}),
        ("two purposes", {"issuing": [{"key": ROOTS[0].public, "not_before": 0, "not_after": 9, "state": "old"}]}),
        ("does not count", {"issuing": [{"key": PLAIN, "not_before": 0, "not_after": 9, "state": "current"}]}),
        ("does not count", {"suites": [ED25519]}),
        ("not known here", {"suites": ["licentia-2"]}),
        ("no suite", {"former_roots": [{"suite": "licentia-2", "ed25519": ""}]}),
        ("order of their names", {"trust": {"b": "", "a": ""}}),
        (">= 1", {"version": 0}),
        ("unknown field", {"more": 1}),
        ("<= 2147483647", {"version": 2**31}),
        ("Invalid enum", {"issuing": [{"key": PLAIN, "not_before": 0, "not_after": 9, "state": "new"}]}),
        ("missing required", {"issuing": None}),
        ("one form", {"trust": None}),
    ],
)
def test_a_body_that_makes_no_sense_is_refused(why: str, changes: dict[str, Any]) -> None:
    """Even if all its roots have signed it."""
    said = msgspec.to_builtins(body(2)) | msgspec.to_builtins(changes)
    left = {name: value for name, value in said.items() if value is not None}
    refused(envelope.sign(TYPE, json.dumps(left, separators=(",", ":")).encode(), *ROOTS), match=why)


def test_every_flipped_bit_of_a_manifest_is_refused() -> None:
    """One bit of each octet, as far as the payload reaches; the envelope's own tests flip all others."""
    data = FIRST.to_bytes()
    for position in range(0, len(data), 3):
        flipped = bytearray(data)
        flipped[position] ^= 1 << position % 8
        with pytest.raises(DocumentInvalid):
            manifest.verify_first(bytes(flipped), FIRST.body.roots)


@given(payload=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_anything_else_is_refused_with_the_documented_error(payload: bytes) -> None:
    """Neither as a file nor as the payload of one do octets make the reader fail in another way."""
    refused(payload)
    refused(envelope.sign(TYPE, payload, *ROOTS))


def test_a_draft_is_signed_one_by_one() -> None:
    """Each root may sign on a machine of its own; the result is as good as if all had been on one."""
    data = draft(body(2))
    refused(data)
    for root in ROOTS[:2]:
        data = envelope.cosign(data, TYPE, root)
    assert manifest.verify_next(FIRST, data).version == 2
