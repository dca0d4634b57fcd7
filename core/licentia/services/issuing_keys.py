"""The keys that sign for containers, and their roots, change hands: on the server's own machine, and in the trail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from licentia.crypto import manifest
from licentia.crypto.issuingkey import IssuingKey, signing
from licentia.crypto.keystores.files import FileStore
from licentia.crypto.manifest import Body, Manifest
from licentia.domain.seats import Happened
from licentia.services.application import Application
from licentia.storage import eventlog

Plan = Callable[[IssuingKey], Body]
"""What the next version of the key manifest shall say: `IssuingKey.rotation`, `revocation` or `succession`."""


async def publish(application: Application, plan: Plan) -> Manifest:
    """Sign the next version with the root keys of this machine, and go over to it.

    Raises:
        Conflict: they are not enough, or another process made this version first.
        NotFound: the plan names a key that is not there.
    """
    async with application.database.write() as tx:
        before = application.issuing.manifest().body
        after = application.issuing.publish(plan(application.issuing))
        await eventlog.append(tx, list(_changes(before, after.body)))
    return after


async def draft(application: Application, plan: Plan) -> bytes:
    """The next version without a signature, for root keys that are elsewhere. Nothing changes before `install`.

    Raises:
        NotFound: the plan names a key that is not there.
    """
    async with application.database.write() as tx:
        body = plan(application.issuing)
        await eventlog.append(tx, [_recorded("manifest.drafted", body)])
    return manifest.draft(body)


async def install(application: Application, data: bytes) -> Manifest:
    """Go over to a version that was signed elsewhere; one that counts already changes nothing.

    Raises:
        DocumentInvalid: it is not signed as it must be, or not newer.
        NotFound: the private key that shall sign is not here.
        Conflict: another process made this version first.
    """
    async with application.database.write() as tx:
        before = application.issuing.manifest().body
        after = application.issuing.install(data)
        await eventlog.append(tx, list(_changes(before, after.body)))
    return after


async def export_roots(application: Application, target: FileStore) -> list[str]:
    """Move the root keys that this server has into another folder; their ids.

    Raises:
        KeyFolderError: a key cannot be opened, or the folder cannot be written to.
    """
    roots = application.issuing.roots()
    kids = [each.public.kid for each in roots.stored()]
    async with application.database.write() as tx:
        body = application.issuing.manifest().body
        for kid in kids:
            roots.move(kid, target)
        await eventlog.append(tx, [_recorded("root_key.exported", body, kid=kid) for kid in kids])
    return kids


def _changes(before: Body, after: Body) -> Iterator[Happened]:
    if after.version == before.version:
        return
    yield _recorded("manifest.installed", after)
    old, new = signing(before).key.kid, signing(after).key.kid
    if new != old:
        yield _recorded("issuing_key.rotated", after, kid=new, previous=old)
    known = {each.key.kid for each in before.issuing if each.state == "revoked"}
    for each in after.issuing:
        if each.state == "revoked" and each.key.kid not in known:
            yield _recorded("issuing_key.revoked", after, kid=each.key.kid)
    if after.roots != before.roots:
        kids = [key.kid for key in after.roots.keys]
        yield _recorded("root_key.changed", after, kids=kids, threshold=after.roots.threshold)


def _recorded(kind: str, body: Body, **data: Any) -> Happened:
    return Happened(kind=kind, actor="operator", data={"version": body.version} | data)
