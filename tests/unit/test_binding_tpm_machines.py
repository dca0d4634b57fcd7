"""The tpm binding with real TPMs in software: what they prove, and what opens where."""

from __future__ import annotations

import json
import shutil
import sys
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from Crypto.Hash import SHA256
from Crypto.PublicKey import ECC
from Crypto.Signature import DSS

from licentia.bindings import Challenge, ClientHalf, Identity, ServerHalf
from licentia.errors import BindingEvidenceInvalid, BindingMismatch, DocumentInvalid, Unavailable
from licentia.testing import swtpm
from licentia_plugins.bindings.tpm import Tpm
from licentia_plugins.bindings.tpm.messages import answer_to
from licentia_plugins.bindings.tpm.structures import IDENTITY_TEMPLATE

pytest.importorskip("tpm2_pytss", reason="tpm2-pytss or libtss2 is not installed", exc_type=ImportError)
if swtpm.missing():
    pytest.skip(swtpm.missing(), allow_module_level=True)

NONCE, OTHER_NONCE = "n" * 32, "m" * 32
SECRET = bytes(range(32))


class Machines:
    """Machines with TPMs: two of one maker, one of another maker, one without a certificate."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.maker, self.stranger = swtpm.Maker(folder / "maker"), swtpm.Maker(folder / "stranger")
        self.maker.make(folder / "ours")
        self.maker.make(folder / "theirs")
        self.stranger.make(folder / "strange")
        self.maker.make(folder / "plain", certificate=False)
        self.ours, self.theirs, self.strange, self.plain = (
            client_of(stack.enter_context(swtpm.running(folder / name)))
            for name in ("ours", "theirs", "strange", "plain")
        )

    def server(self, **settings: Any) -> ServerHalf:
        """A server that trusts the maker."""
        return Tpm("tpm", {"trust": str(self.maker.trust)} | settings).server()


def client_of(tcti: str) -> ClientHalf:
    """The client half on a machine with this TPM."""
    return Tpm("tpm", {"tcti": tcti}).client()


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """The machines, running."""
    with ExitStack() as stack:
        yield Machines(tmp_path_factory.mktemp("machines"), stack)


@pytest.fixture
def server(machines: Machines) -> ServerHalf:
    """A server that trusts the maker."""
    return machines.server()


async def identity(server: ServerHalf, evidence: bytes, nonce: str = NONCE) -> Identity:
    """What evidence proves now."""
    return await server.verify(evidence, Challenge(nonce=nonce, at=datetime.now(UTC)))


async def test_a_tpm_proves_who_it_is(machines: Machines, server: ServerHalf) -> None:
    """The name is the same each time, the evidence fresh, and the maker says which TPM it is."""
    first = await identity(server, machines.ours.collect(NONCE))
    second = await identity(server, machines.ours.collect(OTHER_NONCE), OTHER_NONCE)
    assert first == second
    assert len(first.name) == 68
    assert first.fresh
    assert not first.weak
    assert first.attributes["manufacturer"] == "id:00001014"
    assert first.attributes["model"] == "swtpm"
    theirs = await identity(server, machines.theirs.collect(NONCE))
    assert theirs.name != first.name
    assert theirs.attributes["endorsement_key"] != first.attributes["endorsement_key"]


async def test_what_is_sealed_opens_in_that_tpm_only(machines: Machines, server: ServerHalf) -> None:
    """The secret comes back from the TPM it was sealed to, and from no other one."""
    record = await server.seal(machines.ours.collect(NONCE), SECRET)
    unsealed = machines.ours.unseal(record)
    assert unsealed.secret == SECRET
    assert not unsealed.weak
    for other in (machines.theirs, machines.strange, machines.plain):
        with pytest.raises(BindingMismatch, match="another TPM") as refusal:
            other.unseal(record)
        assert [problem.pointer for problem in refusal.value.problems] == ["/features/tpm"]


async def test_evidence_answers_one_request(machines: Machines, server: ServerHalf) -> None:
    """A copy of evidence is of no use for another request."""
    with pytest.raises(BindingEvidenceInvalid, match="answers another request"):
        await identity(server, machines.ours.collect(NONCE), OTHER_NONCE)


async def test_parts_of_two_machines_prove_nothing(machines: Machines, server: ServerHalf) -> None:
    """Whatever part of the evidence is another machine's, it is refused."""
    ours, theirs = (json.loads(machine.collect(NONCE)) for machine in (machines.ours, machines.theirs))
    for part in sorted(ours.keys() - {"v"}):
        with pytest.raises(BindingEvidenceInvalid):
            await identity(server, json.dumps(ours | {part: theirs[part]}).encode())


async def test_no_byte_of_the_evidence_may_change(machines: Machines, server: ServerHalf) -> None:
    """Each byte that is different makes the evidence prove nothing, or, as a bit that counts for nothing, the same."""
    evidence = machines.ours.collect(NONCE)
    good = await identity(server, evidence)
    refused = 0
    for position in range(0, len(evidence), 3):
        changed = evidence[:position] + bytes([evidence[position] ^ 1]) + evidence[position + 1 :]
        try:
            assert await identity(server, changed) == good
        except BindingEvidenceInvalid:
            refused += 1
    assert refused > len(evidence) // 3 - 10


async def test_no_byte_of_the_record_may_change(machines: Machines, server: ServerHalf) -> None:
    """The TPM refuses a record that was changed: a mismatch, or damaged, and never another secret."""
    record = await server.seal(machines.ours.collect(NONCE), SECRET)
    refused = 0
    for position in range(0, len(record), 7):
        changed = record[:position] + bytes([record[position] ^ 1]) + record[position + 1 :]
        try:
            assert machines.ours.unseal(changed).secret == SECRET
        except (BindingMismatch, DocumentInvalid):
            refused += 1
    assert refused > len(record) // 7 - 10


async def test_an_unknown_maker_does_not_count(machines: Machines, server: ServerHalf) -> None:
    """A TPM whose maker is not trusted, or that has no certificate, may be software: refused, or weak if allowed."""
    lenient = machines.server(require_ek_certificate=False)
    for machine, reason in ((machines.strange, "a maker that is trusted"), (machines.plain, "has no endorsement")):
        evidence = machine.collect(NONCE)
        with pytest.raises(BindingEvidenceInvalid, match=reason):
            await identity(server, evidence)
        with pytest.raises(BindingEvidenceInvalid, match=reason):
            await server.seal(evidence, SECRET)
        assert (await identity(lenient, evidence)).weak
        assert machine.unseal(await lenient.seal(evidence, SECRET)).weak
    assert not (await identity(lenient, machines.ours.collect(NONCE))).weak


async def test_a_key_outside_the_tpm_opens_nothing(machines: Machines, server: ServerHalf) -> None:
    """Who shows another's certificate beside a key of its own gets a name of its own, and a record for nobody."""
    victim = json.loads(machines.ours.collect(NONCE))
    forged = _quoted_in_software(victim)
    assert (await identity(server, forged)).name != (await identity(server, json.dumps(victim).encode())).name
    record = await server.seal(forged, SECRET)
    with pytest.raises(BindingMismatch):
        machines.ours.unseal(record)
    ours = json.loads(await server.seal(json.dumps(victim).encode(), SECRET))
    named_as_ours = json.loads(record) | {"name": ours["name"]}
    with pytest.raises(BindingMismatch, match="does not open"):
        machines.ours.unseal(json.dumps(named_as_ours).encode())


def _quoted_in_software(victim: dict[str, Any]) -> bytes:
    """Evidence with the victim's endorsement key and certificate, and a quote by a key that is in no TPM."""
    key = ECC.generate(curve="P-256")
    point = b"".join((32).to_bytes(2, "big") + int(n).to_bytes(32, "big") for n in key.pointQ.xy)
    quote = b64decode(victim["quote"])
    genuine = answer_to(NONCE, b64decode(victim["endorsement_key"]))
    assert genuine in quote
    signature = DSS.new(key, "fips-186-3").sign(SHA256.new(quote))
    signed = bytes.fromhex("0018000b0020") + signature[:32] + bytes.fromhex("0020") + signature[32:]
    parts = {"identity_key": IDENTITY_TEMPLATE + point, "signature": signed}
    return json.dumps(victim | {name: b64encode(part).decode() for name, part in parts.items()}).encode()


async def test_the_name_outlives_reset_and_clearing(machines: Machines, server: ServerHalf) -> None:
    """A restart, and the owner's clearing of the TPM, change neither the name nor what opens."""
    from tpm2_pytss import ESAPI
    from tpm2_pytss.constants import ESYS_TR

    machines.maker.make(machines.folder / "cleared")
    with swtpm.running(machines.folder / "cleared") as tcti:
        before = await identity(server, client_of(tcti).collect(NONCE))
        record = await server.seal(client_of(tcti).collect(NONCE), SECRET)
    with swtpm.running(machines.folder / "cleared") as tcti:
        with ESAPI(tcti) as tpm:
            tpm.clear(ESYS_TR.LOCKOUT)
        assert await identity(server, client_of(tcti).collect(NONCE)) == before
        assert client_of(tcti).unseal(record).secret == SECRET


async def test_a_copied_software_tpm_is_the_same_tpm(machines: Machines, server: ServerHalf) -> None:
    """The limit of it: a virtual machine that is copied with the state of its TPM opens what the first one opens."""
    machines.maker.make(machines.folder / "first")
    shutil.copytree(machines.folder / "first", machines.folder / "copy")
    with swtpm.running(machines.folder / "first") as first, swtpm.running(machines.folder / "copy") as copy:
        record = await server.seal(client_of(first).collect(NONCE), SECRET)
        assert client_of(copy).unseal(record).secret == SECRET


async def test_nothing_is_left_in_the_tpm(machines: Machines, server: ServerHalf) -> None:
    """Keys and sessions are given up, also after a refusal: a TPM has room for three of them."""
    from tpm2_pytss import ESAPI
    from tpm2_pytss.constants import TPM2_CAP, TPM2_HT

    machines.maker.make(machines.folder / "small")
    record = await server.seal(machines.theirs.collect(NONCE), SECRET)
    with swtpm.running(machines.folder / "small") as tcti:
        for _ in range(5):
            own = await server.seal(client_of(tcti).collect(NONCE), SECRET)
            client_of(tcti).unseal(own)
            with pytest.raises(BindingMismatch):
                client_of(tcti).unseal(record)
            with pytest.raises(BindingMismatch, match="does not open"):
                client_of(tcti).unseal(_reseeded(own, record))
        with ESAPI(tcti) as tpm:
            for kind in (TPM2_HT.TRANSIENT, TPM2_HT.LOADED_SESSION):
                assert list(tpm.get_capability(TPM2_CAP.HANDLES, kind << 24, 10)[1].data.handles) == []


def _reseeded(record: bytes, other: bytes) -> bytes:
    return json.dumps(json.loads(record) | {"seed": json.loads(other)["seed"]}).encode()


async def test_without_a_tpm_there_is_nothing_to_ask(machines: Machines, server: ServerHalf) -> None:
    """A machine that has no TPM gives no evidence, and opens nothing."""
    record = await server.seal(machines.ours.collect(NONCE), SECRET)
    bare = client_of("device:/dev/no-such-tpm")
    with pytest.raises(BindingEvidenceInvalid, match="There is no TPM at device:/dev/no-such-tpm"):
        bare.collect(NONCE)
    with pytest.raises(BindingMismatch, match="There is no TPM"):
        bare.unseal(record)


async def test_a_hierarchy_with_a_password_is_said(machines: Machines, server: ServerHalf) -> None:
    """Where the endorsement hierarchy is locked the binding cannot work, and says what the TPM said."""
    from tpm2_pytss import ESAPI
    from tpm2_pytss.constants import ESYS_TR

    machines.maker.make(machines.folder / "locked")
    with swtpm.running(machines.folder / "locked") as tcti:
        record = await server.seal(client_of(tcti).collect(NONCE), SECRET)
        with ESAPI(tcti) as tpm:
            tpm.hierarchy_change_auth(ESYS_TR.ENDORSEMENT, b"secret")
        with pytest.raises(Unavailable, match="uthorization"):
            client_of(tcti).collect(NONCE)
        with pytest.raises(Unavailable, match="uthorization"):
            client_of(tcti).unseal(record)


def test_without_the_library_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server half needs no library; the client half names the extra that brings it."""
    monkeypatch.setitem(sys.modules, "tpm2_pytss", None)
    monkeypatch.delitem(sys.modules, "licentia_plugins.bindings.tpm.client", raising=False)
    assert Tpm("tpm", {"require_ek_certificate": False}).server()
    with pytest.raises(Unavailable) as refusal:
        Tpm("tpm", {}).client()
    assert "licentia[tpm]" in refusal.value.next_step
