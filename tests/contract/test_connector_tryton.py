"""tryton keeps the contract of connectors, on documents of our own and on those that a real Tryton answered."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import connector_lab as lab
import msgspec
import pytest
from tryton_erp import SECRET, sale

from licentia.connectors import Change, Connector, Delivery
from licentia.errors import InvalidRequest
from licentia.settings import SettingsError
from licentia.testing import ConnectorContract
from licentia_integrations.tryton import Tryton

AT = datetime.fromtimestamp(1795500000, UTC)
GOLDEN = lab.GOLDEN / "tryton"


class TestTryton(ConnectorContract):
    """Each file of the folder is a doorbell, or what was fetched for one; all are signed to try them out."""

    golden = GOLDEN
    at = AT

    @pytest.fixture
    def connector(self, tryton: Tryton, erp: Any) -> Tryton:
        """The connector with the secret of the doorbell, and Tryton behind it."""
        self.erp = erp
        return tryton

    async def written(self, connector: Connector, order_number: str) -> Any:
        """The notes, and how often one was written."""
        return json.dumps(self.erp.records["ir.note"]), sum(each.method != "GET" for each in self.erp.requests)


@pytest.mark.parametrize("name", ["sale.rest", "sales_lifecycle.rest", "module_push_webhook"])
def test_a_real_document_means_its_changes(shared_data: Path, name: str) -> None:
    """An amendment, a return with the number of its original sale, and the doorbell of a module."""
    body = (shared_data / "orders" / "tryton" / f"{name}.json").read_bytes()
    if name == "module_push_webhook":
        body = json.loads(body)["body"].encode()
    wanted = msgspec.json.decode((GOLDEN / f"{name}.changes.json").read_bytes(), type=tuple[Change, ...])
    assert Tryton("tryton", {"secret": SECRET}).normalise(Delivery(body=body, received_at=AT)) == wanted


def test_an_amendment_is_a_newer_state_of_the_same_sale(shared_data: Path) -> None:
    """The version has grown, so that the older document is not applied any more."""
    connector = Tryton("tryton", {"secret": SECRET})
    folder = shared_data / "orders" / "tryton"
    bodies = [(folder / f"{name}.json").read_bytes() for name in ("sale.rest", "sales_lifecycle.rest")]
    before, after = (connector.normalise(Delivery(body=body, received_at=AT))[0] for body in bodies)
    assert before.order_number == after.order_number
    assert before.version < after.version


async def test_a_return_is_fetched_with_its_original_sale(tryton: Tryton) -> None:
    """As it tells only the key of that sale, and not the number; the sale is placed before it is returned."""
    (delivery,) = await tryton.fetch("sale.sale/SO10")
    placed, returned = tryton.normalise(delivery)
    assert (placed.kind, placed.order_number) == ("placed", "SO3")
    assert (returned.kind, returned.order_number, returned.origin) == ("returned", "SO10", "SO3")


async def test_what_is_gone_is_gone(tryton: Tryton) -> None:
    """A sale without an answer is no error."""
    assert await tryton.fetch("sale.sale/SO11") == ()


def meant(**values: Any) -> tuple[Change, ...]:
    """What a sale with these values means."""
    body = json.dumps([sale(9, **values)]).encode()
    return Tryton("tryton", {"secret": SECRET}).normalise(Delivery(body=body, received_at=AT))


def test_a_dozen_is_twelve() -> None:
    """A quantity is in the unit of the line, and an article is counted in its own."""
    line = {"id": 1, "type": "line", "quantity": 2.5, "unit": {"id": 3, "factor": 12.0}}
    (change,) = meant(lines=[line | {"product": {"id": 1, "code": "CAD", "default_uom": {"id": 1, "factor": 1.0}}}])
    assert change.lines[0].quantity == 30
    third = line | {"quantity": 9.0, "unit": {"id": 4, "factor": 0.333333333333}}
    (change,) = meant(lines=[third | {"product": {"id": 1, "code": "CAD", "default_uom": {"id": 1, "factor": 1.0}}}])
    assert change.lines[0].quantity == 3


@pytest.mark.parametrize("factor", ['"NaN"', '"sNaN"', "1e400", "-1", "1e-300"])
@pytest.mark.parametrize("quantity", ["1", '{"__class__": "Decimal", "decimal": "sNaN"}', "1e300"])
def test_a_number_that_is_none_is_refused(factor: str, quantity: str) -> None:
    """In the plugin's own words."""
    body = '[{"state": "done", "number": "1", "lines": [{"id": 1, "quantity": %s, "unit": {"factor": %s},'
    body += ' "product": {"default_uom": {"factor": 3}}}]}]'
    with pytest.raises(InvalidRequest):
        Tryton("tryton", {"secret": SECRET}).normalise(
            Delivery(body=(body % (quantity, factor)).encode(), received_at=AT)
        )


def test_a_sale_whose_lines_nobody_may_read_is_refused() -> None:
    """Tryton leaves out what the user has no right to: that is no order of nothing."""
    with pytest.raises(InvalidRequest, match="without lines"):
        meant(lines=None)
    with pytest.raises(InvalidRequest, match="quantity"):
        meant(lines=[{"id": 1, "type": "line"}])


def test_a_return_that_is_called_off_cancels_itself_and_not_its_sale() -> None:
    """By its own number alone, under which it was told."""
    back = [{"id": 1, "quantity": -1.0, "product": {"id": 1, "code": "CAD"}}]
    (change,) = meant(state="cancelled", origin="sale.sale,3", lines=back)
    assert (change.kind, change.order_number, change.origin, change.lines) == ("cancelled", "SO9", None, ())


def test_a_return_for_a_complaint_is_of_its_sale() -> None:
    """The complaint is about the sale, or about a line of it."""
    back = [{"id": 1, "quantity": -1.0, "product": {"id": 1, "code": "CAD"}}]
    documents = [
        sale(3),
        {"__name__": "sale.line", "id": 300, "sale": 3},
        {"__name__": "sale.complaint", "id": 6, "origin": "sale.line,300"},
        sale(9, origin="sale.complaint,6", lines=back),
    ]
    connector = Tryton("tryton", {"secret": SECRET})
    *_, returned = connector.normalise(Delivery(body=json.dumps(documents).encode(), received_at=AT))
    assert (returned.kind, returned.origin) == ("returned", "SO3")


@pytest.mark.parametrize(
    "settings", [{}, {"secret": SECRET, "api": {"url": "http://erp.example", "password": "x"}}, {"secret": 7}]
)
def test_wrong_settings_are_refused(settings: dict[str, Any]) -> None:
    """With the name of the setting; a key goes nowhere unencrypted."""
    with pytest.raises(SettingsError, match=r"^\[connector.tryton\]: "):
        Tryton("tryton", settings)
