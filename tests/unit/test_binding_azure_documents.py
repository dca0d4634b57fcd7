"""azure: real documents hold at their own time, everything else is refused, and the machine opens what is its own."""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from licentia.bindings import Challenge, ClientHalf, Identity, ServerHalf
from licentia.crypto.certificates import Certificate, read
from licentia.errors import BindingEvidenceInvalid, BindingMismatch, DocumentInvalid, Unavailable
from licentia.settings import SettingsError
from licentia.testing.clouds import FakeAzure, certificate, key, write
from licentia.testing.metadata import MetadataServer
from licentia_plugins.bindings.azure import Azure, intermediates
from licentia_plugins.bindings.azure.anchors import shipped
from licentia_plugins.bindings.azure.intermediates import FetchedIntermediates, Intermediates
from licentia_plugins.bindings.azure.server import AzureServer

NOW = datetime.now(UTC)
NONCE = "0123456789abcdef0123456789abcdef"
SECRET = bytes(range(32))
ONE, TWO = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
LIFETIME = {
    "createdOn": f"{NOW:%m/%d/%y %H:%M:%S -0000}",
    "expiresOn": f"{NOW + timedelta(hours=6):%m/%d/%y %H:%M:%S -0000}",
}
OFFLINE: dict[str, Any] = {"fetch_from": []}


@pytest.fixture
def azure(tmp_path: Path) -> FakeAzure:
    """A service of our own, whose root and authority are in the folder `trust`."""
    return FakeAzure(tmp_path / "trust")


@pytest.fixture
def server(azure: FakeAzure, tmp_path: Path) -> ServerHalf:
    """The server half that knows it."""
    return half(trust=str(tmp_path / "trust"))


@pytest.fixture
def service(azure: FakeAzure) -> Iterator[MetadataServer]:
    """The metadata service of a virtual machine."""
    with MetadataServer(azure=lambda nonce: azure.document(ONE, nonce)) as running:
        yield running


def half(**settings: Any) -> ServerHalf:
    """The server half with these settings, which fetches nothing."""
    return Azure("azure", OFFLINE | settings).server()


def device(service: MetadataServer) -> ClientHalf:
    """The client half on this machine."""
    return Azure("azure", {"metadata_url": service.url, "timeout_seconds": 0.5}).client()


def real(data: Path, name: str) -> bytes:
    """A real document."""
    return (data / f"azure/{name}.attested.json").read_bytes()


async def judged(server: ServerHalf, evidence: bytes, at: datetime | None = None, nonce: str = NONCE) -> Identity:
    """What the server half says; by itself as of the document's own time."""
    at = at or server._issued_at(evidence)  # type: ignore[attr-defined]
    return await server.verify(evidence, Challenge(nonce=nonce, at=at or datetime.now(UTC)))


async def reason(server: ServerHalf, evidence: bytes, at: datetime | None = None, nonce: str = NONCE) -> str:
    """Why the server half refuses."""
    with pytest.raises(BindingEvidenceInvalid) as refused:
        await judged(server, evidence, at, nonce)
    return f"{refused.value.detail} {refused.value.next_step}"


async def test_real_documents_name_their_machines(shared_data: Path) -> None:
    """At their own time, with the authorities that the plugin brings; the older ones say less."""
    assert await judged(half(), real(shared_data, "coder_regular")) == Identity(
        name="bd8e7443-24a0-41f3-b949-8baf4fd1c573",
        attributes={
            "region": "southcentralus",
            "subscription": "5f130ffc-0a3e-4795-b691-4f56a12a5547",
            "sku": "20_04-lts-gen2",
        },
    )
    assert await judged(half(), real(shared_data, "rhsm")) == Identity(
        name="f904ece8-c6c1-4b5c-881f-309b50f25e56", attributes={"region": "westeurope"}
    )


async def test_the_folder_of_certificates_does_as_well(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the facts of the plugin the certificates themselves lead to their roots."""
    monkeypatch.setattr("licentia_plugins.bindings.azure.anchors.shipped", list)
    with pytest.raises(BindingEvidenceInvalid, match="nobody known here has issued"):
        await judged(half(), real(shared_data, "rhsm"))
    assert await judged(half(trust=str(shared_data / "azure")), real(shared_data, "rhsm"))


async def test_the_bare_signature_is_the_same_document(shared_data: Path) -> None:
    """The JSON around it says nothing more."""
    whole = real(shared_data, "rhsm")
    bare = json.loads(whole)["signature"].encode()
    assert await judged(half(), bare) == await judged(half(), bare + b"\n") == await judged(half(), whole)


async def test_an_old_document_is_refused_with_advice(shared_data: Path) -> None:
    """Six hours after it was made, and before."""
    evidence = real(shared_data, "coder_regular")
    for at in (NOW, datetime(2022, 4, 19, 7, 27, 22, tzinfo=UTC), datetime(2022, 4, 19, 1, 22, 20, tzinfo=UTC)):
        told = await reason(half(), evidence, at)
        assert "2022-04-19 01:27:21 to 2022-04-19 07:27:21" in told
        assert "--at document" in told


async def test_a_test_certificate_of_2018_leads_nowhere(shared_data: Path) -> None:
    """Its signature is right; who signed it is nobody."""
    assert "does not hold" in await reason(
        half(), real(shared_data, "msdocs_2018_testsubdomain"), datetime(2018, 11, 20, 22, 8, tzinfo=UTC)
    )


async def test_our_nonce_makes_it_fresh(azure: FakeAzure, server: ServerHalf) -> None:
    """Without one it may be a copy; with another one it was made for another request."""
    assert (await judged(server, azure.document(ONE, NONCE))).fresh
    assert not (await judged(server, azure.document(ONE))).fresh
    assert not (await judged(server, azure.document(ONE, NONCE), nonce="")).fresh
    assert not (await judged(server, azure.document(ONE), nonce="")).fresh
    for nonce in ("0" * 32, NONCE.upper(), NONCE[:-1], "20220419-072721"):
        assert "another nonce" in await reason(server, azure.document(ONE, nonce))


async def test_regions_and_subscriptions_can_be_chosen(shared_data: Path) -> None:
    """The region is the one in the signer's certificate."""
    evidence = real(shared_data, "coder_regular")
    subscription = "5F130FFC-0A3E-4795-B691-4F56A12A5547"
    for settings in (
        {"region": "southcentralus"},
        {"region": ["x", "southcentralus"]},
        {"subscriptions": [subscription]},
    ):
        assert await judged(half(**settings), evidence)
    at = datetime(2022, 4, 19, 2, tzinfo=UTC)
    assert "southcentralus, which is not westeurope" in await reason(half(region="westeurope"), evidence, at)
    assert "subscription" in await reason(half(subscriptions=["another"]), evidence, at)


async def test_every_changed_byte_is_noticed(shared_data: Path) -> None:
    """No byte of a real document can be exchanged, and each is refused in the plugin's own words."""
    evidence, server, survivors = real(shared_data, "rhsm"), half(), []
    at = datetime(2021, 1, 4, 14, tzinfo=UTC)
    for place in range(len(evidence)):
        changed = bytearray(evidence)
        changed[place] ^= 1 << place % 8
        with contextlib.suppress(BindingEvidenceInvalid):
            await judged(server, bytes(changed), at)
            survivors.append(place)
    assert survivors == []


@pytest.mark.parametrize(
    ("host", "good"),
    [
        ("metadata.azure.com", True),
        ("metadata.azure.us", True),
        ("metadata.azure.cn", True),
        ("WestEurope.Metadata.Azure.com", True),
        ("*.metadata.azure.com", True),
        ("a.b.metadata.azure.com", False),
        ("metadata.azure.com.example.com", False),
        ("xmetadata.azure.com", False),
        ("metadata.azure.org", False),
        ("azure.com", False),
        (".metadata.azure.com", False),
    ],
)
async def test_only_the_metadata_service_signs(tmp_path: Path, host: str, good: bool) -> None:
    """Its certificate has a name of the service, with at most one label more."""
    signed = FakeAzure(tmp_path, hosts=(host,)).document(ONE, NONCE)
    if good:
        assert (await judged(half(trust=str(tmp_path)), signed)).fresh
    else:
        assert "its signer is not the metadata service" in await reason(half(trust=str(tmp_path)), signed)


async def test_a_root_of_somebody_else_is_not_believed(azure: FakeAzure) -> None:
    """The same document without the folder leads nowhere."""
    told = await reason(half(), azure.document(ONE, NONCE))
    assert "nobody known here has issued 'metadata.azure.com'" in told
    assert "`trust`" in told


@pytest.mark.parametrize(
    "facts",
    [
        {"vmId": ""},
        {"vmId": "x"},
        {"vmId": f"{ONE}\n"},
        {"vmId": None},
        {"timeStamp": None},
        {"timeStamp": {"createdOn": "now", "expiresOn": "later"}},
        {"sku": "x" * 200},
    ],
)
async def test_what_is_signed_must_be_a_document(
    azure: FakeAzure, server: ServerHalf, facts: Mapping[str, Any]
) -> None:
    """A genuine signature over something else names nobody."""
    assert "virtual machine" in await reason(server, azure.document(ONE, NONCE, **facts))


@pytest.mark.parametrize(
    "evidence",
    [
        b"{}",
        b'{"encoding": "pkcs7"}',
        b'{"encoding": "pem", "signature": "AAAA"}',
        b'{"encoding": "pkcs7", "signature": "AAAA", "more": 1}',
        b'{"encoding": "pkcs7", "signature": 1}',
        b'{"encoding": "pkcs7", "signature": "\xff"}',
        b"[" * 60_000,
        b'{"encoding":' * 5000,
        b"A" * 65_536,
        b"null",
    ],
)
async def test_what_is_no_document_is_refused(evidence: bytes) -> None:
    """In the plugin's own words, whatever it is."""
    assert "does not hold" in await reason(half(), evidence)


class Given(Intermediates):
    """Certificates as a test or a server without a network gives them."""

    def __init__(self, found: Sequence[Certificate]) -> None:
        self.found = list(found)
        self.asked: list[str] = []

    async def at(self, urls: Sequence[str]) -> list[Certificate]:
        self.asked += urls
        return self.found


async def test_a_missing_authority_is_asked_for(tmp_path: Path, azure: FakeAzure) -> None:
    """At the address in the signer's certificate; what comes has to lead to a known root all the same."""
    write(tmp_path / "roots" / "root.pem", azure.root)
    authority = read(azure.authority.public_bytes(Encoding.DER))
    settings = OFFLINE | {"trust": str(tmp_path / "roots")}
    good = Given([authority])
    assert await judged(AzureServer("azure", settings, good), azure.document(ONE, NONCE))
    false = read(certificate("Authority", 14, ca=True, issuer="Root", issuer_number=15).public_bytes(Encoding.DER))
    for found in ([], [false], [read(azure.signer.public_bytes(Encoding.DER))]):
        assert "does not hold" in await reason(AzureServer("azure", settings, Given(found)), azure.document(ONE, NONCE))


class _Authority(BaseHTTPRequestHandler):
    certificates: Mapping[str, bytes] = {}
    asked: list[str] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(200 if self.path in self.certificates else 404)
        self.end_headers()
        self.wfile.write(self.certificates.get(self.path, b""))

    def log_message(self, format: str, *args: Any) -> None:
        return


async def test_an_authority_is_fetched_once_from_an_allowed_host(azure: FakeAzure, tmp_path: Path) -> None:
    """In DER or PEM; what fails is not asked again for a while, and another host not at all."""
    _Authority.certificates = {
        "/der": azure.authority.public_bytes(Encoding.DER),
        "/pem": azure.authority.public_bytes(Encoding.PEM),
        "/noise": b"noise",
    }
    _Authority.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), _Authority) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        place = f"127.0.0.1:{running.server_port}"
        source = FetchedIntermediates((place,), 5)
        expected = [read(azure.authority.public_bytes(Encoding.DER))]
        for _ in range(3):
            assert await source.at([f"http://{place}/der"]) == expected
            assert await source.at([f"http://{place}/missing", f"http://{place}/pem"]) == expected
            assert await source.at([f"http://{place}/noise"]) == []
            assert await source.at(["http://other.example/der", "ftp://x", ""]) == []
        running.shutdown()
        thread.join()
    assert sorted(_Authority.asked) == ["/der", "/missing", "/noise", "/pem"]


def test_the_table_is_what_its_command_makes(shared_data: Path) -> None:
    """The plugin brings the authorities of the certificates, each led to its root by the command, and today's eight."""
    command = [sys.executable, "-m", "licentia_plugins.bindings.azure.anchors", str(shared_data / "azure/certs")]
    made = subprocess.run(command, capture_output=True, check=True).stdout
    table = Path(sys.modules[shipped.__module__].__file__ or "").with_name("anchors.json").read_bytes()
    old = [each for each in json.loads(table) if "OCSP" not in each["title"]]
    assert json.loads(made) == old
    new = [each for each in shipped() if "OCSP" in each.title]
    assert [each.title[-2:] for each in new] == ["02", "04", "06", "08", "10", "12", "14", "16"]
    assert {each.not_after.date().isoformat() for each in new} == {"2029-06-03"}
    assert len({each.key for each in shipped()}) == len(shipped()) == len(old) + len(new)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"regoin": "x"}, "regoin"),
        ({"region": []}, "region"),
        ({"trust": "/nowhere"}, "/nowhere"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], why: str) -> None:
    """The server does not start with it."""
    with pytest.raises(SettingsError, match=why):
        half(**settings)


async def test_the_machine_opens_what_is_sealed_to_it(
    azure: FakeAzure, server: ServerHalf, service: MetadataServer
) -> None:
    """Moved to another region or size it is still itself."""
    machine = device(service)
    record = await server.seal(machine.collect(NONCE), SECRET)
    assert machine.unseal(record).changed == ()
    service.azure = lambda nonce: azure.document(ONE.upper(), nonce, sku="26_04-lts")
    unsealed = machine.unseal(record)
    assert (unsealed.secret, unsealed.changed, unsealed.weak) == (SECRET, ("sku",), False)


async def test_a_copy_or_a_forgery_opens_nothing(azure: FakeAzure, server: ServerHalf, service: MetadataServer) -> None:
    """A document of another machine, one that was recorded, one made without a nonce, one that is none."""
    record = await server.seal(azure.document(ONE, NONCE), SECRET)
    recorded = azure.document(ONE, NONCE)
    for answer in (
        lambda nonce: azure.document(TWO, nonce),
        lambda nonce: recorded,
        lambda nonce: azure.document(ONE),
        lambda nonce: b"noise",
        lambda nonce: b"",
    ):
        service.azure = answer
        with pytest.raises(BindingMismatch) as refused:
            device(service).unseal(record)
        assert [problem.pointer for problem in refused.value.problems] == ["/features/instance_id"]


async def test_an_authority_that_the_record_does_not_know_is_weak(
    tmp_path: Path, azure: FakeAzure, server: ServerHalf, service: MetadataServer
) -> None:
    """Offline nobody can say whether it is Microsoft's next one: it opens and says so."""
    record = await server.seal(azure.document(ONE, NONCE), SECRET)
    azure.signer = certificate("m", 13, issuer="Next", issuer_number=16, hosts=("metadata.azure.com",))
    unsealed = device(service).unseal(record)
    assert (unsealed.secret, unsealed.weak) == (SECRET, True)
    azure.signer = certificate("m", 13, issuer="Authority", issuer_number=16, hosts=("metadata.azure.com",))
    with pytest.raises(BindingMismatch, match="not signed by its issuer"):
        device(service).unseal(record)


async def test_without_a_service_nothing_opens(azure: FakeAzure, server: ServerHalf, service: MetadataServer) -> None:
    """Silence says to try again; an answer that is none says that this is another machine."""
    record = await server.seal(azure.document(ONE, NONCE), SECRET)
    service.answering.clear()
    with pytest.raises(Unavailable, match="did not answer"):
        device(service).unseal(record)
    service.answering.set()
    service.azure = None
    with pytest.raises(BindingMismatch, match="404"):
        device(service).unseal(record)
    with pytest.raises(BindingEvidenceInvalid, match="404"):
        device(service).collect(NONCE)


@pytest.mark.parametrize("record", [b"{}", b"\xff", b"[" * 10_000, b"null"])
def test_a_damaged_record_is_told(service: MetadataServer, record: bytes) -> None:
    """It is the record that is wrong, not the machine."""
    with pytest.raises(DocumentInvalid):
        device(service).unseal(record)


async def test_an_expired_signer_is_refused(azure: FakeAzure, server: ServerHalf) -> None:
    """The signer's certificate counts as of the time in question."""
    azure.signer = certificate(
        "m",
        13,
        issuer="Authority",
        issuer_number=12,
        hosts=("metadata.azure.com",),
        begins=NOW - timedelta(90),
        days=30,
    )
    assert "is valid from" in await reason(server, azure.document(ONE, NONCE))


async def test_a_signer_is_made_for_signing(azure: FakeAzure, server: ServerHalf) -> None:
    """A certificate with the right name that is an authority's, or for something else than TLS servers, is none."""
    azure.signer = certificate("m", 13, issuer="Authority", issuer_number=12, hosts=("metadata.azure.com",), ca=True)
    assert "not made for signing" in await reason(server, azure.document(ONE, NONCE))


async def test_certificates_are_counted(azure: FakeAzure, server: ServerHalf) -> None:
    """A document with others' certificates holds; one with a crowd of them is refused."""
    for others, why in ((7, ""), (8, "more than 8 certificates")):
        content = json.dumps({"vmId": ONE, "nonce": NONCE, "timeStamp": LIFETIME}).encode()
        builder = pkcs7.PKCS7SignatureBuilder().set_data(content).add_signer(azure.signer, key(13), SHA256())
        for number in range(others):
            builder = builder.add_certificate(certificate(f"Other {number}", 17, ca=True))
        evidence = base64.b64encode(builder.sign(Encoding.DER, [pkcs7.PKCS7Options.Binary]))
        if why:
            assert why in await reason(server, evidence)
        else:
            assert (await judged(server, evidence)).fresh


async def test_a_chain_that_never_ends_is_left(azure: FakeAzure, tmp_path: Path) -> None:
    """However many authorities are found above each other, only so many are asked for."""
    chain = []
    for number in range(1, 9):
        made = certificate(
            f"A{number}",
            40 + number,
            ca=True,
            issuer=f"A{number + 1}",
            issuer_number=41 + number,
            issuer_url="http://x",
        )
        chain.append(read(made.public_bytes(Encoding.DER)))
    azure.signer = certificate(
        "m", 13, issuer="A1", issuer_number=41, hosts=("metadata.azure.com",), issuer_url="http://x"
    )

    class Endless(Intermediates):
        asked = 0

        async def at(self, urls: Sequence[str]) -> list[Certificate]:
            self.asked += 1
            return chain[: self.asked]

    endless = Endless()
    assert "does not hold" in await reason(AzureServer("azure", OFFLINE, endless), azure.document(ONE, NONCE))
    assert endless.asked <= 4


async def test_not_everything_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever invents addresses does not fill the memory."""
    monkeypatch.setattr(intermediates, "MAX_KEPT", 3)
    source = FetchedIntermediates((), 1)
    for number in range(10):
        assert await source.at([f"http://x/{number}"]) == []
    assert len(source._failed) == 3


def test_a_wrong_setting_of_the_machine_is_named() -> None:
    """The application learns of it at once."""
    with pytest.raises(SettingsError, match=r"binding\.azure: .*metadata_url"):
        Azure("azure", {"metadata_url": "http://10.0.0.1"}).client()
