"""The signature suites: fixed, named, and each a whole. There is nothing to negotiate.

A key belongs to one suite for life. A signature of a suite is one signature for each of its
algorithms, and all of them must hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

ED25519 = "licentia-1-ed25519"
"""Ed25519 (RFC 8032) alone: for what lives days."""

HYBRID = "licentia-1-ed25519-mldsa65"
"""Ed25519 and ML-DSA-65 (FIPS 204): for what lives years. It falls only when both algorithms do."""

ED25519_ALGORITHM = "Ed25519"
MLDSA65_ALGORITHM = "ML-DSA-65"


class Suite(NamedTuple):
    """What a suite needs: for each algorithm the length of a public key and of a signature, in bytes."""

    public_bytes: Mapping[str, int]
    signature_bytes: Mapping[str, int]

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The algorithms that must all have signed, in the order of their names."""
        return tuple(self.signature_bytes)


SUITES: Mapping[str, Suite] = {
    ED25519: Suite({ED25519_ALGORITHM: 32}, {ED25519_ALGORITHM: 64}),
    HYBRID: Suite(
        {ED25519_ALGORITHM: 32, MLDSA65_ALGORITHM: 1952},
        {ED25519_ALGORITHM: 64, MLDSA65_ALGORITHM: 3309},
    ),
}
