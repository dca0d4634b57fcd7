"""none: a container that is bound to nothing. WHOEVER COPIES IT HAS IT.

For trials, which end by themselves, and for trying things out. It proves nothing, and the record holds
the secret in the clear: any program on any machine reads it.
"""

from __future__ import annotations

from typing import ClassVar

from licentia.bindings import Binding, ClientHalf, ServerHalf


class Unbound(Binding):
    """Ties to nothing at all; for licenses that end by themselves."""

    device_bound: ClassVar[bool] = False
    trials_only: ClassVar[bool] = True

    def server(self) -> ServerHalf:
        """The server half; SettingsError if there is any setting."""
        from licentia_plugins.bindings.none.server import UnboundServer

        return UnboundServer(self.name, self.settings)

    def client(self) -> ClientHalf:
        """The client half; SettingsError if there is any setting."""
        from licentia_plugins.bindings.none.client import UnboundClient

        return UnboundClient(self.name, self.settings)
