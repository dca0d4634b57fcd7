"""What came of an order, as lines of a text of its header, so that salespeople see it in the order itself.

The entity A_SalesOrderText of API_SALES_ORDER_SRV is one text by order, language and text ID. It is created
under its order, changed by PATCH, and both need a token against forged requests ("Cross-Site Request Forgery
Protection" of SAP Gateway): it is had by `X-CSRF-Token: Fetch` and goes with the cookies of the same answer.
"""

from __future__ import annotations

import re
import textwrap

import msgspec

from licentia.connectors import Outcome
from licentia_integrations.calls import Caller, Reply, answered
from licentia_integrations.remote import Api
from licentia_integrations.sap.events import NUMBER
from licentia_integrations.sap.odata import ROOT, SETS
from licentia_integrations.sap.polling import said

SERVICE = f"{ROOT}API_SALES_ORDER_SRV/"
MARK, TICKET = "Licentia: ", "Licentia: ticket "
"""What our lines begin with; others are left as they are."""

WIDTH = 72
"""A line of a text in SAP; it breaks longer ones itself, and gives them back broken."""

LONGEST = 1000
LINE_END = re.compile(r"\r\n|\r|\n")
TOKEN = "x-csrf-token"  # noqa: S105 - the name of a header
TRIES = 2


class Metadata(msgspec.Struct):
    """What OData says of an entity; `etag` only where changes have to name the state that they start from."""

    etag: str | None = None


class Text(msgspec.Struct, kw_only=True):
    """A text of an order's header."""

    LongText: str | None = None
    metadata: Metadata = msgspec.field(name="__metadata", default_factory=Metadata)


class Told(msgspec.Struct):
    """What OData V2 wraps everything into."""

    d: Text


class Created(msgspec.Struct):
    """A text that is new under its order."""

    SalesOrder: str
    Language: str
    LongTextID: str
    LongText: str


class Texts:
    """Writes into one text of each order, and only its own lines."""

    def __init__(self, caller: Caller, api: Api, text_id: str, language: str) -> None:
        self._caller, self._api = caller, api
        self._text_id, self._language = text_id, language
        self._token = ""

    async def write(self, outcome: Outcome) -> None:
        """Write what came of an order, if it does not stand there yet.

        Raises:
            Unavailable: SAP does not answer, refuses, or has no such order.
        """
        if not NUMBER.fullmatch(outcome.order_number):
            return
        for _ in range(TRIES):
            known = await self._read(outcome.order_number)
            before = (known.LongText or "") if known else ""
            wanted = with_outcome(before, outcome)
            if wanted == "\n".join(lines_of(before)):
                return
            reply = await self._send(outcome.order_number, known, wanted)
            if reply.ok:
                return
            if reply.status != 412:  # somebody else has changed it meanwhile
                break
        raise reply.refusal(said(reply.body))

    def _address(self, number: str) -> str:
        key = f"SalesOrder='{number}',Language='{self._language}',LongTextID='{self._text_id}'"
        return self._api.address(f"{SERVICE}A_SalesOrderText({key})")

    async def _read(self, number: str) -> Text | None:
        reply = await self._caller.call("GET", f"{self._address(number)}?$format=json", headers={TOKEN: "Fetch"})
        self._keep(reply)
        if reply.gone:
            return None
        if not reply.ok:
            raise reply.refusal(said(reply.body))
        return answered(reply.body, Told, "SAP's texts of an order", "api.url").d

    async def _send(self, number: str, known: Text | None, text: str) -> Reply:
        if not self._token:
            await self._fetch_token()
        reply = await self._sent(number, known, text)
        if reply.status == 403 and reply.headers.get(TOKEN, "").lower() == "required":
            await self._fetch_token()
            reply = await self._sent(number, known, text)
        return reply

    async def _sent(self, number: str, known: Text | None, text: str) -> Reply:
        headers = {TOKEN: self._token}
        if known is None:
            new = Created(number, self._language, self._text_id, text)
            address = self._api.address(f"{SETS['SalesOrder']}('{number}')/to_Text")
            return await self._caller.call("POST", address, headers=headers, body=msgspec.json.encode(new))
        if known.metadata.etag:
            headers["if-match"] = known.metadata.etag
        body = msgspec.json.encode({"LongText": text})
        return await self._caller.call("PATCH", self._address(number), headers=headers, body=body)

    async def _fetch_token(self) -> None:
        self._token = ""
        reply = await self._caller.call("GET", self._api.address(SERVICE), headers={TOKEN: "Fetch"})
        self._keep(reply)
        if not self._token:
            raise reply.refusal("it gives no token for changes")

    def _keep(self, reply: Reply) -> None:
        given = reply.headers.get(TOKEN, "")
        if given and given.lower() not in ("required", "fetch"):
            self._token = given


def with_outcome(text: str, outcome: Outcome) -> str:
    """A text with the lines of an outcome, in the place of those of an earlier one or at the end.

    A ticket stays when an outcome has none, as that of an order whose later change is parked.
    """
    lines = lines_of(text)
    ticket = [line for line in lines if line.startswith(TICKET)]
    own = [f"{TICKET}{outcome.ticket}"] if outcome.ticket else ticket
    problem = " ".join((outcome.problem or "").split())[:LONGEST]
    own += textwrap.wrap(problem, WIDTH, initial_indent=MARK, subsequent_indent=MARK)
    first = next((at for at, line in enumerate(lines) if line.startswith(MARK)), len(lines))
    others = [line for line in lines if not line.startswith(MARK)]
    return "\n".join([*others[:first], *own, *others[first:]]).rstrip()


def lines_of(text: str) -> list[str]:
    """The lines of a text, without blanks at their ends and at its end, as SAP keeps none there."""
    return [line.rstrip() for line in LINE_END.split(text.rstrip())] if text.strip() else []
