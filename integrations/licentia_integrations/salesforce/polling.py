"""The records that have changed, by `SystemModstamp`, which also moves when Salesforce itself changes a record."""

from __future__ import annotations

import hashlib

import msgspec

from licentia.errors import Unavailable
from licentia_integrations.calls import delivered
from licentia_integrations.changed import Asked, Row, Told, moment
from licentia_integrations.salesforce.rest import Record, Rest, quoted
from licentia_integrations.shops import milliseconds

MOST, PAGE = 100, 50
"""Records of one poll, and of one answer."""


class Changed:
    """Asks for the changed records of one object; `question` is what is asked, without its condition."""

    def __init__(self, rest: Rest, object: str, question: str) -> None:
        self._rest, self._object, self._question = rest, object, question

    async def __call__(self, asked: Asked) -> Told:
        """The records."""
        conditions, order = [f"SystemModstamp >= {moment(asked.since)}"], "SystemModstamp, Id"
        if asked.after is not None:
            conditions.append(f"SystemModstamp < {moment(asked.since + 1)}")
            conditions += [f"Id > {quoted(asked.after)}"] if asked.after else []
            order = "Id"
        condition = " AND ".join(conditions)
        found = await self._rest.query(f"{self._question} WHERE {condition} ORDER BY {order} LIMIT {asked.most}")
        return Told([self._row(each) for each in found], len(found) >= asked.most, self._rest.now)

    def _row(self, record: Record) -> Row:
        id, changed = record.get("Id"), record.get("SystemModstamp")
        at = milliseconds(changed) if isinstance(changed, str) else 0
        if not isinstance(id, str) or not id or not at:
            raise Unavailable("Salesforce sent a record without its Id or its SystemModstamp.")
        body = msgspec.json.encode(record)
        return Row(id, at, delivered(body, self._rest.address(self._object, id)), hashlib.sha256(body).hexdigest())
