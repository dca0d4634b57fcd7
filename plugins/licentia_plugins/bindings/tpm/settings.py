"""The settings of `[binding.tpm]`, and those of a device."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from licentia.settings import SettingsError

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


def read(name: str, values: Mapping[str, Any], wanted: type[T]) -> T:
    """The settings of one side.

    Raises:
        SettingsError: one is missing, unknown or wrong; the message names it.
    """
    try:
        return msgspec.convert(values, wanted, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise SettingsError(f"binding.{name}: {error}") from None


def _path(wanted: type, value: Any) -> Any:
    if wanted is Path and isinstance(value, str | Path) and value:
        return Path(value)
    raise ValueError("expected a path")
