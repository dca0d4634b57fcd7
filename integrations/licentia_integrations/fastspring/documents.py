"""Orders, returns, charges and subscriptions as FastSpring's events tell them, and what they mean.

Fields are those of developer.fastspring.com/docs/webhooks-overview. With *webhook expansion* a thing is told in full
where otherwise only its id stands.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from licentia.connectors import Change, ChangeKind, Customer, Line
from licentia_integrations.incoming import customer
from licentia_integrations.shops import Sku, counted, merged, numbers, required


class Fact(msgspec.Struct, frozen=True):
    """What the event itself tells."""

    type: str
    created: int | None
    live: bool | None

    def version(self, changed: int | None) -> int:
        """When the document was changed, or else when the event was made, in milliseconds."""
        return min(max(0, changed or self.created or 0), 10**15)

    def test(self, live: bool | None) -> bool:
        """Whether nobody paid."""
        return False in (self.live, live)


class Product(msgspec.Struct):
    """A product in full."""

    product: Sku | None = None

    def named(self) -> str:
        """The product's path."""
        return self.product or ""


class Begun(msgspec.Struct):
    """A subscription in full, beside its product; newer ones name the order that they began with."""

    id: Sku | None = None
    subscription: Sku | None = None
    initialOrderId: Sku | None = None  # noqa: N815 - FastSpring's word

    def named(self) -> str:
        """The subscription's id."""
        return self.id or self.subscription or ""


ProductRef = Sku | Product | None
SubscriptionRef = Sku | Begun | None


def ref(given: ProductRef | SubscriptionRef) -> str:
    """The id of a reference; empty if there is none."""
    return given.named() if isinstance(given, Product | Begun) else given or ""


class Person(msgspec.Struct):
    """Who buys."""

    first: str | None = None
    last: str | None = None
    email: str | None = None
    company: str | None = None


class Account(msgspec.Struct):
    """An account in full."""

    id: Sku | None = None
    account: Sku | None = None
    contact: Person | None = None


def buyer_of(account: Sku | Account | None, person: Person | None) -> Customer | None:
    """Who bought: the account, and the person that the document or the account tells."""
    known = account if isinstance(account, Account) else Account(id=account)
    told = person or known.contact or Person()
    name = " ".join(filter(None, (told.first, told.last))) or told.company
    return customer(known.id or known.account, name, told.email)


class Item(msgspec.Struct):
    """A line; it has no id, but each product is there once, or means the same."""

    product: ProductRef = None
    quantity: Decimal | None = None
    sku: Sku | None = None
    subscription: SubscriptionRef = None

    def line(self) -> Line:
        """The line of a change; the product's path is the article where the seller gives no SKU."""
        product = required(ref(self.product), "The product of a line")
        return Line(
            line_id=product,
            sku=self.sku or product,
            quantity=counted(self.quantity, f"line {product}"),
            alternatives=numbers(product if self.sku else None),
        )


def lines_of(items: list[Item] | None) -> tuple[Line, ...]:
    """The lines of a change."""
    return merged([item.line() for item in items or ()])


class Order(msgspec.Struct):
    """An order."""

    id: Sku | None = None
    order: Sku | None = None
    completed: bool | None = None
    changed: int | None = None
    live: bool | None = None
    account: Sku | Account | None = None
    customer: Person | None = None
    items: list[Item] | None = None

    def number(self) -> str:
        """The number of the order."""
        return required(self.id or self.order, "The order's id")

    def changes(self, fact: Fact) -> tuple[Change, ...]:
        """A paid order, or a cancelled one; its origin is the subscription that it begins, if that is only one."""
        cancelled = fact.type == "order.canceled"
        if self.completed is False and not cancelled:
            return ()
        if cancelled:
            return (self.change("cancelled", None, fact),)
        begun = {ref(item.subscription) for item in self.items or ()} - {""}
        return (self.change("placed", begun.pop() if len(begun) == 1 else None, fact),)

    def change(self, kind: ChangeKind, origin: str | None, fact: Fact) -> Change:
        """The order as a change."""
        return Change(
            kind=kind,
            order_number=self.number(),
            version=fact.version(self.changed),
            full_snapshot=self.items is not None,
            customer=buyer_of(self.account, self.customer),
            lines=lines_of(self.items),
            origin=origin,
            test=fact.test(self.live),
        )


class Original(msgspec.Struct):
    """The order that something comes back from."""

    id: Sku | None = None
    order: Sku | None = None


class Return(msgspec.Struct, rename={"number": "return"}):
    """A return."""

    original: Original
    number: Sku | None = None
    completed: bool | None = None
    changed: int | None = None
    live: bool | None = None
    account: Sku | Account | None = None
    customer: Person | None = None
    items: list[Item] | None = None

    def changes(self, fact: Fact) -> tuple[Change, ...]:
        """What comes back, once the money did."""
        if self.completed is False:
            return ()
        return (
            Change(
                kind="returned",
                order_number=required(self.number, "The return's id"),
                version=fact.version(self.changed),
                customer=buyer_of(self.account, self.customer),
                lines=lines_of(self.items),
                origin=required(self.original.id or self.original.order, "The id of the returned order"),
                test=fact.test(self.live),
            ),
        )


class Charge(msgspec.Struct):
    """A charge of a subscription after its first."""

    order: Sku | Order
    subscription: SubscriptionRef = None
    status: str | None = None
    timestamp: int | None = None
    account: Sku | Account | None = None

    def changes(self, fact: Fact) -> tuple[Change, ...]:
        """The renewal of the order that the subscription began with, or of the subscription if that is not told."""
        told = self.subscription
        origin = (told.initialOrderId if isinstance(told, Begun) else None) or ref(told)
        if self.status not in (None, "successful"):
            return ()
        order = self.order if isinstance(self.order, Order) else Order(id=self.order)
        known = msgspec.structs.replace(
            order, changed=order.changed or self.timestamp, account=order.account or self.account
        )
        return (known.change("renewed", required(origin, "The subscription"), fact),)


class Subscription(msgspec.Struct):
    """A subscription, which is of one product."""

    id: Sku | None = None
    subscription: Sku | None = None
    active: bool | None = None
    changed: int | None = None
    live: bool | None = None
    product: ProductRef = None
    sku: Sku | None = None
    quantity: Decimal | None = None
    account: Sku | Account | None = None
    initialOrderId: Sku | None = None  # noqa: N815 - FastSpring's word

    def changes(self, fact: Fact) -> tuple[Change, ...]:
        """What it is now while it is active, also when it will not be renewed; or that it is no more."""
        ended = fact.type == "subscription.deactivated" or self.active is False
        if not ended and not self.active:
            return ()
        item = Item(product=self.product, quantity=self.quantity, sku=self.sku)
        return (
            Change(
                kind="cancelled" if ended else "changed",
                order_number=required(self.id or self.subscription, "The subscription's id"),
                version=fact.version(self.changed),
                full_snapshot=not ended,
                customer=buyer_of(self.account, None),
                lines=() if ended else (item.line(),),
                origin=self.initialOrderId or None,
                test=fact.test(self.live),
            ),
        )
