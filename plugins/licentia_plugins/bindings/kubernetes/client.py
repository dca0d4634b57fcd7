"""The client half of kubernetes: reads the token that the cluster projects into the pod."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from licentia.bindings import ClientHalf, Unsealed
from licentia.crypto import identity_seal
from licentia.errors import BindingEvidenceInvalid, BindingMismatch, DocumentInvalid, FieldProblem
from licentia.settings import table
from licentia_plugins.bindings.kubernetes import tokens
from licentia_plugins.bindings.kubernetes.record import Record, read, sealed_to
from licentia_plugins.bindings.kubernetes.settings import PodSettings
from licentia_plugins.bindings.kubernetes.tokens import Claims, KeyMissing, TokenError

LEEWAY_SECONDS = 60
"""How far the clocks of node and control plane may be apart."""


class KubernetesClient(ClientHalf):
    """Opens offline: the token's signature is checked with the keys that the cluster had when it was sealed."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self._settings = table(settings, PodSettings, f"binding.{name}")

    def _collect(self, nonce: str) -> bytes:
        token = read_token(self._settings.token_file)
        if self._settings.api_server is None:
            return token
        from licentia_plugins.bindings.kubernetes.request import request_token

        audience = tokens.peek(token)[2].audiences[0]
        return request_token(self._settings.api_server, self._settings.api_account, [audience, nonce])

    def _unseal(self, record: bytes) -> Unsealed:
        sealed_for = read(record)
        try:
            keys = tokens.key_set(msgspec.json.encode({"keys": sealed_for.keys}))
        except ValueError:
            raise DocumentInvalid("The record of the kubernetes binding has no keys.") from None
        try:
            token, header, claimed = tokens.peek(read_token(self._settings.token_file))
            _same_account(sealed_for, claimed)
            claims = tokens.verified(token, tokens.key_for(header, keys))
            tokens.check(claims, datetime.now(UTC), LEEWAY_SECONDS, sealed_for.issuer, sealed_for.audience)
        except KeyMissing:
            raise _mismatch(
                "cluster_keys", "The token is signed with a key that the cluster did not have when this was sealed."
            ) from None
        except (TokenError, BindingEvidenceInvalid) as error:
            raise _mismatch("token", str(error)) from None
        secret = identity_seal.opened(sealed_for.sealed, sealed_to(claims.iss, claims.place, keys), self.name)
        if secret is None:
            raise _mismatch("service_account_uid", "The service account is another one of the same name.")
        return Unsealed(secret=secret)


def read_token(file: Path) -> bytes:
    """The token of a file.

    Raises:
        BindingEvidenceInvalid: there is none.
    """
    try:
        with file.open("rb") as opened:
            token = opened.read(tokens.MAX_TOKEN_BYTES + 1).strip()
        tokens.peek(token)
    except OSError as error:
        raise BindingEvidenceInvalid(
            f"There is no token at {file}: {error.strerror or error}.",
            help="Project a service-account token into the pod; docs/plugins/kubernetes.md shows how.",
        ) from None
    except TokenError as error:
        raise BindingEvidenceInvalid(f"{file}: {error}") from None
    return token


def _same_account(sealed_for: Record, claims: Claims) -> None:
    place = claims.place
    for feature, then, now in (
        ("issuer", sealed_for.issuer, claims.iss),
        ("namespace", sealed_for.namespace, place.namespace),
        ("service_account", sealed_for.service_account, place.service_account.name),
    ):
        if then != now:
            raise _mismatch(feature, f"The {feature.replace('_', ' ')} is {now!r}, not {then!r}.")


def _mismatch(feature: str, detail: str) -> BindingMismatch:
    return BindingMismatch(detail, problems=[FieldProblem(f"/features/{feature}", detail)])
