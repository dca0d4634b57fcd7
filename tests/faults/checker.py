"""An independent judge of a Licentia database: `python checker.py DATABASE_URL [JOURNAL ...]`.

It imports nothing of Licentia. It reads the tables, replays the event log in the order of the
database's clock (of its one chain, on SQLite), and holds the outcome against the tables and against
the journals, in which clients wrote what they were told. It prints one fault a line and exits with 1 if there are any.

A journal line is a JSON object; `op` is one of

    granted   lease, until      a checkout was answered; `until` in microseconds since the Unix epoch
    released  lease             the release of a lease that was held was answered
    order     number, ticket    an order was answered
    consumed  request, units    a consumption was answered
    activated activation        an activation was answered
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

Row = dict[str, Any]
Tables = dict[str, list[Row]]

NAMES = (
    "purchase_order", "ticket", "license", "meter", "activation", "seat_pool", "lease", "unit_consumption", "chain",
    "event",
)  # fmt: skip
STARTS = ("lease.granted", "seat.assigned")
ENDS = ("lease.released", "lease.expired", "lease.ended", "seat.unassigned")
COUNTED_ALONE = ("floating", "node_locked", "unlimited")
"""License models whose leases never share a seat, so that a pool's charges add up from the events alone."""


def load(url: str) -> Tables:
    """Every row of the tables that count, as one moment shows them."""
    if url.startswith("sqlite:///"):
        return _load_sqlite(url.removeprefix("sqlite:///"))
    return asyncio.run(_load_postgres(url))


def _load_sqlite(path: str) -> Tables:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("BEGIN")
        return {name: [dict(row) for row in connection.execute(f"SELECT * FROM {name}")] for name in NAMES}
    finally:
        connection.close()


async def _load_postgres(url: str) -> Tables:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return {name: [dict(row) for row in await connection.fetch(f"SELECT * FROM {name}")] for name in NAMES}
    finally:
        await connection.close()


def faults(tables: Tables, journal: list[Row]) -> Iterator[str]:
    """All that is wrong, in one sentence each."""
    unfolded = [event for block in tables["event"] for event in _unfolded(block)]
    # One chain has an order of its own, whatever the clock did; several have that of the database's clock.
    alone = len({event["chain"] for event in unfolded}) <= 1
    events = sorted(unfolded, key=lambda event: (0 if alone else event["at"], event["chain"], event["seq"]))
    yield from _chains(tables)
    yield from _seats_over_time(tables, events)
    yield from _stock(tables, events)
    yield from _orders(tables, events)
    yield from _promises(tables, events, journal)


def _chains(tables: Tables) -> Iterator[str]:
    """Each chain is whole, linked, unchanged, and ends where its head says."""
    chains: dict[int, list[Row]] = defaultdict(list)
    for event in tables["event"]:
        chains[event["chain"]].append(event)
    for head in tables["chain"]:
        previous = "0" * 64
        count = 0
        for block in sorted(chains.pop(head["id"], []), key=lambda block: block["last_seq"]):
            events = _unfolded(block)
            if block["first_seq"] != count + 1 or block["last_seq"] != count + len(events):
                yield f"chain {head['id']} has a gap before event {block['id']}"
                break
            if block["previous_hash"] != previous:
                yield f"event {block['id']} does not link to the one before"
            hash = block["previous_hash"]
            for event in events:
                hash = _hash(event, hash)
            if block["hash"] != hash:
                yield f"event {block['id']} was changed"
            previous, count = block["hash"], block["last_seq"]
        if (head["seq"], head["hash"]) != (count, previous):
            yield f"the head of chain {head['id']} is at {head['seq']}, its events end at {count}"
    for chain in chains:
        yield f"chain {chain} has events and no head"


def _unfolded(block: Row) -> list[Row]:
    """The events of one commit, each for itself."""
    return [
        {"id": f"{block['chain']}-{seq}", "chain": block["chain"], "seq": seq, "at": block["at"]}
        | {"kind": kind, "actor": actor, "facts": facts}
        for seq, (kind, actor, facts) in enumerate(json.loads(block["entries"]), start=block["first_seq"])
    ]


def _hash(event: Row, previous_hash: str) -> str:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=event["at"])
    members = {name: event[name] for name in ("actor", "chain", "kind", "seq")}
    members |= {"at": at.isoformat().replace("+00:00", "Z"), "data": event["facts"], "previous_hash": previous_hash}
    text = json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _seats_over_time(tables: Tables, events: list[Row]) -> Iterator[str]:
    """Replay: at no instant too many seats, no lease twice, and at the end what the tables say."""
    models = {row["id"]: json.loads(row["terms"]).get("license_model", "floating") for row in tables["license"]}
    pools = {row["id"]: row for row in tables["seat_pool"]}
    alone = {id for id, pool in pools.items() if models.get(pool["license_id"]) in COUNTED_ALONE}
    live: dict[tuple[str, str], tuple[str, int]] = {}
    used: Counter[str] = Counter()
    told: dict[str, int] = {}
    for event in events:
        if event["kind"] not in (*STARTS, *ENDS):
            continue
        facts = event["facts"]
        pool = facts["pool_id"]
        lease = (facts.get("lease_id") or facts["seat"], pool)
        if pool not in pools:
            yield f"event {event['id']} is of pool {pool}, which is not there"
            continue
        if event["kind"] in STARTS:
            if lease in live:
                yield f"event {event['id']} grants lease {lease[0]} again, which has not ended"
            live[lease] = (pool, facts["charged"])
            used[pool] += facts["charged"]
        elif lease not in live:
            yield f"event {event['id']} ends lease {lease[0]}, which does not live"
        else:
            used[pool] -= live.pop(lease)[1]
        told[pool] = facts["in_use"]
        level = used[pool] if pool in alone else facts["in_use"]
        if not pools[pool]["unlimited"] and level > pools[pool]["seats"] + pools[pool]["overdraft"]:
            yield f"pool {pool} is oversold at event {event['id']}: {level} seats in use"
        if pool in alone and facts["in_use"] != level:
            yield f"event {event['id']} says {facts['in_use']} seats in use, the events before add up to {level}"
    rows = {(_name(row), row["pool_id"]) for row in tables["lease"]}
    yield from (f"lease {lease[0]} lives by the events and has no row" for lease in sorted(live.keys() - rows))
    yield from (f"lease {lease[0]} has a row and does not live by the events" for lease in sorted(rows - live.keys()))
    charged: Counter[str] = Counter()
    for row in tables["lease"]:
        charged[row["pool_id"]] += row["charged"]
    for id, pool in pools.items():
        if not pool["in_use"] == charged[id] == told.get(id, 0):
            yield (
                f"pool {id} counts {pool['in_use']} seats in use, its leases add up to {charged[id]}, "
                f"its last event says {told.get(id, 0)}"
            )


def _name(row: Row) -> str:
    """What the events call a row of `lease`: a lease by its id, a seat that is kept for somebody by its key."""
    return str(row["share_key"] if row["state"] == "assigned" else row["whole"] or row["id"])


def _stock(tables: Tables, events: list[Row]) -> Iterator[str]:
    """Never more placed than sold, never a unit too many; counters equal what they count."""
    seats: Counter[str] = Counter()
    for pool in tables["seat_pool"]:
        if pool["state"] != "closed":
            seats[pool["license_id"]] += pool["seats"]
    units: Counter[tuple[str, str]] = Counter()
    requests: Counter[tuple[str, str]] = Counter()
    for event in events:
        if event["kind"] == "units.consumed":
            facts = event["facts"]
            units[facts["license_id"], facts["meter"]] += facts["units"]
            requests[facts["license_id"], facts["request_id"]] += 1
    for row in tables["license"]:
        id = row["id"]
        if not 0 <= row["to_reclaim"] <= row["placed"] <= row["quantity"]:
            yield f"license {id} has {row['placed']} seats placed of {row['quantity']}, {row['to_reclaim']} to reclaim"
        if row["standing"] == "live" and row["placed"] != seats[id]:
            yield f"license {id} counts {row['placed']} seats placed, its containers hold {seats[id]}"
    for row in tables["meter"]:
        told = units.pop((row["license_id"], row["name"]), 0)
        if row["used"] != told or row["used"] > row["total"]:
            yield f"license {row['license_id']} counts {row['used']} of {row['total']} units, its events {told}"
    yield from (f"license {id} has events of a meter {name!r} that it has not" for id, name in units)
    for (license, request), count in requests.items():
        if count > 1:
            yield f"request {request} consumed of license {license} {count} times"
    consumed = {request for _, request in requests}
    recorded = {row["request_id"] for row in tables["unit_consumption"]}
    yield from (f"consumption {request} has a row or an event, not both" for request in sorted(consumed ^ recorded))


def _orders(tables: Tables, events: list[Row]) -> Iterator[str]:
    """An order is there with its ticket, licenses and events, or not at all."""
    kinds: dict[str, list[Row]] = defaultdict(list)
    for event in events:
        kinds[event["kind"]].append(event["facts"])
    orders = Counter(row["id"] for row in tables["purchase_order"])
    numbers = Counter((row["source"], row["order_number"]) for row in tables["purchase_order"])
    yield from (f"there are {count} orders {number}" for number, count in numbers.items() if count > 1)
    placed = Counter(facts["order_id"] for facts in kinds["order.placed"])
    tickets = Counter(row["order_id"] for row in tables["ticket"])
    for what, found in (("ticket", tickets), ("event order.placed", placed)):
        for id in sorted(orders.keys() | found.keys()):
            if orders[id] != 1 or found[id] != 1:
                yield f"order {id} is there {orders[id]} times, its {what} {found[id]} times"
    for what, rows, recorded in (
        ("license", tables["license"], [facts["license_id"] for facts in kinds["license.issued"]]),
        (
            "activation",
            tables["activation"],
            [facts["activation_id"] for kind in ("activation.created", "activation.moved") for facts in kinds[kind]],
        ),
    ):
        there, told = Counter(row["id"] for row in rows), Counter(recorded)
        for id in sorted(there.keys() | told.keys()):
            if there[id] != 1 or told[id] != 1:
                yield f"{what} {id} is there {there[id]} times, its event {told[id]} times"
    lines = {row["id"]: {line["line_id"] for line in json.loads(row["lines"])} for row in tables["purchase_order"]}
    issued: dict[str, set[str]] = defaultdict(set)
    for row in tables["license"]:
        issued[row["order_id"]].add(row["line_id"])
    for id, ids in lines.items():
        if not ids <= issued[id]:
            yield f"order {id} has no license for its lines {sorted(ids - issued[id])}"


def _promises(tables: Tables, events: list[Row], journal: list[Row]) -> Iterator[str]:
    """What a client was told has happened, and lasts as long as it was told."""
    history: dict[str, list[Row]] = defaultdict(list)
    for event in events:
        if event["kind"] in (*STARTS, *ENDS) and "lease_id" in event["facts"]:
            history[event["facts"]["lease_id"]].append(event)
    expiry = {_name(row): row["expires_at"] for row in tables["lease"]}
    orders = {row["id"]: row["order_number"] for row in tables["purchase_order"]}
    tickets = {(orders.get(row["order_id"]), row["code"]) for row in tables["ticket"]}
    requests = {row["request_id"] for row in tables["unit_consumption"]}
    activations = {row["id"] for row in tables["activation"]}
    released: Counter[str] = Counter()
    for entry in journal:
        match entry:
            case {"op": "granted", "lease": lease, "until": until}:
                if not history[lease]:
                    yield f"lease {lease} was acknowledged and is lost"
                yield from _kept(lease, until, history[lease], expiry)
            case {"op": "released", "lease": lease}:
                released[lease] += 1
            case {"op": "order", "number": number, "ticket": ticket}:
                if (number, ticket) not in tickets:
                    yield f"order {number} was acknowledged with a ticket that is not there"
            case {"op": "consumed", "request": request}:
                if request not in requests:
                    yield f"consumption {request} was acknowledged and is lost"
            case {"op": "activated", "activation": activation}:
                if activation not in activations:
                    yield f"activation {activation} was acknowledged and is lost"
            case _:
                yield f"the journal line {entry} is not understood"
    for lease, count in released.items():
        ends = sum(event["kind"] in ENDS for event in history[lease])
        if ends < count:
            yield f"{count} releases of lease {lease} were acknowledged and {ends} are there"


def _kept(lease: str, until: int, history: list[Row], expiry: dict[str, int]) -> Iterator[str]:
    """A lease that was promised until then must neither expire nor have been cut before."""
    granted = [event["at"] for event in history if event["kind"] == "lease.granted" and event["at"] < until]
    if not granted:
        return
    after = [event for event in history if event["at"] > granted[-1]]
    if not after and expiry.get(lease, 0) < until:
        yield f"lease {lease} was promised until {until} and its row ends at {expiry.get(lease)}"
    if after and after[0]["kind"] == "lease.expired" and after[0]["at"] < until:
        yield f"lease {lease} was promised until {until} and expired at {after[0]['at']}"


def main(url: str, *journals: str) -> int:
    """Judge a database by the journals of its clients."""
    lines: Iterable[str] = (line for path in journals for line in Path(path).read_text().splitlines())
    found = list(faults(load(url), [json.loads(line) for line in lines]))
    sys.stdout.writelines(f"{fault}\n" for fault in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
