"""The conformance kit of connectors."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from licentia.connectors import (
    API,
    Answer,
    Answering,
    Change,
    Connector,
    Delivery,
    Fetching,
    Handshake,
    Importing,
    Outcome,
    Page,
    Polling,
    WriteBack,
    headers_of,
)
from licentia.errors import InvalidRequest, LicensingError, Unauthenticated
from licentia.plugins import flaw
from licentia.testing.kit import Kit
from licentia.testing.nonsense import NONSENSE, changed

FACADE = (
    *("authenticate", "normalise", "delivery_id", "handshake"),
    *("answer", "fetch", "poll", "pieces", "write_back"),
)
OUTSIDE = ("open", "os.", "shutil.", "socket.", "sqlite3.", "subprocess.", "time.sleep", "urllib.")
"""Audit events of what a pure function does not do; `open` also stands for a module that is imported late."""


class Refused(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """That a delivery is authentic and cannot be understood; `refused` are the words of the refusal."""

    refused: str


Meaning = tuple[Change, ...] | Refused


class Golden(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded delivery: what came, and what it means; `meaning` is None if that is not written yet."""

    name: str
    delivery: Delivery
    meaning: Meaning | None


def golden_deliveries(folder: Path, at: datetime) -> list[Golden]:
    """The deliveries of a folder, by name.

    A delivery is three files of one name: the body, under any ending; `NAME.headers`, as `headers_of` reads
    them, which may be missing; and `NAME.changes.json`, the list of changes that it means, or
    `{"refused": ...}` with the words in which it is refused.
    """
    found = []
    for body in sorted(folder.iterdir()):
        if body.name.endswith((".changes.json", ".headers")) or body.name.startswith("."):
            continue
        expected, headers = folder / f"{body.stem}.changes.json", folder / f"{body.stem}.headers"
        delivery = Delivery(
            body=body.read_bytes(),
            headers=headers_of(headers.read_text("utf-8")) if headers.exists() else {},
            received_at=at,
        )
        meaning: Meaning | None = None
        if expected.exists():
            meaning = msgspec.json.decode(expected.read_bytes(), type=tuple[Change, ...] | Refused)
        found.append(Golden(name=body.stem, delivery=delivery, meaning=meaning))
    return found


def meaning_of(connector: Connector, delivery: Delivery) -> Meaning:
    """What a delivery means; a refusal that is none of an illegible delivery fails the test."""
    try:
        return connector.normalise(delivery)
    except LicensingError as refusal:
        _assert_illegible(refusal)
        return Refused(refusal.detail)


def changes_of(connector: Connector, delivery: Delivery) -> tuple[Change, ...]:
    """The changes that a delivery means; none if it is illegible."""
    meaning = meaning_of(connector, delivery)
    return () if isinstance(meaning, Refused) else meaning


class ConnectorContract(Kit):
    """What every connector does. A subclass gives a `connector` and a folder of `golden` deliveries."""

    golden: ClassVar[Path]
    """The folder of recorded deliveries; see `golden_deliveries`."""

    at: ClassVar[datetime] = datetime(2026, 1, 1, tzinfo=UTC)
    """When the golden deliveries came, for signatures that grow old."""

    signed: ClassVar[bool] = True
    """Whether the system signs the body. If not, it only shows a secret, in a header or in the address."""

    changes: ClassVar[int] = 64
    """How many places of a body are changed, evenly over the whole."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make a test of each golden delivery."""
        if "recorded" in metafunc.fixturenames:
            cls = metafunc.cls
            folder = getattr(cls, "golden", None)
            found = golden_deliveries(folder, cls.at) if folder is not None and folder.is_dir() else []
            metafunc.parametrize("recorded", found or [None], ids=lambda each: each.name if each else "none")

    @pytest.fixture
    def connector(self) -> Connector:
        """The connector under test, with the settings under which the golden deliveries are authentic."""
        pytest.fail("the test class has no `connector` fixture")

    def addressed(self, delivery: Delivery) -> Delivery:
        """The delivery as it comes in: give it `url` and `method` where the connector looks at them."""
        return delivery

    def forged(self, delivery: Delivery) -> Iterable[Delivery]:
        """Forgeries of a delivery: without its headers and its address, with wrong ones, and with other bodies.

        Where the secret is in the body, replace this by deliveries with a wrong one.
        """
        scrambled = {name: value.swapcase()[::-1] for name, value in delivery.headers.items()}
        for headers in ({}, scrambled):
            yield msgspec.structs.replace(delivery, headers=headers, url="")
        if self.signed:
            for body in changed(delivery.body, self.changes):
                yield msgspec.structs.replace(delivery, body=body)

    async def written(self, connector: Connector, order_number: str) -> Any:
        """What the system shows of an order after a write-back."""
        pytest.fail("the connector writes back, but the test class has no `written`")

    async def test_it_is_written_for_this_version_of_the_contract(self, connector: Connector) -> None:
        """The class has all methods, with the arguments of the contract, and leaves the facade alone."""
        assert flaw("connector", type(connector)) is None
        assert connector.api == API
        assert connector.name
        for name in FACADE:
            method = getattr(type(connector), name, None)
            ours = method is None or method.__module__ == Connector.__module__
            assert ours, f"`{name}` is replaced; `_{name}` is what a plugin implements"

    async def test_a_golden_delivery_is_authentic(self, connector: Connector, recorded: Golden | None) -> None:
        """What the system sent is let in, also when it comes twice."""
        delivery = self._delivery(recorded)
        await connector.authenticate(delivery)
        await connector.authenticate(delivery)

    async def test_a_golden_delivery_means_its_changes(self, connector: Connector, recorded: Golden | None) -> None:
        """The changes are those that are written down beside it."""
        delivery = self._delivery(recorded)
        assert recorded is not None
        found = meaning_of(connector, delivery)
        if recorded.meaning is None:
            text = msgspec.json.format(msgspec.json.Encoder(decimal_format="number").encode(found)).decode()
            pytest.fail(f"if this is right, write it into {recorded.name}.changes.json:\n{text}")
        assert found == recorded.meaning

    async def test_what_it_means_depends_on_nothing_else(self, connector: Connector, recorded: Golden | None) -> None:
        """The same delivery means the same again, whatever came between, and nothing is read or asked for it."""
        delivery = self._delivery(recorded)
        before = msgspec.msgpack.encode(delivery)
        first = meaning_of(connector, delivery)
        for other in golden_deliveries(self.golden, self.at):
            meaning_of(connector, self.addressed(other.delivery))
        with watched() as seen:
            second = meaning_of(connector, delivery)
        assert second == first
        assert not seen, f"`_normalise` reaches outside: {', '.join(seen)}"
        assert msgspec.msgpack.encode(delivery) == before, "`_normalise` changes the delivery"

    async def test_a_repeat_is_known_by_its_id(self, connector: Connector, recorded: Golden | None) -> None:
        """The id is the same each time, and at another time."""
        delivery = self._delivery(recorded)
        later = msgspec.structs.replace(delivery, received_at=datetime(2027, 1, 1, tzinfo=UTC))
        assert connector.delivery_id(delivery) == connector.delivery_id(later)

    async def test_a_forged_delivery_is_refused(self, connector: Connector, recorded: Golden | None) -> None:
        """What has no right signature, or no secret, comes from nobody; it is refused in the plugin's own words."""
        forgeries = tuple(self.forged(self._delivery(recorded)))
        assert forgeries
        for forgery in forgeries:
            with pytest.raises(LicensingError) as refusal:
                await connector.authenticate(forgery)
            assert isinstance(refusal.value, Unauthenticated), refusal.value.detail

    @pytest.mark.parametrize("body", NONSENSE.values(), ids=NONSENSE)
    async def test_nonsense_makes_nothing_fail(self, connector: Connector, body: bytes) -> None:
        """Whatever comes is refused in the plugin's own words, or means nothing."""
        delivery = self.addressed(Delivery(body=body, received_at=self.at))
        with pytest.raises(LicensingError) as stranger:
            await connector.authenticate(msgspec.structs.replace(delivery, url=""))
        assert isinstance(stranger.value, Unauthenticated), stranger.value.detail
        assert connector.delivery_id(delivery)
        assert changes_of(connector, delivery) == ()

    async def test_a_changed_body_makes_nothing_fail(self, connector: Connector, recorded: Golden | None) -> None:
        """One that is nearly right is refused in the plugin's own words, or means what it then says."""
        delivery = self._delivery(recorded)
        for body in changed(delivery.body, self.changes):
            meaning_of(connector, msgspec.structs.replace(delivery, body=body))

    async def test_a_delivery_is_no_handshake(self, connector: Connector, recorded: Golden | None) -> None:
        """Where the system shakes hands, a golden delivery is not taken for that."""
        delivery = self._delivery(recorded)
        if isinstance(connector, Handshake):
            assert connector.handshake(delivery) is None

    async def test_an_answer_is_given_whatever_happened(self, connector: Connector, recorded: Golden | None) -> None:
        """Where the system wants one, there is one to a ticket, to a problem and to nothing, each time the same."""
        delivery = self._delivery(recorded)
        if isinstance(connector, Answering):
            fulfilled = Outcome(order_number="1001", ticket="7GJDG-J8HPG-QX2MN-4TRWB-9KVCS")
            parked = Outcome(order_number="1001", problem="The article is not known.")
            for outcomes in ((), (fulfilled,), (parked,), (fulfilled, parked)):
                answer = connector.answer(delivery, outcomes)
                assert isinstance(answer, Answer)
                assert connector.answer(delivery, outcomes) == answer

    async def test_a_pointer_leads_to_changes(self, connector: Connector, recorded: Golden | None) -> None:
        """What is fetched for a golden pointer means changes, and points nowhere else."""
        for change in changes_of(connector, self._delivery(recorded)):
            if change.pointer and isinstance(connector, Fetching):
                for fetched in await connector.fetch(change.pointer):
                    assert fetched.pointer == change.pointer
                    assert "pointer" not in {each.kind for each in connector.normalise(fetched)}

    async def test_a_poll_goes_on_where_the_last_one_ended(self, connector: Connector) -> None:
        """What a poll found is legible, and is not found again from its cursor."""
        if isinstance(connector, Polling):
            page = await connector.poll("")
            assert isinstance(page, Page)
            assert page.deliveries, "the system has nothing to find: give it an order"
            for delivery in page.deliveries:
                connector.normalise(delivery)
            again = await connector.poll(page.cursor)
            ids = {connector.delivery_id(delivery) for delivery in page.deliveries}
            assert not ids & {connector.delivery_id(delivery) for delivery in again.deliveries}

    def test_a_file_in_pieces_means_the_same(self, connector: Connector, recorded: Golden | None) -> None:
        """Each piece of a golden file has all of an order, and together they mean what the file does."""
        delivery = self._delivery(recorded)
        whole = changes_of(connector, delivery)
        if isinstance(connector, Importing) and whole:
            pieces = [*connector.pieces(io.BytesIO(delivery.body))]
            assert {piece.of for piece in pieces} == {len(pieces)}
            found = [
                connector.normalise(msgspec.structs.replace(delivery, body=piece.body, pointer=piece.pointer))
                for piece in pieces
            ]
            numbers = [number for changes in found for number in {change.order_number for change in changes}]
            assert len({*numbers}) == len(numbers)
            assert [change for changes in found for change in changes] == [*whole]

    async def test_what_is_written_back_is_written_once(self, connector: Connector, recorded: Golden | None) -> None:
        """Writing it again changes nothing in the system."""
        if isinstance(connector, WriteBack):
            for change in changes_of(connector, self._delivery(recorded)):
                outcome = Outcome(order_number=change.order_number, ticket="7GJDG-J8HPG-QX2MN-4TRWB-9KVCS")
                await connector.write_back(outcome)
                once = await self.written(connector, change.order_number)
                await connector.write_back(outcome)
                assert await self.written(connector, change.order_number) == once

    async def test_it_does_not_block_the_server(self, connector: Connector, recorded: Golden | None) -> None:
        """While it works, everybody else's requests go on."""
        delivery = self._delivery(recorded)
        async with self.unblocked():
            await connector.authenticate(delivery)
            meaning_of(connector, delivery)
            await asyncio.sleep(0)

    async def test_it_can_be_closed(self, connector: Connector) -> None:
        """Closing is no error, and is none when it is closed already."""
        await connector.close()
        await connector.close()

    def _delivery(self, recorded: Golden | None) -> Delivery:
        if recorded is None:
            pytest.fail("`golden` names no folder with a delivery in it")
        return self.addressed(recorded.delivery)


def _assert_illegible(refusal: LicensingError) -> None:
    assert isinstance(refusal, InvalidRequest), f"{type(refusal).__name__}: {refusal.detail}"


_seen: ContextVar[list[str] | None] = ContextVar("seen", default=None)
_listening: list[bool] = []


@contextmanager
def watched() -> Iterator[list[str]]:
    """Note what the block does beyond computing: files, sockets, processes."""
    if not _listening:
        sys.addaudithook(_note)  # for good: Python has no way to take it off again
        _listening.append(True)
    seen: list[str] = []
    token = _seen.set(seen)
    try:
        yield seen
    finally:
        _seen.reset(token)


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    seen = _seen.get()
    if seen is not None and event.startswith(OUTSIDE):
        seen.append(f"{event} {str(arguments[0])[:80] if arguments else ''}".strip())
