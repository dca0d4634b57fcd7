"""aws: real documents hold as they should, everything else is refused, and the instance opens what is sealed to it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from licentia.bindings import Challenge, ClientHalf, Identity, ServerHalf
from licentia.errors import BindingEvidenceInvalid, BindingMismatch, DocumentInvalid, LicensingError, Unavailable
from licentia.settings import SettingsError
from licentia.testing.clouds import FakeAws, certificate, write
from licentia.testing.metadata import MetadataServer
from licentia_plugins.bindings.aws import Aws
from licentia_plugins.bindings.aws.regions import shipped

NOW = datetime.now(UTC)
SECRET = bytes(range(32))
ONE, TWO = "i-0123456789abcdef0", "i-0fedcba9876543210"


@pytest.fixture
def real(shared_data: Path) -> bytes:
    """A real document, of us-west-2."""
    return (shared_data / "aws/teleport_iid1.rsa2048.b64").read_bytes()


@pytest.fixture
def aws(tmp_path: Path) -> FakeAws:
    """A region of our own."""
    return FakeAws(tmp_path / "trust")


@pytest.fixture
def server(aws: FakeAws, tmp_path: Path) -> ServerHalf:
    """The server half that knows the region of our own."""
    return half(trust=str(tmp_path / "trust"))


@pytest.fixture
def service(aws: FakeAws) -> Iterator[MetadataServer]:
    """The metadata service of an instance."""
    with MetadataServer(aws=aws.document(ONE)) as running:
        yield running


def half(**settings: Any) -> ServerHalf:
    """The server half with these settings."""
    return Aws("aws", settings).server()


def device(service: MetadataServer) -> ClientHalf:
    """The client half on this machine."""
    return Aws("aws", {"metadata_url": service.url, "timeout_seconds": 0.5}).client()


async def judged(server: ServerHalf, evidence: bytes, at: datetime | None = None) -> Identity:
    """What the server half says."""
    return await server.verify(evidence, Challenge(nonce="n" * 32, at=at or datetime.now(UTC)))


async def reason(server: ServerHalf, evidence: bytes, at: datetime | None = None) -> str:
    """Why the server half refuses."""
    with pytest.raises(BindingEvidenceInvalid) as refused:
        await judged(server, evidence, at)
    return f"{refused.value.detail} {refused.value.next_step}"


async def test_a_real_document_names_its_instance(real: bytes) -> None:
    """With the key of its region that the plugin brings, at its own time and now; never as fresh."""
    expected = Identity(
        name="i-078517ca8a70a1dde",
        attributes={
            "account": "278576220453",
            "region": "us-west-2",
            "availability_zone": "us-west-2a",
            "instance_type": "t2.medium",
            "image": "ami-0fa9e1f64142cde17",
        },
    )
    server = half()
    issued = server._issued_at(real)  # type: ignore[attr-defined]
    assert issued == datetime(2021, 9, 3, 21, 25, 47, tzinfo=UTC)
    assert [await judged(server, real, at) for at in (issued, NOW)] == [expected, expected]


@pytest.mark.parametrize("newline", ["", "\n", "\r\n"])
@pytest.mark.parametrize("armored", [False, True])
async def test_it_comes_in_several_forms(real: bytes, newline: str, armored: bool) -> None:
    """As the service answers it, in one line, with the lines of PEM around it, or with others' line ends."""
    lines = [line.decode() for line in real.split()]
    text = newline.join(lines)
    if armored:
        end = newline or "\n"
        text = f"-----BEGIN PKCS7-----{end}{text}{end}-----END PKCS7-----{end}"
    assert (await judged(half(), text.encode())).name == "i-078517ca8a70a1dde"


async def test_it_counts_only_while_its_key_does(real: bytes) -> None:
    """Before the key there was, after it has ended, and before the document was issued, it proves nothing."""
    for at, why in (
        (datetime(2015, 1, 1, tzinfo=UTC), "does not count on 2015-01-01"),
        (datetime(2196, 1, 1, tzinfo=UTC), "does not count on 2196-01-01"),
        (datetime(2020, 1, 1, tzinfo=UTC), "issued on 2021-09-03"),
    ):
        assert why in await reason(half(), real, at)


async def test_regions_and_accounts_can_be_chosen(real: bytes) -> None:
    """One region or several, and a list of accounts; others are refused by name."""
    for settings in ({"region": "us-west-2"}, {"region": ["us-east-1", "us-west-2"]}, {"accounts": ["278576220453"]}):
        assert await judged(half(**settings), real)
    assert "us-west-2, which is not us-west-1" in await reason(half(region="us-west-1"), real)
    assert "account 278576220453" in await reason(half(accounts=["123456789012"]), real)


@pytest.mark.parametrize(
    ("file", "why"),
    [
        ("mozilla_ec2_dsa.pkcs7.pem", "DSA"),
        ("coder_iid.signature.b64", "RSA-1024"),
        ("coder_iid.document.json", "without its signature"),
    ],
)
async def test_what_other_addresses_answer_is_refused(shared_data: Path, file: str, why: str) -> None:
    """The DSA form, the RSA-1024 form and the bare document, each with the reason and the right address."""
    told = await reason(half(), (shared_data / "aws" / file).read_bytes())
    assert why in told
    assert "rsa2048" in told


async def test_every_changed_character_is_noticed(real: bytes) -> None:
    """No character of a real document can be exchanged, and each is refused in the plugin's own words."""
    server, survivors = half(), []
    for place in range(len(real)):
        changed = bytearray(real)
        changed[place] ^= 1 << place % 8
        try:
            await judged(server, bytes(changed))
        except BindingEvidenceInvalid:
            continue
        survivors.append(place)
    assert survivors == []


async def test_a_region_signs_for_itself_only(tmp_path: Path) -> None:
    """A key of one region is no reason to believe a document that names another."""
    one, two = (FakeAws(tmp_path, region, number) for region, number in (("xx-one-1", 1), ("xx-two-1", 2)))
    server = half(trust=str(tmp_path))
    assert (await judged(server, one.document(ONE))).attributes["region"] == "xx-one-1"
    assert (await judged(server, two.document(ONE))).attributes["region"] == "xx-two-1"
    for region in ("xx-two-1", "us-west-2"):
        assert "not signed by a known key" in await reason(server, one.document(ONE, region=region))


async def test_an_unknown_region_is_told(aws: FakeAws) -> None:
    """With what to do about it."""
    told = await reason(half(), aws.document(ONE))
    assert "no key is known for its region xx-test-1" in told
    assert "`trust`" in told


async def test_a_weak_certificate_is_not_trusted(tmp_path: Path) -> None:
    """RSA-1024 in the folder makes nothing count: the older forms stay refused."""
    write(tmp_path / "trust" / "xx-weak-1.pem", certificate("EC2 xx-weak-1", 3, bits=1024))
    forged = FakeAws(tmp_path / "elsewhere", "xx-weak-1", 4).document(ONE)
    assert "no key is known" in await reason(half(trust=str(tmp_path / "trust")), forged)


@pytest.mark.parametrize(
    "facts",
    [
        {"instanceId": ""},
        {"instanceId": "i-1"},
        {"instanceId": "i-0123456789abcdef0\n"},
        {"accountId": 123456789012},
        {"region": None},
        {"pendingTime": "yesterday"},
        {"imageId": "x" * 100},
    ],
)
async def test_what_is_signed_must_be_a_document(aws: FakeAws, server: ServerHalf, facts: Mapping[str, Any]) -> None:
    """A genuine signature over something else names nobody."""
    assert "no instance identity document" in await reason(server, aws.document(ONE, **facts))


async def test_a_document_from_the_future_is_refused(aws: FakeAws, server: ServerHalf) -> None:
    """Its issuer's clock and ours differ by minutes, not hours."""
    assert "after the time in question" in await reason(server, aws.document(ONE), NOW - timedelta(hours=1))


def test_the_table_is_what_its_command_makes(shared_data: Path) -> None:
    """The keys that the plugin brings are those of the regions' certificates, one per region, none twice."""
    command = [sys.executable, "-m", "licentia_plugins.bindings.aws.regions", str(shared_data / "aws/certs/rsa2048")]
    made = subprocess.run(command, capture_output=True, check=True).stdout
    assert {name: list(map(dict, keys)) for name, keys in json.loads(made).items()} == json.loads(
        Path(sys.modules[shipped.__module__].__file__ or "").with_name("regions.json").read_bytes()
    )
    keys = [key.key for region in shipped().values() for key in region]
    assert len(keys) == len(set(keys)) == 39


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"regoin": "us-west-2"}, "regoin"),
        ({"region": ""}, "region"),
        ({"region": []}, "region"),
        ({"accounts": ["1"]}, "accounts"),
        ({"trust": "/nowhere"}, "/nowhere"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], why: str) -> None:
    """The server does not start with it."""
    with pytest.raises(SettingsError, match=why):
        half(**settings)


async def test_the_instance_opens_what_is_sealed_to_it(
    aws: FakeAws, server: ServerHalf, service: MetadataServer
) -> None:
    """Stopped, started, resized and with another image it is still itself; what changed is told."""
    machine = device(service)
    record = await server.seal(machine.collect("n"), SECRET)
    assert machine.unseal(record).changed == ()
    service.aws = aws.document(ONE, instanceType="m7i.large", imageId="ami-1", pendingTime="2030-01-01T00:00:00Z")
    unsealed = machine.unseal(record)
    assert (unsealed.secret, unsealed.changed, unsealed.weak) == (SECRET, ("instance_type", "image"), False)


async def test_another_instance_does_not_open_it(aws: FakeAws, server: ServerHalf, service: MetadataServer) -> None:
    """Also one of the same image in the same account; the mismatch names the instance's id."""
    record = await server.seal(aws.document(ONE), SECRET)
    service.aws = aws.document(TWO)
    with pytest.raises(BindingMismatch) as refused:
        device(service).unseal(record)
    assert [problem.pointer for problem in refused.value.problems] == ["/features/instance_id"]


async def test_a_document_that_aws_has_not_signed_opens_nothing(
    server: ServerHalf, service: MetadataServer, aws: FakeAws, tmp_path: Path
) -> None:
    """A service of somebody's own has to show a document of the true region's key, with the true instance's id."""
    record = await server.seal(aws.document(ONE), SECRET)
    unsigned = base64.b64encode(json.dumps({"instanceId": ONE}).encode())
    for false in (FakeAws(tmp_path / "false", number=5).document(ONE), unsigned, b"", b"<html>", b"\xff" * 100):
        service.aws = false
        with pytest.raises(BindingMismatch):
            device(service).unseal(record)


async def test_without_a_service_nothing_opens(server: ServerHalf, aws: FakeAws, service: MetadataServer) -> None:
    """Silence says to try again; an answer that is none says that this is another machine."""
    record = await server.seal(aws.document(ONE), SECRET)
    service.answering.clear()
    with pytest.raises(Unavailable, match="did not answer"):
        device(service).unseal(record)
    service.answering.set()
    service.aws = None
    with pytest.raises(BindingMismatch, match="404"):
        device(service).unseal(record)
    with pytest.raises(BindingEvidenceInvalid, match="404"):
        device(service).collect("n")


async def test_a_record_of_another_region_stays_shut(tmp_path: Path, aws: FakeAws, service: MetadataServer) -> None:
    """The keys in the record are those of the region that was sealed to."""
    other = FakeAws(tmp_path / "trust", "xx-two-1", 2)
    record = await half(trust=str(tmp_path / "trust")).seal(other.document(ONE), SECRET)
    with pytest.raises(BindingMismatch, match="does not hold"):
        device(service).unseal(record)


@pytest.mark.parametrize("record", [b"{}", b"\xff", b"[" * 10_000, b"null"])
def test_a_damaged_record_is_told(service: MetadataServer, record: bytes) -> None:
    """It is the record that is wrong, not the machine."""
    with pytest.raises(DocumentInvalid):
        device(service).unseal(record)


async def test_nothing_is_sealed_to_false_evidence(server: ServerHalf, tmp_path: Path) -> None:
    """Sealing does not take the verification before it on trust."""
    with pytest.raises(BindingEvidenceInvalid):
        await server.seal(FakeAws(tmp_path / "false", number=5).document(ONE), SECRET)


def test_real_documents_reach_the_server_over_the_real_address(shared_data: Path, tmp_path: Path) -> None:
    """In a network namespace of its own, at 169.254.169.254, with the settings as they come."""
    if os.geteuid() != 0 or not (shutil.which("unshare") and shutil.which("ip")):
        pytest.skip("only root may make a network namespace, with unshare and ip")
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from licentia.testing.metadata import MetadataServer\n"
        "from licentia_plugins.bindings.aws import Aws\n"
        "document = Path(sys.argv[1]).read_bytes()\n"
        "with MetadataServer(aws=document, address=('169.254.169.254', 80)):\n"
        "    sys.stdout.buffer.write(Aws('aws', {}).client().collect('n'))\n",
        "utf-8",
    )
    document = shared_data / "aws/teleport_iid1.rsa2048.b64"
    inside = f"ip link set lo up && ip addr add 169.254.169.254/32 dev lo && exec {sys.executable} {program} {document}"
    if subprocess.run(["unshare", "-n", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine does not allow network namespaces")
    done = subprocess.run(["unshare", "-n", "sh", "-c", inside], capture_output=True, check=False, timeout=60)
    assert done.stdout == document.read_bytes(), done.stderr.decode()


@pytest.mark.parametrize("evidence", [b"[" * 60_000, b"{" * 60_000, b"A" * 65_536, b"-----BEGIN PKCS7-----\n" * 2000])
async def test_a_bomb_is_refused(evidence: bytes) -> None:
    """Nested or long text costs no time and is refused in the plugin's own words."""
    with pytest.raises(BindingEvidenceInvalid):
        await judged(half(), evidence)
    deep = base64.b64encode(b"\x30\x80" * 20_000)
    with pytest.raises(LicensingError):
        await judged(half(), deep)
