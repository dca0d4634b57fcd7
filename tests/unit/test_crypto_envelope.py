"""Envelopes: one form, exact octets, and a verifier whose policy decides."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey
from hypothesis import given
from hypothesis import strategies as st

from licentia.crypto import envelope
from licentia.crypto.signing import SoftwareKey, VerifyKey
from licentia.crypto.suites import ED25519, HYBRID, SUITES
from licentia.errors import DocumentInvalid

TYPE = "application/vnd.licentia.test.v1+json"
KEYS = {suite: SoftwareKey.generate(suite) for suite in SUITES}
ONE, TWO = KEYS[ED25519], SoftwareKey.generate(ED25519)
suites = pytest.mark.parametrize("suite", SUITES)


def refused(data: bytes, *keys: VerifyKey, match: str | None = None, **policy: Any) -> None:
    """Assert that the file is refused under these keys, or those of `KEYS`, and this policy."""
    with pytest.raises(DocumentInvalid, match=match):
        envelope.verify(data, TYPE, keys or [key.public for key in KEYS.values()], **{"suites": SUITES} | policy)


def changed(data: bytes, **members: Any) -> bytes:
    """The file with other members."""
    return json.dumps(json.loads(data) | members, separators=(",", ":")).encode()


@suites
@given(payload=st.binary(max_size=300))
def test_a_payload_comes_back_octet_by_octet(suite: str, payload: bytes) -> None:
    """What was signed is what is read, with the name of the key that signed it."""
    key = KEYS[suite]
    verified = envelope.verify(envelope.sign(TYPE, payload, key), TYPE, [key.public], suites=[suite])
    assert verified == envelope.Verified(payload, (key.public.kid,))


@pytest.mark.parametrize(
    ("suite", "bits"),
    [(ED25519, range(8)), (HYBRID, None), pytest.param(HYBRID, range(8), marks=pytest.mark.slow)],
    ids=["ed25519", "hybrid-one-bit-an-octet", "hybrid"],
)
def test_every_flipped_bit_is_refused(suite: str, bits: range | None) -> None:
    """Wherever a bit of the file is flipped, the file is refused with the documented error."""
    key = KEYS[suite]
    data = envelope.sign(TYPE, b'{"seats": 3}', key)
    for position in range(len(data)):
        for bit in bits or (position % 8,):
            flipped = bytearray(data)
            flipped[position] ^= 1 << bit
            with pytest.raises(DocumentInvalid):
                envelope.verify(bytes(flipped), TYPE, [key.public], suites=SUITES)


@suites
def test_every_cut_is_refused(suite: str) -> None:
    """A file that lacks its end or its beginning is refused."""
    data = envelope.sign(TYPE, b"text", KEYS[suite])
    for position in range(1, len(data)):
        refused(data[:position])
        refused(data[position:])
    refused(b"")


@given(data=st.binary(max_size=400) | st.text(max_size=400).map(str.encode))
def test_anything_else_is_refused_with_the_documented_error(data: bytes) -> None:
    """No octets make the reader fail in another way."""
    refused(data)


def test_other_forms_of_the_same_content_are_refused() -> None:
    """White space, another order, a member too many or twice, and other base64 are all another file."""
    data = envelope.sign(TYPE, b"text", ONE)
    text, whole = data.decode(), json.loads(data)
    signature = whole["signatures"][0]
    forms = {
        "white space": [text + "\n", " " + text, json.dumps(whole)],
        "order": [json.dumps(dict(reversed(whole.items())), separators=(",", ":"))],
        "unknown member": [
            changed(data, more=1).decode(),
            changed(data, signatures=[signature | {"more": 1}]).decode(),
        ],
        "twice": [text[:-1] + ',"payload":"dGV4dA=="}', text.replace('"payload":', '"payload":"","payload":')],
        "escape": [text.replace("payloadType", "payload\\u0054ype"), text.replace("licentia", "licenti\\u0061")],
        "base64": [text.replace("dGV4dA==", other) for other in ("dGV4dB==", "dGV4dA", "dGV4dA=", "dGV4 dA==")],
        "url base64": [
            changed(
                data, signatures=[signature | {"sig": signature["sig"].translate({43: 45, 47: 95, 61: None})}]
            ).decode()
        ],
        "missing member": [json.dumps({"payloadType": TYPE, "payload": "dGV4dA=="}, separators=(",", ":"))],
        "mark": ["\ufeff" + text],
        "null": [text + "\0"],
    }
    for each in (form for several in forms.values() for form in several):
        refused(each.encode())


def test_the_signature_covers_the_type() -> None:
    """A good signature over another type of document is refused, and so is one under a renamed type."""
    data = envelope.sign("application/other", b"text", ONE)
    refused(data, match="is of the type 'application/other'")
    refused(changed(data, payloadType=TYPE), match="wrong")


def test_a_key_that_is_not_trusted_is_refused() -> None:
    """Neither a stranger's file nor a stranger's signature beside a good one is accepted."""
    refused(envelope.sign(TYPE, b"text", TWO), match="not trusted")
    refused(envelope.sign(TYPE, b"text", ONE, TWO), match="not trusted")


def test_the_policy_decides_which_suites_count() -> None:
    """A plain signature of a trusted key is refused where only hybrid ones count, and the other way round."""
    for suite, other in ((ED25519, HYBRID), (HYBRID, ED25519)):
        data = envelope.sign(TYPE, b"text", KEYS[suite])
        refused(data, suites=[other], match=f"of a suite that counts here.*{other}")
    refused(envelope.sign(TYPE, b"text", ONE), suites=[])


def test_a_hybrid_file_without_one_of_its_signatures_is_refused() -> None:
    """Whichever signature is taken away, also if the rest is passed off as a plain one."""
    key = KEYS[HYBRID]
    data = envelope.sign(TYPE, b"text", key)
    signatures = json.loads(data)["signatures"]
    plain = VerifyKey(ED25519, key.public.ed25519)
    for left in signatures:
        refused(changed(data, signatures=[left]), key.public, match="part of it is missing")
    stripped = changed(data, signatures=[signatures[0] | {"keyid": plain.kid}])
    refused(stripped, key.public, match="not trusted")
    refused(stripped, key.public, plain, suites=[HYBRID], match="counts here")


def test_a_document_needs_as_many_keys_as_the_threshold_says() -> None:
    """Each key counts once, and one that does not count by its suite does not count at all."""
    data = envelope.sign(TYPE, b"text", ONE, ONE)
    refused(data, threshold=2, match="Signatures of 2 trusted keys are needed.* has 1")
    both = envelope.sign(TYPE, b"text", ONE, TWO)
    verified = envelope.verify(both, TYPE, [ONE.public, TWO.public], suites=[ED25519], threshold=2)
    assert verified.kids == tuple(sorted((ONE.public.kid, TWO.public.kid)))
    refused(envelope.sign(TYPE, b"text", ONE, KEYS[HYBRID]), threshold=2, suites=[ED25519])
    doubled = json.loads(data)["signatures"] * 2
    refused(changed(data, signatures=doubled))
    refused(changed(both, signatures=list(reversed(json.loads(both)["signatures"]))), ONE.public, TWO.public)


def test_signatures_come_one_after_the_other() -> None:
    """A draft is signed by one key and then by another, and is the same file as if both had signed at once."""
    draft = envelope.sign(TYPE, b"text")
    refused(draft, match="has 0")
    for order in ((ONE, TWO), (TWO, ONE)):
        signed = draft
        for key in order:
            signed = envelope.cosign(signed, TYPE, key)
        assert signed == envelope.sign(TYPE, b"text", ONE, TWO)


def test_nobody_needing_to_sign_is_no_policy() -> None:
    """A threshold of nothing is a mistake of the caller's."""
    with pytest.raises(ValueError, match="nobody"):
        envelope.verify(envelope.sign(TYPE, b"text"), TYPE, [], suites=SUITES, threshold=0)


def test_a_file_is_bounded() -> None:
    """A longer file than the limit, or one with more signatures than there can be, is refused unread."""
    data = envelope.sign(TYPE, b"text", ONE)
    refused(data, limit=len(data) - 1, match="longer than")
    many = [{"keyid": str(number), "sig": "", "alg": "Ed25519"} for number in range(envelope.MAX_SIGNATURES + 1)]
    refused(changed(data, signatures=many))
    refused(b'{"payloadType":' + b"[" * 100_000 + b"]" * 100_000)


def test_an_unverified_payload_is_read_whoever_signed_it() -> None:
    """It serves to find the key; type, form and length are checked, the signature is not."""
    data = envelope.sign(TYPE, b"text", TWO)
    assert envelope.unverified_payload(data, TYPE) == b"text"
    for wrong in (data + b" ", b"{}"):
        with pytest.raises(DocumentInvalid):
            envelope.unverified_payload(wrong, TYPE)
    with pytest.raises(DocumentInvalid):
        envelope.unverified_payload(data, "application/other")


def test_a_device_loads_nothing_of_the_server() -> None:
    """Whoever reads documents needs msgspec and pycryptodome, and neither the contract nor a second crypto library."""
    program = (
        "import sys, licentia.crypto.envelope, licentia.crypto.sealing, licentia.crypto.manifest; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    heavy = {"asyncio", "cryptography", "httpx", "licentia.contract", "licentia.settings", "structlog", "tortoise"}
    assert not heavy & set(done.stdout.split())


@given(kind=st.text("abc/+.", min_size=1), payload=st.binary(max_size=100))
def test_another_library_checks_an_envelope(kind: str, payload: bytes) -> None:
    """From the words of the DSSE specification alone, `cryptography` verifies both signatures of a hybrid file."""
    key = KEYS[HYBRID].public
    read = json.loads(envelope.sign(kind, payload, KEYS[HYBRID]))
    body = base64.b64decode(read["payload"])
    assert (body, read["payloadType"]) == (payload, kind)
    message = " ".join(["DSSEv1", str(len(kind)), kind, str(len(body)), ""]).encode() + body
    found = {each["alg"]: base64.b64decode(each["sig"]) for each in read["signatures"]}
    Ed25519PublicKey.from_public_bytes(key.ed25519).verify(found.pop("Ed25519"), message)
    MLDSA65PublicKey.from_public_bytes(key.mldsa65).verify(found.pop("ML-DSA-65"), message)
    assert not found
