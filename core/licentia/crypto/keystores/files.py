"""Private keys in files: ROLE-KID.key, its owner's only, with a passphrase or without.

A file is one line of JSON, so that it can be told apart and listed without the passphrase. With one,
the private half is sealed under scrypt (RFC 7914) of it; the readable members are sealed in with it.
"""

from __future__ import annotations

from pathlib import Path
from secrets import token_bytes
from typing import Annotated, Literal, get_args

import msgspec
from Crypto.Protocol.KDF import scrypt
from msgspec import Meta

from licentia.crypto import keyfiles, sealing
from licentia.crypto.keyfiles import KeyFolderError
from licentia.crypto.keystores import KeyStore, Role, StoredKey
from licentia.crypto.signing import SoftwareKey, VerifyKey
from licentia.errors import DocumentInvalid, NotFound

NEEDS_PASSPHRASE = "Put the passphrase into a file and name it in LICENTIA_KEY_PASSPHRASE_FILE."  # noqa: S105


class Scrypt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the passphrase was stretched. The defaults take 64 MB and about a quarter of a second."""

    salt: Annotated[bytes, Meta(min_length=16, max_length=64)]
    log_n: Annotated[int, Meta(ge=14, le=18)] = 16
    r: Annotated[int, Meta(ge=8, le=8)] = 8
    p: Annotated[int, Meta(ge=1, le=4)] = 2

    def key(self, passphrase: bytes) -> bytes:
        """The key that this passphrase gives, 32 bytes."""
        stretched = scrypt(passphrase, self.salt, 32, N=1 << self.log_n, r=self.r, p=self.p)
        assert isinstance(stretched, bytes)
        return stretched


class KeyFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a key file holds.

    Attributes:
        token: the CKA_ID of the Ed25519 half on a PKCS #11 token; empty: there is none.
        scrypt: how the passphrase protects `secret`; None: it does not.
        secret: the private key, or the part of it that is not on the token.
    """

    format: Literal["licentia-key-1"] = "licentia-key-1"
    role: Role
    public: VerifyKey
    token: bytes = b""
    scrypt: Scrypt | None = None
    secret: bytes = b""

    def __repr__(self) -> str:
        return f"KeyFile(role={self.role!r}, kid={self.public.kid!r})"

    def sealed(self, secret: bytes, passphrase: bytes | None) -> KeyFile:
        """The file with this secret, behind this passphrase if there is one."""
        if passphrase is None:
            return msgspec.structs.replace(self, scrypt=None, secret=secret)
        locked = msgspec.structs.replace(self, scrypt=Scrypt(token_bytes(32)), secret=b"")
        assert locked.scrypt is not None
        sealed = sealing.seal(locked.scrypt.key(passphrase), msgspec.json.encode(locked), secret)
        return msgspec.structs.replace(locked, secret=sealed)

    def opened(self, passphrase: bytes | None) -> bytes:
        """The secret.

        Raises:
            KeyFolderError: the passphrase is missing or wrong, or the file was changed.
        """
        name = f"The key {self.public.kid} ({self.role})"
        if self.scrypt is None:
            return self.secret
        if passphrase is None:
            raise KeyFolderError(f"{name} is protected by a passphrase. {NEEDS_PASSPHRASE}")
        header = msgspec.json.encode(msgspec.structs.replace(self, secret=b""))
        try:
            return sealing.unseal(self.scrypt.key(passphrase), header, self.secret)
        except DocumentInvalid:
            raise KeyFolderError(
                f"{name} has another passphrase than the one given, or its file was changed."
            ) from None


class FileStore(KeyStore):
    """Keys in the files of a folder, which is made if it is missing.

    Args:
        passphrase: protects new keys and opens protected ones; without it new keys are as safe as the
            rights of their files.

    Raises:
        KeyFolderError: the folder cannot be made.
    """

    def __init__(self, folder: Path, passphrase: bytes | None = None) -> None:
        self.folder = folder
        self._passphrase = passphrase
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise KeyFolderError(f"The folder {folder} cannot be made: {error.strerror or error}.") from None

    def stored(self) -> list[StoredKey]:
        """The keys that are here."""
        return [StoredKey(each.role, each.public, _kept(each)) for each in self.files()]

    def generate(self, role: Role, suite: str) -> SoftwareKey:
        """A new key, in a file of its own."""
        key = SoftwareKey.generate(suite)
        self.write(KeyFile(role=role, public=key.public), key.to_bytes())
        return key

    def signer(self, kid: str) -> SoftwareKey:
        """The key with this id; errors as in `KeyStore`."""
        file = self.file(kid)
        if file.token:
            raise KeyFolderError(f"The key {kid} is on a token: name it in LICENTIA_KEY_STORE, as a pkcs11: URI.")
        try:
            key = SoftwareKey.from_bytes(self.opened(file))
        except DocumentInvalid:
            key = None
        if key is None or key.public != file.public:
            raise KeyFolderError(f"The file of the key {kid} is damaged: restore it from the backup.")
        return key

    def remove(self, kid: str) -> None:
        """Delete the key's file."""
        for role in get_args(Role):
            self._path(role, kid).unlink(missing_ok=True)
        keyfiles.sync(self.folder)

    def protect(self) -> int:
        """Put those keys behind the passphrase of this store that are behind none; how many there were."""
        if self._passphrase is None:
            raise KeyFolderError(f"There is no passphrase to protect the keys with. {NEEDS_PASSPHRASE}")
        bare = [each for each in self.files() if each.scrypt is None]
        for each in bare:
            text = msgspec.json.encode(each.sealed(each.secret, self._passphrase)).decode()
            keyfiles.replace(self._path(each.role, each.public.kid), text)
        return len(bare)

    def move(self, kid: str, target: FileStore) -> None:
        """Give a key to another folder, under that one's passphrase, and forget it here once it is there."""
        file = self.file(kid)
        target.write(file, self.opened(file))
        if target.signer(kid).public.kid == kid:
            self.remove(kid)

    def write(self, file: KeyFile, secret: bytes) -> None:
        """Keep a key; one that is here already stays as it is."""
        keyfiles.create(
            self._path(file.role, file.public.kid), msgspec.json.encode(file.sealed(secret, self._passphrase)).decode()
        )

    def opened(self, file: KeyFile) -> bytes:
        """The secret of a file, with the passphrase of this store."""
        return file.opened(self._passphrase)

    def file(self, kid: str) -> KeyFile:
        """The file of the key with this id.

        Raises:
            NotFound: it is not here.
        """
        for each in self.files():
            if each.public.kid == kid:
                return each
        raise NotFound(f"The private key {kid!r} is not in {self.folder}.", help="Restore it from the backup of keys/.")

    def files(self) -> list[KeyFile]:
        """All key files of the folder."""
        found = []
        for path in sorted(self.folder.glob("*-*.key")):
            if path.name.partition("-")[0] not in get_args(Role):
                continue
            try:
                file = msgspec.json.decode(keyfiles.read(path), type=KeyFile)
            except FileNotFoundError:  # removed in this moment
                continue
            except ValueError:
                raise KeyFolderError(f"{path} is no key file: restore it from the backup.") from None
            if path.name != self._path(file.role, file.public.kid).name:
                raise KeyFolderError(f"{path} holds another key than its name says: restore it from the backup.")
            found.append(file)
        return found

    def _path(self, role: Role, kid: str) -> Path:
        return self.folder / f"{role}-{kid}.key"


def _kept(file: KeyFile) -> str:
    kept = "passphrase" if file.scrypt else "file"
    if not file.token:
        return kept
    return "token" if not file.public.mldsa65 else f"token+{kept}"
