"""oidc getting the keys of its issuer: when, how often, and what it makes of a bad answer or none."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from joserfc.jwk import RSAKey
from structlog.testing import capture_logs

from licentia.directories import UserClaim
from licentia.errors import LicensingError, Unauthenticated, Unavailable
from licentia.testing.issuer import AUDIENCE, DISCOVERY, EC, JWKS, NEXT, Issuer
from licentia_plugins.directories.oidc import OpenIdConnect


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """The vendor's identity provider."""
    with Issuer() as running:
        yield running


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock that the key cache reads: `clock[0] += 60` is a minute later."""
    now = [1000.0]
    monkeypatch.setattr("licentia_plugins.directories.oidc.keys.monotonic", lambda: now[0])
    return now


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


async def asked(issuer: Issuer) -> None:
    """Wait until the issuer was asked for something."""
    while not issuer.asked:  # noqa: ASYNC110 - it counts in a thread of its own
        await asyncio.sleep(0.01)


async def test_fifty_first_users_cost_one_fetch(issuer: Issuer, oidc: OpenIdConnect) -> None:
    """However many wait for the first keys, the issuer is asked once."""
    users = await asyncio.gather(*(user(oidc, issuer.token(sub=f"user-{n}")) for n in range(50)))
    assert users == [f"user-{n}" for n in range(50)]
    assert issuer.asked == {DISCOVERY: 1, JWKS: 1}


async def test_a_known_address_of_the_keys_saves_the_discovery(issuer: Issuer) -> None:
    """With `jwks_url` only the keys are fetched."""
    assert await user(directory_of(issuer, jwks_url=issuer.url + JWKS), issuer.token()) == "ada"
    assert issuer.asked == {JWKS: 1}


async def test_a_new_key_is_found_by_asking_again(issuer: Issuer, oidc: OpenIdConnect, clock: list[float]) -> None:
    """After the issuer changed its key, a token with the new one is accepted; the old one is no longer."""
    assert await user(oidc, issuer.token(EC)) == "ada"
    issuer.publish(NEXT)
    clock[0] += 31
    assert await user(oidc, issuer.token(NEXT)) == "ada"
    with pytest.raises(Unauthenticated):
        await user(oidc, issuer.token(EC))
    assert issuer.asked[JWKS] == 2


async def test_unknown_keys_do_not_flood_the_issuer(issuer: Issuer, oidc: OpenIdConnect, clock: list[float]) -> None:
    """A hundred tokens with made-up keys cost one question in 30 seconds."""
    await user(oidc, issuer.token())
    for asked in (1, 2, 3):
        tokens = [issuer.token(NEXT, header={"kid": f"made-up-{n}"}) for n in range(100)]
        refused = await asyncio.gather(*(user(oidc, token) for token in tokens), return_exceptions=True)
        assert {type(answer) for answer in refused} == {Unauthenticated}
        assert issuer.asked[JWKS] == asked
        clock[0] += 31


async def test_a_key_that_was_withdrawn_is_forgotten(issuer: Issuer, oidc: OpenIdConnect, clock: list[float]) -> None:
    """After `cache_seconds` the keys are fetched anew, before the next token is judged."""
    assert await user(oidc, issuer.token(EC)) == "ada"
    issuer.publish(NEXT)
    clock[0] += 3601
    with pytest.raises(Unauthenticated):
        await user(oidc, issuer.token(EC))


async def test_an_issuer_that_is_down_is_bridged(issuer: Issuer, oidc: OpenIdConnect, clock: list[float]) -> None:
    """The keys at hand serve for `stale_seconds`, then nobody is accepted, until the issuer is back."""
    token = issuer.token(exp=int(time.time()) + 600)
    assert await user(oidc, token) == "ada"
    issuer.status = 500
    clock[0] += 3601
    assert await user(oidc, token) == "ada"
    with pytest.raises(Unavailable):
        await user(oidc, issuer.token(NEXT))
    clock[0] += 86_400 - 3601
    assert await user(oidc, token) == "ada"
    clock[0] += 6
    with pytest.raises(Unavailable) as refusal:
        await user(oidc, token)
    assert refusal.value.retry_after_seconds == 5
    issuer.status = 200
    clock[0] += 6
    assert await user(oidc, token) == "ada"


async def test_nobody_waits_for_an_issuer_known_to_be_down(
    issuer: Issuer, oidc: OpenIdConnect, clock: list[float]
) -> None:
    """Once a fetch has failed, the next ones run in the background while there are keys."""
    await user(oidc, issuer.token())
    issuer.status = 500
    clock[0] += 3601
    await user(oidc, issuer.token())
    issuer.answering.clear()
    clock[0] += 6
    async with asyncio.timeout(1):
        assert await user(oidc, issuer.token()) == "ada"
    await oidc.close()


@pytest.mark.parametrize("fault", ["silent", "trickling"])
async def test_an_issuer_that_does_not_finish_is_given_up(issuer: Issuer, fault: str) -> None:
    """A fetch ends after `timeout_seconds` in all, whether no byte comes or one now and then."""
    if fault == "silent":
        issuer.answering.clear()
    issuer.trickle_seconds = 0.2
    started = time.monotonic()
    with pytest.raises(Unavailable):
        await user(directory_of(issuer, timeout_seconds=1), issuer.token())
    assert 0.9 < time.monotonic() - started < 3


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({DISCOVERY: {"issuer": "https://login.example.com", "jwks_uri": "https://x.example.com"}}, "is of the issuer"),
        ({DISCOVERY: {"issuer": "", "jwks_uri": ""}}, "is of the issuer"),
        ({DISCOVERY: []}, "did not send what it should"),
        ({DISCOVERY: None}, "answered with status 404"),
        ({JWKS: {"keys": []}}, "holds no key of use"),
        ({JWKS: {"keys": "none"}}, "did not send what it should"),
        ({JWKS: {"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "ec-1"}]}}, "holds no key of use"),
        ({JWKS: {"keys": [EC.as_dict(private=False)], "padding": "x" * 300_000}}, "sent more than 262144 bytes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
async def test_an_unusable_answer_of_the_issuer_is_no_key(issuer: Issuer, fault: dict[str, Any], reason: str) -> None:
    """A wrong, too large or empty document accepts nobody; the log says why, and neither tells the token."""
    issuer.documents |= fault
    token = issuer.token()
    with capture_logs() as logged, pytest.raises(Unavailable) as refusal:
        await user(directory_of(issuer), token)
    assert [reason in entry["reason"] for entry in logged if entry["event"] == "oidc_keys_not_fetched"] == [True]
    assert token not in f"{refusal.value} {refusal.value.next_step} {logged}"


async def test_a_redirect_is_not_followed(issuer: Issuer, oidc: OpenIdConnect) -> None:
    """Keys come from the address that was configured, and from nowhere else."""
    issuer.status = 302
    with pytest.raises(Unavailable):
        await user(oidc, issuer.token())
    assert issuer.asked == {DISCOVERY: 1}


@pytest.fixture
def tls(issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Issuer:
    """The issuer behind TLS, with a certificate that only the operator's own trust store knows."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain, secret = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(certificate.public_bytes(Encoding.PEM))
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, secret)
    issuer.socket = context.wrap_socket(issuer.socket, server_side=True)
    issuer.url = issuer.url.replace("http:", "https:")
    issuer.documents[DISCOVERY] = {"issuer": issuer.url, "jwks_uri": issuer.url + JWKS}
    monkeypatch.setenv("SSL_CERT_FILE", str(chain))
    return issuer


async def test_an_own_certificate_authority_is_trusted_by_its_file(tls: Issuer) -> None:
    """With `SSL_CERT_FILE` an issuer inside the company works over TLS."""
    assert await user(directory_of(tls, allow_http=False), tls.token()) == "ada"


async def test_a_certificate_of_a_stranger_is_not_trusted(tls: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without that file the issuer is not believed to be itself."""
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(Unavailable):
        await user(directory_of(tls, allow_http=False), tls.token())


async def test_keys_are_not_fetched_without_tls(tls: Issuer) -> None:
    """An issuer over TLS that sends its clients to plain HTTP for its keys is not followed."""
    with Issuer() as plain:
        tls.documents[DISCOVERY]["jwks_uri"] = plain.url + JWKS
        with pytest.raises(Unavailable):
            await user(directory_of(tls, allow_http=False), tls.token())
    assert (tls.asked, plain.asked) == ({DISCOVERY: 1}, {})


async def test_keys_of_no_use_are_ignored(issuer: Issuer, oidc: OpenIdConnect) -> None:
    """Unknown, symmetric and broken keys, and those for encryption, do no harm beside a good one."""
    issuer.documents[JWKS]["keys"] += [
        NEXT.as_dict(private=False, kid="for-encryption", use="enc"),
        {"kty": "AKP", "kid": "from-the-future", "pub": "AA"},
        {"kty": "oct", "kid": "shared", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQ"},
        {"kty": "EC", "kid": "broken", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kid": "nothing"},
    ]
    assert await user(oidc, issuer.token()) == "ada"
    for kid in ("for-encryption", "from-the-future", "shared", "broken", "nothing"):
        with pytest.raises(Unauthenticated, match="not signed with a key that its issuer publishes"):
            await user(oidc, issuer.token(NEXT, header={"kid": kid}))


@pytest.mark.filterwarnings("ignore:Key size should be")
async def test_a_weak_key_verifies_nothing(issuer: Issuer, oidc: OpenIdConnect) -> None:
    """An RSA key of less than 2048 bits is not used, even if the issuer publishes and uses it."""
    issuer.publish(weak := RSAKey.generate_key(1024, {"kid": "weak"}), EC)
    with pytest.raises(Unauthenticated, match="not signed with a key that its issuer publishes"):
        await user(oidc, issuer.token(weak))


async def test_a_slow_fetch_is_waited_for(issuer: Issuer, oidc: OpenIdConnect, clock: list[float]) -> None:
    """While a fetch is under way nobody begins another one, however long it takes."""
    issuer.answering.clear()
    first = asyncio.create_task(user(oidc, issuer.token()))
    await asked(issuer)
    clock[0] += 60
    second = asyncio.create_task(user(oidc, issuer.token()))
    await asyncio.sleep(0)
    issuer.answering.set()
    assert await asyncio.gather(first, second) == ["ada", "ada"]
    assert issuer.asked == {DISCOVERY: 1, JWKS: 1}


async def test_who_gives_up_waiting_stops_nobody_else(issuer: Issuer, oidc: OpenIdConnect) -> None:
    """The fetch that many wait for goes on when the one that began it is cancelled."""
    issuer.answering.clear()
    first, second = (asyncio.create_task(user(oidc, issuer.token())) for _ in range(2))
    await asked(issuer)
    first.cancel()
    await asyncio.sleep(0)
    issuer.answering.set()
    assert await second == "ada"
    assert first.cancelled()
    assert issuer.asked == {DISCOVERY: 1, JWKS: 1}


async def test_closing_ends_a_fetch(issuer: Issuer, oidc: OpenIdConnect) -> None:
    """At shutdown nobody waits for an issuer that does not answer."""
    issuer.answering.clear()
    waiting = asyncio.create_task(user(oidc, issuer.token()))
    await asked(issuer)
    async with asyncio.timeout(1):
        await oidc.close()
        with pytest.raises((asyncio.CancelledError, LicensingError)):
            await waiting
