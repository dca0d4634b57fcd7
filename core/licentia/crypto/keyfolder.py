"""The folder that holds the server's secrets, one file each, readable by its owner only.

    master.key      32 random bytes in hexadecimal; the secrets of API keys derive from it
    lease.key       the Ed25519 private key that signs leases, PEM (PKCS #8, RFC 8410)
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from Crypto.PublicKey import ECC


class KeyFolderError(Exception):
    """A key file cannot be used; the message names the file and what to do."""


class KeyFolder:
    """Reads the keys and makes those that are missing, safely when several processes start at once.

    Raises:
        KeyFolderError: the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise KeyFolderError(f"The folder {folder} cannot be made: {error.strerror or error}.") from None

    def master(self) -> bytes:
        """The master secret, 32 bytes.

        Raises:
            KeyFolderError: the file is not 64 hexadecimal digits.
        """
        text = self._read_or_make("master.key", lambda: secrets.token_hex(32))
        try:
            secret = bytes.fromhex(text.strip())
        except ValueError:
            secret = b""
        if len(secret) != 32:
            raise KeyFolderError(f"{self.folder / 'master.key'} is damaged: restore it from the backup.")
        return secret

    def lease_key(self) -> ECC.EccKey:
        """The Ed25519 key that signs leases.

        Raises:
            KeyFolderError: the file holds no Ed25519 private key.
        """
        text = self._read_or_make("lease.key", lambda: ECC.generate(curve="Ed25519").export_key(format="PEM"))
        try:
            key = ECC.import_key(text)
        except ValueError:
            key = None
        if key is None or key.curve != "Ed25519" or not key.has_private():
            raise KeyFolderError(f"{self.folder / 'lease.key'} is no Ed25519 private key: restore it from the backup.")
        return key

    def _read_or_make(self, name: str, make: Callable[[], str]) -> str:
        path = self.folder / name
        try:
            return path.read_text("ascii")
        except FileNotFoundError:
            pass
        except (OSError, UnicodeDecodeError) as error:
            raise KeyFolderError(f"{path} cannot be read: {error}") from None
        draft = self.folder / f".{name}.{secrets.token_hex(8)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(make())
            file.flush()
            os.fsync(file.fileno())
        try:
            # A link fails where a rename would overwrite: the process that came first has the key.
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        return path.read_text("ascii")
