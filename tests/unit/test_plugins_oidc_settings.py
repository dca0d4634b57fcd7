"""The settings of the oidc directory: what is refused at the start, and in which words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from licentia_plugins.directories.oidc import OpenIdConnect
from licentia_plugins.directories.oidc.settings import OidcSettings

LEAST = {"issuer": "https://login.example.com/acme", "audience": "acme-app"}


def test_the_least_settings_are_enough() -> None:
    """Issuer and audience are all that must be said; plain HTTP is off."""
    settings = msgspec.convert(LEAST, OidcSettings)
    assert settings.audiences == ["acme-app"]
    assert settings.may_fetch("https://login.example.com/keys")
    assert not settings.may_fetch("http://login.example.com/keys")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"audience": "acme-app"}, "missing required field `issuer`"),
        ({"issuer": "https://login.example.com"}, "missing required field `audience`"),
        (LEAST | {"isuer": "x"}, "unknown field `isuer`"),
        (LEAST | {"issuer": "http://login.example.com"}, "`issuer` must begin with https://"),
        (LEAST | {"jwks_url": "http://login.example.com/keys"}, "`jwks_url` must begin with https://"),
        (LEAST | {"issuer": "login.example.com"}, r"\$.issuer"),
        (LEAST | {"issuer": "https://user:secret@login.example.com"}, r"\$.issuer"),
        (LEAST | {"issuer": "https://login.example.com/?tenant=acme"}, r"\$.issuer"),
        (LEAST | {"issuer": "https://login.example.com\n"}, r"\$.issuer"),
        (LEAST | {"audience": []}, r"\$.audience"),
        (LEAST | {"audience": ""}, r"\$.audience"),
        (LEAST | {"algorithms": []}, r"\$.algorithms"),
        (LEAST | {"algorithms": ["none"]}, "'none'.*algorithms"),
        (LEAST | {"algorithms": ["RS256", "HS256"]}, "'HS256'.*algorithms"),
        (LEAST | {"timeout_seconds": 0}, r"\$.timeout_seconds"),
        (LEAST | {"leeway_seconds": "30"}, r"\$.leeway_seconds"),
        (LEAST | {"cache_seconds": 7200, "stale_seconds": 3600}, "`stale_seconds` must not be below `cache_seconds`"),
    ],
    ids=lambda value: str(value)[-60:],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], words: str) -> None:
    """A missing, unknown or wrong setting is refused before the server starts, without its value if it is a URL."""
    with pytest.raises(msgspec.ValidationError, match=words) as refusal:
        OpenIdConnect("oidc", settings)
    assert "secret" not in str(refusal.value)
