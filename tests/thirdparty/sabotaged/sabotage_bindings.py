"""Bindings that do one thing wrong each, every one under the kit that must catch it; and an honest one."""

# ruff: noqa: D103, N801 - what is wrong with a plugin stands in its few lines

import secrets
import time
from datetime import datetime

import pytest
from licentia_binding_sample import Sample
from licentia_binding_sample.client import Client
from licentia_binding_sample.server import Server

from licentia.bindings import Dated, Features, Fingerprint, Identity, Unsealed
from licentia.errors import BindingEvidenceInvalid, BindingMismatch
from licentia.testing import BindingContract


class TestHonestBinding(BindingContract):
    plugin, client, server_half = Sample, Client, Server

    @pytest.fixture
    def binding(self):
        binding = self.plugin("sample", {})
        binding.server = lambda: self.server_half("sample", {})
        return binding

    @pytest.fixture
    def machine(self, tmp_path):
        return self.on(tmp_path / "stick-1", "1")

    @pytest.fixture
    def other_machine(self, tmp_path):
        return self.on(tmp_path / "stick-2", "2")

    def on(self, file, digit):
        file.write_text(digit * 64)
        return self.client("sample", {"stick": str(file)})


class BothAtOnce(Sample):
    def client(self):
        return Client(self.name, self.settings)


class TestLoadsBothHalves(TestHonestBinding):
    plugin = BothAtOnce


class TestReplacesTheFacade(TestHonestBinding):
    class server_half(Server):
        async def verify(self, evidence, challenge):
            return await self._verify(evidence, challenge)


class TestForgetsItsName(TestHonestBinding):
    class client(Client):
        def __init__(self, name, settings):
            super().__init__("client", settings)


class TestChangingName(TestHonestBinding):
    class server_half(Server):
        async def _verify(self, evidence, challenge):
            await super()._verify(evidence, challenge)
            return Identity(name=secrets.token_hex())


class TestOneNameForAll(TestHonestBinding):
    class server_half(Server):
        async def _verify(self, evidence, challenge):
            await super()._verify(evidence, challenge)
            return Identity(name="machine")


class Unbound(Server):
    async def _verify(self, evidence, challenge):
        if len(evidence) != 128:
            raise BindingEvidenceInvalid("This is not what a stick gives.")
        return Identity(name=evidence[:64].hex(), fresh=True)


class TestIgnoresTheNonce(TestHonestBinding):
    server_half = Unbound
    signed = False


class TestIgnoresTheSignature(TestHonestBinding):
    class server_half(Unbound):
        async def _verify(self, evidence, challenge):
            identity = await super()._verify(evidence, challenge)
            return Identity(name=identity.name)


class TestStumblesOverEvidence(TestHonestBinding):
    class server_half(Server):
        async def _verify(self, evidence, challenge):
            if not evidence[0]:
                raise IndexError("There is no such key.")
            return await super()._verify(evidence, challenge)


class TestTakesAnyEvidence(TestHonestBinding):
    class server_half(Server):
        async def _verify(self, evidence, challenge):
            try:
                return await super()._verify(evidence, challenge)
            except BindingEvidenceInvalid:
                return Identity(name="somebody", weak=True)


class TestRepeatsEvidence(TestHonestBinding):
    class server_half(Server):
        async def _verify(self, evidence, challenge):
            try:
                return await super()._verify(evidence, challenge)
            except BindingEvidenceInvalid:
                raise BindingEvidenceInvalid(f"{evidence.decode(errors='replace')} proves nothing.") from None


class TestDatesNonsense(TestHonestBinding):
    class server_half(Server, Dated):
        def _issued_at(self, evidence):
            return datetime.fromisoformat("2026-01-01")


class TestSealsLegibly(TestHonestBinding):
    class server_half(Server):
        async def _seal(self, evidence, secret):
            return await super()._seal(evidence, secret) + secret

    class client(Client):
        def _unseal(self, record):
            return super()._unseal(record[:-32])


class TestSealsAlike(TestHonestBinding):
    class server_half(Server):
        async def _seal(self, evidence, secret):
            return bytes(one ^ two for one, two in zip(secret, evidence[:32], strict=True)) + evidence[:32]

    class client(Client):
        def _unseal(self, record):
            public = self.keys()[0].public_key().export_key(format="raw")
            if record[32:] != public:
                raise BindingMismatch("This was sealed to another stick.")
            return Unsealed(secret=bytes(one ^ two for one, two in zip(record[:32], public, strict=True)))


class TestSealsWithoutATag(TestHonestBinding):
    class server_half(Server):
        async def _seal(self, evidence, secret):
            mask = secrets.token_bytes(32)
            return evidence[:32] + mask + xored(secret, mask, evidence[:32])

    class client(Client):
        def _unseal(self, record):
            public = self.keys()[0].public_key().export_key(format="raw")
            if record[:32] != public or len(record) != 96:
                raise BindingMismatch("This was sealed to another stick.")
            return Unsealed(secret=xored(record[64:], record[32:64], public))


def xored(*texts):
    return bytes(one ^ two ^ three for one, two, three in zip(*texts, strict=True))


class TestOpensAnywhere(TestHonestBinding):
    class server_half(Server):
        async def _seal(self, evidence, secret):
            mask = secrets.token_bytes(32)
            return mask + bytes(one ^ two for one, two in zip(secret, mask, strict=True))

    class client(Client):
        def _unseal(self, record):
            if len(record) != 64:
                raise BindingMismatch("This is no record.")
            return Unsealed(secret=bytes(one ^ two for one, two in zip(record[:32], record[32:], strict=True)))


class TestStumblesOverRecords(TestHonestBinding):
    class client(Client):
        def _unseal(self, record):
            return super()._unseal(record) if record[40] else None


class TestFingerprintOfNobody(TestHonestBinding):
    class client(Client, Fingerprint):
        def _features(self, report):
            return Features(values={"stick": "1"})

        def _evidence_of(self, features):
            return self._collect("a" * 32)

        def _unseal_with(self, record, features):
            return self._unseal(record)


class TestBlockingBinding(TestHonestBinding):
    blocking_seconds = 0.05

    class server_half(Server):
        async def _verify(self, evidence, challenge):
            time.sleep(0.1)  # noqa: ASYNC251
            return await super()._verify(evidence, challenge)


class TestClosesOnce(TestHonestBinding):
    class server_half(Server):
        closed = False

        async def close(self):
            if self.closed:
                raise RuntimeError("closed already")
            self.closed = True
