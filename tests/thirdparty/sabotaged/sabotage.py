"""Plugins that do one thing wrong each, every one under the kit that must catch it; and honest ones, which pass."""

# ruff: noqa: D103, N801 - what is wrong with a plugin stands in its few lines

import hashlib
import hmac
import time
import uuid

import pytest

from licentia.containers import ContainerBackend, ContainerRef, Delivery, OfflineDelivery
from licentia.directories import Subject, UserClaim, UserDirectory
from licentia.errors import BindingEvidenceInvalid, InvalidRequest, Unauthenticated
from licentia.testing import ContainerContract, DirectoryContract, OfflineContract

TOKEN = "the-token-of-ada-which-is-a-secret"


class Honest(ContainerBackend):
    def __init__(self, kind, host, settings):
        super().__init__(kind, host, settings)
        self.held = {}

    async def _provision(self, wanted):
        if not wanted.user:
            raise InvalidRequest.at("/container/user", "name the user")
        return ContainerRef(binding=wanted.user)

    async def _apply(self, ref, update):
        self.held[ref.binding] = update.contents

    async def _read(self, ref):
        return self.held.get(ref.binding, ())

    async def _retire(self, ref):
        self.held.pop(ref.binding, None)


class TestHonest(ContainerContract):
    plugin = Honest

    @pytest.fixture
    def backend(self, host):
        return self.plugin("honest", host, {})


class TestExcused(TestHonest):
    class plugin(Honest):
        async def _retire(self, ref):
            raise KeyError(ref.binding)

    @pytest.mark.xfail(reason="this container cannot be retired yet", strict=True)
    async def test_a_retired_container_may_be_wanted_again(self, backend, host):
        await super().test_a_retired_container_may_be_wanted_again(backend, host)

    @pytest.mark.xfail(reason="this container cannot be retired yet", strict=True)
    async def test_it_does_not_block_the_server(self, backend, host):
        await super().test_it_does_not_block_the_server(backend, host)


class TestSyncLooking(TestHonest):
    class plugin(Honest):
        pass

    plugin._read = lambda self, ref: self.held.get(ref.binding, ())


class TestBlocking(TestHonest):
    blocking_seconds = 0.05

    class plugin(Honest):
        async def _retire(self, ref):
            time.sleep(0.1)  # noqa: ASYNC251


class TestForeignException(TestHonest):
    class plugin(Honest):
        async def _provision(self, wanted):
            return {"ada": ContainerRef(binding="1"), "grace": ContainerRef(binding="2")}[wanted.user]


class TestAcceptsAnything(TestHonest):
    class plugin(Honest):
        async def _provision(self, wanted):
            return ContainerRef(binding=wanted.user or "everybody")


class TestUnstableBinding(TestHonest):
    class plugin(Honest):
        async def _provision(self, wanted):
            await super()._provision(wanted)
            return ContainerRef(binding=str(uuid.uuid4()))


class TestSharedBinding(TestHonest):
    class plugin(Honest):
        async def _provision(self, wanted):
            await super()._provision(wanted)
            return ContainerRef(binding="the-only-one")


class TestWrongRef(TestHonest):
    class plugin(Honest):
        async def _provision(self, wanted):
            return (await super()._provision(wanted)).binding


class TestWrongDelivery(TestHonest):
    class plugin(Honest):
        async def _apply(self, ref, update):
            await super()._apply(ref, update)
            return b"done"


class TestUnconfirmable(TestHonest):
    class plugin(Honest):
        async def _apply(self, ref, update):
            await super()._apply(ref, update)
            return Delivery(media_type="text/plain", filename="a.lic", content=b"done")


class TestReadsNothing(TestHonest):
    class plugin(Honest):
        async def _read(self, ref):
            return None


class TestAdds(TestHonest):
    class plugin(Honest):
        async def _apply(self, ref, update):
            self.held[ref.binding] = self.held.get(ref.binding, ()) + update.contents


class TestLeaks(TestHonest):
    class plugin(Honest):
        held = {}

        async def _read(self, ref):
            return sum(self.held.values(), ())


class TestRetiresEverything(TestHonest):
    class plugin(Honest):
        async def _retire(self, ref):
            self.held.clear()


class HonestOffline(Honest, OfflineDelivery):
    async def _apply(self, ref, update):
        await super()._apply(ref, update)
        return Delivery(media_type="text/plain", filename="a.lic", content=str(update.sequence).encode())

    async def _confirm(self, ref, receipt):
        number, _, code = receipt.partition(b".")
        if not hmac.compare_digest(code, sign(ref, number)):
            raise BindingEvidenceInvalid("The receipt is not of this container.")
        return int(number)


def sign(ref, number):
    return hmac.digest(ref.binding.encode(), number, hashlib.sha256).hex().encode()


class TestOffline(OfflineContract):
    plugin = HonestOffline

    @pytest.fixture
    def backend(self, host):
        return self.plugin("offline", host, {})

    async def carry(self, ref, delivery):
        return delivery.content + b"." + sign(ref, delivery.content)


class TestTrustsReceipts(TestOffline):
    class plugin(HonestOffline):
        async def _confirm(self, ref, receipt):
            return int(receipt.partition(b".")[0] or 0)


class TestPathInFilename(TestOffline):
    class plugin(HonestOffline):
        async def _apply(self, ref, update):
            delivery = await super()._apply(ref, update)
            return Delivery(media_type="text/plain", filename="../a.lic", content=delivery.content)


class HonestDirectory(UserDirectory):
    async def _identify(self, claim):
        if claim.token is None or not claim.token.startswith("the-token-"):
            return None
        if claim.token != TOKEN:
            raise Unauthenticated("That is not the token of anybody.")
        return Subject(user="ada", groups=("staff",))


class TestDirectory(DirectoryContract):
    plugin = HonestDirectory

    @pytest.fixture
    def directory(self):
        return self.plugin("directory", {})

    @pytest.fixture
    def known(self):
        return UserClaim(token=TOKEN), Subject(user="ada", groups=("staff",))

    @pytest.fixture
    def foreign(self):
        return (UserClaim(user="ada"),)

    @pytest.fixture
    def refused(self):
        return (UserClaim(token="the-token-of-nobody-in-particular"),)


class TestTakesEverybody(TestDirectory):
    class plugin(HonestDirectory):
        async def _identify(self, claim):
            return Subject(user="ada", groups=("staff",))


class TestForgetsGroups(TestDirectory):
    class plugin(HonestDirectory):
        async def _identify(self, claim):
            subject = await super()._identify(claim)
            return subject and Subject(user=subject.user)


class TestTellsTheToken(TestDirectory):
    class plugin(HonestDirectory):
        async def _identify(self, claim):
            try:
                return await super()._identify(claim)
            except Unauthenticated:
                raise Unauthenticated(f"{claim.token} is not the token of anybody.") from None


class TestStumbles(TestDirectory):
    class plugin(HonestDirectory):
        async def _identify(self, claim):
            if claim.token:
                claim.token.split("-")[1]
            return await super()._identify(claim)


class TestWrongSubject(TestDirectory):
    class plugin(HonestDirectory):
        async def _identify(self, claim):
            subject = await super()._identify(claim)
            return subject and subject.user


class TestBlockingDirectory(TestDirectory):
    blocking_seconds = 0.05

    class plugin(HonestDirectory):
        async def _identify(self, claim):
            time.sleep(0.1)  # noqa: ASYNC251
            return await super()._identify(claim)


class TestCannotClose(TestDirectory):
    class plugin(HonestDirectory):
        async def close(self):
            raise OSError("nothing is open")
