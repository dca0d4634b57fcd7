"""The settings of `[binding.tpm]`, and those of a device."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

T = TypeVar("T")


class TpmSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The server's; docs/plugins/tpm.md explains each."""

    trust: Path | None = None
    require_ek_certificate: bool = True

    def __post_init__(self) -> None:
        if self.require_ek_certificate and self.trust is None:
            raise ValueError("`trust`, a folder with the certificates of TPM makers, is missing")


class DeviceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the application gives: the way to the TPM, as libtss2 writes it (`tcti`)."""

    tcti: Annotated[str, Meta(min_length=1, max_length=500)] = "device:/dev/tpmrm0"
