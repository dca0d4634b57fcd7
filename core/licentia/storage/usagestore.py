"""Usage in SQL: what leases and denials add up to in some times, computed in the database.

Leases of one `share_key` in a pool count once while they overlap, as the largest of them. So they are
cut into bands: a lease of 3 seats beside one of 2 is a band of 2 that both fill and one of 1 that only
the first does; a band begins with the first lease in it and ends with the last. Beginnings and ends
are then summed up in the order of time, ends first: a seat handed on is one seat.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from licentia.domain.instants import FOREVER, SECOND, to_micros
from licentia.domain.usage import LEVELS, Level, Marks, Part, after, floor
from licentia.storage.database import Connection, Transaction
from licentia.storage.statements import Insert, Query, Row, Work, Write

PERIOD = (
    "level", "start", "scope", "product_code", "customer", "license_id", "reason", "amount", "seat_seconds",
    "seat_micros", "peak",
)  # fmt: skip
AT_ONCE = 5000
"""How many rows one transaction deletes at most."""

_LONGEST = (*(hours * 3600 * SECOND for hours in (1, 16, 256, 4096)), FOREVER)
_OWN, _SHARED = "share_key <= 'm'", "share_key > 'm'"
"""Shared keys are `station NAME` and `user NAME`; who shares with none has `lease ID`, or none while it lives."""
# As the index has it, to the letter, or it is not used.
_LENGTH = (
    "(CASE WHEN ended_at - granted_at < 3600000000 THEN 0 WHEN ended_at - granted_at < 57600000000 THEN 1"
    " WHEN ended_at - granted_at < 921600000000 THEN 2 WHEN ended_at - granted_at < 14745600000000 THEN 3 ELSE 4 END)"
)
_LENGTHS = ", ".join(f"({place}, {longest})" for place, longest in enumerate(_LONGEST))
_CUSTOMER = {
    "sqlite": "o.source || '/' || json_extract(o.customer, '$.id')",
    "postgres": "o.source || '/' || (o.customer::json ->> 'id')",
}
_WITHIN = (
    "CASE WHEN granted_at > b.begins THEN granted_at ELSE b.begins END AS begins,"
    " CASE WHEN {end} < b.ends THEN {end} ELSE b.ends END AS ends"
)
_BAND = "bin, pool_id, share_key"
_OWNER = "scope, product_code, customer, license_id"
_SCOPES = "SELECT 0 AS scope UNION ALL SELECT 1 UNION ALL SELECT 2"
_NAMED = (
    "product_code, CASE WHEN scope = 0 THEN '' ELSE customer END AS customer,"
    " CASE WHEN scope = 2 THEN license_id ELSE '' END AS license_id"
)
_SUMS = "sum(amount) AS amount, sum(seat_seconds) AS seat_seconds, sum(seat_micros) AS seat_micros, max(peak) AS peak"


def rows_of(mark: str, columns: str, dialect: str) -> str:
    """A `SELECT` of rows that a value has as a JSON array of arrays; columns are names with types.

    So the text of a query is the same whatever it asks for: databases and drivers keep what they
    have once understood.
    """
    typed = [column.split() for column in columns.split(", ")]
    if dialect == "postgres":
        chosen = (f"CAST(value ->> {place} AS {kind}) AS {name}" for place, (name, kind) in enumerate(typed))
        return f"SELECT {', '.join(chosen)} FROM json_array_elements({mark}::text::json)"
    chosen = (f"json_extract(value, '$[{place}]') AS {name}" for place, (name, _) in enumerate(typed))
    return f"SELECT {', '.join(chosen)} FROM json_each({mark})"


def measured(mark: str, dialect: str) -> str:
    """`WITH` clauses; the last, `measured`, has what each time adds up to, by owner and reason.

    The times are the value of a mark, as `bins_of` makes it.
    """
    return f"""
    WITH bins AS ({rows_of(mark, "bin bigint, slot bigint, begins bigint, ends bigint", dialect)}),
    lengths(length, longest) AS (VALUES {_LENGTHS}),
    used AS (
      SELECT b.bin, p.pool_id, p.lease_id, p.share_key, p.seats, p.granted_at, {_WITHIN.format(end="ended_at")}
      FROM bins b CROSS JOIN lengths n JOIN past_lease p
        ON {_LENGTH} = n.length AND ended_at >= b.begins AND ended_at < b.ends + n.longest AND granted_at < b.ends
      UNION ALL
      SELECT b.bin, l.pool_id, coalesce(l.whole, l.id), coalesce(l.share_key, ''), l.seats, l.granted_at,
        {_WITHIN.format(end="expires_at")}
      FROM bins b JOIN lease l ON l.granted_at < b.ends AND l.expires_at >= b.begins AND l.state <> 'assigned'
    ),
    bands AS (
      SELECT {_BAND}, seats AS top, seats - coalesce(lag(seats) OVER (PARTITION BY {_BAND} ORDER BY seats), 0) AS height
      FROM (SELECT DISTINCT {_BAND}, seats FROM used WHERE {_SHARED} AND begins < ends) AS heights
    ),
    filled AS (
      SELECT b.bin, b.pool_id, b.share_key, b.top, b.height, u.begins, u.ends FROM bands b JOIN used u
        ON u.bin = b.bin AND u.pool_id = b.pool_id AND u.share_key = b.share_key AND u.seats >= b.top
      WHERE u.begins < u.ends
    ),
    counted AS (
      SELECT *, sum(change) OVER (PARTITION BY {_BAND}, top ORDER BY at, change ROWS UNBOUNDED PRECEDING) AS depth
      FROM (SELECT {_BAND}, top, height, begins AS at, 1 AS change FROM filled
        UNION ALL SELECT {_BAND}, top, height, ends, -1 FROM filled) AS bounds
    ),
    steps AS (
      SELECT bin, pool_id, begins AS at, seats AS change FROM used WHERE {_OWN} AND begins < ends
      UNION ALL SELECT bin, pool_id, ends, -seats FROM used WHERE {_OWN} AND begins < ends
      UNION ALL SELECT bin, pool_id, at, change * height FROM counted WHERE depth = (change + 1) / 2
    ),
    owned AS (
      SELECT p.id AS pool_id, p.license_id, p.product_code, {_CUSTOMER[dialect]} AS customer
      FROM seat_pool p JOIN license l ON l.id = p.license_id JOIN purchase_order o ON o.id = l.order_id
      WHERE p.id IN (SELECT pool_id FROM used)
    ),
    owners AS (SELECT pool_id, scope, {_NAMED} FROM owned CROSS JOIN ({_SCOPES}) AS scopes),
    levels AS (
      SELECT s.bin, {_OWNER}, at, change,
        sum(CAST(change AS INTEGER)) OVER (PARTITION BY s.bin, {_OWNER} ORDER BY at, change ROWS UNBOUNDED PRECEDING)
          AS level
      FROM steps s JOIN owners USING (pool_id)
    ),
    refused AS (
      SELECT b.slot, d.license_id, d.product_code, coalesce({_CUSTOMER[dialect]}, '') AS customer, d.reason,
        sum(d.count) AS amount
      FROM bins b JOIN denial d ON d.minute >= b.begins - b.begins % 60000000 AND d.minute < b.ends
        LEFT JOIN license l ON l.id = d.license_id LEFT JOIN purchase_order o ON o.id = l.order_id
      GROUP BY 1, 2, 3, 4, 5
    ),
    measured AS (
      SELECT slot, {_OWNER}, '' AS reason, 0 AS amount, -sum(change * ((at - begins) / {SECOND})) AS seat_seconds,
        -sum(change * ((at - begins) % {SECOND})) AS seat_micros, max(level) AS peak
      FROM levels JOIN bins USING (bin) GROUP BY bin, slot, {_OWNER}
      UNION ALL
      SELECT b.slot, {_OWNER}, '', count(DISTINCT lease_id || ' ' || granted_at), 0, 0, 0
      FROM used JOIN bins b USING (bin) JOIN owners USING (pool_id)
      WHERE granted_at >= b.begins GROUP BY b.slot, {_OWNER}
      UNION ALL
      SELECT slot, scope, {_NAMED}, reason, amount, 0, 0, 0
      FROM refused CROSS JOIN ({_SCOPES}) AS scopes WHERE scope = 0 OR license_id <> ''
    )"""


def bins_of(times: Sequence[tuple[int, int, int]]) -> str:
    """The times (slot, begins, ends), as `measured` is given them."""
    return msgspec.json.encode([(place, *time) for place, time in enumerate(times)]).decode()


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Which sums are wanted: those of one product code, license or customer (None: of all), after `seen`, so many."""

    product_code: str | None = None
    license_id: str | None = None
    customer_id: str | None = None
    seen: tuple[int, str, str, str, int] = (-1, "", "", "", 0)
    limit: int = 1000


async def sums(connection: Connection, parts: Sequence[Part], asked: Asked) -> list[dict[str, Any]]:
    """The sums over all parts, by owner and slot, in that order.

    `reasons` is a text of `reason:denials`, apart by spaces. A license has the customer "" here.
    """
    bins = bins_of([(part.slot or 0, part.begins, part.ends) for part in parts if not part.level])
    windows = [(part.slot, part.level, part.begins, part.ends) for part in parts if part.level]
    values: list[Any] = [*asked.seen, asked.limit, bins, msgspec.json.encode(windows).decode()]
    chosen = []
    text = "::text" if connection.dialect == "postgres" else ""
    for condition, value in (
        ("product_code = {}", asked.product_code),
        ("license_id = {}", asked.license_id),
        # No id has a slash, so the customer's id is all that follows it.
        ("substr(customer, length(customer) - length({0})) = '/' || {0}", asked.customer_id),
    ):
        if value is not None:
            values.append(value)
            chosen.append(condition.format(f"${len(values)}{text}"))
    sql = f"""{measured("$7", connection.dialect)},
    windows AS ({rows_of("$8", "slot bigint, level text, begins bigint, ends bigint", connection.dialect)}),
    parts AS (
      SELECT * FROM measured UNION ALL
      SELECT coalesce(w.slot, u.start), {_OWNER}, reason, amount, seat_seconds, seat_micros, peak
      FROM windows w JOIN usage_period u ON u.level = w.level AND u.start >= w.begins AND u.start < w.ends
    ),
    summed AS (
      SELECT slot, scope, product_code, CASE WHEN scope = 2 THEN '' ELSE customer END AS owner, license_id, reason,
        {_SUMS}
      FROM parts WHERE {" AND ".join(chosen) or "1 = 1"} GROUP BY 1, 2, 3, 4, 5, 6
    )
    SELECT slot, scope, product_code, owner AS customer, license_id,
      coalesce(sum(amount) FILTER (WHERE reason = ''), 0) AS checkouts,
      sum(seat_seconds) AS seat_seconds, sum(seat_micros) AS seat_micros, max(peak) AS peak,
      {"string_agg" if connection.dialect == "postgres" else "group_concat"}(
        CASE WHEN reason <> '' THEN reason || ':' || amount END, ' ') AS reasons
    FROM summed WHERE (scope, product_code, owner, license_id, slot) > ($1, $2, $3, $4, $5)
    GROUP BY slot, scope, product_code, owner, license_id
    ORDER BY scope, product_code, owner, license_id, slot LIMIT $6"""
    return await connection.rows(sql, *values)


async def marks(connection: Connection) -> Marks:
    """How far the sums are, and from where on past leases are kept."""
    rows = await connection.rows("SELECT level, until FROM usage_mark")
    return Marks(**{row["level"]: row["until"] for row in rows})


async def final(tx: Transaction, grace: int) -> int:
    """Up to where no row will change what leases and denials add up to, or appear: `grace` microseconds ago at most.

    A row says nothing new about a time before its transaction began, so what is committed when no
    transaction runs that began earlier is all. On SQLite none runs beside this one. The grace is for
    clocks that are set back.
    """
    now = to_micros(await tx.now())
    if tx.dialect == "sqlite":
        return now - grace
    row = await tx.row(
        "SELECT (extract(epoch FROM min(xact_start)) * 1000000)::bigint AS began FROM pg_stat_activity"
        " WHERE datname = current_database() AND backend_xid IS NOT NULL"
    )
    assert row is not None
    return now - grace if row["began"] is None else min(now - grace, row["began"])


async def start(tx: Transaction, until: int) -> None:
    """Make the marks, at the first use of all or at `until`, whatever is earlier; nothing if they are there."""
    row = await tx.row(
        "SELECT min(first) AS first FROM (SELECT min(granted_at) AS first FROM past_lease"
        " UNION ALL SELECT min(granted_at) FROM lease WHERE state <> 'assigned'"
        " UNION ALL SELECT min(minute) FROM denial) AS firsts"
    )
    assert row is not None
    first = until if row["first"] is None else min(until, row["first"])
    for level in LEVELS:
        await tx.rows(
            "INSERT INTO usage_mark (level, until) VALUES ($1, $2) ON CONFLICT DO NOTHING", level, floor(level, first)
        )


async def of_hours(connection: Connection, hours: Sequence[int]) -> list[tuple[Any, ...]]:
    """The sums of hours, of their leases and denials, as rows of `usage_period`."""
    bins = bins_of([(hour, hour, after("hour", hour)) for hour in hours])
    rows = await connection.rows(
        f"{measured('$1', connection.dialect)} SELECT 'hour' AS level, slot AS start, {_OWNER}, reason, {_SUMS}"
        f" FROM measured GROUP BY slot, {_OWNER}, reason",
        bins,
    )
    return [_period(row) for row in rows]


async def of_periods(connection: Connection, level: Level, begins: int, ends: int) -> list[tuple[Any, ...]]:
    """The sums of one day or month, of those of its hours or days."""
    finer = LEVELS[LEVELS.index(level) - 1]
    rows = await connection.rows(
        f"SELECT '{level}' AS level, CAST({begins} AS bigint) AS start, {_OWNER}, reason, {_SUMS} FROM usage_period"
        f" WHERE level = $1 AND start >= $2 AND start < $3 GROUP BY {_OWNER}, reason",
        finer,
        begins,
        ends,
    )
    return [_period(row) for row in rows]


def advance(level: Level, begins: int, ends: int, periods: Sequence[tuple[Any, ...]]) -> Work[bool]:
    """Add the sums of a time and move the mark of their level to its end; nothing if another has done it."""
    moved = yield Query(
        "UPDATE usage_mark SET until = $1 WHERE level = $2 AND until = $3 RETURNING level", (ends, level, begins)
    )
    if moved and periods:
        yield Write((Insert("usage_period", PERIOD, periods),))
    return bool(moved)


async def forget(tx: Transaction, before: int) -> None:
    """Say that past leases and denials are only kept from an instant on."""
    await tx.rows(
        "INSERT INTO usage_mark (level, until) VALUES ('kept', $1) ON CONFLICT (level) DO UPDATE"
        " SET until = CASE WHEN usage_mark.until < excluded.until THEN excluded.until ELSE usage_mark.until END",
        before,
    )


async def prune(tx: Transaction, before: int) -> bool:
    """Delete some of what is not kept; whether there may be more."""
    gone = 0
    for table, old in (("past_lease", f"{_LENGTH} IN (0, 1, 2, 3, 4) AND ended_at < $1"), ("denial", "minute < $1")):
        rows = await tx.rows(
            f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE {old} LIMIT {AT_ONCE}) RETURNING id", before
        )
        gone = max(gone, len(rows))
    return gone == AT_ONCE


def _period(row: Row) -> tuple[Any, ...]:
    numbers = ("start", "amount", "seat_seconds", "seat_micros", "peak")
    return tuple(int(row[name]) if name in numbers else row[name] for name in PERIOD)
