"""Evidence: which features a machine shows, each as a keyed hash of its value, never the value.

`{"version": 1, "features": {"mac": "<64 hexadecimal digits>", ...}}`. It carries no nonce: nothing on
the machine could vouch for one, so evidence of this kind is never fresh.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from licentia.errors import BindingEvidenceInvalid
from licentia_plugins.bindings.physical.features import NAMES, Name

Digest = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class _Evidence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: Literal[1]
    features: dict[Name, Digest]


def encode(digests: Mapping[Name, bytes]) -> bytes:
    """The evidence of a machine whose features have these digests."""
    features = {name: digests[name].hex() for name in NAMES if name in digests}
    return msgspec.json.encode(_Evidence(version=1, features=features))


def decode(evidence: bytes) -> dict[Name, bytes]:
    """The digest of each feature, the heaviest first.

    Raises:
        BindingEvidenceInvalid: it is not such evidence.
    """
    try:
        features = msgspec.json.decode(evidence, type=_Evidence).features
    except (ValueError, RecursionError):
        raise BindingEvidenceInvalid("This is not evidence of a physical machine, of version 1.") from None
    return {name: bytes.fromhex(features[name]) for name in NAMES if name in features}
