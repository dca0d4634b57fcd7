"""gcp: a real token holds at its own time, everything else is refused, and the machine opens what is its own."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey

from licentia.bindings import Challenge, ClientHalf, Identity, ServerHalf
from licentia.errors import BindingEvidenceInvalid, BindingMismatch, DocumentInvalid, Unavailable
from licentia.settings import SettingsError
from licentia.testing.clouds import FakeGcp, certificate, key, write
from licentia.testing.issuer import JWKS, Issuer
from licentia.testing.metadata import MetadataServer
from licentia_plugins.bindings.gcp import Gcp
from licentia_plugins.bindings.gcp import keys as key_sources
from licentia_plugins.bindings.gcp.token import TokenError, read

NOW = datetime.now(UTC)
NONCE = "0123456789abcdef0123456789abcdef"
AUDIENCE = f"urn:licentia:nonce:{NONCE}"
RED_HAT = "https://subscription.rhsm.redhat.com:443/subscription"
SECRET = bytes(range(32))


@pytest.fixture
def gcp(tmp_path: Path) -> FakeGcp:
    """A Google of our own, whose keys are in the folder `trust`."""
    return FakeGcp(tmp_path / "trust")


@pytest.fixture
def server(gcp: FakeGcp, tmp_path: Path) -> ServerHalf:
    """The server half that knows it."""
    return half(trust=str(tmp_path / "trust"))


@pytest.fixture
def service(gcp: FakeGcp) -> Iterator[MetadataServer]:
    """The metadata server of a virtual machine."""
    with MetadataServer(gcp=lambda audience: gcp.token("1001", audience)) as running:
        yield running


@pytest.fixture
def real(shared_data: Path) -> bytes:
    """A real token."""
    return (shared_data / "gcp/rhsm_instance_identity.jwt").read_bytes()


@pytest.fixture
def google(shared_data: Path) -> ServerHalf:
    """The server half with Google's key of that time, for the audience of that token."""
    return half(trust=str(shared_data / "gcp"), audience=RED_HAT)


def half(**settings: Any) -> ServerHalf:
    """The server half with these settings."""
    return Gcp("gcp", settings).server()


def device(service: MetadataServer) -> ClientHalf:
    """The client half on this machine."""
    return Gcp("gcp", {"metadata_url": service.url, "timeout_seconds": 0.5}).client()


async def judged(server: ServerHalf, evidence: bytes, at: datetime | None = None, nonce: str = NONCE) -> Identity:
    """What the server half says."""
    return await server.verify(evidence, Challenge(nonce=nonce, at=at or datetime.now(UTC)))


async def reason(server: ServerHalf, evidence: bytes, at: datetime | None = None, nonce: str = NONCE) -> str:
    """Why the server half refuses."""
    with pytest.raises(BindingEvidenceInvalid) as refused:
        await judged(server, evidence, at, nonce)
    return f"{refused.value.detail} {refused.value.next_step}"


async def test_a_real_token_names_its_machine(real: bytes, google: ServerHalf) -> None:
    """At its own time, with Google's key of that time."""
    at = google._issued_at(real)  # type: ignore[attr-defined]
    assert at == datetime(2021, 3, 24, 14, 30, 23, tzinfo=UTC)
    expected = Identity(
        name="fair-kingdom-308514/2589221140676718026",
        attributes={
            "project": "fair-kingdom-308514",
            "region": "us-east1",
            "zone": "us-east1-b",
            "instance_name": "instance-1",
        },
    )
    assert await judged(google, real, at) == expected
    assert await judged(google, real.strip() + b"\r\n", at) == expected


async def test_it_counts_for_an_hour(real: bytes, google: ServerHalf) -> None:
    """Before and after it proves nothing, with advice."""
    for at in (NOW, datetime(2021, 3, 24, 15, 30, 23, tzinfo=UTC), datetime(2021, 3, 24, 14, 25, 22, tzinfo=UTC)):
        told = await reason(google, real, at)
        assert "2021-03-24 14:30:23 to 2021-03-24 15:30:23" in told
        assert "--at document" in told


async def test_our_nonce_makes_it_fresh(gcp: FakeGcp, server: ServerHalf) -> None:
    """As the audience, with our words before it or bare; any other audience is another request's."""
    for audience in (AUDIENCE, NONCE):
        assert (await judged(server, gcp.token("1001", audience))).fresh
        assert not (await judged(server, gcp.token("1001", audience), nonce="")).fresh
    for audience in ("", RED_HAT, "urn:licentia:nonce:", f"{AUDIENCE}x", AUDIENCE.upper()):
        assert "another audience" in await reason(server, gcp.token("1001", audience))


async def test_an_audience_of_the_vendor_is_not_fresh(gcp: FakeGcp, server: ServerHalf, tmp_path: Path) -> None:
    """Tokens that are made for the vendor's service may be copies; others do not count."""
    chosen = half(trust=str(tmp_path / "trust"), audience=RED_HAT)
    for nonce in (NONCE, ""):
        assert not (await judged(chosen, gcp.token("1001", RED_HAT), nonce=nonce)).fresh
        assert "another audience" in await reason(chosen, gcp.token("1001", "https://other.example"), nonce=nonce)
    assert (await judged(chosen, gcp.token("1001", AUDIENCE))).fresh


async def test_regions_and_projects_can_be_chosen(gcp: FakeGcp, server: ServerHalf, tmp_path: Path) -> None:
    """The region is the zone without its last part."""
    trust, token = str(tmp_path / "trust"), gcp.token("1001", AUDIENCE)
    for settings in ({"region": "testland1"}, {"region": ["x", "testland1"]}, {"projects": ["test-project"]}):
        assert await judged(half(trust=trust, **settings), token)
    assert "testland1, which is not us-east1" in await reason(half(trust=trust, region="us-east1"), token)
    assert "project test-project" in await reason(half(trust=trust, projects=["other"]), token)


async def test_every_changed_character_is_noticed(real: bytes, google: ServerHalf) -> None:
    """No character of a real token can be exchanged, and each is refused in the plugin's own words."""
    at, survivors = datetime(2021, 3, 24, 15, tzinfo=UTC), []
    for place in range(len(real)):
        for bit in (place % 8, 0, 5):
            changed = bytearray(real)
            changed[place] ^= 1 << bit
            with contextlib.suppress(BindingEvidenceInvalid):
                await judged(google, bytes(changed), at)
                survivors.append((place, bit))
    assert survivors == []


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"iss": "https://accounts.example.com"}, "not issued by Google"),
        ({"iss": "https://accounts.google.com/"}, "not issued by Google"),
        ({"google": None}, "format=full"),
        ({"google": {}}, "claims"),
        ({"google": {"compute_engine": {"instance_id": "1001"}}}, "claims"),
        ({"exp": "tomorrow"}, "claims"),
        ({"exp": 10**20}, "claims"),
        ({"iat": -1}, "claims"),
        ({"aud": [AUDIENCE, RED_HAT]}, "claims"),
        ({"aud": None}, "claims"),
    ],
)
async def test_the_claims_must_be_those_of_a_machine(
    gcp: FakeGcp, server: ServerHalf, facts: Mapping[str, Any], why: str
) -> None:
    """A genuine signature over something else names nobody."""
    assert why in await reason(server, gcp.token("1001", AUDIENCE, **facts))


async def test_google_without_its_scheme_is_google(gcp: FakeGcp, server: ServerHalf) -> None:
    """Both forms of the issuer are in use."""
    assert await judged(server, gcp.token("1001", AUDIENCE, iss="accounts.google.com"))


async def test_only_rs256_counts(gcp: FakeGcp, server: ServerHalf) -> None:
    """Not another digest, not `none`, not HMAC with the public key, not a key that the token itself brings."""
    token = gcp.token("1001", AUDIENCE)
    _, payload, signature = token.split(b".")

    def with_header(**header: Any) -> bytes:
        head = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=")
        return b".".join((head, payload, signature))

    for header in (
        {"alg": "none", "kid": "key-1"},
        {"alg": "HS256", "kid": "key-1"},
        {"alg": "RS512", "kid": "key-1"},
        {"alg": "rs256", "kid": "key-1"},
        {"alg": "RS256"},
        {"alg": "RS256", "kid": ""},
        {"alg": ["RS256"], "kid": "key-1"},
    ):
        assert "RS256" in await reason(server, with_header(**header))
    assert "does not publish" in await reason(server, with_header(alg="RS256", kid="other", jwk={"kty": "RSA"}))
    assert "does not hold" in await reason(server, with_header(alg="RS256", kid="key-1", typ="JWT", x=1))
    assert "RS256" in await reason(server, gcp.token("1001", AUDIENCE, header={"alg": "RS384"}))


async def test_another_google_is_not_believed(server: ServerHalf, tmp_path: Path) -> None:
    """A key of the same id that is not the one."""
    other = FakeGcp(tmp_path / "other", number=22)
    assert "signature does not hold" in await reason(server, other.token("1001", AUDIENCE))


async def test_certificates_do_as_well(gcp: FakeGcp, tmp_path: Path) -> None:
    """A folder may hold Google's certificates, named by their keys' ids."""
    write(tmp_path / "pem" / "key-1.pem", certificate("google", 21))
    assert await judged(half(trust=str(tmp_path / "pem")), gcp.token("1001", AUDIENCE))


def test_keys_of_no_use_are_left_out() -> None:
    """Other kinds of keys, short ones, private parts, and keys without an id."""
    short = {"kty": "RSA", "kid": "s", "n": base64.urlsafe_b64encode(b"\xff" * 128).decode().rstrip("="), "e": "AQAB"}
    others = [ECKey.generate_key("P-256", {"kid": "e"}), OctKey.generate_key(256, {"kid": "o"})]
    document = {"keys": [short, {"kty": "RSA", "kid": "x"}, {}, *(each.as_dict(private=False) for each in others)]}
    assert key_sources.key_set(json.dumps(document).encode()) == {}
    for wrong in (b"", b"[]", b'{"keys": 1}', b"[" * 60_000):
        with pytest.raises(ValueError, match=r"."):
            key_sources.key_set(wrong)


async def test_published_keys_are_fetched_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for many tokens; again for a key that is new; the old ones serve while nobody answers, for a while."""
    monkeypatch.setattr(key_sources, "REFETCH_SECONDS", 0)
    first, second = FakeGcp(tmp_path / "1", "key-1", 21), FakeGcp(tmp_path / "2", "key-2", 22)
    with Issuer() as issuer:
        issuer.documents[JWKS] = json.loads((tmp_path / "1" / "keys.json").read_bytes())
        server = half(keys_url=issuer.url + JWKS, timeout_seconds=1)
        for _ in range(3):
            assert await judged(server, first.token("1001", AUDIENCE))
        assert issuer.asked[JWKS] == 1
        assert "does not publish" in await reason(server, second.token("1001", AUDIENCE))
        issuer.documents[JWKS]["keys"] += json.loads((tmp_path / "2" / "keys.json").read_bytes())["keys"]
        assert await judged(server, second.token("1001", AUDIENCE))
        issuer.status = 500
        assert await judged(server, second.token("1001", AUDIENCE))
        third = FakeGcp(tmp_path / "3", "key-3", 23)
        with pytest.raises(Unavailable, match="keys cannot be fetched"):
            await judged(server, third.token("1001", AUDIENCE))


async def test_nobody_with_a_known_key_waits_for_an_unknown_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Google is asked for an invented key and does not answer, the tokens with its keys go on."""
    monkeypatch.setattr(key_sources, "REFETCH_SECONDS", 0)
    gcp = FakeGcp(tmp_path, "key-1", 21)
    with Issuer() as issuer:
        issuer.documents[JWKS] = json.loads((tmp_path / "keys.json").read_bytes())
        server = half(keys_url=issuer.url + JWKS, timeout_seconds=1)
        good = gcp.token("1001", AUDIENCE)
        assert await judged(server, good)
        issuer.answering.clear()
        waiting = asyncio.create_task(judged(server, gcp.token("1001", AUDIENCE, header={"kid": "invented"})))
        await asyncio.to_thread(_asked_again, issuer)
        async with asyncio.timeout(0.5):
            assert await judged(server, good)
        assert not waiting.done()
        with pytest.raises(Unavailable):
            await waiting


def _asked_again(issuer: Issuer) -> None:
    while issuer.asked[JWKS] < 2:
        time.sleep(0.01)


async def test_an_unknown_key_does_not_flood_google(tmp_path: Path) -> None:
    """Whoever invents ids of keys makes us ask once in a while only."""
    gcp = FakeGcp(tmp_path, "key-1", 21)
    with Issuer() as issuer:
        issuer.documents[JWKS] = json.loads((tmp_path / "keys.json").read_bytes())
        server = half(keys_url=issuer.url + JWKS)
        for number in range(5):
            token = gcp.token("1001", AUDIENCE, header={"kid": f"invented-{number}"})
            assert "does not publish" in await reason(server, token)
        assert issuer.asked[JWKS] == 1


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"regoin": "x"}, "regoin"),
        ({"region": []}, "region"),
        ({"audience": ""}, "audience"),
        ({"trust": "/nowhere"}, "/nowhere"),
        ({"keys_url": "file:///etc/passwd"}, "keys_url"),
        ({"keys_url": "https://user@host/x"}, "keys_url"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], why: str) -> None:
    """The server does not start with it."""
    with pytest.raises(SettingsError, match=why):
        half(**settings)


@pytest.mark.parametrize(("file", "content"), [("", ""), ("a.json", "{"), ("a.json", '{"keys": []}'), ("a.pem", "x")])
def test_a_folder_without_keys_is_told(tmp_path: Path, file: str, content: str) -> None:
    """Also one with a damaged file; the server does not start with it."""
    if file:
        (tmp_path / file).write_text(content, "utf-8")
    with pytest.raises(SettingsError, match=str(tmp_path)):
        half(trust=str(tmp_path))


async def test_the_machine_opens_what_is_sealed_to_it(
    gcp: FakeGcp, server: ServerHalf, service: MetadataServer
) -> None:
    """Renamed or moved to another zone it is still itself."""
    machine = device(service)
    record = await server.seal(machine.collect(NONCE), SECRET)
    assert machine.unseal(record).changed == ()
    moved = {"instance_id": "1001", "instance_name": "web", "project_id": "test-project", "zone": "testland1-c"}
    service.gcp = lambda audience: gcp.token("1001", audience, google={"compute_engine": moved})
    unsealed = machine.unseal(record)
    assert (unsealed.secret, unsealed.changed, unsealed.weak) == (SECRET, ("zone", "instance_name"), False)


async def test_a_copy_or_a_forgery_opens_nothing(
    gcp: FakeGcp, server: ServerHalf, service: MetadataServer, tmp_path: Path
) -> None:
    """A token of another machine, one that was recorded, one of a false Google, one that is none."""
    record = await server.seal(gcp.token("1001", AUDIENCE), SECRET)
    recorded, false = gcp.token("1001", AUDIENCE), FakeGcp(tmp_path / "false", number=22)
    for answer in (
        lambda audience: gcp.token("1002", audience),
        lambda audience: recorded,
        lambda audience: false.token("1001", audience),
        lambda audience: b"noise",
        lambda audience: b"",
    ):
        service.gcp = answer
        with pytest.raises(BindingMismatch) as refused:
            device(service).unseal(record)
        assert [problem.pointer for problem in refused.value.problems] == ["/features/instance_id"]


async def test_a_key_that_the_record_does_not_know_is_weak(
    server: ServerHalf, gcp: FakeGcp, service: MetadataServer, tmp_path: Path
) -> None:
    """Google changes its keys within weeks, and offline nobody can verify the next: it opens and says so."""
    record = await server.seal(gcp.token("1001", AUDIENCE), SECRET)
    later = FakeGcp(tmp_path / "later", "key-2", 22)
    service.gcp = lambda audience: later.token("1001", audience)
    unsealed = device(service).unseal(record)
    assert (unsealed.secret, unsealed.weak) == (SECRET, True)


async def test_without_a_service_nothing_opens(gcp: FakeGcp, server: ServerHalf, service: MetadataServer) -> None:
    """Silence says to try again; an answer that is none says that this is another machine."""
    record = await server.seal(gcp.token("1001", AUDIENCE), SECRET)
    service.answering.clear()
    with pytest.raises(Unavailable, match="did not answer"):
        device(service).unseal(record)
    service.answering.set()
    service.gcp = None
    with pytest.raises(BindingMismatch, match="404"):
        device(service).unseal(record)
    with pytest.raises(BindingEvidenceInvalid, match="404"):
        device(service).collect(NONCE)


@pytest.mark.parametrize("record", [b"{}", b"\xff", b"[" * 10_000, b"null"])
def test_a_damaged_record_is_told(service: MetadataServer, record: bytes) -> None:
    """It is the record that is wrong, not the machine."""
    with pytest.raises(DocumentInvalid):
        device(service).unseal(record)


def test_the_other_library_verifies_the_same(real: bytes, shared_data: Path) -> None:
    """The signature that is accepted is one of RSA with SHA-256, as cryptography computes it."""
    (jwk,) = key_sources.key_set((shared_data / "gcp/google_jwk_6a8ba565.json").read_bytes()).values()
    read(real).verify(jwk)
    public = key_sources.RSAKey.import_key(dict(jwk)).public_key
    signed, _, signature = real.strip().rpartition(b".")
    public.verify(base64.urlsafe_b64decode(signature + b"=="), signed, PKCS1v15(), SHA256())
    ours = key(1).public_key().public_numbers()
    assert ours.n != public.public_numbers().n


@given(st.one_of(st.binary(max_size=300), st.text("eyJ.=A-_\n", max_size=300).map(str.encode)))
def test_noise_is_refused_in_words(noise: bytes) -> None:
    """Bytes and near misses at random are no token."""
    with pytest.raises(TokenError):
        read(noise)


@given(st.integers(0, 2**32))
def test_mutations_are_refused_in_words(seed: int) -> None:
    """JSON exchanged at random within a token gives a TokenError, or a token; never another fault."""
    source = random.Random(seed)
    header = bytearray(b'{"alg":"RS256","kid":"key-1","typ":"JWT"}')
    claims = bytearray(
        b'{"iss":"https://accounts.google.com","aud":"a","iat":1,"exp":2,"google":{"compute_engine":'
        b'{"instance_id":"1","instance_name":"a","project_id":"p","zone":"z-a"}}}'
    )
    for part in (header, claims):
        for _ in range(source.randrange(3)):
            part[source.randrange(len(part))] = source.choice(b'{}[]":,0123456789abc\\\xff')
    text = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, claims, b"signature"))
    with contextlib.suppress(TokenError):
        assert read(text).name


@pytest.mark.parametrize("evidence", [b"." * 60_000, b"A" * 65_536, b"e30." * 16_000, b"A.B.C", b"..", b"e30.e30.e30"])
async def test_a_bomb_is_refused(server: ServerHalf, evidence: bytes) -> None:
    """Long or hollow text costs no time and is refused in the plugin's own words."""
    assert "does not hold" in await reason(server, evidence)
    deep = base64.urlsafe_b64encode(b"[" * 6000).rstrip(b"=")
    assert "does not hold" in await reason(server, b".".join((deep, deep, deep)))
