"""A test vector for whoever writes a reader of requests and receipts: what to accept, and what to refuse."""

from __future__ import annotations

from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from licentia.crypto import envelope
from licentia.crypto.signing import SoftwareKey, VerifyKey
from licentia.crypto.suites import ED25519, ED25519_ALGORITHM, HYBRID
from licentia.crypto.vectors_documents import PLAIN, RFC_8032_SEEDS, KnownKey, written
from licentia.crypto.vectors_manifest import ISSUED
from licentia.exchange.messages import RECEIPT, REQUEST, START, Evidence, Statement, Use, nonce
from licentia.exchange.vectors import (
    BOX,
    CONTAINER,
    FIRST_REQUEST,
    ID,
    SECOND_REQUEST,
    as_json,
    b64,
    random,
    reversed_members,
    said,
)

FIRST = Statement(
    key=CONTAINER.public.ed25519,
    box=BOX.public,
    name="Zoë's desk",
    sequence=0,
    head=START,
    request_id=FIRST_REQUEST,
    manifest=1,
    at=ISSUED,
    evidence=(Evidence(binding="none", data=b'{"version":1,"bound_to":"nothing"}'),),
)
LATER = Statement(
    key=CONTAINER.public.ed25519,
    box=BOX.public,
    sequence=7,
    head=random("a head"),
    request_id=SECOND_REQUEST,
    at=ISSUED + 1,
    evidence=(Evidence(binding="alpha", data=b"\0"), Evidence(binding="beta", data=b"")),
    returned=("act_1", "act_2"),
    used=(
        Use(activation_id="act_1", license_id="lic_1", first_used_at=ISSUED, units={"": 7, "renders": 0}),
        Use(activation_id="act_3", license_id="lic_2"),
    ),
)
RECEIVED = msgspec.structs.replace(LATER, request_id=bytes(16), evidence=())
NEUTRAL = bytes([1]) + bytes(31)
"""The neutral point of the curve."""
FOR_ALL = NEUTRAL + bytes(32)
"""A signature that holds for every message under the neutral point, and for some under the others below."""
SMALL_ORDER = {
    "0": bytes(32),
    "1": NEUTRAL,
    "-1": bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    "of order 8": bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    "of order 8, the other": bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    "0, written as the prime": bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    "1, written as the prime and 1": bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
}
"""Public keys of small order, by the y of the point."""


def request_and_receipt() -> bytes:
    """The vector as JSON. The same version writes the same bytes."""
    accepted = [(REQUEST, FIRST), (REQUEST, LATER), (RECEIPT, RECEIVED)]
    return written(
        {
            "container": {
                "container": ID,
                "key": RFC_8032_SEEDS[0].hex(),
                "box": BOX.to_bytes()[1:].hex(),
            },
            "accepted": [
                {
                    "payload_type": kind,
                    "document": _signed(statement, kind).decode(),
                    "container": ID,
                    "nonce": nonce(ID, statement.request_id),
                    "says": said(statement),
                }
                for kind, statement in accepted
            ],
            "refused": [
                {"why": why, "payload_type": REQUEST, "document": document.decode()}
                for why, document in _refused().items()
            ],
        }
    )


def _refused() -> dict[str, bytes]:
    other, first = PLAIN[1], _signed(FIRST)
    return {
        "its time was changed": first.replace(
            b64(as_json(said(FIRST))).encode(), b64(as_json(said(FIRST) | {"at": ISSUED + 1})).encode()
        ),
        "it is not signed": envelope.sign(REQUEST, as_json(said(FIRST))),
        "another key than its own has signed it": _raw({}, signer=other),
        "another key has signed it under its own key's id": _signed(FIRST, signer=other).replace(
            other.public.kid.encode(), ID.encode()
        ),
        "another key has signed it too": envelope.sign(REQUEST, as_json(said(FIRST)), CONTAINER, other),
        "it is signed by its own key as one of another suite": _raw(
            {}, signer=KnownKey(HYBRID, RFC_8032_SEEDS[0] + bytes(32))
        ),
        "it is a receipt": _signed(RECEIVED, RECEIPT),
        "it is a receipt whose type was changed": _signed(RECEIVED, RECEIPT).replace(
            RECEIPT.encode(), REQUEST.encode()
        ),
        **{f"its key is of small order: {name}": _of_small_order(point) for name, point in SMALL_ORDER.items()},
        "its key has 31 octets": _raw({"key": b64(CONTAINER.public.ed25519[:31])}),
        "its key to seal to has 31 octets": _raw({"box": b64(BOX.public[:31])}),
        "its head has 31 octets": _raw({"head": b64(bytes(31))}),
        "its head has 33 octets": _raw({"head": b64(bytes(33))}),
        "its request id has 15 octets": _raw({"request_id": b64(bytes(15))}),
        "the base64 of its request id has bits set in its padding": _raw(
            {"request_id": b64(FIRST_REQUEST).replace("w==", "x==")}
        ),
        "its request id is missing": _raw({"request_id": None}),
        "its sequence is below zero": _raw({"sequence": -1}),
        "its sequence is not whole": _raw({"sequence": 1.5}),
        "its sequence is a text": _raw({"sequence": "0"}),
        "its time is after the year 9999": _raw({"at": 253_402_300_800}),
        "its name is too long": _raw({"name": "x" * 201}),
        "it brings evidence of nine bindings": _raw({"evidence": said(FIRST)["evidence"] * 9}),
        "a use counts less than nothing": _raw({"used": [said(LATER.used[0]) | {"units": {"": -1}}]}),
        "an empty list was left out": _raw({"used": None}),
        "a member is unknown": _raw({"more": 1}),
        "a member of the evidence is unknown": _raw({"evidence": [said(FIRST.evidence[0]) | {"more": 1}]}),
        "the members are in another order": envelope.sign(REQUEST, as_json(reversed_members(said(FIRST))), CONTAINER),
        "there is a space": envelope.sign(REQUEST, as_json(said(FIRST)).replace(b",", b", ", 1), CONTAINER),
        "a member is there twice": envelope.sign(
            REQUEST, as_json(said(FIRST)).replace(b'"manifest":', b'"manifest":0,"manifest":', 1), CONTAINER
        ),
        "a line break follows": first + b"\n",
        "it is cut": first[:-2],
    }


def _signed(statement: Statement, kind: str = REQUEST, *, signer: SoftwareKey = CONTAINER) -> bytes:
    return envelope.sign(kind, as_json(said(statement)), signer)


def _raw(changes: dict[str, Any], *, signer: SoftwareKey = CONTAINER) -> bytes:
    """A signed request with members that none may have; those that are None are left out."""
    members = said(FIRST) | changes
    return envelope.sign(REQUEST, as_json({name: each for name, each in members.items() if each is not None}), signer)


def _of_small_order(point: bytes) -> bytes:
    """A request in whose name a signature holds that needs no key: R is the neutral point, and S is zero.

    It holds if the point, times the number that RFC 8032 (section 5.1.7) makes of the message, is neutral;
    so a message is looked for of which that is true.
    """
    nobody, lax = _Nobody(point), Ed25519PublicKey.from_public_bytes(point)
    for at in range(ISSUED, ISSUED + 1000):
        payload = as_json(said(FIRST) | {"key": b64(point), "at": at})
        try:
            lax.verify(FOR_ALL, envelope.pre_authentication(REQUEST, payload))
        except InvalidSignature:
            continue
        return envelope.sign(REQUEST, payload, nobody)
    raise AssertionError("a point of another order")


class _Nobody:
    """Signs without a private key."""

    def __init__(self, point: bytes) -> None:
        self.public = VerifyKey(ED25519, point)

    def sign(self, message: bytes) -> dict[str, bytes]:
        """The signature that everybody can write."""
        return {ED25519_ALGORITHM: FOR_ALL}
