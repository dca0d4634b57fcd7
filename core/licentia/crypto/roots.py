"""Root keys: they sign key manifests and nothing else, so that they may be kept on a machine without a network."""

from __future__ import annotations

from pathlib import Path

import msgspec

from licentia.crypto import envelope, manifest
from licentia.crypto.keyfiles import KeyFolderError
from licentia.crypto.keystores import KeyStore
from licentia.crypto.signing import VerifyKey
from licentia.errors import NotFound

ROOT_FOLDER = "root"
"""Where in the folder of the server's keys the root is that it has made itself."""


def sign_draft(draft: bytes, store: KeyStore) -> tuple[bytes, list[str]]:
    """A draft or a manifest with the signatures of those of its roots that a store has, and their ids.

    Raises:
        DocumentInvalid: it is no manifest.
        NotFound: none of its roots is in the store.
        KeyFolderError: a key cannot be used.
    """
    body = manifest.unverified_body(draft)
    wanted = {key.kid for key in (*body.roots.keys, *body.former_roots)}
    kids = [each.public.kid for each in store.stored() if each.role == "root" and each.public.kid in wanted]
    if not kids:
        raise NotFound(
            "None of the roots that must sign this key manifest is here.",
            help=f"Name the folder of one of these root keys: {', '.join(sorted(wanted))}.",
        )
    for kid in kids:
        draft = envelope.cosign(draft, manifest.TYPE, store.signer(kid), limit=manifest.LIMIT)
    return draft, kids


def public_text(key: VerifyKey) -> str:
    """The public half as a line of JSON, to be carried to the server."""
    return msgspec.json.encode(key).decode()


def read_public(path: Path) -> VerifyKey:
    """The public half from a file.

    Raises:
        KeyFolderError: the file cannot be read, or holds none.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=VerifyKey)
    except OSError as error:
        raise KeyFolderError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise KeyFolderError(f"{path} is no public key as `licentia key root new` writes it.") from None
