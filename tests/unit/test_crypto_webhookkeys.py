"""What we sign is authentic for the libraries of the standard, for another Ed25519, and for our own verifier."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
import standardwebhooks
import svix
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from licentia.crypto.webhookkeys import WebhookKeys, signed_headers
from licentia.crypto.webhooks import StandardWebhooks

BODY = '{"type":"order.placed","data":{"n":"é"}}'.encode()
OLD, NEW, OTHER = WebhookKeys.generate(), WebhookKeys.generate(), WebhookKeys.generate()


def headers(*keys: WebhookKeys, body: bytes = BODY) -> dict[str, str]:
    """The headers of a delivery now."""
    return signed_headers(keys, "msg_1", int(datetime.now(UTC).timestamp()), body)


@pytest.mark.parametrize("library", [standardwebhooks.Webhook, svix.Webhook])
def test_the_libraries_of_the_standard_accept_it(library: type) -> None:
    """With the old secret and the new one while both sign, and with no other."""
    for keys in (OLD, NEW):
        library(keys.shown_secret).verify(BODY.decode(), headers(NEW, OLD))
    with pytest.raises(Exception, match="No matching signature"):
        library(OTHER.shown_secret).verify(BODY.decode(), headers(NEW, OLD))


def test_another_ed25519_accepts_the_asymmetric_signature() -> None:
    """`v1a` is Ed25519 over id, time and body; the public key is all one needs to check it."""
    told = headers(NEW, OLD)
    signatures = [entry[4:] for entry in told["webhook-signature"].split(" ") if entry.startswith("v1a,")]
    message = b".".join((b"msg_1", told["webhook-timestamp"].encode(), BODY))
    for keys, signature in zip((NEW, OLD), signatures, strict=True):
        assert keys.public_key.startswith("whpk_")
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(keys.public_key[5:]))
        public.verify(base64.b64decode(signature), message)
        with pytest.raises(InvalidSignature):
            public.verify(base64.b64decode(signature), message + b" ")


@given(body=st.binary(max_size=200))
@settings(max_examples=30)
def test_our_own_verifier_accepts_it(body: bytes) -> None:
    """By the secret alone and by the public key alone, for any body."""
    now = datetime.now(UTC)
    for key in (NEW.shown_secret, NEW.public_key, OLD.shown_secret, OLD.public_key):
        assert StandardWebhooks([key]).verify(headers(NEW, OLD, body=body), body, now) == "msg_1"


def test_the_newest_key_is_first_of_its_version() -> None:
    """The entries are sorted by version, then by age."""
    versions = [entry.partition(",")[0] for entry in headers(NEW, OLD)["webhook-signature"].split(" ")]
    assert versions == ["v1", "v1", "v1a", "v1a"]
    assert headers(NEW)["webhook-signature"].split(" ")[0] in headers(NEW, OLD)["webhook-signature"].split(" ")[:1]


def test_keys_are_random_and_do_not_show_themselves() -> None:
    """No two are alike, and a log that shows one shows its public half only."""
    assert len({OLD.secret, OLD.seed, NEW.secret, NEW.seed}) == 4
    for shown in (repr(OLD), str(OLD)):
        assert OLD.public_key in shown
        assert OLD.shown_secret not in shown
        assert repr(OLD.secret) not in shown
        assert repr(OLD.seed) not in shown
