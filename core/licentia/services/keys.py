"""Keys: the public ones of the server, and the API keys of its callers."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from functools import cache

import msgspec
from tortoise.exceptions import IntegrityError

from licentia.contract.keys import ContainerKey, GetKeyManifest, KeyManifest, ListPublicKeys, PublicKeys
from licentia.crypto import apikeys
from licentia.crypto.leases import base64url
from licentia.errors import Unauthenticated
from licentia.services.context import Context
from licentia.services.identity import Caller, KeyDigest, KeyPair
from licentia.storage import models
from licentia.storage.database import Database
from licentia.storage.lookup import Lookup


class ApiKeyInfo(msgspec.Struct, frozen=True, kw_only=True):
    """An API key, without its secret."""

    key_id: str
    name: str
    scopes: list[str]
    created_at: datetime
    revoked_at: datetime | None


async def list_public_keys(request: ListPublicKeys, context: Context) -> PublicKeys:
    """The keys that leases and containers are, were and will be signed with, read from the folder each time."""
    issuing = context.issuing.manifest().body.issuing
    return PublicKeys(
        keys=context.signer.published(),
        container_keys=[
            ContainerKey(
                kid=each.key.kid,
                suite=each.key.suite,
                ed25519=base64url(each.key.ed25519),
                mldsa65=base64url(each.key.mldsa65) or None,
                not_before=datetime.fromtimestamp(each.not_before, UTC),
                not_after=datetime.fromtimestamp(each.not_after, UTC),
                state=each.state,
            )
            for each in issuing
        ],
    )


async def get_key_manifest(request: GetKeyManifest, context: Context) -> KeyManifest:
    """The manifest that applications trust."""
    manifest = context.issuing.manifest()
    return KeyManifest(
        version=manifest.version, vendor=manifest.vendor, content=base64.b64encode(manifest.to_bytes()).decode()
    )


@cache
def _scopes(stored: str) -> frozenset[str]:
    return frozenset(stored.split())


class KeyRing:
    """Checks API keys against the database."""

    def __init__(self, database: Database, master: bytes) -> None:
        self._database = database
        self._keys = Lookup(database, "api_key")
        self._master = master

    async def caller(self, credentials: KeyPair | KeyDigest, address: str) -> Caller:
        """Who holds these credentials.

        Raises:
            Unauthenticated: the key is unknown, revoked or wrong, or the digest is stale or was used before.
        """
        known = apikeys.is_key_id(credentials.key_id)
        key = await self._keys.row(credentials.key_id) if known else None
        # An unknown key takes the same time as a wrong one.
        stored = key["secret_hash"] if key is not None else "0" * 64
        if isinstance(credentials, KeyPair):
            valid = self._pair_matches(credentials, stored)
        else:
            valid = await self._digest_is_good(credentials, known=key is not None)
        if key is None or not valid or key["revoked_at"] is not None:
            raise Unauthenticated("The key is not known, was revoked, or its secret is wrong.")
        return Caller(actor=key["id"], scopes=_scopes(key["scopes"]), address=address)

    def issue(self, key_id: str) -> tuple[str, str]:
        """The whole key of this id, and the hash of its secret to store."""
        secret = apikeys.secret_of(self._master, key_id)
        return f"{apikeys.PREFIX}{key_id}_{secret}", apikeys.hash_secret(secret)

    def _pair_matches(self, pair: KeyPair, stored: str) -> bool:
        whole = apikeys.split_key(pair.secret)
        secret = whole[1] if whole is not None and whole[0] == pair.key_id else pair.secret
        return apikeys.secret_matches(secret, stored)

    async def _digest_is_good(self, given: KeyDigest, *, known: bool) -> bool:
        whole, _ = self.issue(given.key_id)
        secret = apikeys.secret_of(self._master, given.key_id)
        matches = [apikeys.digest_matches(word, given.digest, given.nonce, given.created) for word in (secret, whole)]
        now = datetime.now(UTC)
        if not known or not any(matches) or not apikeys.created_is_fresh(given.created, now):
            return False
        return await self._is_first_use(given, now)

    async def _is_first_use(self, given: KeyDigest, now: datetime) -> bool:
        """Remember the nonce in the database, so that no other process takes it either."""
        nonce = apikeys.hash_secret(f"{given.key_id} {given.nonce.hex()}")
        try:
            async with self._database.write():
                await models.Nonce.filter(expires_at__lt=now).delete()
                await models.Nonce.create(id=nonce, expires_at=now + 2 * apikeys.DIGEST_WINDOW + timedelta(minutes=1))
        except IntegrityError:
            return False
        return True
