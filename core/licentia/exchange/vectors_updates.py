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
    Contents,
    Held,
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

PLAIN_HALF = KnownKey(ED25519, HYBRIDS[1].to_bytes()[2:34])
"""The Ed25519 key of the hybrid one, as a key of its own."""

ALPHA = locked(SECRET, 1, alpha=1)
EITHER = locked(SECOND_SECRET, 2, alpha=2, beta=1)
BOTH = locked(SECRET, 3, alpha=2, beta=1)

LICENSE = Held(
    activation_id="act_1",
    license_id="lic_c7dd314de74e1e3e9731e51cc",
    product_code="301001",
    name="CAD for Zoë",
    quantity=3,
    terms={"license_model": "node_locked", "features": ["pro"], "checkpoint_days": 30, "protected_data": 'a "key"'},
    valid_until=ISSUED + YEAR,
    contact_by=ISSUED + 30 * 86_400,
)
METERED = Held(
    activation_id="act_2",
    license_id="lic_281648389449ea652e56c558f",
    product_code="301002",
    name="",
    quantity=1,
    terms={},
    units={"": 100, "renders": 5},
)
FULL = Contents(vendor="Acme Zoë", held=(LICENSE, METERED))
LESS = Contents(vendor="Acme Zoë", held=(METERED,))
NONE = Contents(vendor="Acme Zoë", held=())


def octets_of(contents: Contents) -> bytes:
    """Contents as they are sealed."""
    return msgspec.json.encode(contents)


def made(
    sequence: int, previous: bytes, contents: Contents, lock: Lock = ALPHA, secret: bytes = SECRET, **members: Any
) -> Update:
    """An update with these contents in its box."""
    said: dict[str, Any] = {"container": ID, "request_id": None, "issued_at": ISSUED + sequence}
    update = Update(sequence=sequence, previous=previous, lock=lock, **said | members)
    return boxed(update, octets_of(contents), secret)


def boxed(update: Update, plain: bytes, secret: bytes = SECRET) -> Update:
    """The update with this text in its box."""
    head = header(update)
    inner = sealing.sealed_with(random("inner", head.hex()), secret, head, plain)
    return msgspec.structs.replace(update, box=sealed_to_with(random("outer", head.hex()), BOX.public, head, inner))


def signed(update: Update, signer: Signer = NOW) -> bytes:
    """The update as it is delivered."""
    return envelope.sign(UPDATE, msgspec.json.encode(update), signer)


_FIRST = made(1, START, FULL, request_id=FIRST_REQUEST)
FIRST = signed(_FIRST)
"""The answer to the first request."""
_SECOND = made(2, head_of(FIRST), LESS, EITHER, SECOND_SECRET)
SECOND = signed(_SECOND)
"""What nobody asked for, with another secret, in a lock that opens with either half of its weight."""
THIRD = signed(
    made(
        5,
        head_of(SECOND),
        NONE,
        BOTH,
        request_id=SECOND_REQUEST,
        manifests=(MANIFESTS["second"].to_bytes(), MANIFESTS["third"].to_bytes()),
    ),
    NEXT,
)
"""With new manifests, signed by the key that only they name."""
OLD = signed(made(2, head_of(FIRST), LESS, issued_at=ISSUED - 1), BEFORE)
OLDER = signed(made(3, head_of(SECOND), LESS, manifests=(MANIFESTS["first"].to_bytes(),)), NEXT)
"""With a manifest that is older than those that are known."""
HYBRID = signed(made(1, START, FULL, request_id=FIRST_REQUEST), HYBRIDS[1])


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
        | {why: case(signed_raw(payload) + b"\n") for why, payload in _badly_written().items()}
        | _out_of_order()
        | _not_trusted()
    )


def _badly_signed() -> dict[str, bytes]:
    """First updates."""
    return {
        "a stranger has signed it": signed(_FIRST, STRANGER),
        "a root has signed it": signed(_FIRST, ROOTS[0]),
        "a stranger has signed it under the id of the vendor's key": signed(_FIRST, STRANGER).replace(
            STRANGER.public.kid.encode(), NOW.public.kid.encode()
        ),
        "it is not signed": envelope.sign(UPDATE, as_json(said(_FIRST))),
        "its number was changed, and it was not signed anew": FIRST.replace(
            b64(as_json(said(_FIRST))).encode(), b64(as_json(said(_FIRST) | {"sequence": 2})).encode()
        ),
        "a key has signed it before its time": signed(made(1, START, FULL, issued_at=ISSUED - 1)),
        "a key has signed it after its time": signed(made(1, START, FULL, issued_at=ISSUED + YEAR)),
        "the key before has signed it after its time": signed(made(1, START, FULL, issued_at=ISSUED), BEFORE),
        "it is a request": envelope.sign(UPDATE.replace("update", "request"), as_json(said(_FIRST)), NOW),
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
        "the time was changed": changed(_FIRST, issued_at=ISSUED + 2),
        "the number was changed": changed(_FIRST, sequence=2),
        "the request id was taken away": changed(_FIRST, request_id=None),
        "a manifest was added": changed(_FIRST, manifests=(MANIFESTS["second"].to_bytes(),)),
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
        "a record is another": relocked(_FIRST, changed(ALPHA.parts[0], record=b"another"), threshold=1),
        "a binding has another name": relocked(_FIRST, changed(ALPHA.parts[0], binding="beta"), threshold=1),
        "the lock asks for more than its shares are": made(1, START, FULL, changed(BOTH, threshold=4)),
        "the box is that of another update": changed(_FIRST, box=_SECOND.box),
        "a bit of the box is flipped": changed(_FIRST, box=flipped(_FIRST.box)),
        "the box is sealed to the container, and not to the bindings": changed(
            _FIRST, box=sealed_to_with(random("outer"), BOX.public, header(_FIRST), octets_of(FULL))
        ),
        "the box is sealed to the bindings, and not to the container": changed(
            _FIRST, box=sealing.sealed_with(random("inner"), SECRET, header(_FIRST), octets_of(FULL))
        ),
        "the layers of the box are the other way round": changed(
            _FIRST,
            box=sealing.sealed_with(
                random("inner"),
                SECRET,
                header(_FIRST),
                sealed_to_with(random("outer"), BOX.public, header(_FIRST), octets_of(FULL)),
            ),
        ),
        "its contents have a member that is unknown": boxed(_FIRST, as_json(said(FULL) | {"more": 1})),
        "its contents are in another order": boxed(_FIRST, as_json(reversed_members(said(FULL)))),
        "a license has less than no seats": boxed(
            _FIRST, as_json(said(FULL) | {"held": [said(LICENSE) | {"quantity": -1}]})
        ),
    }


def signed_raw(members: Mapping[str, Any]) -> bytes:
    """A signed update with members that none may have."""
    return envelope.sign(UPDATE, as_json(members), NOW)


def _badly_written() -> dict[str, dict[str, Any]]:
    """Payloads of first updates; what is changed in them makes the box no better."""
    good: dict[str, Any] = said(_FIRST)
    part = good["lock"]["parts"][0]
    without = {name: value for name, value in good.items() if name != "manifests"}
    return {
        "a member is unknown": good | {"more": 1},
        "a member is missing": without,
        "the members are in another order": reversed_members(good),
        "its previous head has 31 octets": good | {"previous": b64(bytes(31))},
        "its request id has 17 octets": good | {"request_id": b64(bytes(17))},
        "its number is below zero": good | {"sequence": -1},
        "its lock has no parts": good | {"lock": {"threshold": 1, "parts": []}},
        "its lock has a threshold of zero": good | {"lock": {"threshold": 0, "parts": [part]}},
        "a part of its lock has no share": good | {"lock": {"threshold": 1, "parts": [part | {"shares": []}]}},
    }


def _out_of_order() -> dict[str, dict[str, Any]]:
    first = (1, head_of(FIRST))
    forged = signed(_SECOND, STRANGER)
    return {
        "the update before it is missing": case(join([SECOND])),
        "it was applied before": case(join([FIRST]), *first),
        "it was applied before, and another after it": case(join([FIRST]), 2, head_of(SECOND)),
        "it follows another update of the same number": case(join([SECOND]), 1, random("another head")),
        "it follows, with a number that is not higher": case(join([signed(made(1, head_of(FIRST), LESS))]), *first),
        "the second of two is forged": case(join([FIRST, forged])),
        "one that was applied before is forged": case(join([signed(_FIRST, STRANGER), SECOND]), *first),
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
        "it is the update of another vendor": case(join([FIRST]), trust=("hybrid",)),
        "it is signed by a plain key where only hybrid ones count": case(
            join([signed(_FIRST, PLAIN_HALF)]), trust=("hybrid",)
        ),
        "the ML-DSA-65 signature was taken away": case(join([signed(_FIRST, _Halved())]), trust=("hybrid",)),
    }


class _Halved:
    """The hybrid key with its Ed25519 signature alone."""

    public = HYBRIDS[1].public

    def sign(self, message: bytes) -> dict[str, bytes]:
        """One signature of two."""
        return {ED25519_ALGORITHM: HYBRIDS[1].sign(message)[ED25519_ALGORITHM]}
