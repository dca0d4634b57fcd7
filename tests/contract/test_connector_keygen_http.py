"""keygen-http keeps the contract of connectors, on calls of our own and on those of the shared samples."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from licentia.connectors import Change, Delivery, Outcome
from licentia.errors import InvalidRequest, Unauthenticated
from licentia.settings import SettingsError
from licentia.testing import ConnectorContract
from licentia_integrations.keygen_http import KeyGenerator

GOLDEN = Path(__file__).parents[1] / "golden" / "connectors" / "keygen-http"
SECRET = "shop:p4ssw0rd"
NOW = datetime(2026, 11, 24, tzinfo=UTC)
TICKET = "7GJDG-J8HPG-QX2MN-4TRWB-9KVCS"
DONE, PARKED = Outcome(order_number="1", ticket=TICKET), Outcome(order_number="1", problem="CAD-PRO is <unknown>.")


def call(body: str, **given: Any) -> Delivery:
    """A call with this form."""
    return Delivery(body=body.encode(), received_at=NOW, **given)


@pytest.fixture
def shop() -> KeyGenerator:
    """The connector that finds out which shop calls."""
    return KeyGenerator("keygen-http", {"secret": SECRET})


class TestKeyGenerator(ConnectorContract):
    """Each file of the folder is a call in the form of one of the shops."""

    golden = GOLDEN
    signed = False

    @pytest.fixture
    def connector(self) -> KeyGenerator:
        """The connector with the secret that the calls show, or are signed with; the older one is on its way out."""
        return KeyGenerator("keygen-http", {"secret": ["the older one", SECRET]})

    def forged(self, delivery: Delivery) -> Iterable[Delivery]:
        """Without its headers, with wrong ones, and with another signature or another field in the body."""
        scrambled = {name: value.swapcase()[::-1] for name, value in delivery.headers.items()}
        for headers in ({}, scrambled):
            yield msgspec.structs.replace(delivery, headers=headers, body=delivery.body[:-1] + b"g")
        yield msgspec.structs.replace(delivery, headers={}, body=delivery.body.replace(b"=", b"=9", 1))


@pytest.mark.parametrize("name", ["plesk_purchase", "plesk_renew"])
def test_a_call_of_plesk_means_its_changes(shop: KeyGenerator, shared_data: Path, name: str) -> None:
    """A license number is placed once, and renewed under its own number."""
    body = (shared_data / "orders" / "keygen_http" / f"{name}.form").read_bytes()
    wanted = msgspec.json.decode((GOLDEN / f"{name}.changes.json").read_bytes(), type=tuple[Change, ...])
    assert shop.normalise(Delivery(body=body, received_at=NOW)) == wanted


@pytest.mark.parametrize(
    ("headers", "url"),
    [
        ({"authorization": "Basic c2hvcDpwNHNzdzByZA=="}, ""),
        ({"authorization": "Basic YW55Ym9keTpzaG9wOnA0c3N3MHJk"}, ""),
        ({"authorization": f"Bearer {SECRET}"}, ""),
        ({}, "https://licenses.example.com/keygen?secret=shop%3Ap4ssw0rd"),
    ],
)
async def test_a_secret_may_be_shown_in_three_ways(shop: KeyGenerator, headers: dict[str, str], url: str) -> None:
    """As user and password or as the password alone, as a bearer token, or in the address."""
    await shop.authenticate(call("PURCHASE_ID=1", headers=headers, url=url))


@pytest.mark.parametrize(
    ("headers", "url"),
    [
        ({"authorization": "Basic c2hvcDpwNHNzdzByZQ=="}, ""),
        ({"authorization": "Basic c2hvcDpwNHNzdzByZDphbnlib2R5"}, ""),
        ({"authorization": "Basic %%%"}, ""),
        ({"authorization": "Digest shop:p4ssw0rd"}, ""),
        ({}, "https://licenses.example.com/keygen?secret="),
        ({}, "https://[licenses/?secret=shop%3Ap4ssw0rd"),
    ],
)
async def test_a_wrong_secret_is_refused(shop: KeyGenerator, headers: dict[str, str], url: str) -> None:
    """Also where it cannot be read at all; the secret is not repeated."""
    with pytest.raises(Unauthenticated) as refusal:
        await shop.authenticate(call("PURCHASE_ID=1", headers=headers, url=url))
    assert SECRET not in str(refusal.value)


def test_a_call_may_be_in_the_address(shop: KeyGenerator) -> None:
    """Some shops call by GET, and two such calls are told apart by it."""
    calls = [
        call("", method="GET", url=f"https://x.example/k?PURCHASE_ID={number}&RUNNING_NO=1&PRODUCT_ID=cad&QUANTITY=2")
        for number in (1, 2)
    ]
    assert [shop.normalise(each)[0].order_number for each in calls] == ["1", "2"]
    assert shop.delivery_id(calls[0]) != shop.delivery_id(calls[1])


def test_a_call_in_another_charset_is_read(shop: KeyGenerator) -> None:
    """As its content type tells."""
    headers = {"content-type": "application/x-www-form-urlencoded; charset=ISO-8859-1"}
    body = "PURCHASE_ID=1&PRODUCT_ID=cad&QUANTITY=1&EMAIL=e%40x.example&REG_NAME=M%FCller"
    found = shop.normalise(call(body, headers=headers))[0].customer
    assert found is not None
    assert found.name == "Müller"


@pytest.mark.parametrize(
    ("name", "outcome", "wanted"),
    [
        ("mycommerce", DONE, (200, TICKET, "text/plain; charset=utf-8")),
        ("mycommerce", PARKED, (500, "CAD-PRO is <unknown>.", "text/plain; charset=utf-8")),
        ("plesk_upgrade", DONE, (200, TICKET, "application/octet-stream")),
        ("plesk_upgrade", PARKED, (400, "CAD-PRO is <unknown>.", "text/plain; charset=utf-8")),
        ("plesk_upgrade", None, (400, "There is no ticket yet.", "text/plain; charset=utf-8")),
        ("plesk_terminate", Outcome(order_number="1"), (204, "", "text/plain; charset=utf-8")),
        ("plesk_info", None, (204, "", "text/plain; charset=utf-8")),
        (
            "twocheckout",
            DONE,
            (
                200,
                f'<?xml version="1.0" encoding="UTF-8"?><Data><Line>{TICKET}</Line></Data>',
                "application/xml",
            ),
        ),
    ],
)
def test_the_reply_is_what_the_shop_takes(
    shop: KeyGenerator, name: str, outcome: Outcome | None, wanted: tuple[int, str, str]
) -> None:
    """The ticket in the shop's form with status 200, or the problem with a status that makes it wait or ask again."""
    delivery = Delivery(body=(GOLDEN / f"{name}.form").read_bytes(), received_at=NOW)
    answer = shop.answer(delivery, (outcome,) if outcome else ())
    assert (answer.status, answer.body.decode(), answer.media_type) == wanted


@pytest.mark.parametrize("body", ["PURCHASE_ID=" + "1" * 300_000, "PURCHASE_ID=1" + "&a=1" * 201])
async def test_a_long_form_is_refused(shop: KeyGenerator, body: str) -> None:
    """Before anything in it is believed."""
    with pytest.raises(Unauthenticated):
        await shop.authenticate(call(body, headers={"authorization": f"Bearer {SECRET}"}))
    with pytest.raises(InvalidRequest):
        shop.normalise(call(body))


def test_another_reply_may_be_set() -> None:
    """Where a shop wants a text of its own around the ticket."""
    shop = KeyGenerator("keygen-http", {"secret": SECRET, "reply": "Your ticket: {ticket}"})
    answer = shop.answer(call("PURCHASE_ID=1&PRODUCT_ID=cad&QUANTITY=1"), (DONE,))
    assert answer.body.decode() == f"Your ticket: {TICKET}"


def test_a_dialect_may_be_set() -> None:
    """Then the fields are read in it, whatever marks they have."""
    shop = KeyGenerator("keygen-http", {"secret": SECRET, "dialect": "fastspring"})
    change = shop.normalise(call("reference=A1&product=cad&quantity=1&PURCHASE_ID=7"))[0]
    assert (change.order_number, change.lines[0].sku) == ("A1", "cad")


@pytest.mark.parametrize(
    "settings", [{}, {"secret": ""}, {"secret": []}, {"secret": "s", "reply": "x"}, {"secret": "s", "dialect": "ebay"}]
)
def test_wrong_settings_are_refused(settings: dict[str, Any]) -> None:
    """With the name of the setting."""
    with pytest.raises(SettingsError, match=r"^\[connector.keygen-http\]: "):
        KeyGenerator("keygen-http", settings)
