"""Private keys on a PKCS #11 token: the Ed25519 half never leaves it.

Tokens of today do not know ML-DSA. Of a hybrid key the ML-DSA half is therefore in a file of the
folder, behind the passphrase if there is one; whoever steals it has half a key, which signs nothing.
For each key the folder has a file, which names the half on the token: it belongs into the backup.

python-pkcs11 crashes if two threads call one library, so that each library has one thread for everything.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from secrets import token_bytes
from typing import NamedTuple, TypeVar
from urllib.parse import unquote

import pkcs11
from Crypto.PublicKey import MLDSA
from Crypto.Signature import mldsa
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.types import SignMixin

from licentia.crypto.keyfiles import KeyFolderError
from licentia.crypto.keystores import KeyStore, Role, StoredKey
from licentia.crypto.keystores.files import FileStore, KeyFile
from licentia.crypto.signing import Signer, VerifyKey
from licentia.crypto.suites import ED25519_ALGORITHM, HYBRID, MLDSA65_ALGORITHM

T = TypeVar("T")

_CURVE = b"\x13\x0cedwards25519"
"""The curve's name as a PrintableString in DER (PKCS #11 3.0, current mechanisms, section 2.3.5)."""

_POINT_BYTES = 32
_SEED_BYTES = 32


class Address(NamedTuple):
    """Where a token is: the library that reaches it, the token's label, and the file with its PIN."""

    module: str
    token: str
    pin_file: Path

    @classmethod
    def parse(cls, uri: str) -> Address:
        """From a PKCS #11 URI (RFC 7512): `pkcs11:token=LABEL?module-path=PATH&pin-source=file:PATH`.

        Raises:
            KeyFolderError: it lacks one of the three, or says something else too.
        """
        path, _, query = uri.partition("?")
        parts = [*path.removeprefix("pkcs11:").split(";"), *query.split("&")]
        said = {name: unquote(value) for name, _, value in (part.partition("=") for part in parts if part)}
        if "pin-value" in said:
            raise KeyFolderError("A PIN does not belong into a variable: put it into a file, as pin-source=file:PATH.")
        if set(said) != {"token", "module-path", "pin-source"}:
            raise KeyFolderError(
                "LICENTIA_KEY_STORE must be pkcs11:token=LABEL?module-path=PATH&pin-source=file:PATH, with no more."
            )
        return cls(said["module-path"], said["token"], Path(said["pin-source"].removeprefix("file:")))


@cache
def _thread(module: str) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="pkcs11")


class Token:
    """One token, all of whose calls run on the thread of its library."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._thread = _thread(address.module)
        self._session: pkcs11.Session | None = None

    def do(self, use: Callable[[pkcs11.Session], T]) -> T:
        """Run something with the session of the token; a session that fails is opened anew the next time.

        Raises:
            KeyFolderError: the token is not there, or refuses.
        """
        return self._thread.submit(self._do, use).result()

    def _do(self, use: Callable[[pkcs11.Session], T]) -> T:
        try:
            if self._session is None:
                self._session = self._opened()
            return use(self._session)
        except (pkcs11.PKCS11Error, RuntimeError, OSError) as error:
            if self._session is not None:
                with contextlib.suppress(pkcs11.PKCS11Error):
                    self._session.close()
                self._session = None
            reason = str(error) or type(error).__name__
            raise KeyFolderError(f"The token {self._address.token!r} cannot be used: {reason}.") from None

    def _opened(self) -> pkcs11.Session:
        pin = self._address.pin_file.read_text("utf-8").rstrip("\r\n")
        found = pkcs11.lib(self._address.module).get_token(token_label=self._address.token)
        try:
            return found.open(rw=True, user_pin=pin)
        except pkcs11.UserAlreadyLoggedIn:  # a login is one for the whole process (PKCS #11 2.40, section 2.6.8)
            return found.open(rw=True)


class TokenKey:
    """A key whose Ed25519 half is on a token, and whose ML-DSA half, if it has one, is in memory."""

    __slots__ = ("_id", "_lattice", "_token", "public")

    def __init__(self, token: Token, file: KeyFile, seed: bytes) -> None:
        self.public = file.public
        self._token = token
        self._id = file.token
        self._lattice = MLDSA.construct(param_set=MLDSA.ML_DSA_65, seed=seed) if seed else None

    def __repr__(self) -> str:
        return f"TokenKey(kid={self.public.kid!r})"

    def sign(self, message: bytes) -> dict[str, bytes]:
        """The signature of each algorithm of the suite.

        Raises:
            KeyFolderError: the token is not there, or refuses.
        """

        def signed(session: pkcs11.Session) -> bytes:
            key = session.get_key(object_class=ObjectClass.PRIVATE_KEY, id=self._id)
            assert isinstance(key, SignMixin)
            return bytes(key.sign(message, mechanism=Mechanism.EDDSA))

        signatures = {ED25519_ALGORITHM: self._token.do(signed)}
        if self._lattice is not None:
            signatures[MLDSA65_ALGORITHM] = mldsa.new(self._lattice).sign(message)
        return signatures


class TokenStore(KeyStore):
    """Keys on a token, with a file for each in a folder. Keys that are wholly in files are found too.

    Args:
        uri: the token, as LICENTIA_KEY_STORE names it.
        files: the folder, with its passphrase.

    Raises:
        KeyFolderError: the URI is wrong.
    """

    def __init__(self, uri: str, files: FileStore) -> None:
        self._token = Token(Address.parse(uri))
        self._files = files

    def stored(self) -> list[StoredKey]:
        """The keys that the folder has files of."""
        return self._files.stored()

    def generate(self, role: Role, suite: str) -> Signer:
        """A new key, made on the token and not to be taken out of it."""
        name = token_bytes(16)

        def generated(session: pkcs11.Session) -> bytes:
            curve = session.create_domain_parameters(KeyType.EC_EDWARDS, {Attribute.EC_PARAMS: _CURVE}, local=True)
            public, _ = curve.generate_keypair(
                id=name,
                label=f"licentia {role}",
                store=True,
                mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
                private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
            )
            return bytes(public[Attribute.EC_POINT][-_POINT_BYTES:])  # in DER an OCTET STRING

        point = self._token.do(generated)
        seed = token_bytes(_SEED_BYTES) if suite == HYBRID else b""
        lattice = MLDSA.construct(param_set=MLDSA.ML_DSA_65, seed=seed).pk if seed else b""
        file = KeyFile(role=role, public=VerifyKey(suite, point, lattice), token=name)
        self._files.write(file, seed)
        return TokenKey(self._token, file, seed)

    def signer(self, kid: str) -> Signer:
        """The key with this id; errors as in `KeyStore`."""
        file = self._files.file(kid)
        if not file.token:
            return self._files.signer(kid)
        return TokenKey(self._token, file, self._files.opened(file))

    def remove(self, kid: str) -> None:
        """Destroy the key on the token, and its file."""

        def destroyed(session: pkcs11.Session) -> None:
            for each in list(session.get_objects({Attribute.ID: name})):
                each.destroy()

        name = next((each.token for each in self._files.files() if each.public.kid == kid), b"")
        if name:
            self._token.do(destroyed)
        self._files.remove(kid)
