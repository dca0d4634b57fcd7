"""The facade of connectors: what goes in and comes out is checked, and only documented errors get through."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from licentia.connectors import (
    Answer,
    Answering,
    Change,
    Connector,
    Delivery,
    Fetching,
    Handshake,
    Line,
    Outcome,
    Page,
    Polling,
    WriteBack,
    headers_of,
)
from licentia.errors import InvalidRequest, Unauthenticated, Unavailable

DELIVERY = Delivery(body=b"{}", received_at=datetime(2026, 1, 1, tzinfo=UTC))
OUTCOME = Outcome(order_number="1")


class Scripted(Connector, Handshake, Answering, Fetching, Polling, WriteBack):
    """Each method gives, or raises, what the settings say under its name."""

    async def _authenticate(self, delivery: Delivery) -> None:
        self._scripted("authenticate")

    def _normalise(self, delivery: Delivery) -> tuple[Change, ...]:
        return self._scripted("normalise")

    def _delivery_id(self, delivery: Delivery) -> str:
        return self._scripted("delivery_id")

    def _handshake(self, delivery: Delivery) -> Answer | None:
        return self._scripted("handshake")

    def _answer(self, delivery: Delivery, outcomes: tuple[Outcome, ...]) -> Answer:
        return self._scripted("answer")

    async def _fetch(self, pointer: str) -> tuple[Delivery, ...]:
        return self._scripted("fetch")

    async def _poll(self, cursor: str) -> Page:
        return self._scripted("poll")

    async def _write_back(self, outcome: Outcome) -> None:
        self._scripted("write_back")

    def _scripted(self, method: str) -> Any:
        told = self.settings[method]
        if isinstance(told, Exception):
            raise told
        return told


async def call(method: str, told: Any) -> Any:
    """What the facade's method gives for what the plugin's method gives."""
    connector = Scripted("shop", {method: told})
    given: dict[str, tuple[Any, ...]] = {
        "fetch": ("p",),
        "poll": ("",),
        "write_back": (OUTCOME,),
        "answer": (DELIVERY, (OUTCOME,)),
    }
    answer = getattr(connector, method)(*given.get(method, (DELIVERY,)))
    return await answer if hasattr(answer, "__await__") else answer


GOOD = {
    "authenticate": None,
    "normalise": (Change(kind="pointer", pointer="p"), Change(kind="placed", order_number="1")),
    "delivery_id": "id",
    "handshake": Answer(body=b"hello"),
    "answer": Answer(status=500),
    "fetch": (DELIVERY,),
    "poll": Page(deliveries=(DELIVERY,), cursor="7"),
    "write_back": None,
}


@pytest.mark.parametrize(("method", "told"), GOOD.items(), ids=GOOD)
async def test_a_good_answer_goes_through(method: str, told: Any) -> None:
    """What the plugin gives is what the core gets."""
    assert await call(method, told) == told


@pytest.mark.parametrize("method", GOOD)
async def test_a_failure_names_the_plugin_and_tells_nothing_more(method: str) -> None:
    """Whatever it raises is `unavailable`; the words of the error, which may have a secret in them, stay in the log."""
    with pytest.raises(Unavailable, match=rf"connector\(shop\): {method} failed with KeyError$") as failure:
        await call(method, KeyError("a secret"))
    assert "a secret" not in f"{failure.value.detail} {failure.value.next_step}"


@pytest.mark.parametrize("method", GOOD)
async def test_a_documented_refusal_goes_through(method: str) -> None:
    """The plugin's own refusals are told in its own words."""
    with pytest.raises(Unauthenticated, match="Who are you"):
        await call(method, Unauthenticated("Who are you?"))


def line(quantity: Any = Decimal(1), line_id: Any = "1") -> Line:
    """A line of an order."""
    return Line(line_id=line_id, sku="acme-cad", quantity=quantity)


@pytest.mark.parametrize(
    ("method", "told", "reason"),
    [
        ("normalise", None, "Expected `array`, got `null`"),
        ("normalise", (None,), "Expected `object`, got `null`"),
        ("normalise", (Change(kind="sold", order_number="1"),), "Invalid enum value 'sold'"),
        ("normalise", (Change(kind="placed", order_number=7),), "Expected `str`, got `int`"),
        ("normalise", (Change(kind="placed", order_number="x" * 201),), "Expected `str` of length <= 200"),
        ("normalise", (Change(kind="placed", order_number="1", version=-1),), "Expected `int` >= 0"),
        ("normalise", (Change(kind="placed"),), "a change of kind 'placed' without an order number"),
        ("normalise", (Change(kind="pointer", order_number="1"),), "a pointer to nothing"),
        *(
            (
                "normalise",
                (Change(kind="placed", order_number="1", lines=(line(Decimal(number)),)),),
                "a quantity that is",
            )
            for number in ("-1", "NaN", "Infinity")
        ),
        ("delivery_id", "", "1 to 200 characters"),
        ("delivery_id", 7, "1 to 200 characters"),
        ("delivery_id", "x" * 201, "1 to 200 characters"),
        ("handshake", "hello", "Expected `object | null`, got `str`"),
        ("answer", None, "Expected `object`, got `null`"),
        ("answer", Answer(status=99), "Expected `int` >= 200"),
        ("fetch", DELIVERY, "Expected `array`, got `object`"),
        ("poll", (DELIVERY,), "Expected `object`, got `array`"),
    ],
)
async def test_a_wrong_answer_is_the_plugins_fault(method: str, told: Any, reason: str) -> None:
    """It is `unavailable`, and says which method of which plugin gave what."""
    with pytest.raises(Unavailable) as failure:
        await call(method, told)
    assert failure.value.detail.startswith(f"connector(shop): {method} ")
    assert reason in failure.value.detail


async def test_two_lines_of_one_id_are_the_systems_fault() -> None:
    """Such an order cannot be kept by lines, so it is refused and not taken for the plugin's failure."""
    with pytest.raises(InvalidRequest, match="Order '1001' has two lines of one id"):
        await call("normalise", (Change(kind="placed", order_number="1001", lines=(line(), line())),))


class Bare(Connector):
    """What every connector has to have, and no more."""

    async def _authenticate(self, delivery: Delivery) -> None:
        return None

    def _normalise(self, delivery: Delivery) -> tuple[Change, ...]:
        return (Change(kind="pointer", pointer="p"),)


def test_only_who_can_fetch_gives_pointers() -> None:
    """A pointer that nobody could follow is a fault at once, not when it is followed."""
    with pytest.raises(Unavailable, match="a pointer, but this connector fetches nothing"):
        Bare("shop", {}).normalise(DELIVERY)


def test_abilities_are_what_it_inherits() -> None:
    """The listing says what a connector can do beyond reading."""
    assert Bare("shop", {}).capabilities == []
    assert Scripted("shop", {}).capabilities == ["handshake", "answering", "fetching", "polling", "write-back"]


def test_without_a_word_of_its_own_a_delivery_is_known_by_its_body() -> None:
    """The same bytes have the same id whenever and with whatever headers they come."""
    shop = Bare("shop", {})
    later = msgspec.structs.replace(DELIVERY, received_at=datetime(2027, 1, 1, tzinfo=UTC), headers={"a": "b"})
    assert shop.delivery_id(DELIVERY) == shop.delivery_id(later)
    assert shop.delivery_id(DELIVERY) != shop.delivery_id(msgspec.structs.replace(DELIVERY, body=b"[]"))


@pytest.mark.parametrize("name", ["_authenticate", "_normalise", "_fetch"])
def test_a_method_of_the_wrong_form_cannot_be_defined(name: str) -> None:
    """`_normalise` is plain, what may wait is async; the other way round nobody would notice before it is called."""

    async def asynchronous(self: Any, given: Any) -> None: ...

    def plain(self: Any, given: Any) -> None: ...

    wrong, form = (asynchronous, "a plain `def`") if name == "_normalise" else (plain, "an `async def`")
    with pytest.raises(TypeError, match=f"Shop.{name} must be {form}"):
        type("Shop", (Connector, Fetching), {name: wrong})


def test_headers_are_read_from_lines_or_json() -> None:
    """Names are lower case, values as they are; both forms mean the same."""
    wanted = {"x-signature": "abc=:1", "empty": ""}
    assert headers_of("X-Signature: abc=:1\r\n\nEmpty:\n") == wanted
    assert headers_of('{"X-Signature": "abc=:1", "Empty": ""}') == wanted
    assert headers_of("") == {}


@pytest.mark.parametrize("text", ["no colon", "{", '{"a": 1}', '{"a": {"b": "c"}}', '{"a":' * 10_000])
def test_what_is_no_headers_is_refused(text: str) -> None:
    """A file of another kind is said to be one."""
    with pytest.raises(InvalidRequest, match="These are no headers"):
        headers_of(text)
