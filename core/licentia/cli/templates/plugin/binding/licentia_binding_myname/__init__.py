"""myname: a machine is known by its machine-id, which systemd gave it at its installation.

https://www.freedesktop.org/software/systemd/man/machine-id.html
"""

from __future__ import annotations

from licentia.bindings import Binding, ClientHalf, ServerHalf


class MyNamePlugin(Binding):
    """Each half is imported where it is made, so that a device loads nothing of the server."""

    def server(self) -> ServerHalf:
        """The server half; it has no settings."""
        from licentia_binding_myname.server import Server

        return Server(self.name, self.settings)

    def client(self) -> ClientHalf:
        """The client half; its setting `file` names another file than /etc/machine-id."""
        from licentia_binding_myname.client import Client

        return Client(self.name, self.settings)
