"""Checks a chain of certificates up to pinned keys (RFC 5280, section 6), as of a given time.

An anchor is a name with a key and the time in which it counts, not a certificate: what is pinned is a
fact that can stand in a table. Signatures are RSA with SHA-2. Revocation is not asked for: the
documents judged here are made by a service of the cloud, whose certificates live for a year.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from licentia.crypto import rsa
from licentia.crypto.certificates import Certificate

MAX_LINKS = 4
"""Certificates between the signer and an anchor, the signer's own among them."""

MAX_SIGNATURES = 32
"""How many signatures are tried: a sender could else make a maze of certificates of equal names."""


Moment = Annotated[datetime, Meta(tz=True)]


class ChainError(ValueError):
    """The certificate does not lead to an anchor; the message is a clause that says why."""


class IssuerUnknown(ChainError):
    """Nobody at hand has issued one of the certificates: `urls` say where its issuer's may be."""

    def __init__(self, message: str, urls: tuple[str, ...]) -> None:
        super().__init__(message)
        self.urls = urls


class Anchor(msgspec.Struct, frozen=True, kw_only=True):
    """A key that is trusted to certify others under its name (RFC 5280, section 6.1.1 d).

    `subject` is the name and `key` the SubjectPublicKeyInfo, both in DER.
    """

    title: str
    subject: bytes
    key: bytes
    not_before: Moment
    not_after: Moment


def anchor(certificate: Certificate) -> Anchor:
    """What to pin of a certificate that is trusted."""
    return Anchor(
        title=certificate.title,
        subject=certificate.subject,
        key=certificate.key,
        not_before=certificate.not_before,
        not_after=certificate.not_after,
    )


def check(
    leaf: Certificate, candidates: Iterable[Certificate], anchors: Sequence[Anchor], at: datetime
) -> tuple[Anchor, tuple[Certificate, ...]]:
    """The anchor that this certificate leads to at this time, and the certificates in between.

    Raises:
        IssuerUnknown: the chain ends at a certificate whose issuer is not at hand.
        ChainError: it leads to no anchor; the reason is that of the longest way tried.
    """
    _valid(leaf, at)
    search = _Search(candidates, anchors, at)
    found = search.above(leaf, ())
    if found is None:
        raise search.failure
    return found


class _Search:
    def __init__(self, candidates: Iterable[Certificate], anchors: Sequence[Anchor], at: datetime) -> None:
        self._candidates = [each for each in candidates if each.ca and each.may_certify]
        self._anchors = anchors
        self._at = at
        self._depth = -1
        self._left = MAX_SIGNATURES
        self.failure: ChainError = ChainError("it leads to no trusted key")

    def above(
        self, certificate: Certificate, path: tuple[Certificate, ...]
    ) -> tuple[Anchor, tuple[Certificate, ...]] | None:
        known = False
        for each in self._anchors:
            if each.subject == certificate.issuer:
                known = True
                try:
                    self._issued(each, certificate)
                except ChainError as error:
                    self._failed(error, len(path))
                else:
                    return each, path
        for parent in self._candidates if len(path) + 1 < MAX_LINKS else ():
            if parent.subject == certificate.issuer and parent not in (certificate, *path):
                known = True
                try:
                    self._issued(parent, certificate)
                    if parent.path_length is not None and parent.path_length < len(path):
                        raise ChainError(f"{parent.title} may not have so many certificates below it")
                except ChainError as error:
                    self._failed(error, len(path))
                else:
                    if found := self.above(parent, (*path, parent)):
                        return found
        if not known:
            unknown = IssuerUnknown(f"nobody known here has issued {certificate.title!r}", certificate.issuer_urls)
            self._failed(unknown, len(path))
        return None

    def _issued(self, issuer: Anchor | Certificate, certificate: Certificate) -> None:
        _valid(issuer, self._at)
        self._left -= 1
        if self._left < 0:
            raise ChainError("it has too many certificates of equal names")
        _signed(certificate, issuer.key)

    def _failed(self, error: ChainError, depth: int) -> None:
        if depth > self._depth:
            self.failure, self._depth = error, depth


def _valid(one: Certificate | Anchor, at: datetime) -> None:
    if not one.not_before <= at <= one.not_after:
        span = f"{one.not_before:%Y-%m-%d} to {one.not_after:%Y-%m-%d}"
        raise ChainError(f"the certificate {one.title!r} is valid from {span}, not on {at:%Y-%m-%d}")


def _signed(certificate: Certificate, key: bytes) -> None:
    if not certificate.hash_name:
        raise ChainError(f"the certificate {certificate.title!r} is not signed by RSA with SHA-2")
    try:
        issuer = rsa.public_key(key)
    except rsa.WeakKey as error:
        raise ChainError(f"its issuer does not count: {error}") from None
    if not rsa.holds(issuer, certificate.hash_name, certificate.signed, certificate.signature):
        raise ChainError(f"the certificate {certificate.title!r} is not signed by its issuer")
