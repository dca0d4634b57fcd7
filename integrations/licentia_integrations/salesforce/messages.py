"""Outbound messages: the SOAP 1.1 call of Salesforce that names the records that have changed.

The form is that of the WSDL that Salesforce makes for each outbound message ("Understanding Outbound
Messaging" of the SOAP API Developer Guide): up to 100 notifications, each with the chosen fields of a
record as it is when the message is sent, which need not be as it was when the workflow ran.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec
from lxml import etree

from licentia.connectors import Change
from licentia.errors import DocumentInvalid, InvalidRequest
from licentia.xmlreading import read_xml
from licentia_integrations.incoming import LONGEST_ID
from licentia_integrations.remote import odd
from licentia_integrations.shops import milliseconds

SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
OUTBOUND = "{http://soap.sforce.com/2005/09/outbound}"
XSI = "{http://www.w3.org/2001/XMLSchema-instance}"

ACKNOWLEDGED = (
    b'<?xml version="1.0" encoding="UTF-8"?>'
    b'<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>'
    b'<notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack></notificationsResponse>'
    b"</soapenv:Body></soapenv:Envelope>"
)
"""What ends the repeats; any other answer with status 200 does not."""

MAX_BYTES = 2_000_000
MAX_NOTIFICATIONS = 100
SANDBOX = re.compile(r"\.(sandbox|scratch|cs\d{1,4})\.my\.salesforce\.com\Z|\Acs\d{1,4}\.salesforce\.com\Z")
RECORD_ID = re.compile(r"[A-Za-z0-9]{15}([A-Za-z0-9]{3})?")
PREFIXES = {"006": "Opportunity", "801": "Order", "802": "OrderItem", "00k": "OpportunityLineItem"}
"""The first characters of a record's id tell its object, where the sender leaves `xsi:type` out."""

PARENTS = {"OrderItem": ("Order", "OrderId"), "OpportunityLineItem": ("Opportunity", "OpportunityId")}
"""A line's order, and the field that names it."""


class Notification(msgspec.Struct, frozen=True):
    """One record that has changed: the message's id, the record's object, and its fields as text."""

    id: str
    object: str
    fields: Mapping[str, str]


class Message(msgspec.Struct, frozen=True):
    """What one call says."""

    organization_id: str
    sandbox: bool
    notifications: tuple[Notification, ...]

    def changes(self) -> tuple[Change, ...]:
        """Where to ask for the orders and opportunities that have changed, each once."""
        pointed: dict[str, Change] = {}
        for each in self.notifications:
            kind, id = each.object, each.fields.get("Id", "")
            if kind in PARENTS:
                kind, field = PARENTS[kind]
                id = each.fields.get(field, "")
                if not id:
                    raise odd(f"choose the field {field} for the outbound message, as a line does not tell its order")
            if kind not in PREFIXES.values():
                continue
            if not RECORD_ID.fullmatch(id):
                raise odd("a record has no Id of 15 or 18 letters and digits")
            number = id if kind == "Opportunity" else each.fields.get("OrderNumber", "")
            if len(number) > LONGEST_ID:
                raise odd("an OrderNumber is too long")
            changed = each.fields.get("SystemModstamp") or each.fields.get("LastModifiedDate")
            pointed[f"{kind}/{id}"] = Change(
                kind="pointer",
                pointer=f"{kind}/{id}",
                order_number=number,
                version=milliseconds(changed),
                test=self.sandbox,
            )
        return tuple(pointed.values())


def read_message(body: bytes) -> Message:
    """What a call says.

    Raises:
        InvalidRequest: it is no outbound message, or has more notifications than one may have.
    """
    try:
        root = read_xml(body, max_bytes=MAX_BYTES, max_depth=16)
    except DocumentInvalid as error:
        raise InvalidRequest(error.detail) from None
    told = root.find(f"{SOAP}Body/{OUTBOUND}notifications") if root.tag == f"{SOAP}Envelope" else None
    if told is None:
        raise odd("it is no SOAP 1.1 envelope with `notifications` of Salesforce")
    given = told.findall(f"{OUTBOUND}Notification")
    if len(given) > MAX_NOTIFICATIONS:
        raise odd(f"it has more than {MAX_NOTIFICATIONS} notifications")
    return Message(
        organization_id=(told.findtext(f"{OUTBOUND}OrganizationId") or "").strip(),
        sandbox=is_sandbox(told.findtext(f"{OUTBOUND}EnterpriseUrl") or ""),
        notifications=tuple(map(_notification, given)),
    )


def is_sandbox(url: str) -> bool:
    """Whether an address is that of a sandbox or a scratch organization, also before 2022; nobody pays there."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return SANDBOX.search(host) is not None


def _notification(given: etree._Element) -> Notification:
    id, record = (given.findtext(f"{OUTBOUND}Id") or "").strip(), given.find(f"{OUTBOUND}sObject")
    if not RECORD_ID.fullmatch(id) or record is None:
        raise odd("a notification has no Id or no sObject")
    fields = {
        etree.QName(each).localname: (each.text or "").strip()
        for each in record
        if each.get(f"{XSI}nil") not in ("true", "1") and len(each) == 0
    }
    kind = (record.get(f"{XSI}type") or "").rpartition(":")[2] or PREFIXES.get(fields.get("Id", "")[:3], "")
    return Notification(id=id, object=kind, fields=fields)
