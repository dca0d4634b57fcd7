"""The key that signs leases, as it changes over the years.

    lease.key           the current private key: PEM (PKCS #8, RFC 8410)
    lease-next.key      a private key that is prepared: published, but nothing is signed with it yet
    lease-KID.jwk       the public half (RFC 8037) of every key that was one of the two and is not retired;
                        for the very first key it is written when its successor is. The time of the
                        file of an old key is when it was replaced

Processes share the folder without locks, and each step leaves it whole. A public half is in the folder
before its private half, and every process reads the folder anew whenever it publishes: so none signs
with a key that another does not publish. A key becomes the current one by a rename, so what any
process replaces has been published by name before.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog

from licentia.contract.keys import PublicKey
from licentia.crypto import keyfiles
from licentia.crypto.keyfiles import KeyFolderError
from licentia.crypto.leases import SigningKey, read_jwk
from licentia.errors import Conflict, NotFound

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
"""How long a process may go on signing with a key that was replaced."""
SETTLED_NS = 2_000_000_000
"""A folder that changed more recently may change again without its time showing it: clocks of files tick slowly."""


class Rotation(NamedTuple):
    """The key that signs now, and the one it replaced; None if it had been the current one before."""

    current: PublicKey
    previous: PublicKey | None


class _Seen(NamedTuple):
    current: SigningKey
    prepared: SigningKey | None
    old: list[PublicKey]


class LeaseKey:
    """The lease key of a folder; made at its first use, safely when several processes start at once.

    Raises:
        KeyFolderError: a file of the folder is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._current = folder / "lease.key"
        self._next = folder / "lease-next.key"
        if not self._current.exists():
            keyfiles.create(self._current, SigningKey.generate().pem())
        self._stamp: tuple[int, ...] | None = None
        self._look_at = 0.0
        self._look()

    def current(self) -> SigningKey:
        """The key to sign with. A folder that has become unreadable is logged, and the key stays as it was."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            try:
                self._look()
            except KeyFolderError as error:
                log.error("lease_key_unreadable", reason=str(error))
        return self._seen.current

    def published(self) -> list[PublicKey]:
        """All public keys: the current one, the prepared one if any, then old ones, the last replaced first.

        Raises:
            KeyFolderError: the folder cannot be read.
        """
        self._look()
        signing = [key.public for key in (self._seen.current, self._seen.prepared) if key is not None]
        return list({key.kid: key for key in (*signing, *self._seen.old)}.values())

    def prepare(self) -> PublicKey:
        """Publish the next key without signing with it; a key that is prepared already stays.

        Raises:
            KeyFolderError: the folder cannot be read.
        """
        current = self._signing(self._current)
        self._keep(current.public)
        while (prepared := self._prepared()) is None or prepared.public == current.public:
            if prepared is not None:  # the folder was copied over an older copy of itself
                self._next.unlink(missing_ok=True)
            new = SigningKey.generate()
            self._keep(new.public)
            if not keyfiles.create(self._next, new.pem()):
                self._public(new.public.kid).unlink()
        return prepared.public

    def rotate(self, kid: str | None = None) -> Rotation:
        """Sign with the prepared key from now on, or with a new one if none is prepared.

        Args:
            kid: The key that is meant. If it is the current one already, nothing changes.

        Raises:
            NotFound: the key that is meant is not prepared.
            KeyFolderError: the folder cannot be read.
        """
        current = self._signing(self._current)
        if kid == current.public.kid:
            return Rotation(current.public, None)
        if kid is None:
            self.prepare()
        elif (prepared := self._prepared()) is None or prepared.public.kid != kid:
            raise NotFound(f"No key {kid!r} is prepared here.", help="`licentia key rotate --prepare` prepares one.")
        self._keep(current.public)
        os.utime(self._public(current.public.kid))
        try:
            self._next.replace(self._current)
        except FileNotFoundError:  # another process was faster
            return Rotation(self._signing(self._current).public, None)
        keyfiles.sync(self._folder)
        return Rotation(self._signing(self._current).public, current.public)

    def retire(self, kid: str) -> None:
        """Publish a key no longer.

        Raises:
            Conflict: it is the current key.
            NotFound: there is no such key.
            KeyFolderError: the folder cannot be read.
        """
        if kid not in {key.kid for key in self.published()}:
            raise NotFound(f"There is no lease key {kid!r}.", help="`licentia key public` shows them.")
        if self._seen.prepared is not None and kid == self._seen.prepared.public.kid:
            self._next.unlink(missing_ok=True)
        if kid == self._signing(self._current).public.kid:
            raise Conflict(f"{kid!r} signs the leases of this server.", help="`licentia key rotate` replaces it first.")
        self._public(kid).unlink(missing_ok=True)
        keyfiles.sync(self._folder)

    def replaced_before(self, age: timedelta) -> list[str]:
        """The ids of the old keys that were replaced at least so long ago.

        Raises:
            KeyFolderError: the folder cannot be read.
        """
        self._look()
        signing = {key.public.kid for key in (self._seen.current, self._seen.prepared) if key is not None}
        limit = (datetime.now(UTC) - age).timestamp()
        old = [key.kid for key in self._seen.old if key.kid not in signing]
        return [kid for kid in old if self._public(kid).stat().st_mtime <= limit]

    def _look(self) -> None:
        """Read the folder if it may have changed since it was read last."""
        now = time.time_ns()
        try:
            stats = [self._folder.stat(), self._current.stat()]
            stamp = tuple(value for stat in stats for value in (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino))
            if stamp == self._stamp:
                return
            # The current key first: if it is replaced now, its successor is found among the public halves.
            self._seen = _Seen(self._signing(self._current), self._prepared(), self._old())
        except OSError as error:
            raise KeyFolderError(f"{self._current} cannot be read: {error.strerror}") from None
        changed = max(max(stat.st_mtime_ns, stat.st_ctime_ns) for stat in stats)
        self._stamp = stamp if now - changed > SETTLED_NS else None

    def _signing(self, path: Path) -> SigningKey:
        text = keyfiles.read(path)
        try:
            return SigningKey.from_pem(text)
        except ValueError:
            raise KeyFolderError(f"{path} is no Ed25519 private key: restore it from the backup.") from None

    def _prepared(self) -> SigningKey | None:
        try:
            return self._signing(self._next)
        except FileNotFoundError:
            return None

    def _old(self) -> list[PublicKey]:
        found: list[tuple[int, PublicKey]] = []
        for path in self._folder.glob("lease-*.jwk"):
            try:
                found.append((path.stat().st_mtime_ns, read_jwk(keyfiles.read(path))))
            except FileNotFoundError:  # retired in this moment
                continue
            except ValueError:
                raise KeyFolderError(f"{path} is no public key: restore it from the backup.") from None
        return [key for _, key in sorted(found, key=lambda each: -each[0])]

    def _keep(self, key: PublicKey) -> None:
        keyfiles.create(self._public(key.kid), msgspec.json.encode(key).decode())

    def _public(self, kid: str) -> Path:
        return self._folder / f"lease-{kid}.jwk"
