"""Lease tokens, verified by another library than the one that signs them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from Crypto.PublicKey import ECC
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import KeySet, OKPKey

from licentia.contract.keys import PublicKeys
from licentia.crypto.leases import TYPE, LeaseSigner, base64url

CLAIMS: dict[str, Any] = {"jti": "l1", "sub": "ada", "iat": 1_800_000_000, "exp": 1_800_000_600, "seats": 2}
SIGNER = LeaseSigner(ECC.generate(curve="Ed25519"))


def key_set(signer: LeaseSigner) -> KeySet:
    """The published keys, as a stranger reads them."""
    import msgspec

    return KeySet.import_key_set(json.loads(msgspec.json.encode(PublicKeys(keys=[signer.public]))))


def verified(token: str, signer: LeaseSigner = SIGNER) -> dict[str, Any]:
    """The claims of a token that joserfc accepts with the published keys."""
    return dict(jwt.decode(token, key_set(signer), algorithms=["Ed25519"]).claims)


def test_another_library_verifies_the_token() -> None:
    """The public key set is all that is needed to check a lease offline, and claims that are None are left out."""
    token = SIGNER.sign(CLAIMS | {"station": None})
    assert verified(token) == CLAIMS
    assert jws.extract_compact(token.encode()).headers() == {"alg": "Ed25519", "kid": SIGNER.public.kid, "typ": TYPE}


def test_the_same_claims_give_the_same_token() -> None:
    """Ed25519 is deterministic, and so is what is signed."""
    assert SIGNER.sign(CLAIMS) == SIGNER.sign(dict(CLAIMS))


def test_the_key_id_is_the_thumbprint() -> None:
    """The key of RFC 8037 A.1 has the thumbprint that A.3 prints (RFC 7638)."""
    seed = base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    public = LeaseSigner(ECC.construct(curve="Ed25519", seed=seed)).public
    assert public.x == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    assert public.kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert public.kid == OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": public.x}).thumbprint()


@given(st.data())
@settings(max_examples=60)
def test_a_token_that_was_tampered_with_is_refused(data: st.DataObject) -> None:
    """One changed bit anywhere in header, payload or signature spoils the token."""
    parts = [base64.urlsafe_b64decode(part + "==") for part in SIGNER.sign(CLAIMS).split(".")]
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
    other = LeaseSigner(ECC.generate(curve="Ed25519"))
    header, payload, _ = SIGNER.sign(CLAIMS).split(".")
    with pytest.raises(BadSignatureError):
        verified(f"{header}.{payload}.{other.sign(CLAIMS).split('.')[2]}")


def test_what_is_published_holds_no_secret() -> None:
    """The public key has no private part, and the signer does not show one."""
    key = ECC.generate(curve="Ed25519")
    signer = LeaseSigner(key)
    seed = base64url(key.seed)
    assert set(signer.public.__struct_fields__) == {"kty", "crv", "alg", "use", "kid", "x"}
    assert seed not in repr(signer.public) + repr(signer) + repr(vars(signer))


@given(st.binary(max_size=40))
def test_base64url_has_no_padding(data: bytes) -> None:
    """The encoding is that of RFC 7515, section 2."""
    text = base64url(data)
    assert base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) == data
    assert set(text).isdisjoint("+/=")
