"""Several bindings at once: which of them a container needs, and the secret that only they open.

A secret is split so that each binding holds as many shares as it has weight, and `threshold` of them
give it (A. Shamir, How to share a secret, 1979). If the threshold is the sum of all weights, every
binding is needed; if it is less, one may fail.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from licentia.bindings import SECRET_BYTES, ClientHalf, ServerHalf
from licentia.crypto import sharing
from licentia.crypto.sealing import seal, unseal
from licentia.errors import BindingMismatch, DocumentInvalid, LicensingError
from licentia.exchange.messages import Lock, Sealed
from licentia.settings import SettingsError

MOST_WEIGHT = 32


class Combination(msgspec.Struct, frozen=True):
    """Bindings with their weights, and how much weight has to open."""

    weights: Mapping[str, int]
    threshold: int

    @classmethod
    def of(cls, setting: Any) -> Combination:
        """From a setting: `"aws"`, `"tpm+physical"` (all of them), or `{tpm = 2, aws = 1, threshold = 2}`.

        Raises:
            SettingsError: it is none of these.
        """
        if isinstance(setting, str):
            names = setting.split("+")
            weights: dict[str, Any] = dict.fromkeys(names, 1)
            threshold: Any = len(weights)
            if not all(names) or len(weights) != len(names):
                raise SettingsError(f"{setting!r} is no combination of bindings, such as 'physical' or 'tpm+physical'")
        elif isinstance(setting, dict):
            weights = {name: weight for name, weight in setting.items() if name != "threshold"}
            threshold = setting.get("threshold", sum(weights.values()) if _whole(weights.values()) else None)
        else:
            raise SettingsError("a combination of bindings is a text or a table")
        if not weights or not _whole([*weights.values(), threshold]):
            raise SettingsError(f"the weights and the threshold of {setting!r} must be whole numbers from 1")
        if not threshold <= sum(weights.values()) <= MOST_WEIGHT:
            raise SettingsError(f"the threshold of {setting!r} cannot be reached, or its weights pass {MOST_WEIGHT}")
        return cls(weights, threshold)

    def __str__(self) -> str:
        names = "+".join(self.weights)
        return names if self.threshold == sum(self.weights.values()) else f"{names} (weight {self.threshold})"

    def is_met_by(self, names: set[str]) -> bool:
        """Whether evidence of these bindings is enough to lock with all of the combination."""
        return names >= set(self.weights)


class Unlocked(msgspec.Struct, frozen=True):
    """What the bindings opened, which features changed (as `binding.feature`), and whether one of them is weak."""

    secret: bytes
    changed: tuple[str, ...]
    weak: bool

    def __repr__(self) -> str:
        return f"Unlocked(changed={self.changed!r}, weak={self.weak!r})"


async def lock(
    combination: Combination, evidence: Mapping[str, bytes], halves: Mapping[str, ServerHalf]
) -> tuple[bytes, Lock]:
    """A new secret of 32 bytes, and what opens it on the machine that the evidence speaks of.

    Raises:
        LicensingError: a binding refuses, in its own words.
    """
    secret = sharing.new_secret()
    shares = sharing.split(secret, combination.threshold, sum(combination.weights.values()))
    parts = []
    index = 0
    for name, weight in combination.weights.items():
        key = secrets.token_bytes(SECRET_BYTES)
        record = await halves[name].seal(evidence[name], key)
        own = tuple(seal(key, _label(name, index + i), shares[index + i]) for i in range(weight))
        parts.append(Sealed(binding=name, record=record, shares=own))
        index += weight
    return secret, Lock(threshold=combination.threshold, parts=tuple(parts))


def unlock(lock: Lock, half: Callable[[str], ClientHalf]) -> Unlocked:
    """The secret, if enough of the bindings open here. `half` gives the client half of a name.

    Raises:
        BindingMismatch: too few do; the detail tells each refusal, and `problems` which features changed.
        LicensingError: the only binding refuses, in its own words.
    """
    shares: dict[int, bytes] = {}
    changed: list[str] = []
    refusals: list[tuple[str, LicensingError]] = []
    weak = False
    index = 0
    for part in lock.parts:
        try:
            opened = half(part.binding).unseal(part.record)
        except LicensingError as refusal:
            refusals.append((part.binding, refusal))
        else:
            for i, share in enumerate(part.shares):
                shares[index + i] = unseal(opened.secret, _label(part.binding, index + i), share)
            changed += [f"{part.binding}.{feature}" for feature in opened.changed]
            weak = weak or opened.weak
        index += len(part.shares)
    if len(shares) >= lock.threshold:
        try:
            secret = sharing.combine(dict(list(shares.items())[: lock.threshold]))
        except ValueError:
            raise DocumentInvalid("The shares of the lock are none.") from None
        return Unlocked(secret, tuple(changed), weak)
    if not refusals:
        raise DocumentInvalid("The lock asks for more than its bindings can give.")
    if len(lock.parts) == 1:
        raise refusals[0][1]
    told = "; ".join(f"{name}: {refusal.detail}" for name, refusal in refusals)
    problems = [problem for _, refusal in refusals for problem in refusal.problems]
    raise BindingMismatch(f"Too few of its bindings open here. {told}", problems=problems)


def _label(name: str, index: int) -> bytes:
    return f"licentia share {index} of {name}".encode()


def _whole(values: Any) -> bool:
    return all(isinstance(value, int) and not isinstance(value, bool) and value >= 1 for value in values)
