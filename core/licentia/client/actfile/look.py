"""Looking at the files of the exchange without being the machine that they are for."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import msgspec

from licentia.client.actfile.file import FORMAT, decode
from licentia.client.actfile.trust import follow, verify_update
from licentia.contract.keys import PublicKeys
from licentia.crypto import envelope
from licentia.crypto.manifest import TYPE as MANIFEST
from licentia.crypto.manifest import read_pinned
from licentia.crypto.signing import VerifyKey
from licentia.errors import DocumentInvalid
from licentia.exchange.messages import (
    RECEIPT,
    REQUEST,
    UPDATE,
    UPDATE_LIMIT,
    Statement,
    Update,
    head_of,
    read_statement,
    split,
    unverified_update,
)


def inspect(data: bytes) -> dict[str, Any]:
    """What can be read of a file without a key: an act-file, updates, a request or a receipt. Nothing is verified.

    Raises:
        DocumentInvalid: it is none of these.
    """
    kind = kind_of(data)
    if kind == "act-file":
        file = decode(data)
        manifests = [read_pinned(each) for each in file.trust]
        told: dict[str, Any] = {
            "kind": kind,
            "format": file.format,
            "vendor": manifests[0].vendor,
            "manifest_version": manifests[-1].version,
            "updates": [] if file.update is None else [_update(file.update)],
        }
        return told
    if kind == "updates":
        return {"kind": kind, "updates": [_update(document) for document in split(data)]}
    if kind == "manifest":
        manifest = read_pinned(data)
        return {"kind": kind, "vendor": manifest.vendor, "manifest_version": manifest.version}
    payload = REQUEST if kind == "request" else RECEIPT
    return {"kind": kind, **_statement(read_statement(data, payload))}


def verify(data: bytes, keys: bytes) -> dict[str, Any]:
    """The same, after every signature was verified with the vendor's keys.

    Args:
        keys: the vendor's key manifest, or the key set that `/v1/keys` answers.

    Raises:
        DocumentInvalid: a signature is wrong, or of a key that is not among them.
    """
    kind = kind_of(data)
    if kind in ("request", "receipt"):
        return {**inspect(data), "verified": True, "signed_by": "the container itself"}
    if kind == "manifest":
        follow(keys, [data])
        return {**inspect(data), "verified": True}
    documents = split(data) if kind == "updates" else [each for each in [decode(data).update] if each is not None]
    if not documents:
        raise DocumentInvalid("This act-file has taken no update yet: there is nothing to verify.")
    if _is_manifest(keys):
        for document in documents:
            verify_update(document, follow(keys, ()))
    else:
        known = _key_set(keys)
        for document in documents:
            envelope.verify(document, UPDATE, known, suites={key.suite for key in known}, limit=UPDATE_LIMIT)
    previous = None
    for document in documents:
        update = unverified_update(document)
        if previous is not None and update.previous != previous:
            raise DocumentInvalid("The updates of the file do not follow one another.")
        previous = head_of(document)
    return {**inspect(data), "verified": True}


def kind_of(data: bytes) -> str:
    """Which kind of file this is.

    Raises:
        DocumentInvalid: none that is known here.
    """
    start = data[:300]
    marks = {
        f'"format":"{FORMAT}"': "act-file",
        UPDATE: "updates",
        REQUEST: "request",
        RECEIPT: "receipt",
        MANIFEST: "manifest",
    }
    for mark, kind in marks.items():
        if mark.encode() in start:
            return kind
    raise DocumentInvalid("This is no act-file, update, request or receipt.")


def _is_manifest(keys: bytes) -> bool:
    return MANIFEST.encode() in keys[:300]


def _key_set(keys: bytes) -> list[VerifyKey]:
    """The keys of a published key set that count."""
    try:
        published = msgspec.json.decode(keys, type=PublicKeys).container_keys
        return [
            VerifyKey(each.suite, _bytes(each.ed25519), _bytes(each.mldsa65 or ""))
            for each in published
            if each.state != "revoked"
        ]
    except (ValueError, msgspec.MsgspecError):
        raise DocumentInvalid("The keys are neither a key manifest nor a key set such as /v1/keys answers.") from None


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _update(document: bytes) -> dict[str, Any]:
    update: Update = unverified_update(document)
    signatures = msgspec.json.decode(document)["signatures"]
    return {
        "container": update.container,
        "sequence": update.sequence,
        "previous": update.previous.hex(),
        "head": head_of(document).hex(),
        "issued_at": _time(update.issued_at),
        "answers_request": None if update.request_id is None else update.request_id.hex(),
        "brings_manifests": [read_pinned(each).version for each in update.manifests],
        "bound_by": [part.binding for part in update.lock.parts],
        "signed_by": sorted({each["keyid"] for each in signatures}),
        "algorithms": sorted({each["alg"] for each in signatures}),
    }


def _statement(said: Statement) -> dict[str, Any]:
    return {
        "container": said.container,
        "name": said.name,
        "sequence": said.sequence,
        "head": said.head.hex(),
        "request_id": said.request_id.hex(),
        "at": _time(said.at),
        "evidence": [each.binding for each in said.evidence],
        "returned": list(said.returned),
    }


def _time(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
