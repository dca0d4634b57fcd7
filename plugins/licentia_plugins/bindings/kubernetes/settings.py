"""The settings of `[binding.kubernetes]`, and those of a pod."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from licentia.contract.types import WHOLE

Issuer = Annotated[str, Meta(min_length=1, max_length=500)]
Audience = Annotated[str, Meta(max_length=200)]
ClusterName = Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$" + WHOLE)]
HttpsUrl = Annotated[str, Meta(pattern=r"^https://[^/?#@\s]+(/[^?#\s]*)?$" + WHOLE)]
T = TypeVar("T")


class ClusterSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One cluster; docs/plugins/kubernetes.md explains each setting. Empty lists allow everything."""

    issuer: Issuer
    jwks: Path | None = None
    jwks_url: HttpsUrl | None = None
    namespaces: tuple[str, ...] = ()
    service_accounts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.jwks is None) == (self.jwks_url is None):
            raise ValueError("name either `jwks`, a file, or `jwks_url`")


class KubernetesSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The server's: the clusters by the names that the vendor gives them, and how tokens are judged."""

    audience: Audience = ""
    clusters: dict[ClusterName, ClusterSettings] = {}
    trust: Path | None = None
    max_age_seconds: Annotated[int, Meta(ge=60, le=604_800)] = 86_400
    leeway_seconds: Annotated[int, Meta(ge=0, le=300)] = 30
    cache_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 3600
    timeout_seconds: Annotated[int, Meta(ge=1, le=60)] = 5

    def __post_init__(self) -> None:
        if bool(self.clusters) == (self.trust is not None):
            raise ValueError("name either `clusters` or `trust`, a folder with a jwks.json")
        if self.clusters and not self.audience:
            raise ValueError("`audience` is missing: without it a token made for any other service would do")


class PodSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the application gives: where the token is projected to, and whether to ask the cluster for fresh ones."""

    token_file: Path = Path("/var/run/secrets/licentia/token")
    api_server: HttpsUrl | None = None
    api_account: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount")
