"""Systems that send what they have to tell: files, documents, forms, the generic push."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import systems_base as base


class Webhook(base.StandardWebhooks):
    """The generic push."""

    plugin = "webhook"

    def event(self, type: str, at: int, **data: Any) -> base.Sent:
        """An event of an order."""
        if self.test:
            data["test"] = True
        return self.json({"type": f"order.{type}", "timestamp": base.text(at), "data": data})

    def lines(self, lines: base.Lines) -> list[dict[str, Any]]:
        """The lines of an order."""
        return [{"line_id": line, "sku": line, "quantity": count} for line, count in lines.items()]

    def placed(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.event("paid", at, order_number=number, customer={"id": "anna"}, lines=self.lines(lines))

    def nameless(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.event("paid", at, order_number=number, lines=self.lines(lines))

    def cancelled(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.event("cancelled", at, order_number=number)

    def returned(self, number: str, id: str, lines: base.Lines, at: int) -> base.Sent:
        return self.event("refunded", at, order_number=id, origin=number, lines=self.lines(lines))

    def all_returned(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.event("refunded", at, order_number=f"{number}-all", origin=number, full_snapshot=True)

    def renewed(self, number: str, id: str, lines: base.Lines, at: int) -> base.Sent:
        return self.event(
            "renewed", at, order_number=id, origin=number, customer={"id": "anna"}, lines=self.lines(lines)
        )

    def renewal_returned(self, number: str, id: str, lines: base.Lines, at: int) -> base.Sent:
        return self.event("refunded", at, order_number=f"{id}-back", origin=id, full_snapshot=True)


class Csv(base.System):
    """A file."""

    plugin = "csv"

    @property
    def settings(self) -> dict[str, Any]:
        return {"secret": base.SECRET, "complete": True}

    def file(
        self, kind: str, number: str, lines: base.Lines, at: int, origin: str = "", buyer: str = "anna"
    ) -> base.Sent:
        """A file of one order."""
        rows = ["order number;line id;sku;quantity;customer id;kind;version;origin;test"]
        rows += [
            f"{number};{line};{line};{count};{buyer};{kind};{base.text(at)};{origin};{'yes' if self.test else ''}"
            for line, count in lines.items()
        ]
        body = "\n".join(rows).encode()
        return base.Sent(body, self.sign(body))

    def placed(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.file("paid", number, lines, at)

    def nameless(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.file("paid", number, lines, at, buyer="")

    def cancelled(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.file("cancelled", number, lines, at)

    def returned(self, number: str, id: str, lines: base.Lines, at: int) -> base.Sent:
        return self.file("returned", id, lines, at, number)

    def renewed(self, number: str, id: str, lines: base.Lines, at: int) -> base.Sent:
        return self.file("renewal", id, lines, at, number)

    def renewal_returned(self, number: str, id: str, lines: base.Lines, at: int) -> base.Sent:
        return self.file("returned", f"{id}-back", lines, at, id)


class Vendure(base.StandardWebhooks):
    """Vendure, by Licentia's plugin for it."""

    plugin = "vendure"

    def event(self, type: str, number: str, state: str, lines: base.Lines, at: int, **more: Any) -> base.Sent:
        """An event of an order."""
        items = [{"id": line, "sku": line, "quantity": count} for line, count in lines.items()]
        order = {"code": number, "state": state, "updatedAt": base.text(at), "customer": {"id": "anna"}, "lines": items}
        return self.json({"type": f"order.{type}", "timestamp": base.text(at), "data": order | more})

    def placed(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.event("paid", number, "PaymentSettled", lines, at)

    def nameless(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.event("paid", number, "PaymentSettled", lines, at, customer=None)

    def cancelled(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.event("cancelled", number, "Cancelled", lines, at)


class Plesk(base.System):
    """Plesk, which calls a key generator: one article, one piece, and days for times."""

    plugin = "keygen-http"
    counts = several = False

    def call(self, action: str, number: str, lines: base.Lines, at: int) -> base.Sent:
        """A call, whose reply is the ticket."""
        (article,) = lines
        day = (base.BEGIN + timedelta(days=at)).strftime("%d/%m/%Y")
        form = {"APS_ACTION": action, "PURCHASE_ID": number, "PRODUCT_ID": article, "PURCHASE_DATE": day}
        form |= {"REG_NAME": "anna", "APS_TEST_MODE": "Y" if self.test else "N"}
        body = urlencode(form).encode()
        return base.Sent(body, {"content-type": "application/x-www-form-urlencoded"} | self.sign(body))

    def placed(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.call("PURCHASE" if at <= 1 else "UPGRADE", number, lines, at)

    def cancelled(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.call("TERMINATE", number, lines, at)

    def renewed(self, number: str, id: str, lines: base.Lines, at: int) -> base.Sent:
        return self.call("RENEW", number, lines, at)


class MyCommerce(base.System):
    """MyCommerce, which calls a key generator for each line, and tells nothing else of an order."""

    plugin = "keygen-http"
    versions = several = False

    def placed(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        ((article, count),) = lines.items()
        form = {"PURCHASE_ID": number, "RUNNING_NO": article, "PRODUCT_ID": article, "QUANTITY": str(count)}
        body = urlencode(form | {"EMAIL": "anna@example.com", "COMPANY": "Anna"}).encode()
        return base.Sent(body, {"content-type": "application/x-www-form-urlencoded"} | self.sign(body))


class Ubl(base.System):
    """Documents of UBL; the sequence of changes is told, an order and its cancellation have none."""

    plugin = "ubl"
    versions = False

    @property
    def settings(self) -> dict[str, Any]:
        return {"secret": base.SECRET, "complete_changes": True}

    def document(self, kind: str, number: str, lines: base.Lines, at: int, buyer: str = "anna") -> base.Sent:
        """A document."""
        schema = "urn:oasis:names:specification:ubl:schema:xsd:"
        items = "".join(
            f"<cac:OrderLine><cac:LineItem><cbc:ID>{line}</cbc:ID><cbc:Quantity>{count}</cbc:Quantity><cac:Item>"
            f"<cac:SellersItemIdentification><cbc:ID>{line}</cbc:ID></cac:SellersItemIdentification></cac:Item>"
            "</cac:LineItem></cac:OrderLine>"
            for line, count in lines.items()
        )
        reference = f"<cac:OrderReference><cbc:ID>{number}</cbc:ID></cac:OrderReference>"
        party = (
            "<cac:BuyerCustomerParty><cac:Party><cac:PartyIdentification>"
            f"<cbc:ID>{buyer}</cbc:ID></cac:PartyIdentification></cac:Party></cac:BuyerCustomerParty>"
        )
        body = (
            f'<{kind} xmlns="{schema}{kind}-2" xmlns:cac="{schema}CommonAggregateComponents-2"'
            f' xmlns:cbc="{schema}CommonBasicComponents-2">'
            f"<cbc:ID>{number if kind == 'Order' else f'{number}-{at}'}</cbc:ID>"
            "<cbc:IssueDate>2026-01-01</cbc:IssueDate>"
            + (f"<cbc:SequenceNumberID>{at}</cbc:SequenceNumberID>" if kind == "OrderChange" else "")
            + ("" if kind == "Order" else reference)
            + party
            + ("" if kind == "OrderCancellation" else items)
            + f"</{kind}>"
        ).encode()
        return base.Sent(body, {"content-type": "application/xml"} | self.sign(body))

    def placed(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.document("Order" if at <= 1 else "OrderChange", number, lines, at)

    def nameless(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.document("Order", number, lines, at, "")

    def cancelled(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.document("OrderCancellation", number, lines, at)
