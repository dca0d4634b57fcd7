"""The conformance kit of bindings."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import ClassVar

import pytest
import pytest_asyncio

from licentia.bindings import (
    API,
    SECRET_BYTES,
    Binding,
    Challenge,
    ClientHalf,
    Dated,
    Fingerprint,
    Identity,
    ServerHalf,
    Unsealed,
)
from licentia.errors import BindingEvidenceInvalid, BindingMismatch, DocumentInvalid, InvalidRequest, LicensingError
from licentia.plugins import flaw
from licentia.testing.halves import loaded_alone
from licentia.testing.kit import Kit
from licentia.testing.nonsense import NONSENSE, changed

NONCE, OTHER_NONCE = (hashlib.sha256(word).hexdigest()[:32] for word in (b"this request", b"another request"))


class BindingContract(Kit):
    """What every binding does. A subclass gives a `binding`, and the client half on two machines.

    A machine may be real, played by settings of the client half, or by a service of the test's own; the
    client half is always called in a thread of its own. Both machines must stay as they are meanwhile.
    """

    signed: ClassVar[bool] = True
    """Whether somebody other than the machine vouches for its evidence, so that changed evidence proves nothing."""

    changes: ClassVar[int] = 64
    """How many places of the evidence and of the record are changed, evenly over the whole."""

    @pytest.fixture
    def binding(self) -> Binding:
        """The binding under test, with the settings of the server."""
        pytest.fail("the test class has no `binding` fixture")

    @pytest.fixture
    def machine(self) -> ClientHalf:
        """The client half, on a machine."""
        pytest.fail("the test class has no `machine` fixture")

    @pytest.fixture
    def other_machine(self) -> ClientHalf:
        """The client half, on another machine."""
        pytest.fail("the test class has no `other_machine` fixture")

    @pytest.fixture
    def at(self) -> datetime:
        """The time as of which evidence is judged."""
        return datetime.now(UTC)

    @pytest_asyncio.fixture
    async def server(self, binding: Binding) -> AsyncIterator[ServerHalf]:
        """The server half, closed in the end."""
        half = binding.server()
        yield half
        await half.close()

    async def test_it_is_written_for_this_version_of_the_contract(
        self, binding: Binding, server: ServerHalf, machine: ClientHalf
    ) -> None:
        """Class and halves have all methods, with the arguments of the contract, and leave the facade alone."""
        assert flaw("binding", type(binding)) is None
        assert binding.api == API
        assert isinstance(server, ServerHalf)
        assert isinstance(machine, ClientHalf)
        for half, base, facade in (
            (server, ServerHalf, ("verify", "seal")),
            (machine, ClientHalf, ("collect", "unseal")),
        ):
            assert half.name == binding.name, "the name is not the one that the half was made for"
            replaced = [name for name in facade if getattr(type(half), name) is not getattr(base, name)]
            assert not replaced, f"`{replaced[0]}` is replaced; `_{replaced[0]}` is what a plugin implements"

    async def test_each_half_loads_without_the_other(self, binding: Binding, machine: ClientHalf) -> None:
        """A device has nothing of the server, and a server nothing of the device: each half is a module of its own."""
        client, server = await asyncio.gather(
            loaded_alone(type(binding), "client", binding.name, machine.settings),
            loaded_alone(type(binding), "server", binding.name, binding.settings),
        )
        assert server.half not in client.modules, f"the client half loads {server.half}, where the server half is"
        assert client.half not in server.modules, f"the server half loads {client.half}, where the client half is"
        assert not client.of_the_server, f"the client half loads {', '.join(client.of_the_server)}"

    async def test_evidence_names_one_machine(self, server: ServerHalf, machine: ClientHalf, at: datetime) -> None:
        """Collected and asked again, for this or another request, also many times at once, the machine is the same."""
        seen: set[tuple[str, bool, bool]] = set()
        for nonce in (NONCE, NONCE, OTHER_NONCE):
            evidence, challenge = await collect(machine, nonce), Challenge(nonce=nonce, at=at)
            answers = await asyncio.gather(*(server.verify(evidence, challenge) for _ in range(5)))
            seen.update((identity.name, identity.fresh, identity.weak) for identity in answers)
        assert len(seen) == 1

    async def test_two_machines_have_two_names(
        self, server: ServerHalf, machine: ClientHalf, other_machine: ClientHalf, at: datetime
    ) -> None:
        """Where the binding knows names, no two machines share one."""
        first = await self._identity(server, machine, at)
        second = await self._identity(server, other_machine, at)
        assert first.name != second.name or not first.name

    async def test_repeated_evidence_is_not_fresh(self, server: ServerHalf, machine: ClientHalf, at: datetime) -> None:
        """Evidence that was collected for one request is refused for another one, or said not to be fresh."""
        evidence = await collect(machine, NONCE)
        try:
            identity = await server.verify(evidence, Challenge(nonce=OTHER_NONCE, at=at))
        except LicensingError as refusal:
            self._assert_invalid(refusal, evidence)
        else:
            assert not identity.fresh

    async def test_changed_evidence_proves_nothing_else(
        self, binding: Binding, server: ServerHalf, machine: ClientHalf, at: datetime
    ) -> None:
        """It is refused in the plugin's own words; if what is signed is whole, it may still prove what it did."""
        challenge = Challenge(nonce=NONCE, at=at)
        evidence = await collect(machine, NONCE)
        identity = await server.verify(evidence, challenge)
        refused = 0
        for forged in changed(evidence, self.changes):
            try:
                proven = await server.verify(forged, challenge)
            except LicensingError as refusal:
                self._assert_invalid(refusal, evidence)
                refused += 1
            else:
                assert proven == identity or not self._vouched_for(binding)
        assert refused or not self._vouched_for(binding), "changed evidence is never refused"

    @pytest.mark.parametrize("given", NONSENSE.values(), ids=NONSENSE)
    async def test_nonsense_is_no_evidence(
        self, binding: Binding, server: ServerHalf, at: datetime, given: bytes
    ) -> None:
        """Whatever comes as evidence is refused in the plugin's own words; it never makes the plugin fail."""
        try:
            await server.verify(given, Challenge(nonce=NONCE, at=at))
        except LicensingError as refusal:
            self._assert_invalid(refusal, given)
        else:
            assert binding.trials_only, "nonsense proves something"
        if isinstance(server, Dated):
            with pytest.raises(BindingEvidenceInvalid):
                server._issued_at(given)

    async def test_dated_evidence_says_when_it_was_issued(self, server: ServerHalf, machine: ClientHalf) -> None:
        """Where the evidence has a date, it is a time in UTC."""
        if isinstance(server, Dated):
            assert server._issued_at(await collect(machine, NONCE)).tzinfo is UTC

    async def test_what_is_sealed_to_a_machine_opens_there(
        self, server: ServerHalf, machine: ClientHalf, other_machine: ClientHalf, at: datetime
    ) -> None:
        """The machine gets the same 32 bytes, as often as it likes, and nothing has changed."""
        for each in (machine, other_machine):
            secret = secrets.token_bytes(SECRET_BYTES)
            record = await self._seal(server, each, at, secret)
            for _ in range(2):
                unsealed = await unseal(each, record)
                assert unsealed.secret == secret
                assert unsealed.changed == ()

    async def test_it_does_not_open_on_another_machine(
        self, binding: Binding, server: ServerHalf, machine: ClientHalf, other_machine: ClientHalf, at: datetime
    ) -> None:
        """There it is a mismatch, whichever of the two it was sealed to."""
        for sealed_to, tried_on in ((machine, other_machine), (other_machine, machine)):
            record = await self._seal(server, sealed_to, at, secrets.token_bytes(SECRET_BYTES))
            if not binding.trials_only:
                with pytest.raises(BindingMismatch):
                    await unseal(tried_on, record)

    async def test_the_record_keeps_the_secret(
        self, binding: Binding, server: ServerHalf, machine: ClientHalf, at: datetime
    ) -> None:
        """The secret is not legible in the record, and two records of one secret are not alike."""
        secret = secrets.token_bytes(SECRET_BYTES)
        records = [await self._seal(server, machine, at, secret) for _ in range(2)]
        if not binding.trials_only:
            assert records[0] != records[1]
            for record in records:
                assert not _legible(secret, record), "the record shows the secret"

    async def test_a_changed_record_opens_to_nothing_else(
        self, server: ServerHalf, machine: ClientHalf, at: datetime
    ) -> None:
        """It is refused in the plugin's own words; if it opens in spite of the change, it gives the same secret."""
        secret = secrets.token_bytes(SECRET_BYTES)
        record = await self._seal(server, machine, at, secret)
        for forged in changed(record, self.changes):
            try:
                unsealed = await unseal(machine, forged)
            except LicensingError as refusal:
                _assert_unopened(refusal)
            else:
                assert unsealed.secret == secret

    @pytest.mark.parametrize("given", NONSENSE.values(), ids=NONSENSE)
    async def test_nonsense_is_no_record(self, machine: ClientHalf, given: bytes) -> None:
        """Whatever comes as a record is refused in the plugin's own words; it never makes the plugin fail."""
        with pytest.raises(LicensingError) as refusal:
            await unseal(machine, given)
        _assert_unopened(refusal.value)

    async def test_a_fingerprint_is_its_features(
        self, server: ServerHalf, machine: ClientHalf, other_machine: ClientHalf, at: datetime
    ) -> None:
        """Where features can be looked at, they are evidence of the same machine, and open what is sealed to it."""
        if isinstance(machine, Fingerprint):
            features = machine._features(None)
            evidence = machine._evidence_of(features.values)
            assert not set(features.values) & set(features.absent), "a feature is both there and absent"
            assert (await server.verify(evidence, Challenge(nonce=NONCE, at=at))).name == (
                await self._identity(server, machine, at)
            ).name
            secret = secrets.token_bytes(SECRET_BYTES)
            record = await server.seal(evidence, secret)
            assert (await unseal(machine, record)).secret == secret
            assert machine._unseal_with(record, features.values).secret == secret
            assert isinstance(other_machine, Fingerprint)
            with pytest.raises(BindingMismatch):
                machine._unseal_with(record, other_machine._features(None).values)
            with pytest.raises(InvalidRequest):
                machine._features("this is not a report of any machine")

    async def test_it_does_not_block_the_server(self, server: ServerHalf, machine: ClientHalf, at: datetime) -> None:
        """While it works, everybody else's requests go on."""
        evidence = await collect(machine, NONCE)
        async with self.unblocked():
            await server.verify(evidence, Challenge(nonce=NONCE, at=at))
            await server.seal(evidence, secrets.token_bytes(SECRET_BYTES))

    async def test_it_can_be_closed(self, binding: Binding, machine: ClientHalf, at: datetime) -> None:
        """Closing is no error, whether the server half was used or not, and whether it is closed already."""
        for used in (False, True):
            half = binding.server()
            if used:
                await self._identity(half, machine, at)
            await half.close()
            await half.close()

    async def _identity(self, server: ServerHalf, machine: ClientHalf, at: datetime) -> Identity:
        return await server.verify(await collect(machine, NONCE), Challenge(nonce=NONCE, at=at))

    async def _seal(self, server: ServerHalf, machine: ClientHalf, at: datetime, secret: bytes) -> bytes:
        evidence = await collect(machine, NONCE)
        await server.verify(evidence, Challenge(nonce=NONCE, at=at))
        return await server.seal(evidence, secret)

    def _vouched_for(self, binding: Binding) -> bool:
        return self.signed and not binding.trials_only

    def _assert_invalid(self, refusal: LicensingError, evidence: bytes) -> None:
        assert isinstance(refusal, BindingEvidenceInvalid), f"{type(refusal).__name__}: {refusal.detail}"
        words = f"{refusal.detail} {refusal.next_step} {refusal.problems}".encode()
        assert len(evidence) < 40 or evidence not in words, "the refusal repeats the evidence"


async def collect(machine: ClientHalf, nonce: str) -> bytes:
    """Evidence of a machine, collected in a thread as the client half is synchronous."""
    return await asyncio.to_thread(machine.collect, nonce)


async def unseal(machine: ClientHalf, record: bytes) -> Unsealed:
    """What a machine gets from a record, opened in a thread."""
    return await asyncio.to_thread(machine.unseal, record)


def _assert_unopened(refusal: LicensingError) -> None:
    documented = BindingMismatch | DocumentInvalid | BindingEvidenceInvalid
    assert isinstance(refusal, documented), f"{type(refusal).__name__}: {refusal.detail}"


def _legible(secret: bytes, record: bytes) -> bool:
    """Whether the record shows the secret: as it is, in hexadecimal, or in base64 wherever a group begins."""
    text = re.sub(rb"\s", b"", record).replace(b"-", b"+").replace(b"_", b"/")
    groups = [base64.b64encode(bytes(shift) + secret)[4 if shift else 0 : -4] for shift in range(3)]
    return secret in record or secret.hex().encode() in text.lower() or any(group in text for group in groups)
