"""Systems whose deliveries only point to a document, which is asked of them."""

from __future__ import annotations

import base64
import json
import re
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import systems_base as base

from licentia.crypto.webhooks import signature_text


class HubSpot(base.Pointing):
    """HubSpot: a deal, fetched with its lines."""

    plugin = "hubspot"

    @property
    def settings(self) -> dict[str, Any]:
        return super().settings | {"public_url": "https://licentia.example.com/connectors/hubspot"}

    def rung(self, number: str, at: int, deal: dict[str, Any], lines: base.Lines) -> base.Sent:
        """An event; the deal is so now."""
        ids = {f"{number}{place}": (line, count) for place, (line, count) in enumerate(sorted(lines.items()))}
        for id, (line, count) in ids.items():
            value = {"id": id, "properties": {"hs_sku": line, "quantity": str(count)}}
            self.documents[f"crm/v3/objects/line_items/{id}"] = value
        told = {"hs_lastmodifieddate": base.text(at)} | deal
        tied = {"line items": {"results": [{"id": id} for id in ids]}, "companies": {"results": [{"id": "77"}]}}
        self.documents[f"crm/v3/objects/deals/{number}"] = {"id": number, "properties": told, "associations": tied}
        event = {"subscriptionType": "deal.propertyChange", "eventId": int(self.fresh()), "objectId": int(number)}
        return self.json([event | {"occurredAt": base.ms(at)}])

    def sign(self, body: bytes) -> dict[str, str]:
        stamp, url = str(int(time.time() * 1000)), "https://licentia.example.com/connectors/hubspot"
        signed = signature_text(base.SECRET.encode(), f"POST{url}".encode() + body + stamp.encode(), "base64")
        return {"x-hubspot-request-timestamp": stamp, "x-hubspot-signature-v3": signed}

    def placed(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.rung(number, at, {"hs_is_closed_won": "true"}, lines)

    def cancelled(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.rung(number, at, {"hs_is_closed_lost": "true"}, lines)


class BusinessCentral(base.Pointing):
    """Business Central: invoices and credit memos, fetched."""

    plugin = "dynamics"

    def rung(self, kind: str, number: str, at: int, **document: Any) -> base.Sent:
        """A notification; the document is so now."""
        guid = base.GUID.format(int(number))
        path = f"api/v2.0/companies({base.GUID.format(0)})/{kind}({guid})"
        known = {"number": number, "customerNumber": "anna", "lastModifiedDateTime": base.text(at), "status": "Open"}
        self.documents[re.escape(path)] = known | document
        notice = {
            "resource": path,
            "changeType": "updated",
            "clientState": base.SECRET,
            "lastModifiedDateTime": base.text(at),
        }
        return self.json({"value": [notice]})

    def lines(self, lines: base.Lines) -> list[dict[str, Any]]:
        """The lines of a document."""
        return [
            {"id": line, "lineType": "Item", "lineObjectNumber": line, "quantity": count}
            for line, count in lines.items()
        ]

    def placed(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.rung("salesInvoices", number, at, salesInvoiceLines=self.lines(lines))

    def nameless(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.rung("salesInvoices", number, at, salesInvoiceLines=self.lines(lines), customerNumber="")

    def cancelled(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.rung("salesInvoices", number, at, salesInvoiceLines=self.lines(lines), status="Canceled")

    def returned(self, number: str, id: str, lines: base.Lines, at: int) -> base.Sent:
        return self.rung("salesCreditMemos", id, at, invoiceNumber=number, salesCreditMemoLines=self.lines(lines))


class Sap(base.Pointing):
    """S/4HANA: sales orders and returns, fetched by OData."""

    plugin = "sap"

    def rung(self, kind: str, number: str, lines: base.Lines, at: int, **document: Any) -> base.Sent:
        """An event; the document is so now."""
        known = {kind: number, "SoldToParty": "anna", "LastChangeDateTime": f"/Date({base.ms(at)}+0000)/"}
        items = [
            {f"{kind}Item": line, "Material": line, "RequestedQuantity": str(count), "ReferenceSDDocumentItem": line}
            for line, count in lines.items()
        ]
        service = {"SalesOrder": "API_SALES_ORDER_SRV", "CustomerReturn": "API_CUSTOMER_RETURN_SRV"}[kind]
        path = f"sap/opu/odata/sap/{service}/A_{kind}('{number}')"
        self.documents[re.escape(path)] = {"d": known | {"to_Item": {"results": items}} | document}
        event = {"specversion": "1.0", "type": f"sap.s4.beh.v1.{kind}.Changed.v1", "source": "PRD", "id": self.fresh()}
        return self.json(
            event | {"time": base.text(at), "data": {kind: number}}, content_type="application/cloudevents+json"
        )

    def placed(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.rung("SalesOrder", number, lines, at)

    def nameless(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.rung("SalesOrder", number, lines, at, SoldToParty="")

    def cancelled(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.rung("SalesOrder", number, lines, at, OverallSDDocumentRejectionSts="C")

    def returned(self, number: str, id: str, lines: base.Lines, at: int) -> base.Sent:
        return self.rung("CustomerReturn", id, lines, at, ReferenceSDDocument=number)

    def return_called_off(self, number: str, id: str, lines: base.Lines, at: int) -> base.Sent:
        """The return is rejected after all."""
        return self.rung("CustomerReturn", id, lines, at, ReferenceSDDocument=number, OverallSDDocumentRejectionSts="C")


class Salesforce(base.Pointing):
    """Salesforce: orders and reduction orders, found by a query."""

    plugin = "salesforce"

    @property
    def settings(self) -> dict[str, Any]:
        return super().settings | {"reduction_orders": True}

    def rung(self, number: str, lines: base.Lines, at: int, **record: Any) -> base.Sent:
        """An outbound message; the record is so now."""
        id = f"801{int(number):012d}"
        items = [
            {"Id": f"{id}{line}", "Quantity": count, "Product2": {"ProductCode": line}} for line, count in lines.items()
        ]
        known = {"Id": id, "attributes": {"type": "Order"}, "OrderNumber": number, "Status": "Activated"}
        known |= {"AccountId": "anna", "SystemModstamp": base.text(at), "OrderItems": {"done": True, "records": items}}
        self.documents[id] = known | record
        body = (
            '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"'
            ' xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><s:Body>'
            '<notifications xmlns="http://soap.sforce.com/2005/09/outbound"'
            ' xmlns:sf="urn:sobject.enterprise.soap.sforce.com">'
            f"<OrganizationId>00D000000000001</OrganizationId><Notification><Id>04l{int(self.fresh()):012d}</Id>"
            f'<sObject i:type="sf:Order"><sf:Id>{id}</sf:Id></sObject></Notification></notifications>'
            "</s:Body></s:Envelope>"
        ).encode()
        return base.Sent(body, {"content-type": "text/xml"} | self.sign(body))

    def answer(self, request: Any) -> Any:
        asked = parse_qs(urlsplit(request.path).query)["q"][0]
        found = [record for id, record in self.documents.items() if f"'{id}'" in asked]
        return base.loopback.Response({"done": True, "records": found})

    def placed(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.rung(number, lines, at)

    def nameless(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.rung(number, lines, at, AccountId=None)

    def cancelled(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.rung(number, lines, at, Status="Canceled")

    def returned(self, number: str, id: str, lines: base.Lines, at: int) -> base.Sent:
        negative = {line: -count for line, count in lines.items()}
        return self.rung(id, negative, at, IsReductionOrder=True, OriginalOrder={"OrderNumber": number})


class Tryton(base.StandardWebhooks):
    """Tryton with the module that rings the doorbell."""

    plugin = "tryton"

    @property
    def settings(self) -> dict[str, Any]:
        return {"secret": base.WHSEC, "poll_seconds": 0, "api": {"url": self.url, "password": "key"}}

    def rung(self, number: str, lines: base.Lines, at: int, state: str = "processing", **sale: Any) -> base.Sent:
        """The doorbell; the sale is so now."""
        when = base.moment(at)
        told = {"__class__": "datetime"} | {
            part: getattr(when, part) for part in ("year", "month", "day", "hour", "minute", "second")
        }
        items = [
            {"id": f"{number}{line}", "quantity": count, "product": {"code": line, "name": line}}
            for line, count in lines.items()
        ]
        known = {"__name__": "sale.sale", "id": int(number), "number": number, "state": state, "write_date": told}
        self.documents[number] = known | {"party": {"id": 2, "code": "anna"}, "lines": items} | sale
        return self.json({"type": "order.changed", "timestamp": base.text(at), "data": {"number": number}})

    def answer(self, request: Any) -> Any:
        domain = json.loads(base64.urlsafe_b64decode(parse_qs(urlsplit(request.path).query)["d"][0]))
        wanted = {
            str(each) for clause in domain for each in (clause[2] if isinstance(clause[2], list) else [clause[2]])
        }
        return base.loopback.Response([sale for number, sale in self.documents.items() if number in wanted])

    def placed(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.rung(number, lines, at)

    def nameless(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.rung(number, lines, at, party=None)

    def cancelled(self, number: str, lines: base.Lines, at: int) -> base.Sent:
        return self.rung(number, lines, at, "cancelled")

    def returned(self, number: str, id: str, lines: base.Lines, at: int) -> base.Sent:
        negative = {line: -count for line, count in lines.items()}
        return self.rung(id, negative, at, origin=f"sale.sale,{number}")
