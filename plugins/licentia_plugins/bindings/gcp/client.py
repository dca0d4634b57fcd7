"""The client half of `gcp`: asks the metadata server of Compute Engine."""

from __future__ import annotations

import hmac
from typing import Any, ClassVar
from urllib.parse import quote

import msgspec

from licentia.client.instances import InstanceClient, Seen
from licentia_plugins.bindings.gcp.token import NONCE_AUDIENCE, TokenError, read

TOKEN_PATH = "/computeMetadata/v1/instance/service-accounts/default/identity?format=full&audience="  # noqa: S105


class GcpClient(InstanceClient):
    """On a virtual machine of Compute Engine. Its settings are those of `MetadataSettings`."""

    cloud: ClassVar[str] = "gcp"
    where: ClassVar[str] = "Run this on the virtual machine of Compute Engine; it needs a service account, of any kind."

    def _document(self, nonce: str) -> bytes:
        return self._service.ask(TOKEN_PATH + quote(NONCE_AUDIENCE + nonce, safe=""), {"Metadata-Flavor": "Google"})

    def _seen(self, document: bytes, nonce: str, keys: msgspec.Raw) -> Seen:
        """A key of the record has to have signed it; weak if it is signed with a newer one."""
        token = read(document)
        key = msgspec.json.decode(keys, type=dict[str, dict[str, Any]]).get(token.kid)
        if key is not None:
            token.verify(key)
        if not hmac.compare_digest(token.audience.encode(), (NONCE_AUDIENCE + nonce).encode()):
            raise TokenError("it was made for somebody else, or before")
        return Seen(name=token.name, attributes=token.attributes(), weak=key is None)
