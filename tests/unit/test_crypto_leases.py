"""Lease tokens, verified by two other libraries than the one that signs them."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from Crypto.PublicKey import ECC
from Crypto.Signature import eddsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import KeySet, OKPKey

from licentia.contract.keys import PublicKeys
from licentia.crypto.leasekey import LeaseKey
from licentia.crypto.leases import SLICE, TYPE, LeaseSigner, SigningKey, base64url, read_jwk
from licentia.crypto.vectors import lease_token

CLAIMS: dict[str, Any] = {"jti": "l1", "sub": "ada", "iat": 1_800_000_000, "exp": 1_800_000_600, "seats": 2}
KEY = SigningKey.generate()
VECTOR: dict[str, Any] = json.loads(lease_token())


def verified(token: str, key: SigningKey = KEY) -> dict[str, Any]:
    """The claims of a token that joserfc accepts with the published key."""
    published = json.loads(msgspec.json.encode(PublicKeys(keys=[key.public])))
    return dict(jwt.decode(token, KeySet.import_key_set(published), algorithms=["Ed25519"]).claims)


def test_another_library_verifies_the_token() -> None:
    """The public key set is all that is needed to check a lease offline, and claims that are None are left out."""
    token = KEY.token(CLAIMS | {"station": None})
    assert verified(token) == CLAIMS
    assert jws.extract_compact(token.encode()).headers() == {"alg": "Ed25519", "kid": KEY.public.kid, "typ": TYPE}


@pytest.mark.parametrize("case", VECTOR["accepted"], ids=lambda case: case["payload"]["jti"])
def test_a_third_library_verifies_the_vector(case: dict[str, Any]) -> None:
    """PyCryptodome, which shares no code with the library that signs, accepts each token of the test vector."""
    x = base64.urlsafe_b64decode(VECTOR["jwks"]["keys"][0]["x"] + "=")
    content, _, signature = case["token"].rpartition(".")
    key = ECC.construct(curve="Ed25519", seed=base64.urlsafe_b64decode(VECTOR["private_key"]["d"] + "="))
    assert key.public_key().export_key(format="raw") == x
    eddsa.new(key.public_key(), "rfc8032").verify(content.encode(), base64.urlsafe_b64decode(signature + "=="))
    assert eddsa.new(key, "rfc8032").sign(content.encode()) == base64.urlsafe_b64decode(signature + "==")
    header, payload = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in content.split("."))
    assert (header, payload) == (case["header"], case["payload"])


def test_the_vector_refuses_for_one_reason_each() -> None:
    """No two tokens to refuse are the same, and none is one to accept."""
    tokens = [case["token"] for case in (*VECTOR["accepted"], *VECTOR["refused"])]
    assert len(set(tokens)) == len(tokens) == len(VECTOR["accepted"]) + 12


def test_the_same_claims_give_the_same_token() -> None:
    """Ed25519 is deterministic, and so is what is signed."""
    assert KEY.token(CLAIMS) == KEY.token(dict(CLAIMS)) == SigningKey.from_pem(KEY.pem()).token(CLAIMS)


def test_the_key_id_is_the_thumbprint() -> None:
    """The key of RFC 8037 A.1 has the thumbprint that A.3 prints (RFC 7638)."""
    seed = base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    public = SigningKey(Ed25519PrivateKey.from_private_bytes(seed)).public
    assert public.x == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    assert public.kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert public.kid == OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": public.x}).thumbprint()


@given(st.data())
@settings(max_examples=60)
def test_a_token_that_was_tampered_with_is_refused(data: st.DataObject) -> None:
    """One changed bit anywhere in header, payload or signature spoils the token."""
    parts = [base64.urlsafe_b64decode(part + "==") for part in KEY.token(CLAIMS).split(".")]
    place = data.draw(st.integers(0, 2))
    byte = data.draw(st.integers(0, len(parts[place]) - 1))
    spoiled = bytearray(parts[place])
    spoiled[byte] ^= 1 << data.draw(st.integers(0, 7))
    parts[place] = bytes(spoiled)
    with pytest.raises(Exception, match=r".") as refusal:  # joserfc has many ways to say no
        verified(".".join(map(base64url, parts)))
    assert not isinstance(refusal.value, AssertionError)


def test_the_token_of_another_server_is_refused() -> None:
    """A signature of another key under our key id does not hold."""
    header, payload, _ = KEY.token(CLAIMS).split(".")
    with pytest.raises(BadSignatureError):
        verified(f"{header}.{payload}.{SigningKey.generate().token(CLAIMS).split('.')[2]}")


@pytest.mark.parametrize("count", [0, 1, SLICE, 3 * SLICE + 1])
async def test_a_batch_is_signed_in_its_order(tmp_path: Path, count: int) -> None:
    """Many leases at once get the tokens that each would get alone."""
    signer = LeaseSigner(LeaseKey(tmp_path))
    claims = [CLAIMS | {"jti": f"l{number}"} for number in range(count)]
    assert await signer.sign_many(claims) == [signer.sign(each) for each in claims]


async def test_a_batch_lets_others_have_their_turn(tmp_path: Path) -> None:
    """While a large batch is signed the event loop goes on with its other work, and the batch with its own."""
    signer = LeaseSigner(LeaseKey(tmp_path))
    turns = 0

    async def busy() -> None:
        nonlocal turns
        while True:
            until = time.perf_counter() + 0.001
            while time.perf_counter() < until:
                pass
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(busy())
    tokens = await asyncio.wait_for(signer.sign_many([CLAIMS] * SLICE * 10), 5)
    other.cancel()
    assert len(tokens) == SLICE * 10
    assert turns >= 9


def test_what_is_published_holds_no_secret(tmp_path: Path) -> None:
    """The public key has no private part, and neither the key nor the signer shows one."""
    seed = bytes(range(32))
    key = SigningKey(Ed25519PrivateKey.from_private_bytes(seed))
    signer = LeaseSigner(LeaseKey(tmp_path))
    assert set(key.public.__struct_fields__) == {"kty", "crv", "alg", "use", "kid", "x"}
    shown = repr(key.public) + repr(key) + repr(vars(key)) + repr(signer) + repr(vars(signer))
    assert base64url(seed) not in shown
    assert seed.hex() not in shown


@pytest.mark.parametrize(
    "change",
    [{"kid": "x"}, {"x": KEY.public.x[:-2]}, {"x": "*" * 43}, {"x": SigningKey.generate().public.x}, {"alg": "EdDSA"}],
    ids=lambda change: "-".join(change),
)
def test_a_public_key_that_is_not_whole_is_refused(change: dict[str, str]) -> None:
    """A kept public key is read back as it was written, or not at all."""
    text = msgspec.json.encode(KEY.public).decode()
    assert read_jwk(text) == KEY.public
    with pytest.raises(ValueError, match=r"."):
        read_jwk(json.dumps(json.loads(text) | change))


@given(st.binary(max_size=40))
def test_base64url_has_no_padding(data: bytes) -> None:
    """The encoding is that of RFC 7515, section 2."""
    text = base64url(data)
    assert base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) == data
    assert set(text).isdisjoint("+/=")
