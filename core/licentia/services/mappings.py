"""What articles of business systems are sold as."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec
from tortoise.expressions import Q

from licentia.contract.connectors import (
    DeleteMapping,
    ListMappings,
    Mapping,
    MappingReply,
    Mappings,
    PutMapping,
    Setting,
    TriedMapping,
    TryMapping,
)
from licentia.domain.articles import candidates, choose, units
from licentia.domain.ledger import Parked, Told
from licentia.errors import InvalidRequest, NotFound
from licentia.services.applying import rules_of
from licentia.services.context import Context
from licentia.services.products import known_skus
from licentia.storage import connector_models as models


async def put_mapping(request: PutMapping, context: Context) -> MappingReply:
    """Say what an article is sold as."""
    if request.connector is not None:
        await context.chain.connections.get(request.connector)
    if request.sku is not None and not await known_skus([request.sku]):
        raise InvalidRequest.at("/sku", f"no product has the SKU {request.sku!r}; `licentia product list` shows them")
    connection, options = request.connector or "", _options(request.options)
    id = f"map_{hashlib.sha256(msgspec.json.encode((connection, request.article, options))).hexdigest()[:25]}"
    values: dict[str, Any] = {
        "connection": connection,
        "article": request.article,
        "options": msgspec.json.encode(options).decode(),
        "sku": request.sku,
        "factor": request.factor,
        "changed_at": await context.tx.now(),
    }
    created = not await models.SkuMapping.filter(id=id).update(**values)
    row = await models.SkuMapping.create(id=id, **values) if created else await models.SkuMapping.get(id=id)
    context.record(
        "mapping.put", mapping_id=id, connection=connection, article=request.article, options=options,
        sku=request.sku, factor=request.factor,
    )  # fmt: skip
    parked = models.Delivery.filter(state="parked", **({"connection": connection} if connection else {}))
    return MappingReply(**msgspec.structs.asdict(_shown(row)), created=created, parked=await parked.count())


async def list_mappings(request: ListMappings, context: Context) -> Mappings:
    """The mappings, by article."""
    query = models.SkuMapping.all()
    if request.connector is not None:
        query = query.filter(connection__in=[request.connector, ""])
    if request.cursor:
        seen = await models.SkuMapping.get_or_none(id=request.cursor[:64])
        if seen is None:
            raise InvalidRequest.at("/cursor", "not a cursor that this server gave, or its mapping is gone")
        query = query.filter(Q(article__gt=seen.article) | Q(article=seen.article, id__gt=seen.id))
    rows = await query.order_by("article", "id").limit(request.limit + 1)
    page, more = rows[: request.limit], len(rows) > request.limit
    return Mappings(mappings=[_shown(row) for row in page], next_cursor=page[-1].id if more else None)


async def delete_mapping(request: DeleteMapping, context: Context) -> None:
    """Remove a mapping."""
    if not await models.SkuMapping.filter(id=request.mapping_id).delete():
        raise NotFound(f"There is no mapping {request.mapping_id!r}.", help="`licentia connector maps` shows them.")
    context.record("mapping.deleted", mapping_id=request.mapping_id)


async def try_mapping(request: TryMapping, context: Context) -> TriedMapping:
    """Say what so many pieces of an article would be."""
    await context.chain.connections.get(request.connector)
    line = Told(
        article=request.article,
        alternatives=tuple(request.alternatives),
        options=_options(request.options),
        quantity=Decimal(request.quantity),
    )
    numbers = candidates(line)
    chosen = choose(line, await rules_of(request.connector, numbers), await known_skus(numbers))
    if chosen is None:
        return TriedMapping(problem=f"No product is known for {' or '.join(map(repr, numbers))}.")
    line.sku, line.factor = chosen
    if line.sku is None:
        return TriedMapping()
    try:
        return TriedMapping(sku=line.sku, quantity=units("1", line, line.quantity))
    except Parked as parked:
        return TriedMapping(problem=str(parked))


def _options(given: Iterable[Setting]) -> dict[str, str]:
    return {option.name: option.value for option in sorted(given, key=lambda option: option.name)}


def _shown(row: models.SkuMapping) -> Mapping:
    options = msgspec.json.decode(row.options, type=dict[str, str])
    return Mapping(
        mapping_id=row.id,
        article=row.article,
        connector=row.connection or None,
        options=[Setting(name=name, value=value) for name, value in options.items()],
        sku=row.sku,
        factor=row.factor,
    )
