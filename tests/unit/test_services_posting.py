"""One attempt at an endpoint: where it may lead, what counts, and what is read of the answer."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import receiver as receivers
import standardwebhooks
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from licentia.crypto.webhookkeys import WebhookKeys
from licentia.domain.webhooks import Answer, Message
from licentia.services import posting
from licentia.services.posting import KeyPeriod, Post
from licentia.settings import Settings, Webhooks
from licentia.storage.webhook_models import Webhook

_FILE = Path(__file__).parents[1] / "scenarios" / "receiver.py"
Say = receivers.Say

KEYS, OLD = WebhookKeys.generate(), WebhookKeys.generate()
NOW = datetime.now(UTC)
MESSAGE = Message(id="msg_1", kind="order.placed", at=NOW, data=msgspec.Raw(b'{"order_id":"o"}'))
OPEN = Webhooks(allow_private=True, allow_http=True)


@pytest.fixture
def receiver() -> Iterator[Any]:
    """Somebody who listens."""
    with receivers.Receiver().running() as running:
        yield running


def post(webhooks: Webhooks = OPEN) -> Post:
    """A sender."""
    return Post(b"m" * 32, Settings(webhooks=webhooks, public_url="https://licenses.example"))


async def send(url: str, sender: Post | None = None, **fields: Any) -> Answer:
    """Make one attempt."""
    sender = sender or post()
    periods = [KeyPeriod(KEYS), KeyPeriod(OLD, NOW + timedelta(hours=1))]
    keys = sender.sealed("crm", periods)
    endpoint = Webhook(id="crm", url=url, format=fields.pop("format", "standard"), keys=keys)
    return await sender.send(endpoint, MESSAGE)


async def test_a_message_arrives_signed(receiver: Any) -> None:
    """As a POST of JSON that the library of the standard accepts with the new secret and with the old one."""
    answer = await send(f"{receiver.url}/in?tenant=1")
    assert (answer.good, answer.status, answer.text) == (True, 204, "")
    (got,) = receiver.of("/in?tenant=1")
    for keys in (KEYS, OLD):
        standardwebhooks.Webhook(keys.shown_secret).verify(got.body.decode(), got.headers)
    assert got.headers["content-type"] == "application/json"
    assert got.event["type"] == "order.placed"
    assert abs(int(got.headers["webhook-timestamp"]) - time.time()) < 5


async def test_cloud_events_are_signed_alike(receiver: Any) -> None:
    """The same headers, another body."""
    assert (await send(f"{receiver.url}/in", format="cloudevents")).good
    (got,) = receiver.of("/in")
    standardwebhooks.Webhook(KEYS.shown_secret).verify(got.body.decode(), got.headers)
    assert got.headers["content-type"].startswith("application/cloudevents+json")
    assert got.event["source"] == "https://licenses.example"


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_is_good(receiver: Any, status: int) -> None:
    """Whatever it says beside."""
    receiver.answer = lambda got, before: Say(status)
    assert (await send(receiver.url)).good


@pytest.mark.parametrize("status", [300, 301, 302, 304, 307, 308, 400, 401, 404, 410, 429, 500, 503])
async def test_nothing_else_is_good(receiver: Any, status: int) -> None:
    """A redirect is not followed either, wherever it leads."""
    receiver.answer = lambda got, before: Say(status, {"location": "/elsewhere"})
    answer = await send(receiver.url)
    assert not answer.good
    assert answer.status == status
    assert str(status) in str(answer.problem)
    assert ("redirects are not followed" in str(answer.problem)) is (status in (301, 302, 307, 308))
    assert receiver.of("/elsewhere") == []


async def test_only_the_beginning_of_an_answer_is_kept(receiver: Any) -> None:
    """An endless answer ends soon, and what is kept can be shown anywhere."""
    receiver.answer = lambda got, before: Say(500, body=b"\x00\x1b[31m<b>\xff" + b"x" * 10_000_000)
    answer = await send(receiver.url)
    assert answer.text.startswith("\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}[31m<b>\N{REPLACEMENT CHARACTER}x")
    assert len(answer.text) == posting.ANSWER_CHARACTERS


async def test_who_is_slow_is_given_up(receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is for all of it: resolving, connecting, and an answer that drips."""
    monkeypatch.setattr(posting, "SECONDS", 0.2)
    receiver.answer = lambda got, before: Say(after=5)
    begun = time.monotonic()
    answer = await send(receiver.url)
    assert "within 0.2 seconds" in str(answer.problem)
    assert time.monotonic() - begun < 2


async def test_nobody_there() -> None:
    """A refused connection is told as what it is."""
    with receivers.Receiver().running() as gone:
        url = gone.url
    answer = await send(url)
    assert answer.status is None
    assert "cannot be reached" in str(answer.problem)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("120", 120), ("0", 0), ("", None), ("soon", None), ("-1", None), ("1.5", None), ("9" * 20, None), ("٣", None)],
)
def test_when_to_come_back(text: str, seconds: int | None) -> None:
    """`Retry-After` in seconds; what is none is passed over."""
    assert posting._seconds(text) == seconds


def test_when_to_come_back_as_a_date() -> None:
    """`Retry-After` as a date; one that has passed is now."""
    later = posting._seconds(format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True))
    assert later is not None
    assert 97 <= later <= 100
    assert posting._seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0


async def test_the_header_is_read(receiver: Any) -> None:
    """With the answer that it stands in."""
    receiver.answer = lambda got, before: Say(429, {"Retry-After": "7"})
    assert (await send(receiver.url)).retry_after == 7


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/", "https://127.0.0.1/", "https://10.0.0.1:8443/", "https://[::1]/",
        "https://[::ffff:10.0.0.1]/", "https://[64:ff9b::a00:1]/", "https://169.254.169.254/latest/meta-data/",
        "https://0.0.0.0/", "https://224.0.0.1/", "https://u:p@hooks.example/", "https://u@hooks.example/",
        "https://hooks.example/#x", "https://hooks.example/#", "ftp://hooks.example/", "https:///x", "https://:443/",
        "hooks.example", "file:///etc/passwd", "https://[/", "https://hooks.example:0/", "https://hooks.example:x/",
    ],
)  # fmt: skip
async def test_what_is_refused_before_anything_is_asked(url: str) -> None:
    """No plain http, no address inside, no credentials; told at once, and again when something is to be sent."""
    sender = post(Webhooks())
    assert sender.refusal(url) is not None
    answer = await send(url, sender)
    assert not answer.good
    assert "cannot be used" in str(answer.problem)


def test_what_is_allowed() -> None:
    """An address of the internet by https; anything else where the settings say so."""
    assert post(Webhooks()).refusal("https://hooks.example:8443/in?key=1") is None
    assert post(Webhooks()).refusal("https://93.184.215.14/") is None
    assert post().refusal("http://127.0.0.1:8000/") is None
    assert post(Webhooks(allow_http=True)).refusal("http://127.0.0.1/") is not None
    assert post(Webhooks(allow_private=True)).refusal("http://127.0.0.1/") is not None


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["::ffff:127.0.0.1"], ["64:ff9b::7f00:1"], []]
)
async def test_a_name_that_leads_inside_is_refused(
    receiver: Any, addresses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One address inside is enough, and nothing is sent anywhere, not even to the others."""

    async def resolve(host: str) -> list[str]:
        return addresses

    monkeypatch.setattr(posting, "resolve", resolve)
    answer = await send(f"http://hooks.example:{receiver.port}/in", post(Webhooks(allow_http=True)))
    assert "not public" in str(answer.problem)
    assert receiver.got == []


async def test_what_was_judged_is_what_is_asked(receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is resolved once for an attempt; nobody can answer with another address in between."""
    asked = []

    async def resolve(host: str) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    monkeypatch.setattr(posting, "resolve", resolve)
    assert (await send(f"http://hooks.example:{receiver.port}/in")).good
    assert asked == ["hooks.example"]
    assert receiver.of("/in")[0].headers["host"] == f"hooks.example:{receiver.port}"


async def test_the_next_address_is_tried(receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody listens at the first one."""

    async def resolve(host: str) -> list[str]:
        return ["::1", "127.0.0.1"]

    monkeypatch.setattr(posting, "resolve", resolve)
    assert (await send(f"http://hooks.example:{receiver.port}/in")).good


async def test_no_proxy_is_asked(receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would resolve the name itself."""
    with receivers.Receiver().running() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        assert (await send(f"{receiver.url}/in")).good
        assert proxy.got == []


def certified(folder: Path, name: str) -> ssl.SSLContext:
    """The TLS of a server that has a certificate for this name, whose issuer is in `ca.pem`."""
    key, at = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(hours=1))
        .not_valid_after(at + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    (folder / "ca.pem").write_bytes(public)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(private + public)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


@pytest.mark.parametrize("name", ["hooks.example", "other.example"])
async def test_tls_is_for_the_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate is judged by the name in the address, though an IP address is connected to."""

    async def resolve(host: str) -> list[str]:
        return ["127.0.0.1"]

    monkeypatch.setattr(posting, "resolve", resolve)
    receiver = receivers.Receiver()
    receiver.tls = certified(tmp_path, "hooks.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with receiver.running():
        answer = await send(f"https://{name}:{receiver.port}/in")
    assert answer.good is (name == "hooks.example")
    assert len(receiver.got) == answer.good
    if not answer.good:
        assert "certificate" in str(answer.problem)


async def test_a_stranger_s_certificate_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that no known authority has issued."""

    async def resolve(host: str) -> list[str]:
        return ["127.0.0.1"]

    monkeypatch.setattr(posting, "resolve", resolve)
    receiver = receivers.Receiver()
    receiver.tls = certified(tmp_path, "hooks.example")
    with receiver.running():
        answer = await send(f"https://hooks.example:{receiver.port}/in")
    assert "certificate" in str(answer.problem)
    assert receiver.got == []


def test_keys_are_kept_for_their_endpoint_and_time() -> None:
    """An old key ends, and keys that were moved to another endpoint do not open."""
    sender = post()
    sealed = sender.sealed("crm", [KeyPeriod(KEYS), KeyPeriod(OLD, NOW)])
    assert KEYS.secret.hex() not in sealed
    endpoint = Webhook(id="crm", keys=sealed)
    assert [each.keys for each in sender.keys(endpoint, NOW - timedelta(seconds=1))] == [KEYS, OLD]
    assert [each.keys for each in sender.keys(endpoint, NOW)] == [KEYS]
    with pytest.raises(Exception, match="header"):
        sender.keys(Webhook(id="other", keys=sealed), NOW)


async def test_an_attempt_can_be_given_up(receiver: Any) -> None:
    """Whoever cancels it gets no answer, and no connection is left open."""
    receiver.answer = lambda got, before: Say(after=5)
    attempt = asyncio.create_task(send(receiver.url))
    while not receiver.got:  # noqa: ASYNC110 - the receiver runs in threads
        await asyncio.sleep(0.01)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
