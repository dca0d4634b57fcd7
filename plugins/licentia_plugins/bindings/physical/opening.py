"""Opening a record on a machine: with its heaviest features, or else with those whose hints are right."""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterable, Mapping
from itertools import islice

from Crypto.Cipher import AES

from licentia.bindings import SECRET_BYTES, Unsealed
from licentia.crypto import sharing
from licentia.errors import BindingMismatch, DocumentInvalid, FieldProblem
from licentia_plugins.bindings.physical.features import Name
from licentia_plugins.bindings.physical.record import (
    DIGEST_BYTES,
    TAG_BYTES,
    Record,
    Stretched,
    Terms,
    key_and_commitment,
    moved,
)

Shares = dict[int, bytes]


class _Machine:
    """The shares that the features of a machine give, each feature asked when it is first needed."""

    def __init__(self, terms: Terms, digests: Mapping[Name, bytes]) -> None:
        self.terms = terms
        self.shown = [part.name for part in terms.features if part.name in digests]
        self._digests = digests
        self._parts = {part.name: part for part in terms.features}
        self._slow: dict[Name, Stretched] = {}
        self._first: dict[Name, tuple[int, int]] = {}
        at = at_hardware = 0
        for part in terms.features:
            self._first[part.name] = at, at_hardware
            at, at_hardware = at + len(part.shares), at_hardware + len(part.hardware_shares)

    def weigh(self, names: Iterable[Name]) -> tuple[int, int]:
        """The weight of these features, and what of it is hardware."""
        parts = [self._parts[name] for name in names]
        return sum(len(part.shares) for part in parts), sum(len(part.hardware_shares) for part in parts)

    def enough(self, names: Iterable[Name]) -> bool:
        """Whether these features would open, if they are right."""
        weight, hardware = self.weigh(names)
        return weight >= self.terms.threshold and hardware >= self.terms.hardware_threshold

    def heaviest(self) -> list[Name]:
        """The first of the features shown that weigh enough; all of them if they do not."""
        count = next((n for n in range(1, len(self.shown)) if self.enough(self.shown[:n])), len(self.shown))
        return self.shown[:count]

    def right(self) -> list[Name]:
        """The features shown whose hints are right."""
        parts = (self._parts[name] for name in self.shown)
        return [part.name for part in parts if hmac.compare_digest(self._asked(part.name).hint, part.hint)]

    def shared(self, names: Collection[Name]) -> bytes:
        """S, followed by H if there is one, from features that weigh enough; another number if one is wrong."""
        whole: Shares = {}
        hardware: Shares = {}
        for name in names:
            part, (at, at_hardware) = self._parts[name], self._first[name]
            masked = part.shares + part.hardware_shares
            shares = [moved(share, -by) for share, by in zip(masked, self._asked(name).masks(len(masked)), strict=True)]
            whole |= dict(enumerate(shares[: len(part.shares)], at))
            hardware |= dict(enumerate(shares[len(part.shares) :], at_hardware))
        return _combined(whole, self.terms.threshold) + _combined(hardware, self.terms.hardware_threshold)

    def _asked(self, name: Name) -> Stretched:
        if name not in self._slow:
            self._slow[name] = Stretched(self._digests[name], name, self.terms.salt, self.terms.work)
        return self._slow[name]


def unseal(record: Record, digests: Mapping[Name, bytes]) -> Unsealed:
    """The secret, on a machine whose features have these digests.

    The slow hash is computed for as many features as the threshold needs, and for the others if one of
    these is wrong.

    Raises:
        BindingMismatch: too many features are different or missing; each is named.
        DocumentInvalid: enough are right and it does not open, so the record itself was changed.
    """
    machine = _Machine(record.terms, digests)
    heaviest = machine.heaviest()
    if machine.enough(heaviest) and (unsealed := _opened(record, machine.shared(heaviest), digests)):
        return unsealed
    right = machine.right()
    if not machine.enough(right):
        raise _mismatch(machine, right)
    unsealed = _opened(record, machine.shared(right), digests)
    if unsealed is None:
        raise _altered()
    return unsealed


def _opened(record: Record, shared: bytes, digests: Mapping[Name, bytes]) -> Unsealed | None:
    """The secret, if `shared` is right; what has changed is seen from the digests beside it."""
    terms = record.terms
    key, commitment = key_and_commitment(shared, terms)
    if not hmac.compare_digest(commitment, record.commitment):
        return None
    cipher = AES.new(key, AES.MODE_GCM, nonce=record.nonce)
    cipher.update(terms.digest())
    try:
        opened = cipher.decrypt_and_verify(record.sealed[:-TAG_BYTES], record.sealed[-TAG_BYTES:])
    except ValueError:
        raise _altered() from None
    known = (opened[at : at + DIGEST_BYTES] for at in range(SECRET_BYTES, len(opened), DIGEST_BYTES))
    sealed_to = zip(terms.features, known, strict=True)
    changed = tuple(part.name for part, digest in sealed_to if digests.get(part.name) != digest)
    return Unsealed(secret=opened[:SECRET_BYTES], changed=changed, weak=terms.weak)


def _combined(shares: Shares, threshold: int) -> bytes:
    """The number that so many of the shares give; nothing where the threshold is 0."""
    return sharing.combine(dict(islice(shares.items(), threshold))) if threshold else b""


def _mismatch(machine: _Machine, right: Collection[Name]) -> BindingMismatch:
    """What differs, what is missing, and how much of the weight is left."""
    terms = machine.terms
    missing = [part.name for part in terms.features if part.name not in machine.shown]
    different = [name for name in machine.shown if name not in right]
    weight, hardware = machine.weigh(right)
    total, _ = machine.weigh(part.name for part in terms.features)
    detail = "This is not the machine that it was sealed to, or too much of it has changed. "
    detail += f"Different: {', '.join(different)}. " if different else ""
    detail += f"Missing: {', '.join(missing)}. " if missing else ""
    detail += f"Weight {weight} of {total} is left, {terms.threshold} is needed"
    detail += f"; of hardware {hardware}, {terms.hardware_threshold} is needed" if terms.hardware_threshold else ""
    problems = [FieldProblem(f"/features/{name}", "is different") for name in different]
    problems += [FieldProblem(f"/features/{name}", "is missing") for name in missing]
    return BindingMismatch(f"{detail}.", problems=problems)


def _altered() -> DocumentInvalid:
    return DocumentInvalid("The record was altered: enough of the machine is as it was, and it does not open.")
