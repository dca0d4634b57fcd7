"""The settings of both halves: `[binding.physical]` on the server, and what an application gives on a device."""

from __future__ import annotations

from typing import Literal

import msgspec

from licentia_plugins.bindings.physical.tolerance import Tolerance


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`tolerance`: how much may change. `weak`: whether a machine that shows too little may be bound to."""

    tolerance: Tolerance = "medium"
    weak: Literal["allow", "refuse"] = "allow"


class ClientSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`root`: where the machine's own `/sys`, `/proc`, `/etc` and `/run` are, for a service inside a container."""

    root: str = "/"
