"""Asking the cluster for a token of this very request: TokenRequest, of the API group authentication.k8s.io/v1."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import httpx
import msgspec

from licentia.errors import BindingEvidenceInvalid, Unavailable
from licentia_plugins.bindings.kubernetes import tokens
from licentia_plugins.bindings.kubernetes.tokens import MAX_TOKEN_BYTES, Place, TokenError

TIMEOUT_SECONDS = 10
MAX_ANSWER_BYTES = 64 * 1024
LIFETIME_SECONDS = 600
"""The shortest that the API allows."""


class _Status(msgspec.Struct):
    token: str


class _Answer(msgspec.Struct):
    status: _Status


def request_token(api_server: str, account: Path, audiences: list[str]) -> bytes:
    """A token for these audiences, bound to this pod.

    Args:
        api_server: the URL of the cluster's API.
        account: the folder with `token` and `ca.crt`, which every pod has unless it is switched off.
        audiences: whom the token is to be meant for.

    Raises:
        BindingEvidenceInvalid: this is no pod with an account, or the cluster does not give it such a token.
        Unavailable: the API cannot be reached.
    """
    try:
        own = (account / "token").read_bytes()[: MAX_TOKEN_BYTES + 1]
        token, _, claims = tokens.peek(own)
        trusted = ssl.create_default_context(cafile=str(account / "ca.crt"))
    except (OSError, TokenError) as error:
        raise BindingEvidenceInvalid(f"{account} holds no account for the cluster's API: {error}") from None
    place = claims.place
    path = f"/api/v1/namespaces/{place.namespace}/serviceaccounts/{place.service_account.name}/token"
    try:
        with (
            httpx.Client(verify=trusted, timeout=TIMEOUT_SECONDS, trust_env=False) as client,
            client.stream(
                "POST",
                api_server.rstrip("/") + path,
                json=_wanted(place, audiences),
                headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
            ) as reply,
        ):
            answer = next(reply.iter_bytes(MAX_ANSWER_BYTES), b"")
    except httpx.HTTPError as error:
        raise Unavailable(f"The cluster's API cannot be reached: {type(error).__name__}.") from None
    if reply.status_code not in (200, 201):
        raise BindingEvidenceInvalid(
            f"The cluster gives no token: its API answered with status {reply.status_code}.",
            help=f"Allow the account to `create` `serviceaccounts/token` of {place.service_account.name!r}.",
        )
    try:
        made = msgspec.json.decode(answer, type=_Answer).status.token.encode()
        tokens.peek(made)
    except (ValueError, RecursionError):
        raise BindingEvidenceInvalid("The cluster's API answered with something that is no token.") from None
    return made


def _wanted(place: Place, audiences: list[str]) -> dict[str, Any]:
    pod = {"kind": "Pod", "apiVersion": "v1", "name": place.pod.name, "uid": place.pod.uid}
    spec = {"audiences": audiences, "expirationSeconds": LIFETIME_SECONDS, "boundObjectRef": pod}
    return {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
