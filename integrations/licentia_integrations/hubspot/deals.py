"""Events and deals of HubSpot's CRM API v3, and what they mean."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from licentia.connectors import Change, ChangeKind, Line, Short
from licentia_integrations.hubspot.settings import HubSpotSettings
from licentia_integrations.incoming import customer
from licentia_integrations.remote import odd
from licentia_integrations.shops import Id, counted, id_text, milliseconds, numbers, required

PROPERTIES = ("dealstage", "dealname", "hs_is_closed_won", "hs_is_closed_lost", "hs_lastmodifieddate")
DEAL_TYPE = "0-3"
LARGEST = 2**63 - 1


class Event(msgspec.Struct):
    """What has happened to one object; `occurredAt` is in milliseconds since 1970."""

    subscriptionType: str  # noqa: N815 - the field's name
    eventId: Id | None = None  # noqa: N815
    objectId: Id | None = None  # noqa: N815
    fromObjectId: Id | None = None  # noqa: N815
    newObjectId: Id | None = None  # noqa: N815 - what two objects were merged into
    primaryObjectId: Id | None = None  # noqa: N815
    objectTypeId: str | None = None  # noqa: N815
    fromObjectTypeId: str | None = None  # noqa: N815
    associationType: str | None = None  # noqa: N815
    occurredAt: int | None = None  # noqa: N815

    def identity(self) -> str:
        """What is the same when the event is sent again."""
        whose = id_text(self._whose())
        return f"{id_text(self.eventId)}/{self.occurredAt}/{self.subscriptionType}/{whose}"

    def _whose(self) -> Id | None:
        return self.objectId or self.fromObjectId or self.newObjectId or self.primaryObjectId

    def change(self) -> Change | None:
        """Where to ask for the deal; None if the event is about something else."""
        kind, _, happened = self.subscriptionType.partition(".")
        told = self.objectTypeId or self.fromObjectTypeId
        if kind != "deal" and not (kind == "object" and told == DEAL_TYPE):
            return None
        if happened == "associationChange" and not (self.associationType or "DEAL_TO_").startswith("DEAL_TO_"):
            return None
        number = required(self._whose(), "The deal's id")
        if not (number.isascii() and number.isdigit() and len(number) <= 20):
            raise odd("the deal's id is no number")
        version = min(max(self.occurredAt or 0, 0), LARGEST)
        if happened in ("deletion", "privacyDeletion"):
            return Change(kind="cancelled", order_number=number, version=version)
        return Change(kind="pointer", pointer=f"deals/{number}", order_number=number, version=version)


class Properties(msgspec.Struct, frozen=True):
    """What is told of an object; HubSpot writes everything as text."""

    dealstage: str | None = None
    hs_is_closed_won: str | None = None
    hs_is_closed_lost: str | None = None
    hs_lastmodifieddate: str | None = None
    quantity: Decimal | None = None
    hs_sku: Short | None = None
    hs_product_id: Id | None = None


class Item(msgspec.Struct):
    """A line."""

    id: Id
    properties: Properties = Properties()

    def line(self) -> Line:
        """The line of a change."""
        line_id = required(self.id, "A line's id")
        known = numbers(self.properties.hs_sku, self.properties.hs_product_id)
        return Line(
            line_id=line_id,
            sku=known[0] if known else "",
            quantity=counted(self.properties.quantity, f"line {line_id}"),
            alternatives=known[1:],
        )


class Associated(msgspec.Struct):
    """An object that the deal is tied to."""

    id: Id


class Association(msgspec.Struct):
    """The objects of one kind."""

    results: list[Associated] = []


class Deal(msgspec.Struct):
    """A deal with the ids of what it is tied to."""

    id: Id | None = None
    properties: Properties = Properties()
    associations: dict[str, Association] | None = None
    archived: bool = False
    updatedAt: str | None = None  # noqa: N815

    def line_ids(self) -> list[str]:
        """The ids of the lines, each once."""
        return self._tied("line items") or self._tied("line_items")

    def buyer(self) -> str | None:
        """The id of the company, else of the contact."""
        return next(iter(self._tied("companies") + self._tied("contacts")), None)

    def _tied(self, kind: str) -> list[str]:
        found = (self.associations or {}).get(kind)
        ids = [id_text(each.id) for each in found.results] if found else []
        if not all(each.isascii() and each.isdigit() for each in ids):
            raise odd("the deal is tied to something whose id is no number")
        return list(dict.fromkeys(ids))


class Whole(Deal):
    """A deal, or what is put together of a deal and its lines."""

    deal: Deal | None = None
    line_items: list[Item] | None = None

    def changes(self, settings: HubSpotSettings) -> tuple[Change, ...]:
        """What the deal means; nothing while it is open."""
        deal = self.deal or self
        number, kind = required(deal.id, "The deal's id"), self._kind(deal, settings)
        if kind is None:
            return ()
        return (
            Change(
                kind=kind,
                order_number=number,
                version=milliseconds(deal.properties.hs_lastmodifieddate or deal.updatedAt),
                full_snapshot=self.line_items is not None,
                customer=customer(deal.buyer(), None, None),
                lines=tuple(each.line() for each in self.line_items or ()),
            ),
        )

    def _kind(self, deal: Deal, settings: HubSpotSettings) -> ChangeKind | None:
        told = deal.properties
        if deal.archived or told.hs_is_closed_lost == "true" or told.dealstage in settings.lost_stages:
            return "cancelled"
        return "placed" if told.hs_is_closed_won == "true" or told.dealstage in settings.won_stages else None
