"""The import of a file of orders, beside a plain bulk insert of the same rows by the same library."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from figures import Figure
from tortoise.models import Model

from licentia.cli.measuring.throwaway import beside
from licentia.contract import BY_NAME, parse
from licentia.services.application import Application
from licentia.services.identity import OPERATOR
from licentia.services.importing import Import
from licentia.settings import Settings
from licentia.storage import connector_models, models
from licentia.storage.database import Database

BATCH = 500
SKUS = ("acme-cad", "acme-render", "acme-viewer")
TABLES: tuple[type[Model], ...] = (
    models.Order,
    models.Ticket,
    models.License,
    models.Event,
    connector_models.SourceOrder,
    connector_models.Delivery,
    connector_models.DeliveryOrder,
    connector_models.OrderEvent,
)

EACH = {connector_models.OrderEvent: 3}
"""Rows of an order, where it has several."""


def imports(server: str | None, rounds: int, orders: int) -> Iterator[Figure]:
    """Orders per second on each database."""
    for url in (server, None) if server else (None,):
        ours, plain = [], []
        for _ in range(rounds):
            with tempfile.TemporaryDirectory(prefix="licentia-bench-") as folder:
                any_url = url or f"sqlite:///{folder}/any.db"
                with beside(any_url) as full, beside(any_url) as empty:
                    ours.append(asyncio.run(imported(full, Path(folder), orders)))
                    plain.append(asyncio.run(inserted(full, empty, orders)))
        yield Figure(
            what=f"{'PostgreSQL' if url else 'SQLite'}, import of {orders:,} orders",
            value=statistics.median(ours),
            unit="/s",
            reference="the same rows by Tortoise's bulk insert",
            reference_value=statistics.median(plain),
            ratio=statistics.median(mine / other for mine, other in zip(ours, plain, strict=True)),
        )


async def imported(url: str, folder: Path, orders: int) -> float:
    """Orders per second, from the file to the last commit."""
    file = folder / "orders.csv"
    rows = (f"{number};1;{SKUS[number % 3]};{1 + number % 7};c{number % 999}\n" for number in range(orders))
    file.write_text("order;line;sku;quantity;customer\n" + "".join(rows), "utf-8")
    settings = Settings(data=folder / "data", database=url, connector={"csv": {"secret": "not shown to anybody"}})
    application = await Application.open(settings)
    try:
        put = BY_NAME["PutProduct"]
        for sku in SKUS:
            members = {"sku": sku, "name": sku, "items": [{"product_code": sku, "expires_after_days": 365}]}
            await application.call(put, parse(put, members), OPERATOR)
        connection = await application.chain.connections.get("csv")
        began = time.perf_counter()
        running = Import(application, application.chain.inbox, connection, file, dry_run=False)
        await running.begin(restart=False)
        done = await running.run(BATCH, lambda place, of: None)
        spent = time.perf_counter() - began
        assert done.tally.placed == orders
    finally:
        await application.close()
    return orders / spent


async def inserted(full: str, empty: str, orders: int) -> float:
    """Orders per second, of which all rows are there already and only have to be written, a batch in a transaction."""
    source, target = await Database.open(full), await Database.open(empty)
    spent = 0.0
    try:
        await target.migrate()
        last: dict[type[Model], Any] = {}
        for _ in range(orders // BATCH + 2):
            batch = {}
            async with source.read():
                for table in TABLES:
                    query = table.filter(id__gt=last[table]) if table in last else table.all()
                    batch[table] = await query.order_by("id").limit(BATCH * EACH.get(table, 1))
                    if batch[table]:
                        last[table] = batch[table][-1].pk
            began = time.perf_counter()
            async with target.write():
                for table, rows in batch.items():
                    await table.bulk_create(rows)
            spent += time.perf_counter() - began
        async with target.read() as connection:
            (row,) = await connection.rows("SELECT count(*) AS n FROM license")
        assert row["n"] == orders
    finally:
        await source.close()
        await target.close()
    return orders / spent
