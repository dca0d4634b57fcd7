"""What deliveries of real systems look like beside the usual: older versions, other settings, other makers.

Each is written here after the form of deliveries that are public, with the least that it needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from licentia.connectors import Change, Connector, Delivery
from licentia.errors import InvalidRequest
from licentia_integrations.csv import Csv
from licentia_integrations.dynamics import Dynamics
from licentia_integrations.fastspring import FastSpring
from licentia_integrations.hubspot import HubSpot
from licentia_integrations.paddle import Paddle
from licentia_integrations.salesforce import Salesforce
from licentia_integrations.sap import Sap
from licentia_integrations.shopify import Shopify
from licentia_integrations.stripe import Stripe
from licentia_integrations.ubl import Ubl
from licentia_integrations.woocommerce import WooCommerce

SECRET = {"secret": "a long enough secret"}
AT = datetime(2026, 1, 2, tzinfo=UTC)


def means(kind: type[Connector], document: Any, **headers: str) -> tuple[Change, ...]:
    """What a delivery means: JSON of a document, or the text as it is."""
    body = document.encode() if isinstance(document, str) else msgspec.json.encode(document)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return kind(kind.__name__.lower(), SECRET).normalise(Delivery(body=body, headers=named, received_at=AT))


def only(kind: type[Connector], document: Any, **headers: str) -> Change:
    """The one change that a delivery means."""
    (change,) = means(kind, document, **headers)
    return change


def fastspring(type: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """A batch of FastSpring with one event."""
    return {"events": [{"id": "e1", "type": type, "live": True, "created": 1_700_000_000_000, "data": data}]}


SUBSCRIPTION = {"id": "sub1", "subscription": "sub1", "product": "cad-monthly", "sku": "CAD", "state": "active"}
"""A subscription in full, as *webhook expansion* writes it in the place of its id."""


@pytest.mark.parametrize("product", ["cad-monthly", {"product": "cad-monthly", "sku": "CAD", "display": {"en": "CAD"}}])
def test_fastspring_names_the_subscription_of_a_charge_and_not_its_product(product: Any) -> None:
    """A charge renews the subscription that is told in full, whose product is a path or told in full as well."""
    order = {"id": "ord2", "items": [{"product": product, "quantity": 2, "sku": "CAD", "subscription": "sub1"}]}
    charge = {"order": order, "subscription": {**SUBSCRIPTION, "product": product}, "status": "successful"}
    renewal = only(FastSpring, fastspring("subscription.charge.completed", charge))
    assert (renewal.kind, renewal.order_number, renewal.origin) == ("renewed", "ord2", "sub1")
    assert [(line.line_id, line.sku, int(line.quantity)) for line in renewal.lines] == [("cad-monthly", "CAD", 2)]


def test_fastspring_names_the_first_order_of_a_subscription_where_it_is_told() -> None:
    """A newer charge tells the order that the subscription began with."""
    charge = {"order": "ord2", "subscription": {**SUBSCRIPTION, "initialOrderId": "ord1"}}
    assert only(FastSpring, fastspring("subscription.charge.completed", charge)).origin == "ord1"


def test_fastspring_names_the_subscription_that_an_order_begins_and_not_its_product() -> None:
    """An order with a subscription in full is placed with that one's id as its other number."""
    item = {"product": "cad-monthly", "quantity": 1, "sku": "CAD", "subscription": SUBSCRIPTION}
    order = only(FastSpring, fastspring("order.completed", {"id": "ord1", "completed": True, "items": [item]}))
    assert (order.kind, order.origin) == ("placed", "sub1")


def test_paddle_marks_what_its_simulator_sends() -> None:
    """A transaction of the webhook simulator is signed as a real one is, and a test."""
    paid = {"id": "txn_1", "status": "completed", "items": [{"quantity": 1, "price": {"id": "pri_1"}}]}
    notification = {"event_type": "transaction.completed", "occurred_at": "2026-01-02T00:00:00Z", "data": paid}
    assert only(Paddle, {"event_id": "ntfsimevt_1", **notification}).test
    assert not only(Paddle, {"event_id": "evt_1", **notification}).test


def event(type: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """An event of Stripe."""
    return {
        "id": "evt_1",
        "object": "event",
        "type": type,
        "created": 5,
        "livemode": True,
        "data": {"object": document},
    }


def old_invoice(**fields: Any) -> Mapping[str, Any]:
    """An event on an invoice as versions of the API before 2018 have it: without a status or a reason."""
    lines = {"data": [{"id": "su_1", "type": "subscription", "quantity": 2, "plan": {"id": "monthly"}}]}
    return event("invoice.payment_succeeded", {"id": "in_1", "object": "invoice", "lines": lines, **fields})


def test_stripe_reads_an_invoice_that_only_says_that_it_is_paid() -> None:
    """An invoice without a status counts if it is paid; without a subscription it is an order."""
    order = only(Stripe, old_invoice(paid=True))
    assert (order.kind, order.order_number, order.lines[0].sku, int(order.lines[0].quantity)) == (
        "placed", "in_1", "monthly", 2,
    )  # fmt: skip
    assert means(Stripe, old_invoice(paid=False)) == ()
    assert means(Stripe, old_invoice()) == ()
    assert means(Stripe, old_invoice(paid=True, status="open")) == ()


def test_stripe_reads_an_invoice_of_a_subscription_without_a_reason_as_a_renewal() -> None:
    """Nobody knows whether it is the first, and what renews never licenses anything twice."""
    renewal = only(Stripe, old_invoice(paid=True, subscription="sub_1"))
    assert (renewal.kind, renewal.origin) == ("renewed", "sub_1")


def test_stripe_reads_a_subscription_of_the_times_before_items() -> None:
    """A subscription that has one plan and a quantity is of that; one that is gone needs neither."""
    told = {"id": "sub_1", "object": "subscription", "status": "active", "plan": {"id": "monthly"}, "quantity": 3}
    state = only(Stripe, event("customer.subscription.updated", told))
    assert (state.kind, state.full_snapshot) == ("changed", True)
    assert [(line.sku, int(line.quantity)) for line in state.lines] == [("monthly", 3)]
    gone = {"id": "sub_1", "object": "subscription", "status": "canceled"}
    assert only(Stripe, event("customer.subscription.deleted", gone)).kind == "cancelled"
    still = {"id": "sub_1", "object": "subscription", "status": "active"}
    assert only(Stripe, event("customer.subscription.updated", still)).kind == "pointer"


def shop_order(**fields: Any) -> Mapping[str, Any]:
    """A paid order of Shopify."""
    line = {"id": 11, "sku": "CAD", "quantity": 5}
    paid = {"id": 1, "financial_status": "partially_refunded", "updated_at": "2026-01-02T00:00:00Z"}
    return {**paid, "line_items": [line], **fields}


REFUND = {"id": 7, "created_at": "2026-01-01T00:00:00Z", "refund_line_items": [{"line_item_id": 11, "quantity": 2}]}


def test_shopify_tells_the_refunds_of_an_order_with_it() -> None:
    """What came back stands in the order as well, and is the same as by the topic `refunds/create`."""
    told = shop_order(refunds=[{**REFUND, "order_id": 1}, {"id": 8, "refund_line_items": []}])
    order, back = means(Shopify, told, x_shopify_topic="orders/updated")
    assert (order.kind, int(order.lines[0].quantity)) == ("placed", 5)
    assert back == only(Shopify, {**REFUND, "order_id": 1}, x_shopify_topic="refunds/create")
    assert (back.kind, back.order_number, back.origin, int(back.lines[0].quantity)) == ("returned", "7", "1", 2)


@pytest.mark.parametrize("gone", [{"financial_status": "refunded"}, {"cancelled_at": "2026-01-02T00:00:00Z"}])
def test_shopify_takes_no_refund_back_beside_all_of_the_order(gone: Mapping[str, Any]) -> None:
    """Where everything came back, or the order is cancelled, single refunds mean nothing more."""
    assert len(means(Shopify, shop_order(refunds=[REFUND], **gone), x_shopify_topic="orders/updated")) == 1


def test_shopify_lets_an_app_note_anything_on_a_line() -> None:
    """A property of a line may be a list or an object; what is no text is left out."""
    noted = [{"name": "Seats", "value": "5"}, {"name": "Bundle", "value": {"id": 1}}, {"name": "Tags", "value": ["a"]}]
    line = {"id": 11, "sku": "CAD", "quantity": 1, "properties": noted}
    order = only(Shopify, shop_order(line_items=[line]), x_shopify_topic="orders/paid")
    assert order.lines[0].options == {"Seats": "5"}


OLD_ORDER = {
    "id": 645,
    "status": "processing",
    "updated_at": "2026-01-02T00:00:00Z",
    "customer_id": "12",
    "billing_address": {"first_name": "Ada", "last_name": "Lovelace", "email": "ada@acme.example"},
    "line_items": [
        {
            "id": 5,
            "product_id": 77,
            "sku": None,
            "quantity": 2,
            "meta": [{"key": "edition", "label": "E", "value": "pro"}],
        }
    ],
}
"""An order as the API of WooCommerce before `wp/v1` has it, to which a webhook may still be set."""


def test_woocommerce_reads_the_webhooks_of_the_legacy_api() -> None:
    """There the order is in an object, and its fields have other names."""
    order = only(WooCommerce, {"order": OLD_ORDER}, x_wc_webhook_topic="order.updated")
    assert (order.kind, order.order_number, order.version) == ("placed", "645", 1_767_312_000_000)
    assert order.customer is not None
    assert (order.customer.id, order.customer.name, order.customer.email) == (
        "12", "Ada Lovelace", "ada@acme.example",
    )  # fmt: skip
    (line,) = order.lines
    assert (line.line_id, line.alternatives, int(line.quantity)) == ("5", ("77",), 2)
    assert line.options == {"edition": "pro"}
    assert means(WooCommerce, {"order": {**OLD_ORDER, "status": "pending"}}) == ()
    with pytest.raises(InvalidRequest):
        means(WooCommerce, {"order": {"id": 1}})


def test_woocommerce_of_the_first_version_tells_no_time_in_utc() -> None:
    """`wp/v1` has only the shop's own time, which grows as well."""
    first = {"id": 1, "status": "completed", "date_modified": "2026-01-02T00:00:00", "line_items": []}
    assert only(WooCommerce, first).version == 1_767_312_000_000
    assert only(WooCommerce, {**first, "date_modified_gmt": "2026-01-02T00:00:01"}).version == 1_767_312_001_000


def test_woocommerce_may_write_notes_as_an_object() -> None:
    """PHP writes a list as an object once a plugin has taken its first entry out."""
    chosen = {"1": {"id": 3, "key": "Licensee", "value": "ACME"}}
    line = {"id": 5, "quantity": 1, "product_id": 7, "meta_data": chosen}
    notes = {"2": {"id": 4, "key": "_subscription_renewal", "value": "99"}}
    order = only(WooCommerce, {"id": 1, "status": "completed", "line_items": [line], "meta_data": notes})
    assert (order.kind, order.origin, order.lines[0].options) == ("renewed", "99", {"Licensee": "ACME"})


def idoc(root: str = "ORDERS05", control: str = "", item: str = "", number: str = "4711") -> str:
    """An IDoc with one item."""
    control = control or "<IDOCTYP>ORDERS05</IDOCTYP><MESTYP>ORDERS</MESTYP>"
    item = item or "<E1EDP19><QUALF>002</QUALF><IDTNR>CAD</IDTNR></E1EDP19>"
    return (
        f"<{root}><IDOC BEGIN='1'><EDI_DC40><DOCNUM>1</DOCNUM>{control}</EDI_DC40>"
        f"<E1EDK01><BELNR>{number}</BELNR></E1EDK01>"
        f"<E1EDP01><POSEX>000010</POSEX><MENGE>2.000</MENGE>{item}</E1EDP01></IDOC></{root.split()[0]}>"
    )


def test_sap_reads_an_idoc_that_a_company_has_extended() -> None:
    """Its root is called by the extension, and its control record names that and the type that it extends."""
    control = "<IDOCTYP>ORDERS05</IDOCTYP><CIMTYP>ZORDERS</CIMTYP><MESTYP>ORDERS</MESTYP>"
    order = only(Sap, idoc("ZORDERS", control))
    assert (order.kind, order.order_number, order.lines[0].sku) == ("placed", "4711", "CAD")


@pytest.mark.parametrize(
    "control",
    [
        "<IDOCTYP>INVOIC02</IDOCTYP><CIMTYP>ZORDERS</CIMTYP>",
        "<IDOCTYP>ORDERS05</IDOCTYP><CIMTYP>ZOTHER</CIMTYP>",
        "<IDOCTYP>ORDERS05</IDOCTYP>",
        "<CIMTYP>ZORDERS</CIMTYP>",
    ],
)
def test_sap_refuses_an_extension_of_something_else(control: str) -> None:
    """A root that the control record does not explain is no order."""
    with pytest.raises(InvalidRequest):
        means(Sap, idoc("ZORDERS", control))


def test_sap_reads_an_idoc_in_soap() -> None:
    """The port XML HTTP puts an IDoc into SOAP if it is set to."""
    inner = idoc('ORDERS05 xmlns="urn:sap-com:document:sap:idoc:messages"')
    soap = "http://schemas.xmlsoap.org/soap/envelope/"
    envelope = f'<S:Envelope xmlns:S="{soap}"><S:Header/><S:Body>{inner}</S:Body></S:Envelope>'
    assert only(Sap, envelope).order_number == "4711"
    for empty in ("<S:Body/>", "<S:Body><ORDERS05/></S:Body>", ""):
        with pytest.raises(InvalidRequest):
            means(Sap, f'<S:Envelope xmlns:S="{soap}">{empty}</S:Envelope>')


def test_sap_reads_the_long_material_numbers_of_s4() -> None:
    """Numbers of 40 characters stand in fields of their own, beside or in the place of the short ones."""
    long = "CAD-PROFESSIONAL-ENTERPRISE-WORLDWIDE-26"
    both = f"<E1EDP19><QUALF>002</QUALF><IDTNR>{long[:35]}</IDTNR><IDTNR_LONG>{long}</IDTNR_LONG></E1EDP19>"
    assert only(Sap, idoc(item=both)).lines[0].sku == long
    alone = f"<E1EDP19><QUALF>002</QUALF><IDTNR_LONG>{long}</IDTNR_LONG></E1EDP19>"
    assert only(Sap, idoc(item=alone)).lines[0].sku == long


def test_sap_shows_a_number_of_the_item_itself_as_people_write_it() -> None:
    """A material number that stands only in the item is known without its leading zeros, too."""
    (line,) = only(Sap, idoc(item="<MATNR>000000000000012345</MATNR>")).lines
    assert (line.sku, line.alternatives, line.quantity) == ("000000000000012345", ("12345",), Decimal("2.000"))


def test_sap_reads_a_document_that_middleware_sends_bare() -> None:
    """A sales order is understood without the wrapping of OData, and one of V4 is asked for, as V2 has its lines."""
    item = {"SalesOrderItem": "10", "Material": "CAD", "RequestedQuantity": "2"}
    order = only(Sap, {"SalesOrder": "4711", "SoldToParty": "1000", "to_Item": [item]})
    assert (order.kind, order.order_number, order.lines[0].sku) == ("placed", "4711", "CAD")
    newer = {"SalesOrder": "4711", "LastChangeDateTime": "2026-01-02T00:00:00Z", "_Item": []}
    for answer in (newer, {"@odata.context": "$metadata#SalesOrder", "value": [newer]}):
        asked = only(Sap, answer)
        assert (asked.pointer, asked.version) == ("SalesOrder/4711", 1_767_312_000_000)
    with pytest.raises(InvalidRequest):
        means(Sap, {"Customer": "1"})


@pytest.mark.parametrize(
    ("host", "test"),
    [
        ("acme.my.salesforce.com", False),
        ("na139.salesforce.com", False),
        ("acme.cs7.com", False),
        ("cs7.salesforce.com.evil.example", False),
        ("acme--uat.sandbox.my.salesforce.com", True),
        ("acme--uat.cs107.my.salesforce.com", True),
        ("cs18.salesforce.com", True),
        ("flow-force-1234.scratch.my.salesforce.com", True),
    ],
)
def test_salesforce_knows_sandboxes_by_all_their_names(host: str, test: bool) -> None:
    """A sandbox is known by its host, which was another one before 2022; so is a scratch organization."""
    message = (
        '<E:Envelope xmlns:E="http://schemas.xmlsoap.org/soap/envelope/"><E:Body>'
        '<notifications xmlns="http://soap.sforce.com/2005/09/outbound">'
        f"<EnterpriseUrl>https://{host}/services/Soap/c/60.0/00D</EnterpriseUrl>"
        "<Notification><Id>04l000000000001AAA</Id><sObject><Id>801000000000001AAA</Id></sObject></Notification>"
        "</notifications></E:Body></E:Envelope>"
    )
    assert only(Salesforce, message).test is test


COMPANY = "companies(7dbba574-5f69-4167-a43e-fb975045de15)"
ORDER = "salesOrders(5d115c9c-44e3-4a11-bb43-000d3a2feca1)"


@pytest.mark.parametrize("before", ["/api/v2.0/", "api/v1.0/", "/api/beta/"])
def test_business_central_names_a_document_by_the_version_of_its_subscription(before: str) -> None:
    """Whichever version of the API somebody subscribed by, the same document is asked for by the one that is read."""
    told = {"resource": f"{before}{COMPANY}/{ORDER}", "changeType": "updated", "clientState": "s"}
    assert only(Dynamics, {"value": [told]}).pointer == f"api/v2.0/{COMPANY}/{ORDER}"


@pytest.mark.parametrize("before", ["https://shop.example/api/v1.0/", "api/v9.0/", "api/"])
def test_business_central_names_nothing_that_is_not_of_its_api(before: str) -> None:
    """What is no address of the API points nowhere."""
    told = {"resource": f"{before}{COMPANY}/{ORDER}", "changeType": "updated", "clientState": "s"}
    assert means(Dynamics, {"value": [told]}) == ()


def test_ubl_knows_a_buyer_by_the_account_that_the_seller_gave_it() -> None:
    """A buyer without an endpoint, an identification or a company's number has an account at least."""
    schema = "urn:oasis:names:specification:ubl:schema:xsd:"
    text = (
        f'<Order xmlns="{schema}Order-2" xmlns:a="{schema}CommonAggregateComponents-2"'
        f' xmlns:b="{schema}CommonBasicComponents-2"><b:ID>1</b:ID><a:BuyerCustomerParty>'
        "<b:CustomerAssignedAccountID>THEIRS</b:CustomerAssignedAccountID>"
        "<b:SupplierAssignedAccountID>OURS</b:SupplierAssignedAccountID>"
        "<a:Party><a:PartyName><b:Name>ACME</b:Name></a:PartyName></a:Party></a:BuyerCustomerParty></Order>"
    )
    buyer = only(Ubl, text).customer
    assert buyer is not None
    assert (buyer.id, buyer.name) == ("OURS", "ACME")


def rows(*lines: str, columns: Mapping[str, str] | None = None) -> list[tuple[str, str, list[tuple[str, int]]]]:
    """The kinds, numbers, articles and quantities of the orders of a file."""
    connector = Csv("csv", {**SECRET, "columns": dict(columns or {})})
    found = connector.normalise(Delivery(body="\n".join(lines).encode(), received_at=AT))
    return [(each.kind, each.order_number, [(line.sku, int(line.quantity)) for line in each.lines]) for each in found]


def test_csv_keeps_the_state_that_only_the_first_row_of_an_order_tells() -> None:
    """Shopify tells an order's state once: further rows of an order that is not paid, or gone, are no orders."""
    found = rows(
        "Name,Financial Status,Lineitem quantity,Lineitem sku",
        *("#1,paid,2,CAD", "#1,,1,DOC", "#2,pending,1,CAD", "#2,,1,DOC", "#3,voided,1,CAD", "#3,,1,DOC"),
        *("#4,refunded,1,CAD", "#4,,3,DOC", "#5,paid,2,CAD", "#5,,-1,CAD"),
        columns={"order_number": "Name"},
    )
    assert found == [
        ("placed", "#1", [("CAD", 2), ("DOC", 1)]),
        ("cancelled", "#3", []),
        ("returned", "#4", [("CAD", 1), ("DOC", 3)]),
        ("placed", "#5", [("CAD", 2)]),
        ("returned", "#5", [("CAD", 1)]),
    ]


@pytest.mark.parametrize(
    ("headings", "row"),
    [
        ("order-id\torder-item-id\tbuyer-email\tsku\tquantity-purchased", "4711\t6\ta@acme.example\tCAD\t2"),
        ("Order Number,Item Number,Custom Label,Quantity", "4711,155512,CAD,2"),
        ("increment_id,status,sku,qty_ordered,updated_at", "4711,complete,CAD,2.0,2026-01-02 10:00:00 +0200"),
        ("Order Number,Order Status,SKU,Quantity (- Refund)", "4711,Processing,CAD,2"),
        ("Verkaufsbeleg;Position;Auftraggeber;Material;Auftragsmenge", "4711;10;1000;CAD;2,000"),
        ("Sales Document\tSold-To Party\tMaterial\tOrder Quantity", "4711\t1000\tCAD\t2"),
        ("orderNumber;customerNumber;articleNumber;quantity;orderStatus;paymentStatus", "4711;1;CAD;2;shipped;paid"),
    ],
)
def test_csv_reads_what_shops_and_erp_systems_export(headings: str, row: str) -> None:
    """The headings that these systems write are known."""
    assert rows(headings, row) == [("placed", "4711", [("CAD", 2)])]


@pytest.mark.parametrize("state", ["pending", "On hold", "Draft", "unpaid", "partially_paid", "failed"])
def test_csv_leaves_out_what_is_not_paid(state: str) -> None:
    """A row whose state says that nobody has paid is nothing, and refuses nothing."""
    assert rows("Order,SKU,Qty,Status", f"1,CAD,1,{state}", "2,CAD,1,paid") == [("placed", "2", [("CAD", 1)])]


def test_csv_ignores_the_states_that_its_settings_name() -> None:
    """A word of one's own may mean nothing as well; one that is not known still refuses the file."""
    file = b"Order,SKU,Qty,Status\n1,CAD,1,Angebot\n"
    connector = Csv("csv", {**SECRET, "kinds": {"Angebot": "ignored"}})
    assert connector.normalise(Delivery(body=file, received_at=AT)) == ()
    with pytest.raises(InvalidRequest):
        Csv("csv", SECRET).normalise(Delivery(body=file, received_at=AT))


def test_hubspot_asks_for_the_deal_that_two_were_merged_into() -> None:
    """A merge names no object, but those that it made one of; the rest of the batch is read as well."""
    merged = {"eventId": 1, "subscriptionType": "deal.merge", "primaryObjectId": 7, "mergedObjectIds": [8]}
    changed = {"eventId": 2, "subscriptionType": "deal.propertyChange", "objectId": 5, "occurredAt": 3}
    found = means(HubSpot, [merged, changed, {**merged, "eventId": 3, "primaryObjectId": 9, "newObjectId": 10}])
    assert [(each.kind, each.pointer) for each in found] == [
        ("pointer", "deals/7"),
        ("pointer", "deals/5"),
        ("pointer", "deals/10"),
    ]
