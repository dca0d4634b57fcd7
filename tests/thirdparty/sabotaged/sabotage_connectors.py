"""Connectors that do one thing wrong each, every one under the kit that must catch it; and an honest one."""

# ruff: noqa: N801 - what is wrong with a plugin stands in its few lines

import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import msgspec
import pytest
from licentia_connector_sample import Order, Sample

from licentia.connectors import Answer, Change, Page
from licentia.errors import InvalidRequest, Unauthenticated
from licentia.testing import ConnectorContract

DELIVERIES = Path(__file__).parents[1] / "licentia-connector-sample" / "deliveries"


class TestHonestConnector(ConnectorContract):
    plugin = Sample
    golden = DELIVERIES

    @pytest.fixture
    def connector(self):
        order = Order("1001", "acme", {"cad": 5})
        shop = SimpleNamespace(orders={order.number: order}, notes={}, clock=datetime(2026, 1, 1, tzinfo=UTC))
        return self.plugin("sample", {"secret": "of the shop", "shop": shop})

    async def written(self, connector, order_number):
        return dict(connector.settings["shop"].notes)


class TestWithoutDeliveries(TestHonestConnector):
    golden = Path(__file__).parent / "there is no such folder"


class TestReplacesNormalise(TestHonestConnector):
    class plugin(Sample):
        def normalise(self, delivery):
            return self._normalise(delivery)


class TestTrustsEverybody(TestHonestConnector):
    class plugin(Sample):
        async def _authenticate(self, delivery):
            pass


class TestRefusesTheShop(TestHonestConnector):
    class plugin(Sample):
        async def _authenticate(self, delivery):
            raise Unauthenticated("Nobody is the shop.")


class TestTrustsTheHeaderAlone(TestHonestConnector):
    class plugin(Sample):
        async def _authenticate(self, delivery):
            if len(delivery.headers.get("x-shop-signature", "")) != 64:
                raise Unauthenticated("The shop has not signed this delivery.")
            if delivery.headers["x-shop-signature"][0].isupper():
                raise Unauthenticated("The shop has not signed this delivery.")


class TestRefusesWithAnotherCode(TestHonestConnector):
    class plugin(Sample):
        async def _authenticate(self, delivery):
            try:
                await super()._authenticate(delivery)
            except Unauthenticated:
                raise InvalidRequest("The signature is wrong.") from None


class TestMeansSomethingElse(TestHonestConnector):
    class plugin(Sample):
        def _normalise(self, delivery):
            return super()._normalise(delivery)[:0]


class TestCounts(TestHonestConnector):
    class plugin(Sample):
        count = 0

        def _normalise(self, delivery):
            self.count += 1
            return tuple(msgspec.structs.replace(change, version=self.count) for change in super()._normalise(delivery))


class TestReadsAFile(TestHonestConnector):
    class plugin(Sample):
        def _normalise(self, delivery):
            Path(__file__).read_bytes()
            return super()._normalise(delivery)


class TestNewIdEachTime(TestHonestConnector):
    class plugin(Sample):
        def _delivery_id(self, delivery):
            return str(uuid4())


class TestIllegibleIsItsFault(TestHonestConnector):
    class plugin(Sample):
        def _normalise(self, delivery):
            return (Change(kind="pointer", pointer=msgspec.json.decode(delivery.body)["changed"]),)


class TestHugsEverybody(TestHonestConnector):
    class plugin(Sample):
        def _handshake(self, delivery):
            return Answer(status=200)


class TestHasNoAnswer(TestHonestConnector):
    class plugin(Sample):
        def _answer(self, delivery, outcomes):
            return Answer(body=outcomes[0].ticket.encode())


class TestLosesThePointer(TestHonestConnector):
    class plugin(Sample):
        async def _fetch(self, pointer):
            return tuple(msgspec.structs.replace(each, pointer="") for each in await super()._fetch(pointer))


class TestPollsInCircles(TestHonestConnector):
    class plugin(Sample):
        async def _poll(self, cursor):
            return Page(deliveries=(await super()._poll("")).deliveries, cursor="0")


class TestWritesAgain(TestHonestConnector):
    class plugin(Sample):
        async def _write_back(self, outcome):
            self.settings["shop"].notes[str(uuid4())] = outcome.ticket


class TestBlockingConnector(TestHonestConnector):
    blocking_seconds = 0.05

    class plugin(Sample):
        async def _authenticate(self, delivery):
            time.sleep(0.1)  # noqa: ASYNC251
            await super()._authenticate(delivery)


class TestClosesConnectorOnce(TestHonestConnector):
    class plugin(Sample):
        closed = False

        async def close(self):
            if self.closed:
                raise RuntimeError("closed already")
            self.closed = True
