"""gcp: a container is tied to a virtual machine of Google Compute Engine, by the identity token that Google signs.

The token is made for an audience, in which we put our nonce, so it proves that the machine answers
now; docs/plugins/gcp.md says what that is worth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from licentia.bindings import Binding

if TYPE_CHECKING:
    from licentia_plugins.bindings.gcp.client import GcpClient
    from licentia_plugins.bindings.gcp.server import GcpServer


class Gcp(Binding):
    """The binding `gcp`."""

    def server(self) -> GcpServer:
        """Judges identity tokens."""
        from licentia_plugins.bindings.gcp.server import GcpServer

        return GcpServer(self.name, self.settings)

    def client(self) -> GcpClient:
        """Asks the metadata server."""
        from licentia_plugins.bindings.gcp.client import GcpClient

        return GcpClient(self.name, self.settings)
