"""kubernetes: an application is the service account that its pod runs as, by a token that the cluster signs.

For applications in a cluster, where pods, disks and addresses come and go: the cluster projects into the
pod a token made for the license server, which names the namespace, the service account and the pod.
"""

from __future__ import annotations

from typing import ClassVar

from licentia.bindings import Binding, ClientHalf, ServerHalf


class Kubernetes(Binding):
    """Ties to a service account of a cluster, which may run in many pods at once: to no single machine."""

    device_bound: ClassVar[bool] = False

    def server(self) -> ServerHalf:
        """The half that judges tokens with the keys of the clusters it is told of."""
        from licentia_plugins.bindings.kubernetes.server import KubernetesServer

        return KubernetesServer(self.name, self.settings)

    def client(self) -> ClientHalf:
        """The half that reads the token inside a pod."""
        from licentia_plugins.bindings.kubernetes.client import KubernetesClient

        return KubernetesClient(self.name, self.settings)
