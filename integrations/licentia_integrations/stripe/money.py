"""Payments of invoices, refunds and disputes: money that comes and goes back. Stripe never tells for which lines."""

from __future__ import annotations

import msgspec

from licentia.connectors import Change
from licentia_integrations.incoming import customer
from licentia_integrations.shops import Key
from licentia_integrations.stripe.documents import Fact, Ref, ref


class Charge(msgspec.Struct):
    """A payment; `refunded` says that all went back, `amount_refunded` is in the smallest unit of the currency."""

    id: Key
    refunded: bool | None = None
    amount_refunded: int | None = None
    payment_intent: Ref = None
    invoice: Ref = None
    customer: Ref = None
    livemode: bool | None = None

    def changes(self, fact: Fact) -> tuple[Change, ...]:
        """A return without lines: of everything if the snapshot is full, else of nobody knows what."""
        if not (self.refunded or self.amount_refunded):
            return ()
        origin = ref(self.invoice) or ref(self.payment_intent) or self.id
        return (
            Change(
                kind="returned",
                order_number=self.id,
                version=fact.version,
                full_snapshot=bool(self.refunded),
                customer=customer(ref(self.customer), None, None),
                origin=origin,
                test=fact.test or self.livemode is False,
            ),
        )


class Payment(msgspec.Struct):
    """What an invoice was paid with."""

    payment_intent: Ref = None
    charge: Ref = None


class InvoicePayment(msgspec.Struct):
    """A payment of an invoice, since 2025-03-31 the only thing that tells which payment that is."""

    id: Key
    status: str | None = None
    invoice: Ref = None
    payment: Payment | None = None
    livemode: bool | None = None

    def changes(self, fact: Fact) -> tuple[Change, ...]:
        """Another number of what the invoice was for: refunds and disputes name only the payment."""
        paid = self.payment or Payment()
        number, invoice = ref(paid.payment_intent) or ref(paid.charge), ref(self.invoice)
        if self.status != "paid" or not number or not invoice:
            return ()
        test = fact.test or self.livemode is False
        return (Change(kind="changed", order_number=number, version=fact.version, origin=invoice, test=test),)


TAKEN = ("needs_response", "under_review", "lost")
"""The states of a dispute in which the money is gone; a warning is only a question."""


class Dispute(msgspec.Struct):
    """A payment that the buyer's bank takes back."""

    id: Key
    status: str | None = None
    payment_intent: Ref = None
    charge: Ref = None
    livemode: bool | None = None

    def changes(self, fact: Fact) -> tuple[Change, ...]:
        """A return of everything, while the money is gone."""
        origin = ref(self.payment_intent) or ref(self.charge)
        if self.status not in TAKEN or not origin:
            return ()
        return (
            Change(
                kind="returned",
                order_number=self.id,
                version=fact.version,
                full_snapshot=True,
                origin=origin,
                test=fact.test or self.livemode is False,
            ),
        )
