"""The settings of `[binding.aws]`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Name = Annotated[str, Meta(min_length=1, max_length=64)]
Account = Annotated[str, Meta(pattern=r"^[0-9]{12}\Z")]


class AwsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which instances are welcome; docs/plugins/aws.md explains each."""

    region: Name | Annotated[tuple[Name, ...], Meta(min_length=1)] | None = None
    accounts: tuple[Account, ...] = ()
    trust: str | None = None

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions that are welcome; empty: all."""
        return (self.region,) if isinstance(self.region, str) else self.region or ()
