"""What the test vectors of the exchange have in common: who is in them, and how they are made to stay the same."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from licentia.crypto import manifest, sealing
from licentia.crypto.manifest import Body, Issuing, Manifest, Roots
from licentia.crypto.sealing import BoxKey
from licentia.crypto.sharing import BYTES, PRIME
from licentia.crypto.signing import SoftwareKey
from licentia.crypto.suites import ED25519, HYBRID
from licentia.crypto.vectors_documents import HYBRIDS, RFC_8032_SEEDS, KnownKey
from licentia.crypto.vectors_manifest import ISSUED, ISSUING, NEW_ROOTS, ROOTS, YEAR
from licentia.exchange.messages import Lock, Sealed, container_id

CONTAINER = KnownKey(ED25519, RFC_8032_SEEDS[0])
BOX = BoxKey(bytes(range(32)))
ID = container_id(CONTAINER.public.ed25519)
FIRST_REQUEST, SECOND_REQUEST = bytes(range(16)), bytes(range(16, 32))
NOW, BEFORE, NEXT = ISSUING
"""Keys that sign updates: the one of the first manifest, the one before it, and that of the second manifest."""


def random(*names: str) -> bytes:
    """32 octets that are the same each time, for what has to be random outside of vectors."""
    return hashlib.sha256("\0".join(("licentia vector", *names)).encode()).digest()


def number(*names: str) -> bytes:
    """A secret that can be shared: as `random`, and below the prime."""
    return (int.from_bytes(random(*names), "big") % PRIME).to_bytes(BYTES, "big")


SECRET, SECOND_SECRET = number("secret"), number("second secret")
BINDINGS = ("alpha", "beta")
"""Two bindings that are made up: which of their records opens to which key stands in the vector."""


def record(binding: str) -> bytes:
    """The record of a binding on the machine of the vectors; `key` is what it opens to."""
    return f"a record of {binding}".encode()


def key(binding: str) -> bytes:
    """The key that the record of this binding opens to."""
    return random("key", binding)


def locked(secret: bytes, threshold: int, **weights: int) -> Lock:
    """The secret, locked to made-up bindings with these weights."""
    factors = [secret, *(number("factor", str(power)) for power in range(1, threshold))]
    parts = []
    index = 0
    for name, weight in weights.items():
        shares = []
        for at in range(index + 1, index + weight + 1):
            value = sum(int.from_bytes(factor, "big") * at**power for power, factor in enumerate(factors)) % PRIME
            label = f"licentia share {at - 1} of {name}".encode()
            shares.append(sealing.sealed_with(random("share", label.hex()), key(name), label, value.to_bytes(BYTES)))
        parts.append(Sealed(binding=name, record=record(name), shares=tuple(shares)))
        index += weight
    return Lock(threshold=threshold, parts=tuple(parts))


def sealed_to_with(ephemeral: bytes, public: bytes, header: bytes, text: bytes) -> bytes:
    """As `licentia.crypto.sealing.seal_to`, with a given ephemeral key (RFC 9180, sections 4.1 and 5.1)."""
    private = X25519PrivateKey.from_private_bytes(ephemeral)
    enc = private.public_key().public_bytes_raw()
    kem, suite = b"KEM\x00\x20", b"HPKE\x00\x20\x00\x01\x00\x02"
    agreed = _extract(kem, b"eae_prk", private.exchange(X25519PublicKey.from_public_bytes(public)))
    shared = _expand(kem, agreed, b"shared_secret", enc + public, 32)
    context = b"\0" + _extract(suite, b"psk_id_hash", b"") + _extract(suite, b"info_hash", sealing.SEALED_TO_LABEL)
    secret = _extract(suite, b"secret", b"", salt=shared)
    cipher = AESGCM(_expand(suite, secret, b"key", context, 32))
    return b"\x01" + enc + cipher.encrypt(_expand(suite, secret, b"base_nonce", context, 12), text, header)


def _extract(suite: bytes, label: bytes, secret: bytes, *, salt: bytes = bytes(32)) -> bytes:
    return HKDF.extract(SHA256(), salt, b"HPKE-v1" + suite + label + secret)


def _expand(suite: bytes, secret: bytes, label: bytes, info: bytes, length: int) -> bytes:
    return HKDFExpand(SHA256(), length, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info).derive(secret)


def _issuing(signer: SoftwareKey, state: manifest.State, *, since: int = ISSUED) -> Issuing:
    return Issuing(key=signer.public, not_before=since, not_after=since + YEAR, state=state)


def _manifest(version: int, root: SoftwareKey, *issuing: Issuing, **changes: Any) -> Manifest:
    said: dict[str, Any] = {
        "version": version,
        "vendor": "Acme Zoë",
        "issued_at": ISSUED,
        "roots": Roots(threshold=1, keys=(root.public,)),
        "issuing": issuing,
        "suites": (ED25519,),
    }
    former = [ROOTS[0]] if "former_roots" in changes else []
    return manifest.make(Body(**said | changes), root, *former)


_AFTER = (_issuing(NEXT, "current"), _issuing(NOW, "old"))
MANIFESTS: Mapping[str, Manifest] = {
    "first": _manifest(1, ROOTS[0], _issuing(NOW, "current"), _issuing(BEFORE, "old", since=ISSUED - YEAR)),
    "second": _manifest(2, NEW_ROOTS[0], *_AFTER, former_roots=(ROOTS[0].public,)),
    "third": _manifest(3, NEW_ROOTS[0], _issuing(NEXT, "current"), _issuing(NOW, "revoked")),
    "another third": _manifest(3, NEW_ROOTS[0], *_AFTER),
    "another vendor's": _manifest(1, ROOTS[1], _issuing(NEXT, "current")),
    "hybrid": _manifest(1, HYBRIDS[0], _issuing(HYBRIDS[1], "current"), _issuing(NOW, "old"), suites=(HYBRID,)),
}
"""Key manifests, by what the vectors call them.

The second hands over to another root, the third revokes a key; the hybrid one has an old key whose suite
does not count any more.
"""


def manifests() -> dict[str, str]:
    """All of them as text."""
    return {name: each.to_bytes().decode() for name, each in MANIFESTS.items()}


def bindings() -> list[dict[str, str]]:
    """Which record opens to which key on the machine of the vectors."""
    return [{"binding": name, "record": b64(record(name)), "key": b64(key(name))} for name in BINDINGS]


def said(part: Any) -> Any:
    """What a reader finds in a payload."""
    return json.loads(msgspec.json.encode(part))


def as_json(value: Any) -> bytes:
    """A value in the one form, with the members in the order in which they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def reversed_members(members: Mapping[str, Any]) -> dict[str, Any]:
    """The members in another order."""
    return dict(reversed(list(members.items())))


def flipped(data: bytes) -> bytes:
    """The octets with one bit of the last changed."""
    return data[:-1] + bytes([data[-1] ^ 1])


def b64(data: bytes) -> str:
    """Octets as formats write them."""
    return base64.b64encode(data).decode()


def exchanged(items: Iterable[Any]) -> tuple[Any, ...]:
    """Two things, each in the place of the other."""
    one, two = items
    return two, one
