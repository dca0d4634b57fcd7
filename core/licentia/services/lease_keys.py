"""The lease key changes hands: on the server's own machine, and in the audit trail."""

from __future__ import annotations

from datetime import timedelta

from licentia.contract.keys import PublicKey
from licentia.crypto.keyfolder import KeyFolder
from licentia.crypto.leasekey import LeaseKey, Rotation
from licentia.domain.seats import Happened
from licentia.services.application import Application
from licentia.storage import eventlog


async def prepare(application: Application) -> PublicKey:
    """Publish the next lease key without signing with it; one that is prepared already stays."""
    async with application.database.write() as tx:
        key = _lease_key(application)
        known = key.published()
        prepared = key.prepare()
        if prepared not in known:
            await eventlog.append(tx, [_recorded("lease_key.prepared", kid=prepared.kid)])
    return prepared


async def rotate(application: Application, kid: str | None = None) -> Rotation:
    """Sign with the prepared lease key from now on, or with a new one if none is prepared.

    Raises:
        NotFound: `kid` is not prepared here.
    """
    async with application.database.write() as tx:
        rotation = _lease_key(application).rotate(kid)
        if rotation.previous is not None:
            rotated = _recorded("lease_key.rotated", kid=rotation.current.kid, previous=rotation.previous.kid)
            await eventlog.append(tx, [rotated])
    return rotation


async def retire(application: Application, kid: str | None, age: timedelta | None) -> list[str]:
    """Publish a lease key no longer, or all that were replaced so long ago; the ids of those retired.

    Raises:
        Conflict: the key is the current one.
        NotFound: there is no such key.
    """
    async with application.database.write() as tx:
        key = _lease_key(application)
        kids = [kid] if kid is not None else []
        kids += key.replaced_before(age) if age is not None else []
        for each in kids:
            key.retire(each)
        await eventlog.append(tx, [_recorded("lease_key.retired", kid=each) for each in kids])
    return kids


def _lease_key(application: Application) -> LeaseKey:
    return KeyFolder(application.settings.data / "keys").lease_key()


def _recorded(kind: str, **data: str) -> Happened:
    return Happened(kind=kind, actor="operator", data=data)
