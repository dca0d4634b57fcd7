"""aws: a container is tied to an instance of Amazon EC2, by the identity document that AWS signs for it.

The document has no nonce and never changes while the instance runs: whoever has copied it once can
show it for ever. So it names a machine and proves no freshness; docs/plugins/aws.md says what follows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from licentia.bindings import Binding

if TYPE_CHECKING:
    from licentia_plugins.bindings.aws.client import AwsClient
    from licentia_plugins.bindings.aws.server import AwsServer


class Aws(Binding):
    """The binding `aws`."""

    def server(self) -> AwsServer:
        """Judges instance identity documents."""
        from licentia_plugins.bindings.aws.server import AwsServer

        return AwsServer(self.name, self.settings)

    def client(self) -> AwsClient:
        """Asks the instance metadata service."""
        from licentia_plugins.bindings.aws.client import AwsClient

        return AwsClient(self.name, self.settings)
