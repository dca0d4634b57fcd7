"""A test vector for whoever writes a reader of updates: which of them take effect, and which do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from licentia.crypto import envelope, sealing
from licentia.crypto.signing import Signer
from licentia.crypto.suites import ED25519, ED25519_ALGORITHM
from licentia.crypto.vectors_documents import HYBRIDS, KnownKey, written
from licentia.crypto.vectors_manifest import ISSUED, ROOTS, STRANGER, YEAR
from licentia.exchange.messages import (
    START,
    UPDATE,
    Lock,
    Update,
    head_of,
    header,
    join,
    unverified_update,
)
from licentia.exchange.vectors import (
    BEFORE,
    BINDINGS,
    BOX,
    FIRST_REQUEST,
    ID,
    MANIFESTS,
    NEXT,
    NOW,
    SECOND_REQUEST,
    SECOND_SECRET,
    SECRET,
    as_json,
    b64,
    bindings,
    exchanged,
    flipped,
    locked,
    manifests,
    random,
    reversed_members,
    said,
    sealed_to_with,
)
from licentia.exchange.vectors_updates import (
    ALPHA,
    BOTH,
    EITHER,
    FIRST,
    FIRST_UPDATE,
    FULL,
    HYBRID,
    LESS,
    LICENSE,
    NONE,
    OLD,
    OLDER,
    SECOND,
    SECOND_UPDATE,
    THIRD,
    boxed,
    made,
    octets_of,
    signed,
)

PLAIN_HALF = KnownKey(ED25519, HYBRIDS[1].to_bytes()[2:34])
"""The Ed25519 key of the hybrid one, as a key of its own."""


def case(
    updates: bytes,
    sequence: int = 0,
    head: bytes = START,
    *,
    trust: Sequence[str] = ("first",),
    here: Sequence[str] = BINDINGS,
    request_id: bytes | None = FIRST_REQUEST,
) -> dict[str, Any]:
    """A file of updates that comes to a container in this state."""
    return {
        "trust": list(trust),
        "here": list(here),
        "sequence": sequence,
        "head": b64(head),
        "request_id": None if request_id is None else b64(request_id),
        "updates": updates.decode(),
    }


def container_update() -> bytes:
    """The vector as JSON. The same version writes the same bytes."""
    first, second = (1, head_of(FIRST)), (2, head_of(SECOND))
    versions = ("first", "second", "third")
    accepted = [
        (case(join([FIRST])), FIRST, 1, FULL),
        (case(join([FIRST, SECOND])), SECOND, 1, LESS),
        (case(join([FIRST, SECOND]), *first, request_id=None), SECOND, 1, LESS),
        (case(join([SECOND]), *first, here=["alpha"]), SECOND, 1, LESS),
        (case(join([SECOND, FIRST])), FIRST, 1, FULL),
        (case(join([FIRST, FIRST])), FIRST, 1, FULL),
        (case(join([OLD]), *first), OLD, 1, LESS),
        (case(join([THIRD]), *second, request_id=SECOND_REQUEST), THIRD, 3, NONE),
        (case(join([THIRD]), *second, trust=versions, request_id=SECOND_REQUEST), THIRD, 3, NONE),
        (case(join([OLDER]), *second, trust=versions, request_id=None), OLDER, 3, LESS),
        (case(join([HYBRID]), trust=["hybrid"]), HYBRID, 1, FULL),
    ]
    return written(
        {
            "container": {"container": ID, "box": BOX.to_bytes()[1:].hex()},
            "bindings": bindings(),
            "manifests": manifests(),
            "accepted": [
                given | {"after": _after(given, newest, version), "contents": said(contents)}
                for given, newest, version, contents in accepted
            ],
            "refused": [{"why": why} | given for why, given in _refused().items()],
        }
    )


def _after(given: Mapping[str, Any], newest: bytes, version: int) -> dict[str, Any]:
    answers = [unverified_update(each.encode()).request_id for each in given["updates"].split("\n")[:-1]]
    return {
        "sequence": unverified_update(newest).sequence,
        "head": b64(head_of(newest)),
        "answered": given["request_id"] in [b64(each) for each in answers if each is not None],
        "manifest": version,
    }


def _refused() -> dict[str, dict[str, Any]]:
    return (
        {why: case(document + b"\n") for why, document in _badly_signed().items()}
        | {why: case(join([signed(update)])) for why, update in _badly_made().items()}
        | {why: case(document + b"\n") for why, document in _badly_written().items()}
        | _out_of_order()
        | _not_trusted()
    )


def _badly_signed() -> dict[str, bytes]:
    """First updates."""
    return {
        "a stranger has signed it": signed(FIRST_UPDATE, STRANGER),
        "a root has signed it": signed(FIRST_UPDATE, ROOTS[0]),
        "a stranger has signed it under the id of the vendor's key": signed(FIRST_UPDATE, STRANGER).replace(
            STRANGER.public.kid.encode(), NOW.public.kid.encode()
        ),
        "it is not signed": envelope.sign(UPDATE, as_json(said(FIRST_UPDATE))),
        "its number was changed, and it was not signed anew": FIRST.replace(
            b64(as_json(said(FIRST_UPDATE))).encode(), b64(as_json(said(FIRST_UPDATE) | {"sequence": 2})).encode()
        ),
        "a key has signed it before its time": signed(made(1, START, FULL, issued_at=ISSUED - 1)),
        "a key has signed it after its time": signed(made(1, START, FULL, issued_at=ISSUED + YEAR)),
        "the key before has signed it after its time": signed(made(1, START, FULL, issued_at=ISSUED), BEFORE),
        "it is a request": envelope.sign(UPDATE.replace("update", "request"), as_json(said(FIRST_UPDATE)), NOW),
    }


def _badly_made() -> dict[str, Update]:
    """First updates, signed by the right key after they were changed."""
    changed = msgspec.structs.replace
    alpha, beta = BOTH.parts
    both = made(1, START, FULL, BOTH)
    other = locked(SECOND_SECRET, 1, alpha=1)

    def relocked(update: Update, *parts: Any, threshold: int) -> Update:
        return changed(update, lock=Lock(threshold=threshold, parts=parts))

    return {
        "it is for another container": made(1, START, FULL, container=NOW.public.kid),
        "the container's name was changed": changed(made(1, START, FULL, container=NOW.public.kid), container=ID),
        "the time was changed": changed(FIRST_UPDATE, issued_at=ISSUED + 2),
        "the number was changed": changed(FIRST_UPDATE, sequence=2),
        "the request id was taken away": changed(FIRST_UPDATE, request_id=None),
        "a manifest was added": changed(FIRST_UPDATE, manifests=(MANIFESTS["second"].to_bytes(),)),
        "the threshold of the lock was lowered": changed(
            made(1, START, FULL, EITHER, SECOND_SECRET), lock=changed(EITHER, threshold=1)
        ),
        "a part of the lock was taken away": relocked(both, alpha, threshold=2),
        "the parts of the lock are in another order": relocked(both, beta, alpha, threshold=3),
        "two shares of one binding were exchanged, before it was sealed": made(
            1, START, FULL, Lock(threshold=3, parts=(changed(alpha, shares=exchanged(alpha.shares)), beta))
        ),
        "a binding has the share of another, before it was sealed": made(
            1, START, FULL, Lock(threshold=3, parts=(alpha, changed(beta, shares=alpha.shares[:1])))
        ),
        "a share is that of another secret, before it was sealed": made(1, START, FULL, other),
        "a bit of a share is flipped, before it was sealed": made(
            1,
            START,
            FULL,
            Lock(threshold=1, parts=(changed(ALPHA.parts[0], shares=(flipped(ALPHA.parts[0].shares[0]),)),)),
        ),
        "a record is another": relocked(FIRST_UPDATE, changed(ALPHA.parts[0], record=b"another"), threshold=1),
        "a binding has another name": relocked(FIRST_UPDATE, changed(ALPHA.parts[0], binding="beta"), threshold=1),
        "the lock asks for more than its shares are": made(1, START, FULL, changed(BOTH, threshold=4)),
        "the box is that of another update": changed(FIRST_UPDATE, box=SECOND_UPDATE.box),
        "a bit of the box is flipped": changed(FIRST_UPDATE, box=flipped(FIRST_UPDATE.box)),
        "the box is sealed to the container, and not to the bindings": changed(
            FIRST_UPDATE, box=sealed_to_with(random("outer"), BOX.public, header(FIRST_UPDATE), octets_of(FULL))
        ),
        "the box is sealed to the bindings, and not to the container": changed(
            FIRST_UPDATE, box=sealing.sealed_with(random("inner"), SECRET, header(FIRST_UPDATE), octets_of(FULL))
        ),
        "the layers of the box are the other way round": changed(
            FIRST_UPDATE,
            box=sealing.sealed_with(
                random("inner"),
                SECRET,
                header(FIRST_UPDATE),
                sealed_to_with(random("outer"), BOX.public, header(FIRST_UPDATE), octets_of(FULL)),
            ),
        ),
        "its contents have a member that is unknown": boxed(FIRST_UPDATE, as_json(said(FULL) | {"more": 1})),
        "its contents are in another order": boxed(FIRST_UPDATE, as_json(reversed_members(said(FULL)))),
        "a license has less than no seats": boxed(
            FIRST_UPDATE, as_json(said(FULL) | {"held": [said(LICENSE) | {"quantity": -1}]})
        ),
    }


def signed_raw(members: dict[str, Any], secret: bytes = SECRET) -> bytes:
    """A signed update with members that none may have, and a box that fits them."""
    head = as_json(members | {"box": ""})
    inner = sealing.sealed_with(random("inner", head.hex()), secret, head, octets_of(FULL))
    box = sealed_to_with(random("outer", head.hex()), BOX.public, head, inner)
    return envelope.sign(UPDATE, as_json(members | {"box": b64(box)}), NOW)


def _badly_written() -> dict[str, bytes]:
    """First updates that say what none may say."""
    good: dict[str, Any] = said(FIRST_UPDATE)
    part = good["lock"]["parts"][0]
    bare, closed = part | {"binding": "beta", "shares": []}, part | {"binding": "gamma"}
    nothing = bytes(32)
    return {
        "a member is unknown": signed_raw(good | {"more": 1}),
        "a member is missing": signed_raw({name: value for name, value in good.items() if name != "manifests"}),
        "the members are in another order": signed_raw({"box": ""} | good),
        "its previous head has 31 octets": signed_raw(good | {"previous": b64(bytes(31))}),
        "its request id has 17 octets": signed_raw(good | {"request_id": b64(bytes(17))}),
        "its number is not whole": signed_raw(good | {"sequence": 1.5}),
        "its time is after the year 9999": signed_raw(good | {"issued_at": 253_402_300_800}),
        "its lock has no parts": signed_raw(good | {"lock": {"threshold": 1, "parts": []}}, nothing),
        "its lock has a threshold of zero": signed_raw(good | {"lock": {"threshold": 0, "parts": [part]}}, nothing),
        "a part of its lock has no share": signed_raw(good | {"lock": {"threshold": 1, "parts": [part, bare]}}),
        "its lock has nine parts": signed_raw(good | {"lock": {"threshold": 1, "parts": [part] + [closed] * 8}}),
    }


def _out_of_order() -> dict[str, dict[str, Any]]:
    first = (1, head_of(FIRST))
    forged = signed(SECOND_UPDATE, STRANGER)
    return {
        "the update before it is missing": case(join([SECOND])),
        "it was applied before": case(join([FIRST]), *first),
        "it was applied before, and another after it": case(join([FIRST]), 2, head_of(SECOND)),
        "it follows another update of the same number": case(join([SECOND]), 1, random("another head")),
        "it follows, with a number that is not higher": case(join([signed(made(1, head_of(FIRST), LESS))]), *first),
        "the second of two is forged": case(join([FIRST, forged])),
        "one that was applied before is forged": case(join([signed(FIRST_UPDATE, STRANGER), SECOND]), *first),
        "the second of two is for another container": case(
            join([FIRST, signed(made(2, head_of(FIRST), LESS, container=NOW.public.kid))])
        ),
        "none of its bindings opens here": case(join([FIRST]), here=["beta"]),
        "too few of its bindings open here": case(join([SECOND]), *first, here=["beta"]),
        "one of its bindings does not open here, where all have to": case(
            join([signed(made(1, START, FULL, BOTH))]), here=["alpha"]
        ),
        "the newest of two does not open here": case(
            join([FIRST, signed(made(2, head_of(FIRST), LESS, BOTH))]), here=["alpha"]
        ),
        "the file is empty": case(b""),
        "the file has an empty line only": case(b"\n"),
        "the line break at the end is missing": case(FIRST),
        "there is an empty line": case(FIRST + b"\n\n" + SECOND + b"\n"),
        "the line ends in two characters": case(FIRST + b"\r\n"),
    }


def _not_trusted() -> dict[str, dict[str, Any]]:
    second, third = (MANIFESTS[name].to_bytes() for name in ("second", "third"))
    stranger = MANIFESTS["another vendor's"].to_bytes()

    def brings(*brought: bytes, signer: Signer = NEXT) -> bytes:
        return join([signed(made(1, START, FULL, manifests=brought), signer)])

    return {
        "the key was revoked": case(join([FIRST]), trust=("first", "second", "third")),
        "the key is revoked by a manifest that it brings": case(brings(second, third, signer=NOW)),
        "it brings the older manifest in which its key was not revoked": case(
            brings(MANIFESTS["first"].to_bytes(), signer=NOW), trust=("first", "second", "third")
        ),
        "it brings a manifest, and misses the one before with other roots": case(brings(third)),
        "it brings the manifests in another order": case(brings(third, second)),
        "it brings a manifest of another vendor": case(brings(stranger, signer=NOW)),
        "it brings a manifest that differs from the one of the same version": case(
            brings(MANIFESTS["another third"].to_bytes()), trust=("first", "second", "third")
        ),
        "it brings a manifest whose signature is wrong": case(
            brings(second.replace(ROOTS[0].public.kid.encode(), STRANGER.public.kid.encode()), third)
        ),
        "it brings what is no manifest": case(brings(b"{}")),
        "the key signs only from the next manifest on, which is not there": case(brings()),
        "it is the update of another vendor": case(join([FIRST]), trust=("another vendor's",)),
        "it is signed by an old key, of a suite that does not count any more": case(join([FIRST]), trust=("hybrid",)),
        "it is signed by a plain key where only hybrid ones count": case(
            join([signed(FIRST_UPDATE, PLAIN_HALF)]), trust=("hybrid",)
        ),
        "the ML-DSA-65 signature was taken away": case(join([signed(FIRST_UPDATE, _Halved())]), trust=("hybrid",)),
    }


class _Halved:
    """The hybrid key with its Ed25519 signature alone."""

    public = HYBRIDS[1].public

    def sign(self, message: bytes) -> dict[str, bytes]:
        """One signature of two."""
        return {ED25519_ALGORITHM: HYBRIDS[1].sign(message)[ED25519_ALGORITHM]}
