"""The client half of `azure`: asks the instance metadata service."""

from __future__ import annotations

import hmac
from typing import ClassVar
from urllib.parse import quote

import msgspec

from licentia.client.instances import InstanceClient, Seen
from licentia.crypto import chains
from licentia.crypto.chains import Anchor, IssuerUnknown
from licentia.crypto.cms import CmsError
from licentia_plugins.bindings.azure.document import read

DOCUMENT_PATH = "/metadata/attested/document?api-version=2020-09-01&nonce="


class AzureClient(InstanceClient):
    """On a virtual machine of Azure. Its settings are those of `MetadataSettings`."""

    cloud: ClassVar[str] = "azure"
    where: ClassVar[str] = "Run this on the virtual machine of Azure."

    def _document(self, nonce: str) -> bytes:
        return self._service.ask(DOCUMENT_PATH + quote(nonce, safe=""), {"Metadata": "true"})

    def _seen(self, document: bytes, nonce: str, keys: msgspec.Raw) -> Seen:
        """An authority of the record has to vouch for its signer; weak if it is a newer one.

        The time is the document's own: that it is of now, its nonce says.
        """
        found = read(document)
        found.verify()
        if not hmac.compare_digest(found.document.nonce.encode(), nonce.encode()):
            raise CmsError("it was made for somebody else, or before")
        weak = False
        try:
            chains.check(found.signer, found.others, msgspec.json.decode(keys, type=list[Anchor]), found.created)
        except IssuerUnknown:
            weak = True
        return Seen(name=found.name, attributes=found.attributes(), weak=weak)
