"""edifact: orders as UN/EDIFACT messages ORDERS and ORDCHG, among them those of EANCOM.

An AS2 gateway, an EDI service or a script hands over the interchange that a buyer sent. The reply is an
interchange with an ORDRSP for each message, which has the ticket in its text.
"""

from __future__ import annotations

from licentia.connectors import Answer, Change, Delivery, Outcome
from licentia.errors import InvalidRequest
from licentia_integrations.edi import EdiConnector
from licentia_integrations.edifact.interchange import Interchange, read_interchange
from licentia_integrations.edifact.orders import Meant, meant_by
from licentia_integrations.edifact.response import reply_to
from licentia_integrations.incoming import LONGEST_ID

MEDIA_TYPE = "application/EDIFACT"
"""RFC 1767."""


class Edifact(EdiConnector):
    """Settings: `secret`, which the sender shows; `complete_changes` and `qualify` say how its messages are meant.

    A change places no order: its own number may be another one than that of the order which it is about.
    """

    changed_places = False

    def _normalise(self, delivery: Delivery) -> tuple[Change, ...]:
        return tuple(each.change for each in self._meant(read_interchange(delivery.body)))

    def _delivery_id(self, delivery: Delivery) -> str:
        """Who sent it to whom, by which reference and when.

        The hash of the body for one that cannot be understood, or lacks its end: it may come again, corrected.
        """
        try:
            interchange = read_interchange(delivery.body)
            self._meant(interchange)
        except InvalidRequest:
            return super()._delivery_id(delivery)
        header = interchange.header
        known = "/".join(":".join(header.elements[at]) for at in range(2, min(6, len(header.elements))))
        if not (interchange.closed and header.value(5) and len(known) <= LONGEST_ID):
            return super()._delivery_id(delivery)
        return known

    def _answer(self, delivery: Delivery, outcomes: tuple[Outcome, ...]) -> Answer:
        try:
            interchange = read_interchange(delivery.body)
            meant = self._meant(interchange)
        except InvalidRequest as refusal:
            return Answer(status=400, body=refusal.detail.encode())
        body = reply_to(interchange, meant, outcomes, delivery.received_at)
        return Answer(status=200, body=body, media_type=MEDIA_TYPE) if body else Answer(status=204)

    def _meant(self, interchange: Interchange) -> tuple[Meant, ...]:
        return meant_by(interchange, complete_changes=self._given.complete_changes, qualify=self._given.qualify)
