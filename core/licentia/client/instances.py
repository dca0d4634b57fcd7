"""What the client halves of clouds have in common: a metadata service has a document that names the machine."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from secrets import token_hex
from typing import Any, ClassVar

import msgspec

from licentia.bindings import ClientHalf, Unsealed
from licentia.client.metadata import MetadataError, MetadataService, MetadataSettings
from licentia.crypto import identity_record, identity_seal
from licentia.errors import BindingEvidenceInvalid, BindingMismatch, DocumentInvalid, FieldProblem, Unavailable
from licentia.settings import SettingsError

NONCE_BYTES = 16
"""In hexadecimal the 32 letters and digits that Azure takes at most."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """The machine that a document names; `weak` if the document could not be verified offline."""

    name: str
    attributes: Mapping[str, str]
    weak: bool = False


class InstanceClient(ClientHalf):
    """A client half on a virtual machine of a cloud.

    A subclass asks the service, by `_document`, and judges what it answers, by `_seen`. What was sealed
    in a `licentia.crypto.identity_record` under the binding's `cloud` opens to the name that is seen.
    """

    cloud: ClassVar[str]
    where: ClassVar[str]
    """Where this has to run, as a sentence of advice."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        try:
            self._service = MetadataService(msgspec.convert(settings, MetadataSettings))
        except msgspec.ValidationError as error:
            raise SettingsError(f"binding.{name}: {error}") from None

    @abstractmethod
    def _document(self, nonce: str) -> bytes:
        """What the metadata service answers; MetadataError."""

    @abstractmethod
    def _seen(self, document: bytes, nonce: str, keys: msgspec.Raw) -> Seen:
        """The machine that the document names, verified with a record's keys; ValueError, with a clause, if none."""

    def _collect(self, nonce: str) -> bytes:
        try:
            return self._document(nonce)
        except MetadataError as error:
            raise BindingEvidenceInvalid(str(error), help=self.where) from None

    def _unseal(self, record: bytes) -> Unsealed:
        kept = identity_record.read(record)
        nonce = token_hex(NONCE_BYTES)
        try:
            seen = self._seen(self._document(nonce), nonce, kept.keys)
        except MetadataError as error:
            if error.silent:
                raise Unavailable(str(error), help=self.where) from None
            raise _mismatch(str(error)) from None
        except msgspec.DecodeError:
            raise DocumentInvalid("The record of the binding is damaged.") from None
        except ValueError as error:
            raise _mismatch(f"What the metadata service says does not hold: {error}.") from None
        secret = identity_seal.opened(kept.sealed, seen.name, self.cloud)
        if secret is None:
            raise _mismatch("This is another virtual machine than the one that the license is bound to.")
        changed = tuple(name for name, value in seen.attributes.items() if value != kept.attributes.get(name))
        return Unsealed(secret=secret, changed=changed, weak=seen.weak)


def _mismatch(detail: str) -> BindingMismatch:
    return BindingMismatch(detail, problems=[FieldProblem("/features/instance_id", detail)])
