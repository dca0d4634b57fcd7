"""Updates as a server makes them: what the test vectors of updates and of act-files are made from."""

from __future__ import annotations

from typing import Any

import msgspec

from licentia.crypto import envelope, sealing
from licentia.crypto.signing import Signer
from licentia.crypto.vectors_documents import HYBRIDS
from licentia.crypto.vectors_manifest import ISSUED, YEAR
from licentia.exchange.messages import (
    START,
    UPDATE,
    Contents,
    Held,
    Lock,
    Update,
    head_of,
    header,
)
from licentia.exchange.vectors import (
    BEFORE,
    BOX,
    FIRST_REQUEST,
    ID,
    MANIFESTS,
    NEXT,
    NOW,
    SECOND_REQUEST,
    SECOND_SECRET,
    SECRET,
    locked,
    random,
    sealed_to_with,
)

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


FIRST_UPDATE = made(1, START, FULL, request_id=FIRST_REQUEST)
FIRST = signed(FIRST_UPDATE)
"""The answer to the first request."""
SECOND_UPDATE = made(2, head_of(FIRST), LESS, EITHER, SECOND_SECRET)
SECOND = signed(SECOND_UPDATE)
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
