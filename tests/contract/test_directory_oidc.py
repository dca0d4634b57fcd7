"""oidc judging tokens, by the kit that every directory is measured with, against a real issuer on the loopback."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from joserfc.jwk import Key

from licentia.directories import Subject, UserClaim
from licentia.errors import Unauthenticated
from licentia.testing import DirectoryContract
from licentia.testing.issuer import ABSENT, ALGORITHMS, AUDIENCE, EC, NEXT, OKP, RSA, Issuer
from licentia_plugins.directories.oidc import OpenIdConnect


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """The vendor's identity provider."""
    with Issuer() as running:
        yield running


def directory_of(issuer: Issuer, **settings: Any) -> OpenIdConnect:
    """The directory with the least settings, and those that are given."""
    return OpenIdConnect("oidc", {"issuer": issuer.url, "audience": AUDIENCE, "allow_http": True} | settings)


@pytest.fixture
def oidc(issuer: Issuer) -> OpenIdConnect:
    """The directory under test."""
    return directory_of(issuer)


async def user(directory: OpenIdConnect, token: str) -> str | None:
    """Whom the directory takes the holder of this token for."""
    subject = await directory.identify(UserClaim(token=token))
    return subject and subject.user


def encoded(document: dict[str, Any]) -> bytes:
    """One part of a token."""
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=")


def unsigned(issuer: Issuer) -> str:
    """A token with the algorithm `none` (RFC 7519, section 6)."""
    return (encoded({"alg": "none"}) + b"." + issuer.token().encode().split(b".")[1] + b".").decode()


def keyed_with_the_public_key(issuer: Issuer) -> str:
    """A token by HMAC, with the issuer's public key as the secret (RFC 8725, section 2.1)."""
    text = encoded({"alg": "HS256", "kid": RSA.kid}) + b"." + issuer.token().encode().split(b".")[1]
    code = hmac.digest(RSA.as_pem(private=False), text, hashlib.sha256)
    return (text + b"." + base64.urlsafe_b64encode(code).rstrip(b"=")).decode()


def signed_by_another(issuer: Issuer) -> str:
    """A token that names a key of the issuer and is signed with another one."""
    return issuer.token(NEXT, header={"kid": EC.kid})


class TestOidc(DirectoryContract):
    @pytest.fixture
    def directory(self, oidc: OpenIdConnect) -> OpenIdConnect:
        return oidc

    @pytest.fixture
    def known(self, issuer: Issuer) -> tuple[UserClaim, Subject]:
        return UserClaim(token=issuer.token(groups=["staff", "lab"])), Subject(user="ada", groups=("staff", "lab"))

    @pytest.fixture
    def foreign(self, issuer: Issuer) -> tuple[UserClaim, ...]:
        other = issuer.token(iss="https://login.example.com")
        return UserClaim(token=other), UserClaim(user="ada"), UserClaim(token="opaque")

    @pytest.fixture
    def refused(self, issuer: Issuer) -> tuple[UserClaim, ...]:
        tokens = unsigned(issuer), keyed_with_the_public_key(issuer), signed_by_another(issuer), issuer.token(exp=1)
        return tuple(UserClaim(token=token) for token in tokens)


@pytest.mark.parametrize("key", [RSA, EC, OKP], ids=lambda key: ALGORITHMS[key.key_type])
async def test_each_default_algorithm_is_accepted(issuer: Issuer, oidc: OpenIdConnect, key: Key) -> None:
    """Tokens with RS256, ES256 and Ed25519 name their user."""
    assert await user(oidc, issuer.token(key)) == "ada"


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"exp": int(time.time()) - 60}, "has expired"),
        ({"exp": ABSENT}, "lacks `exp`"),
        ({"exp": "never"}, "`exp` does not hold"),
        ({"nbf": int(time.time()) + 3600}, "`nbf` does not hold"),
        ({"iat": int(time.time()) + 3600}, "`iat` does not hold"),
        ({"aud": "another-app"}, "`aud` does not hold"),
        ({"aud": ["another-app", "a-third"]}, "`aud` does not hold"),
        ({"aud": ABSENT}, "lacks `aud`"),
        ({"sub": ABSENT}, "`sub` is not a user id"),
        ({"sub": ""}, "`sub` is not a user id"),
        ({"sub": "a/../b"}, "`sub` is not a user id"),
        ({"sub": "x" * 256}, "`sub` is not a user id"),
        ({"groups": 7}, "`groups` is not a list"),
        ({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}, "tells of an event"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
async def test_a_claim_that_does_not_hold_is_named(
    issuer: Issuer, oidc: OpenIdConnect, claims: dict[str, Any], words: str
) -> None:
    """A token whose signature is good is refused for each claim that is missing or wrong, in words that name it."""
    with pytest.raises(Unauthenticated, match=words):
        await user(oidc, issuer.token(**claims))


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"typ": "logout+jwt"}, "does not name a user"),
        ({"alg": "ES384"}, "not signed with one of RS256, ES256, Ed25519"),
        ({"kid": "no-such-key"}, "not signed with a key that its issuer publishes"),
        ({"kid": RSA.kid}, "not signed with a key that its issuer publishes"),
        ({"crit": ["exp"], "exp": 1}, "signature does not hold"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_header_that_does_not_fit_is_refused(
    issuer: Issuer, oidc: OpenIdConnect, header: dict[str, Any], words: str
) -> None:
    """The algorithm, the key and the type that a token names must be good for a token of a user."""
    head, payload, signature = issuer.token().encode().split(b".")
    said = json.loads(base64.urlsafe_b64decode(head + b"==")) | header
    with pytest.raises(Unauthenticated, match=words):
        await user(oidc, b".".join((encoded(said), payload, signature)).decode())


@pytest.mark.parametrize("forge", [unsigned, keyed_with_the_public_key, signed_by_another])
async def test_a_forged_token_is_refused(issuer: Issuer, oidc: OpenIdConnect, forge: Any) -> None:
    """Without the issuer's private key nobody can name a user."""
    with pytest.raises(Unauthenticated) as refusal:
        await user(oidc, forge(issuer))
    assert "new token" in refusal.value.next_step


async def test_no_character_of_a_token_may_change(issuer: Issuer, oidc: OpenIdConnect) -> None:
    """Whichever character of a good token is another one, it names nobody."""
    token = issuer.token()
    for position, old in enumerate(token):
        changed = token[:position] + ("A" if old != "A" else "B") + token[position + 1 :]
        with contextlib.suppress(Unauthenticated):
            assert await user(oidc, changed) is None, position
    assert await user(oidc, token) == "ada"


async def test_a_long_token_is_refused_unread(issuer: Issuer, oidc: OpenIdConnect) -> None:
    """Beyond 16 KiB nothing of a token is looked at, and the issuer is not asked."""
    with pytest.raises(Unauthenticated, match="longer than 16384"):
        await user(oidc, issuer.token(groups=["x" * 20_000]))
    assert not issuer.asked


async def test_times_may_be_off_by_the_leeway(issuer: Issuer) -> None:
    """A clock that is 20 seconds wrong does no harm where the leeway is 30, and does where it is 5."""
    now = int(time.time())
    token = issuer.token(exp=now - 20, nbf=now + 20, iat=now + 20)
    assert await user(directory_of(issuer, leeway_seconds=30), token) == "ada"
    with pytest.raises(Unauthenticated):
        await user(directory_of(issuer, leeway_seconds=5), token)


@pytest.mark.parametrize("audience", ["acme-app", ["acme-app", "acme-portal"]])
@pytest.mark.parametrize("said", ["acme-app", ["someone-else", "acme-app"]])
async def test_one_common_audience_is_enough(issuer: Issuer, audience: Any, said: Any) -> None:
    """Both sides may name several audiences."""
    assert await user(directory_of(issuer, audience=audience), issuer.token(aud=said)) == "ada"


@pytest.mark.parametrize(
    ("said", "groups"),
    [
        (ABSENT, ()),
        (None, ()),
        ([], ()),
        ("staff", ("staff",)),
        (["lab", "staff", "lab"], ("lab", "staff")),
        (["staff", 7, "two words", "/path", None, {}], ("staff",)),
    ],
    ids=lambda value: "absent" if value is ABSENT else str(value),
)
async def test_groups_are_those_a_license_can_be_bound_to(
    issuer: Issuer, oidc: OpenIdConnect, said: Any, groups: tuple[str, ...]
) -> None:
    """Groups may be absent, single or many; what cannot own a license is left out."""
    subject = await oidc.identify(UserClaim(token=issuer.token(groups=said)))
    assert subject == Subject(user="ada", groups=groups)


async def test_the_claims_are_the_ones_of_the_settings(issuer: Issuer) -> None:
    """`user_claim` and `groups_claim` say where user and groups stand in the token."""
    directory = directory_of(issuer, user_claim="oid", groups_claim="roles")
    token = issuer.token(oid="u-1", roles=["admins"], groups=["ignored"])
    assert await directory.identify(UserClaim(token=token)) == Subject(user="u-1", groups=("admins",))


async def test_a_token_without_a_key_name_needs_a_single_key(issuer: Issuer) -> None:
    """Without `kid` the issuer must have one key that fits the algorithm (OpenID Connect Core 1.0, section 10.1)."""
    token = issuer.token(EC, header={"kid": ABSENT})
    assert await user(directory_of(issuer), token) == "ada"
    issuer.publish(EC, NEXT)
    with pytest.raises(Unauthenticated, match="not signed with a key that its issuer publishes"):
        await user(directory_of(issuer), token)


async def test_what_else_is_in_a_header_is_ignored(issuer: Issuer, oidc: OpenIdConnect) -> None:
    """Headers of the issuer's own, and a chain of certificates, do no harm (RFC 7515, section 4)."""
    assert await user(oidc, issuer.token(header={"nonce": "n-1", "x5c": ["M" * 2000]})) == "ada"
