"""A test vector for whoever writes a reader of key manifests: which follow, and which do not."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec

from licentia.crypto import envelope, manifest
from licentia.crypto.manifest import TYPE, Body, Issuing, Manifest, Roots, State
from licentia.crypto.signing import SoftwareKey, VerifyKey
from licentia.crypto.suites import ED25519, HYBRID
from licentia.crypto.vectors_documents import HYBRIDS, KnownKey, told, written

ISSUED = 1_800_000_000
YEAR = 31_536_000
ROOTS = tuple(KnownKey(ED25519, bytes([number]) * 32) for number in (1, 2, 3))
NEW_ROOTS = tuple(KnownKey(ED25519, bytes([number]) * 32) for number in (4, 5))
ISSUING = tuple(KnownKey(ED25519, bytes([number]) * 32) for number in (6, 7, 8))
TWIN = KnownKey(HYBRID, bytes([1]) * 64)
STRANGER = KnownKey(ED25519, bytes([9]) * 32)


def key_manifest() -> bytes:
    """The vector as JSON. The same version writes the same bytes."""
    first = manifest.make(_body(1), *ROOTS[:2])
    second = manifest.make(_body(2), *ROOTS[1:])
    handed = manifest.make(_handed(3), *ROOTS[:2], *NEW_ROOTS)
    after = manifest.make(_body(4, roots=_roots(2, *NEW_ROOTS)), *NEW_ROOTS)
    hybrid = _hybrid()
    accepted = [(first, second), (first, handed), (handed, after), (second, second), (hybrid, hybrid)]
    unsigned = msgspec.json.encode(_body(2))
    own = _roots(1, STRANGER)
    refused = {
        "it is older": (second, first.to_bytes()),
        "it has the same version and says something else": (
            second,
            manifest.make(_body(2, vendor="Acme Ltd"), *ROOTS).to_bytes(),
        ),
        "too few of its roots have signed": (first, envelope.sign(TYPE, unsigned, ROOTS[0])),
        "one root has signed under two ids": (first, envelope.sign(TYPE, unsigned, ROOTS[0], TWIN)),
        "a stranger has signed too": (first, envelope.sign(TYPE, unsigned, *ROOTS, STRANGER)),
        "nobody has signed": (first, manifest.draft(_body(2))),
        "too few of the roots before have signed the new ones": (
            first,
            _signed(_handed(2), ROOTS[0], *NEW_ROOTS),
        ),
        "too few of the new roots have signed": (first, _signed(_handed(2), *ROOTS, NEW_ROOTS[0])),
        "the roots before have not signed, and are not named": (second, after.to_bytes()),
        "roots of its own, with those before named as former ones": (
            first,
            _signed(_body(2, roots=own, former_roots=first.body.roots.keys), STRANGER),
        ),
        "a former root that is a stranger has signed in place of a root": (
            first,
            _signed(_body(2, former_roots=(STRANGER.public,)), ROOTS[0], STRANGER),
        ),
        "it was signed by the roots before the last": (after, manifest.make(_body(5), *ROOTS).to_bytes()),
        "one key is twice among the roots": (first, _raw({"roots": _raw_roots(2, ROOTS[0], ROOTS[0])})),
        "more roots must sign than there are": (first, _raw({"roots": _raw_roots(4, *ROOTS)})),
        "a root signs for containers too": (first, _raw({"issuing": [_raw_issuing(ROOTS[0])]})),
        "the key that signs now is of a suite that does not count": (
            first,
            _raw({"issuing": [_raw_issuing(HYBRIDS[0])]}),
        ),
        "a suite is unknown": (first, _raw({"suites": ["licentia-1-ed25519", "licentia-2"]})),
        "a state is unknown": (first, _raw({"issuing": [_raw_issuing(ISSUING[0]) | {"state": "next"}]})),
        "a member is unknown": (first, _raw({"more": 1})),
        "a member is missing": (first, _raw({"lease": None})),
        "the members are in another order": (
            first,
            envelope.sign(TYPE, _json(dict(reversed(json.loads(unsigned).items()))), *ROOTS),
        ),
        "the members of `trust` are in another order": (first, _raw({"trust": {"gcp": "", "aws": ""}})),
        "the version is not a whole number": (first, _raw({"version": 2.0})),
        "it is of another type": (first, envelope.sign("text/plain", unsigned, *ROOTS)),
    }
    return written(
        {
            "roots": [told(key.public) | {"private": key.to_bytes()[2:].hex()} for key in (*ROOTS, *NEW_ROOTS)],
            "accepted": [
                {"current": old.to_bytes().decode(), "next": new.to_bytes().decode(), "version": new.version}
                for old, new in accepted
            ],
            "refused": [
                {"why": why, "current": old.to_bytes().decode(), "next": new.decode()}
                for why, (old, new) in refused.items()
            ],
            "issuing": [
                {"manifest": first.to_bytes().decode(), "at": at, "kids": [key.kid for key in _at(first, at)]}
                for at in (ISSUED - 1, ISSUED, ISSUED + YEAR - 1, ISSUED + YEAR)
            ],
        }
    )


def _at(known: Manifest, at: int) -> list[VerifyKey]:
    return known.issuing_keys(datetime.fromtimestamp(at, UTC))


def _roots(threshold: int, *keys: SoftwareKey) -> Roots:
    return Roots(threshold=threshold, keys=tuple(key.public for key in keys))


def _body(version: int, **changes: Any) -> Body:
    states: tuple[State, ...] = ("current", "old", "revoked")
    said: dict[str, Any] = {
        "version": version,
        "vendor": "Acme Zoë",
        "issued_at": ISSUED,
        "roots": _roots(2, *ROOTS),
        "issuing": tuple(
            Issuing(key=key.public, not_before=ISSUED, not_after=ISSUED + YEAR, state=state)
            for key, state in zip(ISSUING, states, strict=True)
        ),
        "lease": (bytes(range(32)),),
        "suites": (ED25519,),
        "trust": {"aws": b"a bundle"},
    }
    return Body(**said | changes)


def _handed(version: int) -> Body:
    return _body(version, roots=_roots(2, *NEW_ROOTS), former_roots=tuple(key.public for key in ROOTS))


def _hybrid() -> Manifest:
    issuing = Issuing(key=HYBRIDS[1].public, not_before=ISSUED, not_after=ISSUED + YEAR, state="current")
    return manifest.make(_body(1, roots=_roots(1, HYBRIDS[0]), issuing=(issuing,), suites=(HYBRID,)), HYBRIDS[0])


def _signed(body: Body, *signers: SoftwareKey) -> bytes:
    return envelope.sign(TYPE, msgspec.json.encode(body), *signers)


def _json(said: dict[str, Any]) -> bytes:
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


def _raw(changes: dict[str, Any]) -> bytes:
    """A version that all roots have signed, with members that no body may have; those that are None are left out."""
    said = json.loads(msgspec.json.encode(_body(2))) | changes
    return envelope.sign(TYPE, _json({name: value for name, value in said.items() if value is not None}), *ROOTS)


def _raw_roots(threshold: int, *keys: SoftwareKey) -> dict[str, Any]:
    return {"threshold": threshold, "keys": json.loads(msgspec.json.encode([key.public for key in keys]))}


def _raw_issuing(key: SoftwareKey) -> dict[str, Any]:
    public = json.loads(msgspec.json.encode(key.public))
    return {"key": public, "not_before": ISSUED, "not_after": ISSUED + YEAR, "state": "current"}
