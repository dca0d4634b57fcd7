"""The key that signs for containers, and the key manifests that vouch for it, as they change over the years.

    manifest-N.json       version N of the key manifest, signed, as it is handed out
    issuing-KID.key       a key that signs for containers (`licentia.crypto.keystores`)
    root/root-KID.key     the root key that this folder made itself, until it is moved to a safe place

The newest manifest says which key signs. Processes share the folder without locks, and each step leaves
it whole: a key is there before the manifest that names it, and a version is there for all or for none.
Of two processes that make the same version one is second, and drops what it made.
"""

from __future__ import annotations

import base64
import contextlib
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import msgspec
import structlog

from licentia.crypto import keyfiles, manifest
from licentia.crypto.keyfiles import KeyFolderError
from licentia.crypto.keystores import KeyStore
from licentia.crypto.keystores.files import FileStore
from licentia.crypto.keystores.opened import open_store, passphrase
from licentia.crypto.leasekey import LOOK_SECONDS, LeaseKey
from licentia.crypto.manifest import Body, Issuing, Manifest, Roots
from licentia.crypto.roots import ROOT_FOLDER, sign_draft
from licentia.crypto.signing import Signer
from licentia.crypto.suites import HYBRID
from licentia.errors import Conflict, DocumentInvalid, NotFound, Unavailable

log = structlog.get_logger(__name__)

VENDOR = "Licentia"
VALID = timedelta(days=730)
"""How long an issuing key signs unless the operator says otherwise; once a year it should be changed."""

WARN = timedelta(days=90)
OVERLAP = timedelta(hours=1)
"""How far clocks differ, and how long a process may go on signing with a key that was replaced, at most."""

KEPT = 8
"""How many issuing keys a manifest names; what older ones signed has long been replaced."""


class IssuingKey:
    """The issuing key of a folder; made at its first use, safely when several processes start at once.

    Args:
        folder: has to be there.
        vendor: who the first manifest says that the keys belong to.
        store: where the issuing keys are; by default as the operator's variables say.

    Raises:
        KeyFolderError: a file of the folder is damaged, or its store cannot be used.
    """

    def __init__(self, folder: Path, *, vendor: str = VENDOR, store: KeyStore | None = None) -> None:
        self._folder = folder
        self._store = store or open_store(folder)
        self._look_at = 0.0
        self._signer: Signer | None = None
        if not self._versions():
            self._make(vendor)
        self._known = self._read()

    def current(self) -> Signer:
        """The key to sign with. A folder that has become unreadable is logged, and the key stays as it was.

        Raises:
            KeyFolderError: at the first call: the key's file is damaged, or its passphrase is missing or wrong.
            Unavailable: its time has ended.
        """
        now = time.monotonic()
        if self._signer is None or now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            try:
                self._signer = self._opened()
            except KeyFolderError as error:
                if self._signer is None:
                    raise
                log.error("issuing_key_unreadable", reason=str(error))
        if self._signer.public not in self._known[-1].issuing_keys(datetime.now(UTC)):
            raise Unavailable(
                "The time of the key that signs for containers has ended.",
                help="On the server: `licentia key issuing rotate` makes a new one.",
            )
        return self._signer

    def manifest(self) -> Manifest:
        """The newest key manifest.

        Raises:
            KeyFolderError: the folder cannot be read.
        """
        self._look()
        return self._known[-1]

    def manifests(self) -> tuple[Manifest, ...]:
        """Those that take anyone who trusts some earlier version to the newest one, which is the last.

        They are the versions with other roots than the version before, and the newest.

        Raises:
            KeyFolderError: the folder cannot be read.
        """
        self._look()
        known = self._known
        changed = [new for old, new in pairwise(known) if new.body.roots != old.body.roots]
        return (*(each for each in changed if each is not known[-1]), known[-1])

    def rotation(self, valid: timedelta = VALID) -> Body:
        """The next version, with a new issuing key, which is made now; the one before stays good for what it signed."""
        return self._rotation(self.manifest().body, valid)

    def revocation(self, kid: str, valid: timedelta = VALID) -> Body:
        """The next version, in which nothing counts that this issuing key has ever signed.

        If it is the one that signs now, a new one is made.

        Raises:
            NotFound: the manifest has no such issuing key.
        """
        body = self.manifest().body
        state = next((each.state for each in body.issuing if each.key.kid == kid), None)
        if state is None:
            raise NotFound(f"There is no issuing key {kid!r}.", help="`licentia key manifest -o json` shows them.")
        planned = self._rotation(body, valid) if state == "current" else self._next(body)
        issuing = tuple(
            msgspec.structs.replace(each, state="revoked") if each.key.kid == kid else each for each in planned.issuing
        )
        return msgspec.structs.replace(planned, issuing=issuing)

    def succession(self, roots: Roots) -> Body:
        """The next version, with other roots; enough of those before and of the new ones must sign it."""
        body = self.manifest().body
        former = tuple(key for key in body.roots.keys if key not in roots.keys)
        return self._next(body, roots=roots, former_roots=former)

    def publish(self, body: Body) -> Manifest:
        """Sign a planned version with the roots that are in this folder, and make it the newest.

        Raises:
            Conflict: they are not enough, or another process made this version first.
            NotFound: the key that shall sign is not here.
        """
        try:
            signed = self._signed(body)
            try:
                return self.install(signed)
            except DocumentInvalid:  # it was good a moment ago
                raise _overtaken(body.version) from None
        except BaseException:
            self._drop(body)
            raise

    def install(self, data: bytes) -> Manifest:
        """Make a signed version the newest, and forget the keys that sign no more.

        One that is the newest already changes nothing.

        Raises:
            DocumentInvalid: it is not signed as it must be, or not newer.
            Conflict: another process made this version first.
            NotFound: the key that shall sign is not here.
        """
        current = self.manifest()
        new = manifest.verify_next(current, data)
        if new.version != current.version:
            self._store.signer(signing(new.body).key.kid)
            if not keyfiles.create(self._path(new.version), data.decode()) and self._load(new.version) != data:
                raise _overtaken(new.version)
            self._forget(each.key.kid for each in new.body.issuing if each.state != "current")
        return self.manifest()

    def roots(self) -> FileStore:
        """The root keys that this folder made itself, as long as they are here."""
        return FileStore(self._folder / ROOT_FOLDER, passphrase())

    def _signed(self, body: Body) -> bytes:
        try:
            signed, _ = sign_draft(manifest.draft(body), self.roots())
            manifest.verify_next(self.manifest(), signed)
        except (DocumentInvalid, NotFound):
            if self.manifest().version >= body.version:
                raise _overtaken(body.version) from None
            raise Conflict(
                "Not enough of the root keys that must sign this are here.",
                help="Write a draft with --draft FILE, sign it where they are with `licentia key root sign`,"
                " and give the result to `licentia key issuing install`.",
            ) from None
        return signed

    def _rotation(self, body: Body, valid: timedelta) -> Body:
        now = datetime.now(UTC)
        end = int((now + OVERLAP).timestamp())
        before = [
            msgspec.structs.replace(each, state="old", not_after=min(each.not_after, end))
            if each.state == "current"
            else each
            for each in body.issuing
        ]
        return self._next(body, issuing=(self._new(now, valid), *before)[:KEPT])

    def _drop(self, body: Body) -> None:
        """Forget the keys that were made for a plan, as far as no manifest names them."""
        with contextlib.suppress(KeyFolderError):
            named = {each.key.kid for known in self._read() for each in known.body.issuing}
            self._forget(each.key.kid for each in body.issuing if each.key.kid not in named)

    def _forget(self, kids: Iterable[str]) -> None:
        for kid in kids:
            try:
                self._store.remove(kid)
            except KeyFolderError as error:
                log.warning("issuing_key_not_removed", kid=kid, reason=str(error))

    def _make(self, vendor: str) -> None:
        roots = self.roots()
        now = datetime.now(UTC)
        root, issuing = roots.generate("root", HYBRID), self._new(now, VALID)
        body = Body(
            version=1,
            vendor=vendor,
            issued_at=int(now.timestamp()),
            roots=Roots(threshold=1, keys=(root.public,)),
            issuing=(issuing,),
            lease=self._lease(),
            suites=(HYBRID,),
        )
        made = manifest.make(body, root)
        if not keyfiles.create(self._path(1), made.to_bytes().decode()):  # another process was faster
            roots.remove(root.public.kid)
            self._store.remove(issuing.key.kid)
            return
        log.info(
            "root_key_made",
            kid=root.public.kid,
            folder=str(roots.folder),
            advice="It vouches for every key of this vendor. Move it off this machine: licentia key root export DIR",
        )

    def _new(self, now: datetime, valid: timedelta) -> Issuing:
        return Issuing(
            key=self._store.generate("issuing", HYBRID).public,
            not_before=int((now - OVERLAP).timestamp()),
            not_after=int((now + valid).timestamp()),
            state="current",
        )

    def _next(self, body: Body, **changes: object) -> Body:
        return msgspec.structs.replace(
            body,
            version=body.version + 1,
            issued_at=int(time.time()),
            lease=self._lease(),
            **{"former_roots": ()} | changes,
        )

    def _lease(self) -> tuple[bytes, ...]:
        published = LeaseKey(self._folder).published()
        return tuple(base64.urlsafe_b64decode(f"{key.x}=") for key in published)

    def _look(self) -> None:
        if self._versions()[-1:] != [self._known[-1].version]:
            self._known = self._read()

    def _opened(self) -> Signer:
        """The private key that the newest manifest names, as it was opened before if that is the same."""
        issuing = signing(self.manifest().body)
        if self._signer is not None and self._signer.public == issuing.key:
            return self._signer
        left = datetime.fromtimestamp(issuing.not_after, UTC) - datetime.now(UTC)
        if left < WARN:
            log.warning("issuing_key_ends_soon", kid=issuing.key.kid, days=left.days)
        try:
            return self._store.signer(issuing.key.kid)
        except NotFound as refusal:
            if signing(self.manifest().body) != issuing:  # it was replaced at this moment
                return self._opened()
            raise KeyFolderError(f"{refusal.detail} {refusal.next_step}") from None

    def _read(self) -> tuple[Manifest, ...]:
        chain: list[Manifest] = []
        for version in self._versions():
            data = self._load(version)
            try:
                chain.append(manifest.verify_next(chain[-1], data) if chain else manifest.read_pinned(data))
            except DocumentInvalid as refusal:
                raise KeyFolderError(f"{self._path(version)}: {refusal.detail} Restore it from the backup.") from None
        if not chain:
            raise KeyFolderError(f"{self._folder} has lost its key manifests: restore them from the backup.")
        return tuple(chain)

    def _load(self, version: int) -> bytes:
        try:
            return keyfiles.read(self._path(version)).encode()
        except FileNotFoundError:
            raise KeyFolderError(f"{self._path(version)} is missing: restore it from the backup.") from None

    def _versions(self) -> list[int]:
        numbers = (path.stem.removeprefix("manifest-") for path in self._folder.glob("manifest-*.json"))
        return sorted(int(number) for number in numbers if number.isascii() and number.isdigit())

    def _path(self, version: int) -> Path:
        return self._folder / f"manifest-{version}.json"


def signing(body: Body) -> Issuing:
    """The entry of the key that signs now.

    Raises:
        DocumentInvalid: there is none.
    """
    for each in body.issuing:
        if each.state == "current":
            return each
    raise DocumentInvalid("The key manifest names no key that signs for containers now.")


def _overtaken(version: int) -> Conflict:
    return Conflict(
        f"Version {version} of the key manifest was made by another process at this moment.",
        help="Look at it with `licentia key manifest -o json`, and repeat the command if need be.",
    )
