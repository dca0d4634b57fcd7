"""Which store the operator wants, and its passphrase: said by variables, never on a command line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from licentia.crypto.keyfiles import KeyFolderError
from licentia.crypto.keystores import KeyStore
from licentia.crypto.keystores.files import FileStore

STORE = "LICENTIA_KEY_STORE"
PASSPHRASE = "LICENTIA_KEY_PASSPHRASE"  # noqa: S105
PASSPHRASE_FILE = "LICENTIA_KEY_PASSPHRASE_FILE"  # noqa: S105


def open_store(folder: Path, environ: Mapping[str, str] | None = None) -> KeyStore:
    """The store of the keys that the server uses: files in the folder, or a token that LICENTIA_KEY_STORE names.

    Raises:
        KeyFolderError: a variable is wrong, or the folder cannot be made.
    """
    environ = os.environ if environ is None else environ
    files = FileStore(folder, passphrase(environ))
    uri = environ.get(STORE, "")
    if uri in ("", "file"):
        return files
    if not uri.startswith("pkcs11:"):
        raise KeyFolderError(f"{STORE} is `file` or a PKCS #11 URI (RFC 7512), not {uri[:40]!r}.")
    try:
        from licentia.crypto.keystores.pkcs11 import TokenStore
    except ImportError:
        raise KeyFolderError(f"{STORE} names a token: install `licentia[pkcs11]`.") from None
    return TokenStore(uri, files)


def passphrase(environ: Mapping[str, str] | None = None) -> bytes | None:
    """The passphrase that the operator has set, from a variable or the file that one names; None: there is none.

    Raises:
        KeyFolderError: both are set, or the file cannot be read, or the passphrase is empty.
    """
    environ = os.environ if environ is None else environ
    text, file = environ.get(PASSPHRASE), environ.get(PASSPHRASE_FILE)
    if text is None and file is None:
        return None
    if text is not None and file is not None:
        raise KeyFolderError(f"Set {PASSPHRASE} or {PASSPHRASE_FILE}, not both.")
    if file is not None:
        try:
            text = Path(file).read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise KeyFolderError(f"{PASSPHRASE_FILE}: {file} cannot be read: {error}") from None
    if not text:
        raise KeyFolderError(f"The passphrase of {PASSPHRASE if file is None else file} is empty.")
    return text.encode()
