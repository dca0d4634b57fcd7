"""The server half: seals to the features of the evidence."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any

import msgspec
from Crypto.Cipher import AES

from licentia.bindings import Challenge, Identity, ServerHalf
from licentia.crypto import sharing
from licentia.errors import BindingEvidenceInvalid, FieldProblem
from licentia.settings import table
from licentia_plugins.bindings.physical import evidence as evidences
from licentia_plugins.bindings.physical.features import HARDWARE, WEIGHTS, Name
from licentia_plugins.bindings.physical.record import (
    WORK,
    Part,
    Record,
    Stretched,
    Terms,
    key_and_commitment,
    moved,
)
from licentia_plugins.bindings.physical.settings import ServerSettings
from licentia_plugins.bindings.physical.tolerance import (
    ENOUGH,
    HARDWARE_THRESHOLD,
    WHOLE,
    Plan,
    Tolerance,
    plan,
    weight,
)


class PhysicalServer(ServerHalf):
    """Judges whether evidence says enough, and seals. It keeps nothing."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self._settings = table(settings, ServerSettings, f"binding.{name}")

    async def _verify(self, evidence: bytes, challenge: Challenge) -> Identity:
        digests = evidences.decode(evidence)
        judged = self._judged(digests)
        shown = f"{weight(digests)} of {WHOLE}"
        return Identity(attributes={"features": ", ".join(digests), "weight": shown}, weak=judged.weak)

    async def _seal(self, evidence: bytes, secret: bytes) -> bytes:
        digests = evidences.decode(evidence)
        judged = self._judged(digests)
        return await asyncio.to_thread(seal, digests, secret, self._settings.tolerance, judged)

    def _judged(self, digests: Mapping[Name, bytes]) -> Plan:
        """The plan for these features; BindingEvidenceInvalid if they are too few for the settings or for anything."""
        judged = plan(digests, self._settings.tolerance)
        if not judged.identity:
            shown = " and ".join(digests) or "nothing"
            raise _too_little(f"It shows {shown}, which any machine of its model may show", judged)
        if judged.weak and self._settings.weak == "refuse":
            raise _too_little(
                f"It shows weight {weight(digests)} of {WHOLE}, of hardware {weight(HARDWARE & digests.keys())}; "
                f"this server wants {ENOUGH}, of hardware {HARDWARE_THRESHOLD}",
                judged,
            )
        return judged


def seal(digests: Mapping[Name, bytes], secret: bytes, tolerance: Tolerance, judged: Plan, work: int = WORK) -> bytes:
    """The record from which a machine with enough of these features gets the 32 bytes of `secret`.

    The slow hash is computed for each feature, which takes some 30 ms.
    """
    salt = secrets.token_bytes(16)
    in_hardware = HARDWARE if judged.hardware_threshold else frozenset()
    whole, whole_shares = _shared(judged.threshold, weight(digests))
    hardware, hardware_shares = _shared(judged.hardware_threshold, weight(in_hardware & digests.keys()))
    parts = []
    for name, digest in digests.items():
        own = [whole_shares.pop(0) for _ in range(WEIGHTS[name])]
        own_hardware = [hardware_shares.pop(0) for _ in range(WEIGHTS[name]) if name in in_hardware]
        slow = Stretched(digest, name, salt, work)
        masks = slow.masks(len(own) + len(own_hardware))
        masked = tuple(moved(share, by) for share, by in zip(own + own_hardware, masks, strict=True))
        parts.append(Part(name=name, shares=masked[: len(own)], hardware_shares=masked[len(own) :], hint=slow.hint))
    terms = Terms(
        version=1,
        tolerance=tolerance,
        threshold=judged.threshold,
        hardware_threshold=judged.hardware_threshold,
        weak=judged.weak,
        work=work,
        salt=salt,
        features=tuple(parts),
    )
    key, commitment = key_and_commitment(whole + hardware, terms)
    cipher = AES.new(key, AES.MODE_GCM, nonce=secrets.token_bytes(12))
    cipher.update(terms.digest())
    sealed, tag = cipher.encrypt_and_digest(secret + b"".join(digests.values()))
    record = Record(terms=terms, nonce=cipher.nonce, sealed=sealed + tag, commitment=commitment)
    return msgspec.json.encode(record.checked())


def _shared(threshold: int, total: int) -> tuple[bytes, list[bytes]]:
    """A new number and its shares; nothing where the threshold is 0."""
    if not threshold:
        return b"", []
    number = sharing.new_secret()
    return number, sharing.split(number, threshold, total)


def _too_little(detail: str, judged: Plan) -> BindingEvidenceInvalid:
    return BindingEvidenceInvalid(
        f"The machine shows too little of itself. {detail}. Missing: {', '.join(judged.missing)}.",
        problems=[FieldProblem(f"/features/{name}", "is missing") for name in judged.missing],
        help="Let a service with the rights to read the hardware's serials collect, or use another binding.",
    )
