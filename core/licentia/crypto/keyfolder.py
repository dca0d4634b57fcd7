"""The folder that holds the server's secrets, one file each, readable by its owner only.

    master.key      32 random bytes in hexadecimal; the secrets of API keys derive from it
    lease*          the key that signs leases, with those before and after it
    issuing*        the keys that sign for containers; manifest* and root/ vouch for them

The latter two change while servers run; `leasekey.py` and `issuingkey.py` tell how.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from licentia.crypto import keyfiles
from licentia.crypto.keyfiles import KeyFolderError
from licentia.crypto.leasekey import LeaseKey

__all__ = ["KeyFolder", "KeyFolderError"]


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
        path = self.folder / "master.key"
        if not path.exists():
            keyfiles.create(path, secrets.token_hex(32))
        try:
            secret = bytes.fromhex(keyfiles.read(path).strip())
        except ValueError:
            secret = b""
        if len(secret) != 32:
            raise KeyFolderError(f"{path} is damaged: restore it from the backup.")
        return secret

    def lease_key(self) -> LeaseKey:
        """The key that signs leases.

        Raises:
            KeyFolderError: one of its files is damaged.
        """
        return LeaseKey(self.folder)
