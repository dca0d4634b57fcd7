"""physical: a container is bound to a machine by the serials and ids of its hardware and its disk.

For computers without a cloud, a TPM or a token. A secret is sealed to weighted features of the machine,
so that some of them may change; which, is docs/plugins/physical.md. There is no list of features to
compare and so no comparison to remove: without enough of the features there is no key.
"""

from __future__ import annotations

from licentia.bindings import Binding, ClientHalf, ServerHalf


class Physical(Binding):
    """Ties to one computer, with tolerance."""

    def server(self) -> ServerHalf:
        """The server half; SettingsError if `tolerance` or `weak` is wrong."""
        from licentia_plugins.bindings.physical.server import PhysicalServer

        return PhysicalServer(self.name, self.settings)

    def client(self) -> ClientHalf:
        """The client half; SettingsError if `root` is wrong."""
        from licentia_plugins.bindings.physical.client import PhysicalClient

        return PhysicalClient(self.name, self.settings)
