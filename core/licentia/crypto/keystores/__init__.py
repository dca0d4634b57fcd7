"""Where private keys of documents are kept: in files, or on a PKCS #11 token."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, NamedTuple

from licentia.crypto.signing import Signer, VerifyKey

Role = Literal["root", "issuing"]
"""What a key is for: `root` keys sign key manifests, `issuing` keys sign for containers."""


class StoredKey(NamedTuple):
    """A key that a store has: what it is for, its public half, and how the private half is kept."""

    role: Role
    public: VerifyKey
    kept: str


class KeyStore(ABC):
    """Keeps private keys and signs with them.

    Every method raises KeyFolderError if the store cannot be used, with what to do.
    """

    @abstractmethod
    def stored(self) -> list[StoredKey]:
        """The keys that are here, in no order that means anything. No passphrase is needed."""

    @abstractmethod
    def generate(self, role: Role, suite: str) -> Signer:
        """A new key, kept from now on."""

    @abstractmethod
    def signer(self, kid: str) -> Signer:
        """The key with this id.

        Raises:
            NotFound: it is not here.
        """

    @abstractmethod
    def remove(self, kid: str) -> None:
        """Forget a key for ever; one that is not here stays away."""
