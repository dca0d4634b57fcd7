"""Signatures of deliveries: what they hold for, and that the libraries of the standard agree."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
import standardwebhooks
import svix
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from licentia.crypto.webhooks import (
    MAX_SIGNATURES,
    Encoding,
    StandardWebhooks,
    TimedHeader,
    check_age,
    check_hmac,
    signature_text,
)
from licentia.errors import Unauthenticated

NOW = datetime.now(UTC).replace(microsecond=0)
BODY = b'{"type":"order.placed","data":{"n":"\xc3\xa9"}}'
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(range(1, 33))).decode()
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = "whpk_" + base64.b64encode(PRIVATE.public_key().public_bytes_raw()).decode()


def signed(secret: str = SECRET, identity: str = "msg_1", at: datetime = NOW, body: bytes = BODY) -> dict[str, str]:
    """The headers that the reference library makes for a body."""
    signature = standardwebhooks.Webhook(secret).sign(identity, at, body.decode())
    return headers(identity, at, signature)


def headers(identity: str, at: datetime, signature: str) -> dict[str, str]:
    """The three headers of the standard."""
    stamp = str(int(at.timestamp()))
    return {"webhook-id": identity, "webhook-timestamp": stamp, "webhook-signature": signature}


def asymmetric(identity: str = "msg_1", at: datetime = NOW, body: bytes = BODY) -> str:
    """An entry `v1a`, made by another implementation of Ed25519."""
    message = f"{identity}.{int(at.timestamp())}.".encode() + body
    return "v1a," + base64.b64encode(PRIVATE.sign(message)).decode()


def test_rfc_4231() -> None:
    """The second test case of RFC 4231, in both forms."""
    wanted = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert signature_text(b"Jefe", b"what do ya want for nothing?", "hex") == wanted
    assert base64.b64decode(signature_text(b"Jefe", b"what do ya want for nothing?", "base64")).hex() == wanted


@given(
    message=st.binary(max_size=100),
    secret=st.binary(min_size=1, max_size=64),
    encoding=st.sampled_from(["hex", "base64"]),
)
def test_an_hmac_holds_for_its_message_and_secret_only(message: bytes, secret: bytes, encoding: Encoding) -> None:
    """Another body, another secret and the other form are refused; a right one among wrong ones is enough."""
    right = signature_text(secret, message, encoding)
    check_hmac(message, ["wrong", right], ["next", secret], encoding)
    for changed, keys in ((message + b"!", [secret]), (message, [secret + b"!"]), (message, [])):
        with pytest.raises(Unauthenticated):
            check_hmac(changed, [right], keys, encoding)


def test_no_secret_signs_nothing() -> None:
    """An empty secret is none, though an HMAC can be made with it."""
    with pytest.raises(Unauthenticated):
        check_hmac(b"x", [signature_text(b"", b"x", "hex")], [""], "hex")


@pytest.mark.parametrize("signatures", [[], [""], ["", ""], ["é"], ["\ud800"]])
def test_odd_signatures_are_refused(signatures: list[str]) -> None:
    """Whatever stands in the header is refused in our words."""
    with pytest.raises(Unauthenticated):
        check_hmac(b"x", signatures, ["secret"], "hex")


def test_many_signatures_are_refused_unread() -> None:
    """More signatures than any rotation needs are not tried."""
    right = signature_text(b"secret", b"x", "hex")
    check_hmac(b"x", ["no"] * (MAX_SIGNATURES - 1) + [right], ["secret"], "hex")
    with pytest.raises(Unauthenticated, match="more than 16"):
        check_hmac(b"x", ["no"] * MAX_SIGNATURES + [right], ["secret"], "hex")


TIMED = TimedHeader(separator=",", time="t", signature="v1", joint=b".")


def timed(at: datetime = NOW, secret: bytes = b"secret") -> str:
    """A header with a wrong signature, a right one, and one of another version."""
    stamp = int(at.timestamp())
    right = signature_text(secret, f"{stamp}.".encode() + BODY, "hex")
    return f"t={stamp}, v1=00, v1={right},v0=11"


def test_a_timed_header_binds_the_time_to_the_body() -> None:
    """A right signature among others is enough, until it is old; the time cannot be replaced."""
    TIMED.check(timed(), BODY, ["next", "secret"], NOW, 300)
    later = str(int(NOW.timestamp()) + 1)
    for header, body in (
        (timed(), BODY + b" "),
        (timed(NOW - timedelta(seconds=301)), BODY),
        (timed().replace(str(int(NOW.timestamp())), later), BODY),
        (timed().replace("v1=", "v0="), BODY),
        (timed().replace("t=", "x="), BODY),
        (f"t={later},{timed()}", BODY),
        ("", BODY),
        (",,=,t", BODY),
        ("v1=," * 10_000, BODY),
    ):
        with pytest.raises(Unauthenticated):
            TIMED.check(header, body, ["secret"], NOW, 300)


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_a_near_time_is_good(seconds: int) -> None:
    """The tolerance holds in both directions, its ends included."""
    check_age(str(int(NOW.timestamp()) + seconds), NOW)


@pytest.mark.parametrize("text", ["", "-1", "1e9", " 1", "٣", "9" * 13, "1700000000.5", "0"])
def test_no_time_is_refused(text: str) -> None:
    """What is no whole number of seconds near the present is refused."""
    with pytest.raises(Unauthenticated):
        check_age(text, NOW)


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_far_time_is_refused(seconds: int) -> None:
    """A delivery that is kept and sent again later is refused, and so is one of tomorrow."""
    with pytest.raises(Unauthenticated, match="300 seconds"):
        check_age(str(int(NOW.timestamp()) + seconds), NOW)


def test_what_the_reference_libraries_sign_is_authentic() -> None:
    """Deliveries of standardwebhooks and of Svix are let in, and their id is told."""
    verifier = StandardWebhooks([OTHER, SECRET])
    assert verifier.verify(signed(), BODY, NOW) == "msg_1"
    theirs = svix.Webhook(SECRET).sign("msg_2", NOW, BODY.decode())
    assert verifier.verify(headers("msg_2", NOW, theirs), BODY, NOW) == "msg_2"


def test_the_reference_libraries_accept_what_we_accept() -> None:
    """The same headers, with an entry of each version, are authentic for them and for us."""
    now = datetime.now(UTC).replace(microsecond=0)  # they judge by the clock, not by when the tests were collected
    both = signed(at=now)
    both["webhook-signature"] = f"{asymmetric(at=now)} {both['webhook-signature']}"
    for library in (standardwebhooks.Webhook, svix.Webhook):
        library(SECRET).verify(BODY.decode(), both)
    StandardWebhooks([SECRET]).verify(both, BODY, now)
    StandardWebhooks([PUBLIC]).verify(both, BODY, now)


@pytest.mark.parametrize("key", [SECRET, SECRET.rstrip("="), PUBLIC])
def test_any_change_is_refused(key: str) -> None:
    """The id, the time, the body and the signature are all bound to each other."""
    verifier = StandardWebhooks([key])
    good = signed() | {"webhook-signature": f"{signed()['webhook-signature']} {asymmetric()}"}
    verifier.verify(good, BODY, NOW)
    changes = [
        ({"webhook-id": "msg_2"}, BODY),
        ({"webhook-id": ""}, BODY),
        ({"webhook-timestamp": str(int(NOW.timestamp()) + 1)}, BODY),
        ({"webhook-timestamp": ""}, BODY),
        ({"webhook-signature": ""}, BODY),
        ({"webhook-signature": "v1 v1a"}, BODY),
        ({"webhook-signature": "v1,x v1a,x v1a,é v2,x"}, BODY),
        ({"webhook-signature": good["webhook-signature"].replace("v1,", "v0,").replace("v1a,", "v1,")}, BODY),
        ({}, BODY + b" "),
    ]
    for header, body in changes:
        with pytest.raises(Unauthenticated):
            verifier.verify(good | header, body, NOW)


def test_an_old_delivery_is_refused() -> None:
    """The time is signed, and it is checked against when the delivery came."""
    with pytest.raises(Unauthenticated, match="seconds from when it came"):
        StandardWebhooks([SECRET]).verify(signed(), BODY, NOW + timedelta(seconds=301))
    StandardWebhooks([SECRET], tolerance_seconds=600).verify(signed(), BODY, NOW + timedelta(seconds=301))


def test_an_id_with_a_dot_is_refused() -> None:
    """A dot in the id would let its end be read as the time."""
    with pytest.raises(Unauthenticated, match="dot"):
        StandardWebhooks([SECRET]).verify(signed(identity="msg.1"), BODY, NOW)


@pytest.mark.parametrize(
    "keys",
    [[], [""], ["secret"], ["whsec_"], ["whsec_c2hvcnQ="], ["whsec_é"], ["whpk_AAAA"], [SECRET, "whsk_AAAA"]],
)
def test_wrong_keys_are_an_error_of_settings(keys: list[str]) -> None:
    """A key that can verify nothing is refused when it is entered, and is not repeated."""
    with pytest.raises(ValueError, match="key") as refusal:
        StandardWebhooks(keys)
    assert not any(key and key in str(refusal.value) for key in keys if key not in ("whsec_",))
