"""Whom a container believes: the vendor's key manifests, followed from the one that the application brings."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from licentia.crypto import envelope
from licentia.crypto.manifest import Manifest, read_pinned, verify_next
from licentia.errors import DocumentInvalid
from licentia.exchange.messages import UPDATE, UPDATE_LIMIT, Update, unverified_update


def follow(pinned: bytes, manifests: Iterable[bytes]) -> tuple[bytes, ...]:
    """The manifests from the pinned one to the newest, each vouched for by the one before.

    One that is older than what is known counts for nothing and is left out, and so is one that is not
    needed to follow to the newest: only changes of the roots are. The newest of `manifests` may be the
    pinned one itself.

    Raises:
        DocumentInvalid: one is forged, or there are two of one version.
    """
    chain = [pinned]
    current = read_pinned(pinned)
    for data in manifests:
        if data == chain[-1] or read_pinned(data).version < current.version:
            continue
        current = verify_next(current, data)
        if len(chain) > 1 and _follows(chain[-2], data):
            chain.pop()
        chain.append(data)
    return tuple(chain)


def newest_of(trust: tuple[bytes, ...]) -> Manifest:
    """The manifest that counts now."""
    return read_pinned(trust[-1])


def verify_update(document: bytes, trust: tuple[bytes, ...]) -> tuple[Update, tuple[bytes, ...]]:
    """An update whose signature holds, and the manifests with those that it brought.

    Raises:
        DocumentInvalid: it was not signed by a key that the vendor's manifest vouches for at its time.
    """
    claimed = unverified_update(document)
    trust = follow(trust[0], (*trust[1:], *claimed.manifests))
    manifest = newest_of(trust)
    keys = manifest.issuing_keys(datetime.fromtimestamp(claimed.issued_at, UTC))
    if not keys:
        raise DocumentInvalid("The vendor's manifest has no key that could have signed this update.")
    envelope.verify(document, UPDATE, keys, suites=manifest.suites, limit=UPDATE_LIMIT)
    return claimed, trust


def _follows(known: bytes, data: bytes) -> bool:
    try:
        verify_next(read_pinned(known), data)
    except DocumentInvalid:
        return False
    return True
