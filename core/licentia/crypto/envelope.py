"""Signed documents: DSSE envelopes in exactly one form, so that a changed octet is always seen.

The format is DSSE (https://github.com/secure-systems-lab/dsse, protocol and envelope v1.0.2): the
signature covers the type and the exact octets of the payload. There is one way to write an envelope;
a reader writes what it has understood anew and refuses whatever differs. docs/formats.md tells the
format, octet by octet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

from licentia.crypto.signing import Signer, VerifyKey
from licentia.errors import DocumentInvalid

DEFAULT_LIMIT = 1024 * 1024
"""The longest envelope that is read, in bytes, unless the caller knows better."""

MAX_SIGNATURES = 32


class Verified(msgspec.Struct, frozen=True):
    """A document whose signatures hold.

    Attributes:
        payload: the exact octets that were signed.
        kids: the keys that count and have signed, in the order of their names.
    """

    payload: bytes
    kids: tuple[str, ...]


class _Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keyid: str
    sig: bytes
    alg: str


class _Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    payload_type: str = msgspec.field(name="payloadType")
    payload: bytes
    signatures: Annotated[tuple[_Signature, ...], Meta(max_length=MAX_SIGNATURES)]


def sign(payload_type: str, payload: bytes, *signers: Signer) -> bytes:
    """The envelope of a payload, signed by each of these keys; without any it is a draft that nobody accepts."""
    message = pre_authentication(payload_type, payload)
    return _written(payload_type, payload, [each for signer in signers for each in _signed(message, signer)])


def cosign(data: bytes, payload_type: str, signer: Signer, *, limit: int = DEFAULT_LIMIT) -> bytes:
    """The same envelope with the signature of one more key; the others' are kept as they are, unverified.

    Raises:
        DocumentInvalid: it is no envelope of this type.
    """
    read = _read(data, payload_type, limit)
    message = pre_authentication(payload_type, read.payload)
    return _written(payload_type, read.payload, [*read.signatures, *_signed(message, signer)])


def unverified_payload(data: bytes, payload_type: str, *, limit: int = DEFAULT_LIMIT) -> bytes:
    """The payload of an envelope whose signatures nobody has looked at: to learn which key is needed, no more.

    Raises:
        DocumentInvalid: it is no envelope of this type, or longer than the limit.
    """
    return _read(data, payload_type, limit).payload


def verify(
    data: bytes,
    payload_type: str,
    keys: Iterable[VerifyKey],
    *,
    suites: Collection[str],
    threshold: int = 1,
    limit: int = DEFAULT_LIMIT,
) -> Verified:
    """The payload of an envelope that enough of these keys have signed.

    Every signature in it must be of one of the keys, and hold. The file says what it was signed with;
    which suites count is said here.

    Args:
        keys: the keys that are trusted for this type of document, and no others.
        suites: the suites that count.
        threshold: how many keys must have signed; a key counts once.
        limit: the longest file, in bytes.

    Raises:
        DocumentInvalid: it is damaged, of another type, too long, or not signed as it must be.
    """
    if threshold < 1:
        raise ValueError("A document that nobody needs to sign is not verified.")
    read = _read(data, payload_type, limit)
    trusted = {key.kid: key for key in keys}
    given: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
    for each in read.signatures:
        given[each.keyid][each.alg] = each.sig
    message = pre_authentication(payload_type, read.payload)
    for kid, signatures in given.items():
        if kid not in trusted:
            raise DocumentInvalid(f"The file is signed by a key that is not trusted for it: {kid[:64]!r}.")
        if not trusted[kid].check(message, signatures):
            raise DocumentInvalid(f"The signature of the key {kid!r} is wrong, or part of it is missing.")
    kids = tuple(kid for kid in given if trusted[kid].suite in suites)
    if len(kids) < threshold:
        raise DocumentInvalid(
            f"Signatures of {threshold} trusted keys are needed, of a suite that counts here"
            f" ({', '.join(sorted(suites)) or 'none does'}); the file has {len(kids)}."
        )
    return Verified(read.payload, kids)


def pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """The octets that are signed: PAE of DSSE v1."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _signed(message: bytes, signer: Signer) -> list[_Signature]:
    kid = signer.public.kid
    return [_Signature(kid, signature, name) for name, signature in signer.sign(message).items()]


def _written(payload_type: str, payload: bytes, signatures: Iterable[_Signature]) -> bytes:
    by_key = {(each.keyid, each.alg): each for each in signatures}
    return msgspec.json.encode(_Envelope(payload_type, payload, tuple(by_key[name] for name in sorted(by_key))))


def _read(data: bytes, payload_type: str, limit: int) -> _Envelope:
    if len(data) > limit:
        raise DocumentInvalid(f"The file is longer than {limit} bytes.")
    try:
        read = msgspec.json.decode(data, type=_Envelope)
    except (ValueError, RecursionError):  # MsgspecError and UnicodeDecodeError are ValueErrors
        raise DocumentInvalid("The file is no signed document.") from None
    if read.payload_type != payload_type:
        raise DocumentInvalid(f"The file is of the type {read.payload_type[:100]!r}; {payload_type!r} is expected.")
    if _written(read.payload_type, read.payload, read.signatures) != data:
        raise DocumentInvalid("The file is not in the one form that it is written in: it was changed on the way.")
    return read
