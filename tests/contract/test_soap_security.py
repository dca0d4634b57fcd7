"""Who calls: the four ways to show a key, and what happens to those who show none or a wrong one."""

from __future__ import annotations

import logging
import secrets
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from typing import Any

import pytest

WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
PROFILE = f"{WSS}username-token-profile-1.0"


def security(*tokens: str, attributes: str = "") -> str:
    """A Security header."""
    names = f'xmlns:w="{WSS}wssecurity-secext-1.0.xsd" xmlns:u="{WSS}wssecurity-utility-1.0.xsd"'
    return f"<w:Security {names} {attributes}>{''.join(tokens)}</w:Security>"


def token(user: str | None, password: str | None, kind: str = "PasswordText", more: str = "") -> str:
    """A UsernameToken."""
    name = "" if user is None else f"<w:Username>{user}</w:Username>"
    secret = "" if password is None else f'<w:Password Type="{PROFILE}#{kind}">{password}</w:Password>'
    return f"<w:UsernameToken>{name}{secret}{more}</w:UsernameToken>"


def digested(user: str, secret: str, at: datetime, nonce: bytes | None = None) -> str:
    """A UsernameToken whose password is a digest (UsernameToken Profile 1.0, section 3.2)."""
    nonce = secrets.token_bytes(16) if nonce is None else nonce
    created = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    digest = b64encode(sha1(nonce + created.encode() + secret.encode()).digest()).decode()
    more = f"<w:Nonce>{b64encode(nonce).decode()}</w:Nonce><u:Created>{created}</u:Created>"
    return token(user, digest, "PasswordDigest", more)


def parts(key: str) -> tuple[str, str]:
    """The id and the secret in a key."""
    _, key_id, secret = key.split("_", 2)
    return key_id, secret


def basic(key_id: str, secret: str) -> str:
    """HTTP Basic credentials."""
    return "Basic " + b64encode(f"{key_id}:{secret}".encode()).decode()


async def lists(soap: Any, header: str = "", **more: Any) -> Any:
    """The answer to a call that is authenticated only as said."""
    body = '<ListProducts xmlns="urn:licentia:admin:1"/>'
    version = more.pop("version", "1.1")
    return await soap.post("admin", soap.envelope(body, header, version), version=version, key=False, **more)


@pytest.mark.parametrize("version", ["1.1", "1.2"])
async def test_every_way_to_show_a_key_works(soap: Any, version: str) -> None:
    """Bearer, Basic, a text password and a digest are all taken, in both versions of SOAP."""
    key_id, secret = parts(soap.keys["admin"])
    required = f's:mustUnderstand="{1}"'
    for header, http in (
        ("", {"authorization": f"Bearer {soap.keys['admin']}"}),
        ("", {"authorization": basic(key_id, secret)}),
        (security(token(key_id, secret)), {}),
        (security(token(key_id, soap.keys["admin"])), {}),
        (security(token(key_id, secret), attributes=required), {}),
        (security(digested(key_id, secret, datetime.now(UTC)), attributes=required), {}),
    ):
        assert soap.reply(await lists(soap, header, version=version, **http)) is not None


async def test_without_a_key_the_client_is_asked_for_one(soap: Any) -> None:
    """No credentials at all get HTTP 401 with a challenge, for clients that wait to be asked."""
    for header in ("", security(), security(attributes='s:actor="urn:someone:else"')):
        response = await lists(soap, header)
        assert (response.status_code, response.headers["www-authenticate"]) == (401, 'Basic realm="licentia"')
        fault = soap.fault(response)
        assert (fault.faultcode, fault.code) == ("Client", "unauthenticated")


async def test_a_security_header_for_someone_else_is_not_read(soap: Any) -> None:
    """A Security header with another actor authenticates nobody here."""
    header = security(token(*parts(soap.keys["admin"])), attributes='s:actor="urn:someone:else"')
    assert (await lists(soap, header)).status_code == 401


@pytest.mark.parametrize("version", ["1.1", "1.2"])
async def test_wrong_credentials_are_a_fault_without_a_challenge(soap: Any, version: str) -> None:
    """Whoever shows a wrong or unreadable key gets the fault `unauthenticated`, and is not asked again."""
    key_id, secret = parts(soap.keys["admin"])
    now = datetime.now(UTC)
    digest = digested(key_id, secret, now)
    status, faultcode = (500, "Client") if version == "1.1" else (400, "Sender")
    for header, http in (
        ("", {"authorization": "Bearer wrong"}),
        ("", {"authorization": "Basic !!!"}),
        ("", {"authorization": "Basic " + b64encode(b"nocolon").decode()}),
        ("", {"authorization": 'Digest username="a"'}),
        ("", {"authorization": basic(key_id, "wrong")}),
        (security(token(key_id, "wrong")), {}),
        (security(token(None, secret)), {}),
        (security(token(key_id, None)), {}),
        (security(token(key_id, secret, "SomethingElse")), {}),
        (security(token(key_id, secret), token(key_id, secret)), {}),
        (security(digested(key_id, "wrong", now)), {}),
        (security(digest.replace("<w:Nonce>", "<w:Other>").replace("</w:Nonce>", "</w:Other>")), {}),
        (security(digest.replace("u:Created", "u:Other")), {}),
        (security(digest.replace("<w:Nonce>", "<w:Nonce>!")), {}),
        (security(token(key_id, "!", "PasswordDigest", "<w:Nonce>AA==</w:Nonce><u:Created>x</u:Created>")), {}),
        (security(digested(key_id, secret, now - timedelta(days=1))), {}),
        (security(digested(key_id, secret, now + timedelta(days=1))), {}),
    ):
        response = await lists(soap, header, version=version, **http)
        assert (response.status_code, "www-authenticate" in response.headers) == (status, False), header
        assert (soap.fault(response).faultcode, soap.fault(response).code) == (faultcode, "unauthenticated")


async def test_a_digest_is_taken_once(soap: Any) -> None:
    """The same nonce again is a replay."""
    header = security(digested(*parts(soap.keys["admin"]), datetime.now(UTC)))
    assert (await lists(soap, header)).status_code == 200
    assert soap.fault(await lists(soap, header)).code == "unauthenticated"


async def test_too_many_wrong_keys_have_to_wait(soap: Any, application: Any) -> None:
    """Beyond the limit of failures the fault says so, and how long to wait."""
    for _ in range(application.settings.limits.failed_authentications_per_minute):
        assert soap.fault(await lists(soap, authorization="Bearer wrong")).code == "unauthenticated"
    response = await lists(soap, authorization="Bearer wrong")
    assert (soap.fault(response).faultcode, soap.fault(response).code) == ("Client", "too_many_requests")
    assert int(response.headers["retry-after"]) > 0


async def test_the_message_wins_over_http(soap: Any) -> None:
    """A UsernameToken decides, also against a good key in the HTTP header."""
    response = await lists(soap, security(token("wrong", "wrong")), authorization=f"Bearer {soap.keys['admin']}")
    assert soap.fault(response).code == "unauthenticated"
    good = security(token(*parts(soap.keys["admin"])))
    assert (await lists(soap, good, authorization="Bearer wrong")).status_code == 200


async def test_a_key_of_another_scope_is_forbidden(soap: Any) -> None:
    """Each service asks for its own scope."""
    response = await lists(soap, authorization=f"Bearer {soap.keys['sales']}")
    assert (soap.fault(response).faultcode, soap.fault(response).code) == ("Client", "forbidden")


async def test_an_open_operation_needs_no_key(soap: Any) -> None:
    """The public keys are for everyone, and a wrong key does no harm there."""
    body = soap.envelope('<ListPublicKeys xmlns="urn:licentia:licensing:1"/>')
    reply = soap.reply(await soap.post("licensing", body, key=False, authorization="Bearer wrong"))
    assert reply.find("{*}keys") is not None


async def test_an_idempotency_key_in_the_header_is_heard(soap: Any) -> None:
    """The header element, in any namespace and either spelling, and the HTTP header carry the key of a repeat."""
    await soap.call("admin", "PutProduct", "<sku>a</sku><name>a</name><items><productCode>1</productCode></items>")
    for number, (header, http) in enumerate(
        (
            ("<IdempotencyKey>{}</IdempotencyKey>", {}),
            ('<k:Idempotency-Key xmlns:k="urn:k"> {} </k:Idempotency-Key>', {}),
            ("", {"idempotency_key": "{}"}),
        )
    ):
        key = f"key-{number}"
        sent = {name: value.format(key) for name, value in http.items()}
        order = (
            f"<source>s</source><orderNumber>{number}</orderNumber><customer><id>c</id></customer>"
            "<lines><lineId>1</lineId><sku>a</sku><quantity>9</quantity></lines>"
        )
        ticket = soap.reply(await soap.call("sales", "CreateOrder", order)).findtext("{*}ticket")
        container = "<container><kind>cloud-lite</kind><user>u{}</user></container><quantity>1</quantity>"
        answers = [
            await soap.call("depot", "ActivateTicket", fields, header=header.format(key), **sent)
            for fields in (f"<code>{ticket}</code>{container.format(user)}" for user in (1, 1, 2))
        ]
        first, again = (soap.reply(answer).findtext("{*}activationId") for answer in answers[:2])
        assert first == again
        assert soap.fault(answers[2]).code == "idempotency_mismatch"


@pytest.mark.parametrize("key", ["", "x" * 201, "a b", "é"])
async def test_an_idempotency_key_is_bounded(soap: Any, key: str) -> None:
    """A key is of 1 to 200 visible ASCII characters."""
    header = f"<IdempotencyKey>{key}</IdempotencyKey>"
    response = await soap.call("licensing", "ReleaseLease", "<leaseId>a</leaseId>", header=header)
    assert soap.fault(response).code == "invalid_request"


async def test_nothing_secret_is_logged(soap: Any, caplog: pytest.LogCaptureFixture, capsys: Any) -> None:
    """Neither bodies nor passwords nor keys are logged, even at the lowest level and for broken messages."""
    caplog.set_level(logging.DEBUG)
    key_id, secret = parts(soap.keys["admin"])
    name = "a-name-in-the-body"
    fields = f"<sku>a</sku><name>{name}</name>"
    message = soap.envelope(
        f'<PutProduct xmlns="urn:licentia:admin:1">{fields}</PutProduct>', security(token(key_id, secret))
    )
    for content in (message, message[:-3], message.replace("</w:Password>", ""), "<!DOCTYPE a>" + message):
        await soap.post("admin", content, authorization=basic(key_id, secret))
    captured = capsys.readouterr()
    everything = caplog.text + captured.out + captured.err
    for hidden in (secret, name, soap.keys["admin"], b64encode(secret.encode()).decode()):
        assert hidden not in everything
