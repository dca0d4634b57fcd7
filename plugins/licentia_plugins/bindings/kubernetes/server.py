"""The server half of kubernetes: judges service-account tokens, and seals to a service account."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec
from joserfc.jwk import Key

from licentia.bindings import Challenge, Dated, Identity, ServerHalf
from licentia.crypto import identity_seal
from licentia.errors import BindingEvidenceInvalid, Unavailable
from licentia.settings import table
from licentia_plugins.bindings.kubernetes import tokens
from licentia_plugins.bindings.kubernetes.fetch import Keys, KeysOfFile, KeysOfUrl
from licentia_plugins.bindings.kubernetes.record import Record, sealed_to
from licentia_plugins.bindings.kubernetes.settings import KubernetesSettings
from licentia_plugins.bindings.kubernetes.tokens import Claims, KeyMissing, TokenError


class _Cluster:
    """A cluster that is trusted. An empty name or issuer: whichever its tokens name."""

    def __init__(
        self,
        keys: Keys,
        *,
        name: str = "",
        issuer: str = "",
        namespaces: tuple[str, ...] = (),
        service_accounts: tuple[str, ...] = (),
    ) -> None:
        self.keys = keys
        self.issuer = issuer
        self._name = name
        self._namespaces = namespaces
        self._service_accounts = service_accounts

    def name(self, issuer: str) -> str:
        return self._name or (urlsplit(issuer).hostname or "cluster")[:63]

    def check_allowed(self, claims: Claims) -> None:
        place = claims.place
        if self._namespaces and place.namespace not in self._namespaces:
            raise TokenError(f"The namespace {place.namespace!r} is not one that is allowed here.")
        if self._service_accounts and place.service_account.name not in self._service_accounts:
            raise TokenError(f"The service account {place.service_account.name!r} is not one that is allowed here.")


class KubernetesServer(ServerHalf, Dated):
    """Judges the tokens of the clusters that the settings name."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self._settings = table(settings, KubernetesSettings, f"binding.{name}")
        self._clusters = tuple(_clusters(self._settings))

    async def _verify(self, evidence: bytes, challenge: Challenge) -> Identity:
        try:
            claims, cluster, _ = await self._proven(evidence)
            issuer = cluster.issuer or claims.iss
            tokens.check(claims, challenge.at, self._settings.leeway_seconds, issuer, self._settings.audience)
            age = (challenge.at - claims.issued_at).total_seconds()
            if age > self._settings.max_age_seconds + self._settings.leeway_seconds:
                raise TokenError(f"The token was issued {age:.0f} s ago; `max_age_seconds` allows less.")
            cluster.check_allowed(claims)
        except TokenError as error:
            raise _refusal(error) from None
        place = claims.place
        attributes = {
            "issuer": claims.iss,
            "namespace": place.namespace,
            "service_account": place.service_account.name,
            "pod": place.pod.name,
            "pod_uid": place.pod.uid,
        }
        if place.node is not None:
            attributes |= {"node": place.node.name, "node_uid": place.node.uid}
        return Identity(
            name=f"{cluster.name(claims.iss)}/{place.namespace}/{place.service_account.uid}",
            attributes=attributes,
            fresh=bool(challenge.nonce) and challenge.nonce in claims.audiences,
        )

    async def _seal(self, evidence: bytes, secret: bytes) -> bytes:
        try:
            claims, _, keys = await self._proven(evidence)
        except TokenError as error:
            raise _refusal(error) from None
        name = sealed_to(claims.iss, claims.place, keys)
        record = Record(
            issuer=claims.iss,
            audience=self._settings.audience,
            namespace=claims.place.namespace,
            service_account=claims.place.service_account.name,
            keys=[tokens.public(key) for key in keys],
            sealed=identity_seal.seal(secret, name, self.name),
        )
        return msgspec.json.encode(record)

    def _issued_at(self, evidence: bytes) -> datetime:
        try:
            return tokens.peek(evidence)[2].issued_at
        except TokenError as error:
            raise _refusal(error) from None

    async def _proven(self, evidence: bytes) -> tuple[Claims, _Cluster, tuple[Key, ...]]:
        """The claims of a token that a cluster has signed, the cluster, and the keys that the cluster has.

        Several clusters may have one issuer, as `https://kubernetes.default.svc.cluster.local` is the
        default of many; the key tells them apart.
        """
        token, header, claimed = tokens.peek(evidence)
        candidates = [cluster for cluster in self._clusters if cluster.issuer in ("", claimed.iss)]
        failure: TokenError | Unavailable | None = None
        for cluster in candidates:
            try:
                keys = await cluster.keys.current(header.kid)
                return tokens.verified(token, tokens.key_for(header, keys)), cluster, keys
            except (TokenError, Unavailable) as error:
                failure = error if failure is None or not isinstance(error, KeyMissing) else failure
        raise failure or TokenError("The token's issuer is not a cluster that is known here.")


def _clusters(settings: KubernetesSettings) -> list[_Cluster]:
    if settings.trust is not None:
        return [_Cluster(KeysOfFile(settings.trust / "jwks.json"))]
    return [
        _Cluster(
            KeysOfFile(given.jwks)
            if given.jwks is not None
            else KeysOfUrl(str(given.jwks_url), settings.cache_seconds, settings.timeout_seconds),
            name=name,
            issuer=given.issuer,
            namespaces=given.namespaces,
            service_accounts=given.service_accounts,
        )
        for name, given in settings.clusters.items()
    ]


def _refusal(error: TokenError) -> BindingEvidenceInvalid:
    return BindingEvidenceInvalid(
        str(error), help="Read the projected token of the pod anew and send it; check `audience` and the issuer's keys."
    )
