"""azure: a container is tied to a virtual machine of Microsoft Azure, by attested data of its metadata service.

The document carries our nonce, so it proves that the machine answers now; docs/plugins/azure.md says
what that is worth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from licentia.bindings import Binding

if TYPE_CHECKING:
    from licentia_plugins.bindings.azure.client import AzureClient
    from licentia_plugins.bindings.azure.server import AzureServer


class Azure(Binding):
    """The binding `azure`."""

    def server(self) -> AzureServer:
        """Judges attested documents."""
        from licentia_plugins.bindings.azure.server import AzureServer

        return AzureServer(self.name, self.settings)

    def client(self) -> AzureClient:
        """Asks the instance metadata service."""
        from licentia_plugins.bindings.azure.client import AzureClient

        return AzureClient(self.name, self.settings)
