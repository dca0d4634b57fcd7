"""Test vectors for whoever writes a reader of signed and sealed documents: what to accept, and what to refuse."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from Crypto.Signature import mldsa

from licentia.crypto import envelope, sealing
from licentia.crypto.sealing import BoxKey
from licentia.crypto.signing import SoftwareKey, VerifyKey
from licentia.crypto.suites import ED25519, HYBRID, MLDSA65_ALGORITHM, SUITES

TYPE = "application/vnd.licentia.example.v1+json"
PAYLOAD = '{"seats":3,"user":"Zoë"}'.encode()

RFC_8032_SEEDS = tuple(
    bytes.fromhex(seed)
    for seed in (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
    )
)
"""The private keys of RFC 8032, section 7.1, tests 1 to 3. Everybody knows them."""

SEALED_TO = {
    b"": "01f1740754e3cb5cf3d26f9cd6e1e639883ec5f6bfb5487df231a224a0f1ff9a21a28eca80461002e32c508a15269a4a74",
    b'{"sequence":7}': "010fc63c92a542a2239603cbb2bc331a8aad0fe63beca018ef9d3ce3e9a7d5a7590149bbc2fa78194b66117a384c"
    "fed8e6b0e8a7349b541222c84cc11e6fd6ee",
}
"""By header: texts that were sealed to the key below once. Sealing anew would give others."""


def written(vector: Mapping[str, Any]) -> bytes:
    """A vector as a file."""
    return msgspec.json.format(msgspec.json.encode(vector), indent=2) + b"\n"


def told(key: VerifyKey) -> dict[str, Any]:
    """A public key with its id."""
    members: dict[str, Any] = json.loads(msgspec.json.encode(key))
    return {"kid": key.kid} | members


class KnownKey(SoftwareKey):
    """A key with deterministic signatures, so that a vector can be written again and stays the same."""

    __slots__ = ()

    def sign(self, message: bytes) -> dict[str, bytes]:
        """As any key of the suite, with the deterministic variant of ML-DSA (FIPS 204, section 3.4)."""
        signatures = super().sign(message)
        if self._lattice is not None:
            signatures[MLDSA65_ALGORITHM] = mldsa.new(self._lattice, deterministic=True).sign(message)
        return signatures


PLAIN = tuple(KnownKey(ED25519, seed) for seed in RFC_8032_SEEDS)
HYBRIDS = tuple(KnownKey(HYBRID, seed + bytes([number]) * 32) for number, seed in enumerate(RFC_8032_SEEDS))


def signed_document() -> bytes:
    """The vector of envelopes as JSON. The same version writes the same bytes."""
    one, two, three, hybrid = *PLAIN, HYBRIDS[0]
    plain = _policy([one], [ED25519])
    strict = _policy([hybrid], [HYBRID])
    both = _policy([one, two], [ED25519], 2)
    document, long = envelope.sign(TYPE, PAYLOAD, one), envelope.sign(TYPE, PAYLOAD, hybrid)
    pair = envelope.sign(TYPE, PAYLOAD, one, two)
    accepted = [
        (document, plain),
        (long, strict),
        (envelope.sign(TYPE, b"", one), plain),
        (envelope.sign(TYPE, bytes(range(256)), one), _policy([one, two], [ED25519])),
        (pair, both),
        (long, _policy([hybrid], list(SUITES))),
    ]
    assert one.public.ed25519 == hybrid.public.ed25519
    half = one.public.kid
    edwards, lattice = json.loads(long)["signatures"]
    refused = {
        "a bit of the payload is flipped": (_payload(document, _flipped(PAYLOAD)), plain),
        "a bit of the Ed25519 signature is flipped": (_signature(document, 0), plain),
        "a bit of the Ed25519 signature of a hybrid document is flipped": (_signature(long, 0), strict),
        "a bit of the ML-DSA-65 signature is flipped": (_signature(long, 1), strict),
        "another key signed it under this key's id": (
            _change(envelope.sign(TYPE, PAYLOAD, two), keyid=one.public.kid),
            plain,
        ),
        "its key is not trusted": (envelope.sign(TYPE, PAYLOAD, three), plain),
        "a key that is not trusted has signed it too": (pair, plain),
        "it is of another type, although the signature holds": (envelope.sign("text/plain", PAYLOAD, one), plain),
        "its type was changed": (document.replace(b"example", b"receipt"), plain),
        "the type that is expected was put in place of the one that was signed": (
            envelope.sign(TYPE.replace("example", "receipt"), PAYLOAD, one).replace(b"receipt", b"example"),
            plain,
        ),
        "a plain document where only hybrid ones count": (document, _policy([one], [HYBRID])),
        "the ML-DSA-65 signature was taken away": (_replace(long, signatures=[edwards]), strict),
        "the Ed25519 signature was taken away": (_replace(long, signatures=[lattice]), strict),
        "a hybrid document was made a plain one, where only hybrid ones count": (
            _replace(long, signatures=[edwards | {"keyid": half}]),
            _policy([one, hybrid], [HYBRID]),
        ),
        "a hybrid document was made a plain one, whose key is not trusted": (
            _replace(long, signatures=[edwards | {"keyid": half}]),
            _policy([hybrid], list(SUITES)),
        ),
        "the signature is of an algorithm that the suite does not name": (_change(document, alg="ES256"), plain),
        "it has no signature": (envelope.sign(TYPE, PAYLOAD), plain),
        "one key has signed where two must": (document, both),
        "one key has signed twice where two must": (_replace(document, signatures=_signatures(document) * 2), both),
        "the signatures are in another order": (_replace(pair, signatures=_signatures(pair)[::-1]), both),
        "the signature is cut": (_change(document, sig=_signatures(document)[0]["sig"][:-4]), plain),
        "a line break follows": (document + b"\n", plain),
        "there is a space": (document.replace(b",", b", ", 1), plain),
        "it is cut": (document[:-1], plain),
        "a member is unknown": (_replace(document, more=1), plain),
        "a member is there twice": (document.replace(b'"payload":', b'"payload":"","payload":', 1), plain),
        "the members are in another order": (
            json.dumps(dict(reversed(json.loads(document).items())), separators=(",", ":")).encode(),
            plain,
        ),
        "a character is escaped that need not be": (document.replace(b"vnd", b"\\u0076nd"), plain),
        "the base64 has no padding": (document.replace(b'Q=="', b'Q"', 1), plain),
        "the base64 has bits set in its padding": (document.replace(b'fQ=="', b'fR=="', 1), plain),
        "the base64 is of the other alphabet": (
            _change(document, sig=base64.urlsafe_b64encode(_sig(document)).decode()),
            plain,
        ),
    }
    return written(
        {
            "payload_type": TYPE,
            "keys": [told(each.public) | {"private": each.to_bytes()[2:].hex()} for each in (*PLAIN, hybrid)],
            "accepted": [
                {"document": data.decode(), **said, "payload": _b64(envelope.unverified_payload(data, TYPE))}
                for data, said in accepted
            ],
            "refused": [{"why": why, "document": data.decode(), **said} for why, (data, said) in refused.items()],
        }
    )


def sealed_document() -> bytes:
    """The vector of sealed documents as JSON, all octets in hexadecimal. The same version writes the same bytes."""
    key, salt, header, text = bytes(range(32)), bytes(range(100, 132)), b'{"sequence":7}', "Zoë's seats: 3".encode()
    sealed = sealing.sealed_with(salt, key, header, text)
    other = sealing.sealed_with(salt, key[::-1], header, text)
    box = BoxKey(key)
    to = {head: bytes.fromhex(data) for head, data in SEALED_TO.items()}
    accepted = [(header, text, sealed), (b"", b"", sealing.sealed_with(salt[::-1], key, b"", b""))]
    refused = {
        "the version is another": _flip(sealed, 0),
        "a bit of the salt is flipped": _flip(sealed, 1),
        "a bit of the commitment is flipped": _flip(sealed, 33),
        "a bit of the text is flipped": _flip(sealed, 65),
        "a bit of the tag is flipped": _flip(sealed, -1),
        "it is cut": sealed[:-1],
        "it has no text and no tag": sealed[:65],
        "it is sealed with another key": other,
        "it is sealed with another key, under this key's commitment": sealed[:65] + other[65:],
        "it is empty": b"",
    }
    good = to[header]
    refused_to = {
        "the version is another": _flip(good, 0),
        "a bit of the encapsulated key is flipped": _flip(good, 1),
        "the topmost bit of the encapsulated key is flipped": good[:32] + bytes([good[32] ^ 0x80]) + good[33:],
        "the encapsulated key is of small order": good[:1] + bytes(32) + good[33:],
        "a bit of the text is flipped": _flip(good, 33),
        "a bit of the tag is flipped": _flip(good, -1),
        "it is cut": good[:-1],
        "it has no text and no tag": good[:33],
        "it is empty": b"",
    }
    return written(
        {
            "sealed": {
                "key": key.hex(),
                "accepted": [
                    {"header": head.hex(), "text": plain.hex(), "sealed": data.hex()} for head, plain, data in accepted
                ],
                "refused": [{"why": why, "header": header.hex(), "sealed": data.hex()} for why, data in refused.items()]
                + [{"why": "it stands beside another header", "header": "", "sealed": sealed.hex()}],
            },
            "sealed_to_key": {
                "private": key.hex(),
                "public": box.public.hex(),
                "accepted": [
                    {"header": head.hex(), "text": box.open(head, data).hex(), "sealed": data.hex()}
                    for head, data in to.items()
                ],
                "refused": [
                    {"why": why, "header": header.hex(), "sealed": data.hex()} for why, data in refused_to.items()
                ]
                + [{"why": "it stands beside another header", "header": "", "sealed": good.hex()}],
            },
        }
    )


def _policy(keys: Sequence[SoftwareKey], suites: list[str], threshold: int = 1) -> dict[str, Any]:
    return {"keys": [key.public.kid for key in keys], "suites": suites, "threshold": threshold}


def _signatures(document: bytes) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(document)["signatures"]
    return found


def _replace(document: bytes, **members: Any) -> bytes:
    return json.dumps(json.loads(document) | members, separators=(",", ":")).encode()


def _change(document: bytes, **members: str) -> bytes:
    first, *others = _signatures(document)
    return _replace(document, signatures=[first | members, *others])


def _payload(document: bytes, payload: bytes) -> bytes:
    return _replace(document, payload=_b64(payload))


def _sig(document: bytes, number: int = 0) -> bytes:
    return base64.b64decode(_signatures(document)[number]["sig"])


def _signature(document: bytes, number: int) -> bytes:
    signatures = _signatures(document)
    signatures[number]["sig"] = _b64(_flipped(_sig(document, number)))
    return _replace(document, signatures=signatures)


def _flipped(data: bytes) -> bytes:
    return _flip(data, len(data) // 2)


def _flip(data: bytes, position: int) -> bytes:
    changed = bytearray(data)
    changed[position] ^= 1
    return bytes(changed)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
