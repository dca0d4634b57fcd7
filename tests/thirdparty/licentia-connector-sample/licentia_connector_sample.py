"""sample: a shop that rings the doorbell, has its orders fetched, and keeps a note of what came of them."""

import hmac
from hashlib import sha256

import msgspec

from licentia.connectors import (
    Answer,
    Answering,
    Change,
    Connector,
    Customer,
    Delivery,
    Fetching,
    Handshake,
    Line,
    Page,
    Polling,
    WriteBack,
)
from licentia.errors import InvalidRequest, Unauthenticated


class Order(msgspec.Struct):
    """An order of the shop: `items` is the quantity by article, negative in a return."""

    number: str
    buyer: str
    items: dict[str, int]
    revision: int = 0
    of: str | None = None


class Doorbell(msgspec.Struct):
    """What the shop sends: the number of an order that changed."""

    changed: str


class Sample(Connector, Handshake, Answering, Fetching, Polling, WriteBack):
    """Settings: `secret`, which signs; `shop`, which stands for the shop's own service: its orders and notes."""

    def _handshake(self, delivery):
        if delivery.method == "OPTIONS":
            return Answer(status=200, body=delivery.headers.get("x-shop-challenge", "").encode())
        return None

    async def _authenticate(self, delivery):
        signature = hmac.new(self.settings["secret"].encode(), delivery.body, sha256).hexdigest()
        if not hmac.compare_digest(signature.encode(), delivery.headers.get("x-shop-signature", "").encode()):
            raise Unauthenticated("The shop has not signed this delivery.")

    def _normalise(self, delivery):
        try:
            told = msgspec.json.decode(delivery.body, type=Order if delivery.pointer else Doorbell)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidRequest(f"This is not what the shop sends: {error}") from None
        if isinstance(told, Doorbell):
            return (Change(kind="pointer", pointer=told.changed),) if told.changed else ()
        return (
            Change(
                kind="returned" if told.of else "changed" if told.revision else "placed",
                order_number=told.number,
                version=told.revision,
                full_snapshot=True,
                customer=Customer(id=told.buyer),
                lines=tuple(Line(line_id=sku, sku=sku, quantity=abs(count)) for sku, count in told.items.items()),
                origin=told.of,
            ),
        )

    def _answer(self, delivery, outcomes):
        return Answer(status=200, body="\n".join(each.ticket or each.problem for each in outcomes).encode())

    def document(self, number):
        body = msgspec.json.encode(self.settings["shop"].orders[number])
        return Delivery(body=body, pointer=number, received_at=self.settings["shop"].clock)

    async def _fetch(self, pointer):
        return (self.document(pointer),) if pointer in self.settings["shop"].orders else ()

    async def _poll(self, cursor):
        numbers = list(self.settings["shop"].orders)
        return Page(deliveries=tuple(map(self.document, numbers[int(cursor or 0) :])), cursor=str(len(numbers)))

    async def _write_back(self, outcome):
        self.settings["shop"].notes[outcome.order_number] = outcome.ticket or outcome.problem
