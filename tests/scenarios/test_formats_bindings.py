"""docs/formats.md: its readers open what the server halves of bindings seal, and what is on the page is enough for it.

A record is of one machine, so there is no vector to publish: the server halves seal here, to machines of
the test's own, and the programs of the page run by themselves.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as elliptic_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from licentia.bindings import SECRET_BYTES, Binding, Challenge
from licentia.testing import swtpm
from licentia.testing.clouds import FakeAws, FakeAzure, FakeGcp, key
from licentia.testing.issuer import EC, NEXT, RSA, Issuer
from licentia_plugins.bindings.aws import Aws
from licentia_plugins.bindings.aws.document import read as read_aws
from licentia_plugins.bindings.azure import Azure
from licentia_plugins.bindings.azure.document import read as read_azure
from licentia_plugins.bindings.gcp import Gcp
from licentia_plugins.bindings.kubernetes import Kubernetes
from licentia_plugins.bindings.tpm import Tpm

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text("utf-8")
MODULES = dict(re.findall(r"^```python (\S+\.py)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
NONCE = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
VM = "11111111-1111-4111-8111-11111111111A"

OPEN = """
import json, sys
from identity import claims_of, read, unseal

for record, binding, said in json.load(sys.stdin):
    try:
        if isinstance(said, str):
            keys = read(record.encode(), binding)["keys"]
            said = claims_of(said, list(keys.values()) if binding == "gcp" else keys)
        print(unseal(record.encode(), binding, said).hex())
    except Exception as error:
        print("refused:", type(error).__name__, error)
"""
"""Opens records by the page: beside what a document says, or a token, which it verifies first."""

LAYOUT = """
import json, sys
from tpm import ENDORSEMENT, SIGNING, beginning
from signed import octets

said = json.load(sys.stdin)
keys = octets(said["endorsement_key"]), octets(said["identity_key"])
quote, begins = octets(said["quote"]), beginning(said["nonce"], *keys)
print(keys[0].startswith(ENDORSEMENT + bytes([1, 0])), keys[1].startswith(SIGNING + bytes([0, 32])))
print(*map(len, keys), quote.startswith(begins), len(quote) - len(begins))
"""
"""Holds what a real TPM says against the page."""

USE_TPM = """
import json, sys
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from tpm import Tpm

given = json.load(sys.stdin)
tpm = Tpm(*(load_pem_private_key(each.encode(), None) for each in given["keys"]))
if "nonce" in given:
    print(tpm.evidence(given["nonce"]).decode())
for record in given.get("records", ()):
    try:
        secret, weak = tpm.unseal(record.encode())
        print(secret.hex(), weak)
    except Exception as error:
        print("refused:", type(error).__name__, error)
"""


@pytest.fixture
def run(tmp_path: Path) -> Callable[[str, Any], list[str]]:
    """Runs a program beside the modules of the page, and gives the lines that it prints."""
    folder = tmp_path / "page"
    folder.mkdir()
    for name, text in MODULES.items():
        (folder / name).write_text(text, "utf-8")

    def run(program: str, given: Any) -> list[str]:
        command = [sys.executable, "-W", "error", "-c", program]
        done = subprocess.run(
            command, cwd=folder, input=json.dumps(given), capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return run


def written(value: Any) -> str:
    """The one form."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def flipped(record: bytes, path: Iterable[str]) -> str:
    """The record with one bit of one of its members changed."""
    changed = json.loads(record)
    *way, last = path
    place = changed
    for name in way:
        place = place[name]
    octets = base64.b64decode(place[last])
    place[last] = base64.b64encode(bytes([octets[0] ^ 1]) + octets[1:]).decode()
    return written(changed)


def forgeries(record: bytes) -> list[str]:
    """The record with every member of what is sealed changed, one more member, and in another form."""
    more = written(json.loads(record) | {"more": 1})
    parts = ("salt", "nonce", "box", "commitment")
    return [*(flipped(record, ("sealed", part)) for part in parts), more, record.decode() + " "]


def aws(folder: Path) -> tuple[Binding, bytes]:
    """A server that trusts an AWS, and a document."""
    return Aws("aws", {"trust": str(folder)}), FakeAws(folder).document("i-0123456789abcdef0")


def azure(folder: Path) -> tuple[Binding, bytes]:
    """The same of an Azure; the id is not in lower case."""
    return Azure("azure", {"trust": str(folder)}), FakeAzure(folder).document(VM, NONCE)


def gcp(folder: Path) -> tuple[Binding, bytes]:
    """The same of a Google Cloud."""
    return Gcp("gcp", {"trust": str(folder)}), FakeGcp(folder).token("1001", f"urn:licentia:nonce:{NONCE}")


def content(binding: str, evidence: bytes) -> Any:
    """What a document says, without a look at its signature; of a token the token, which the page verifies."""
    if binding == "gcp":
        return evidence.decode()
    document = read_aws(evidence) if binding == "aws" else read_azure(evidence)
    return json.loads(document.signed.content)


@pytest.mark.parametrize("cloud", [aws, azure, gcp], ids=lambda cloud: cloud.__name__)
async def test_the_page_opens_what_is_sealed_to_a_virtual_machine(
    cloud: Callable[[Path], tuple[Binding, bytes]], tmp_path: Path, run: Callable[[str, Any], list[str]]
) -> None:
    """A record opens to the document of its machine, and not when what is sealed is changed, nor elsewhere.

    Around what is sealed it may be changed, as the page says: the update that it stands in is signed.
    """
    (tmp_path / "trust").mkdir()
    cloud(tmp_path / "trust")  # writes whom to trust, before the server half reads it
    binding, evidence = cloud(tmp_path / "trust")
    secret = secrets.token_bytes(SECRET_BYTES)
    record = await binding.server().seal(evidence, secret)
    said = content(binding.name, evidence)
    around = written(json.loads(record) | {"attributes": {}})
    cases = [(record.decode(), said), (around, said), *((forged, said) for forged in forgeries(record))]
    if binding.name == "gcp":
        mine, strange = FakeGcp(tmp_path / "trust"), FakeGcp(tmp_path / "strange", number=22)
        cases += [(record.decode(), mine.token("1002", NONCE).decode())]
        cases += [(record.decode(), strange.token("1001", NONCE).decode())]
    else:
        cases += [(record.decode(), {"instanceId": "i-0fedcba9876543210", "vmId": VM.replace("A", "B")})]
    lines = run(OPEN, [(given, binding.name, shown) for given, shown in cases])
    assert lines[:2] == [secret.hex()] * 2
    assert len(lines) == len(cases)
    assert all(line.startswith("refused:") for line in lines[2:]), lines


@pytest.fixture
def cluster() -> Iterator[Issuer]:
    """A cluster."""
    with Issuer() as running:
        yield running


def token(cluster: Issuer, signer: Any, uid: str = "uid-1", account: str = "render") -> str:
    """The token of a pod of a service account."""
    place = {
        "namespace": "cad",
        "serviceaccount": {"name": account, "uid": uid},
        "pod": {"name": f"{account}-1", "uid": "pod-1"},
    }
    subject = f"system:serviceaccount:cad:{account}"
    return cluster.token(signer, aud=["licentia", NONCE], sub=subject, **{"kubernetes.io": place})


async def test_the_page_opens_what_is_sealed_to_a_service_account(
    cluster: Issuer, tmp_path: Path, run: Callable[[str, Any], list[str]]
) -> None:
    """A record opens with a later token, also by another key of the cluster, and no key can be put into it."""
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps({"keys": [each.as_dict(private=False) for each in (RSA, EC)]}))
    settings = {"audience": "licentia", "clusters": {"east": {"issuer": cluster.url, "jwks": str(keys)}}}
    server = Kubernetes("kubernetes", settings).server()
    secret = secrets.token_bytes(SECRET_BYTES)
    record = await server.seal(token(cluster, RSA).encode(), secret)
    await server.close()
    whole = json.loads(record)
    stranger = {name: NEXT.as_dict(private=False)[name] for name in ("kty", "kid", "crv", "x", "y")}
    right, elsewhere = record.decode(), written(whole | {"audience": "elsewhere"})
    cases = [
        *((right, token(cluster, signer)) for signer in (RSA, EC)),
        *((forged, token(cluster, RSA)) for forged in forgeries(record)),
        (right, token(cluster, RSA, uid="uid-2")),
        (right, token(cluster, RSA, account="other")),
        (right, token(cluster, NEXT)),
        (written(whole | {"keys": [*whole["keys"], stranger]}), token(cluster, NEXT)),
        (written(whole | {"issuer": "https://elsewhere.example"}), token(cluster, RSA)),
        (elsewhere, token(cluster, RSA)),
    ]
    lines = run(OPEN, [(given, "kubernetes", shown) for given, shown in cases])
    assert lines[:2] == [secret.hex()] * 2
    assert len(lines) == len(cases)
    assert all(line.startswith("refused:") for line in lines[2:]), lines


async def test_a_tpm_that_is_written_by_the_page_is_one(run: Callable[[str, Any], list[str]]) -> None:
    """The server half takes its evidence, as weak and fresh, and what it seals opens there and not in another."""
    private = [
        each.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        for each in (key(31), elliptic_key(SECP256R1()), key(32), elliptic_key(SECP256R1()))
    ]
    mine, moved, swapped = private[:2], [private[2], private[1]], [private[0], private[3]]
    (evidence,) = run(USE_TPM, {"keys": mine, "nonce": NONCE})
    server = Tpm("tpm", {"require_ek_certificate": False}).server()
    identity = await server.verify(evidence.encode(), Challenge(nonce=NONCE, at=datetime.now(UTC)))
    assert (identity.fresh, identity.weak) == (True, True)
    secret = secrets.token_bytes(SECRET_BYTES)
    record = await server.seal(evidence.encode(), secret)
    assert base64.b64decode(json.loads(record)["name"]).hex() == identity.name
    forged = [flipped(record, (part,)) for part in ("name", "integrity", "identity", "seed")]
    first, *others = run(USE_TPM, {"keys": mine, "records": [record.decode(), *forged]})
    assert first == f"{secret.hex()} True"
    assert len(others) == len(forged)
    for elsewhere in (moved, swapped):
        others += run(USE_TPM, {"keys": elsewhere, "records": [record.decode()]})
    assert all(line.startswith("refused:") for line in others), others


async def test_a_real_tpm_says_what_the_page_says(tmp_path: Path, run: Callable[[str, Any], list[str]]) -> None:
    """Keys are of the templates and as long as the page says, and the quote begins as it says."""
    pytest.importorskip("tpm2_pytss", reason="tpm2-pytss or libtss2 is not installed", exc_type=ImportError)
    if swtpm.missing():
        pytest.skip(swtpm.missing())
    swtpm.Maker(tmp_path / "maker").make(tmp_path / "made")
    with swtpm.running(tmp_path / "made") as way:
        evidence = Tpm("tpm", {"tcti": way}).client().collect(NONCE)
    assert run(LAYOUT, json.loads(evidence) | {"nonce": NONCE}) == ["True True", "314 88 True 63"]
