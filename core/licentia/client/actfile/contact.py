"""How a container speaks with its server over the network."""

from __future__ import annotations

import base64
from collections.abc import Callable

from licentia.client.remote import RemoteLicentia
from licentia.contract import BY_NAME
from licentia.contract.containers import ContactContainer, Contacted
from licentia.contract.keys import GetKeyManifest, KeyManifest

KIND = "act-file"


def by_http(server: RemoteLicentia, kind: str = KIND) -> Callable[[bytes], bytes | None]:
    """What `ActFile.contact` sends with: a message goes to the server by REST, and its answer comes back.

    No key is needed, as the container signs what it says.
    """

    def send(message: bytes) -> bytes | None:
        request = ContactContainer(kind=kind, message=base64.b64encode(message).decode())
        reply = server.call(BY_NAME["ContactContainer"], request)
        assert isinstance(reply, Contacted)
        return base64.b64decode(reply.delivery.content) if reply.delivery is not None else None

    return send


def manifest(server: RemoteLicentia) -> bytes:
    """The key manifest that a server hands out. Trust it only if the address is trusted (TLS)."""
    reply = server.call(BY_NAME["GetKeyManifest"], GetKeyManifest())
    assert isinstance(reply, KeyManifest)
    return base64.b64decode(reply.content)
