"""The client half of `aws`: asks version 2 of the instance metadata service (IMDSv2)."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from licentia.client.instances import InstanceClient, Seen
from licentia.crypto.cms import CmsError
from licentia_plugins.bindings.aws.document import read

TOKEN_PATH = "/latest/api/token"  # noqa: S105
DOCUMENT_PATH = "/latest/dynamic/instance-identity/rsa2048"
TOKEN_SECONDS = "60"  # noqa: S105


class AwsClient(InstanceClient):
    """On an instance of EC2. Its settings are those of `MetadataSettings`."""

    cloud: ClassVar[str] = "aws"
    where: ClassVar[str] = "Run this on the instance of Amazon EC2, with its metadata service (IMDSv2) switched on."

    def _document(self, nonce: str) -> bytes:
        token = self._service.ask(TOKEN_PATH, {"X-aws-ec2-metadata-token-ttl-seconds": TOKEN_SECONDS}, method="PUT")
        return self._service.ask(DOCUMENT_PATH, {"X-aws-ec2-metadata-token": token.decode("latin-1")})

    def _seen(self, document: bytes, nonce: str, keys: msgspec.Raw) -> Seen:
        """One of the region's keys has to have signed it; a nonce it has none."""
        found = read(document)
        refused = CmsError("the record has no key")
        for key in msgspec.json.decode(keys, type=list[bytes]):
            try:
                found.signed.verify(key)
            except CmsError as error:
                refused = error
            else:
                return Seen(name=found.document.instance_id, attributes=found.document.attributes())
        raise refused
