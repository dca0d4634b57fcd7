"""Products: define, replace, read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from licentia.contract.products import (
    GetProduct,
    Item,
    ListProducts,
    Product,
    ProductPage,
    PutProduct,
    PutProductReply,
)
from licentia.errors import ContainerUnknown, InvalidRequest, NotFound, ProductUnknown
from licentia.services.context import Context
from licentia.storage import models


async def put_product(request: PutProduct, context: Context) -> PutProductReply:
    """Create or replace a product; licenses that exist keep the terms they were sold with."""
    seen: set[str] = set()
    for index, item in enumerate(request.items):
        if item.product_code in seen:
            raise InvalidRequest.at(f"/items/{index}/product_code", f"{item.product_code!r} occurs twice")
        seen.add(item.product_code)
    for index, item in enumerate(request.items):
        for place, kind in enumerate(item.containers or []):
            try:
                context.plugins.container(kind)
            except ContainerUnknown as error:
                raise InvalidRequest.at(f"/items/{index}/containers/{place}", error.detail) from None
    now = await context.tx.now()
    items = msgspec.json.encode(request.items).decode()
    stored, created = await models.Product.update_or_create(
        sku=request.sku, defaults={"name": request.name, "items": items, "updated_at": now}
    )
    for code in sorted(seen):
        await models.ProductCode.get_or_create(code=code)
    context.record("product.put", sku=request.sku, name=request.name, items=request.items)
    return PutProductReply(**_members(stored), created=created)


async def get_product(request: GetProduct, context: Context) -> Product:
    """One product."""
    stored = await models.Product.get_or_none(sku=request.sku)
    if stored is None:
        raise NotFound(f"There is no product with the SKU {request.sku!r}.")
    return Product(**_members(stored))


async def list_products(request: ListProducts, context: Context) -> ProductPage:
    """The products, by SKU."""
    if request.cursor is not None and len(request.cursor) > 64:
        raise InvalidRequest.at("/cursor", "not a cursor that this server gave")
    query = models.Product.filter(sku__gt=request.cursor or "").order_by("sku").limit(request.limit + 1)
    found = await query
    page = [Product(**_members(stored)) for stored in found[: request.limit]]
    return ProductPage(products=page, next_cursor=page[-1].sku if len(found) > request.limit else None)


async def items_of(skus: Iterable[str]) -> dict[str, list[Item]]:
    """The items of several products, by SKU, each with a name; SKUs that are not known are left out."""
    found = await models.Product.filter(sku__in=list(set(skus)))
    return {
        stored.sku: [
            msgspec.structs.replace(item, name=item.name or stored.name)
            for item in msgspec.json.decode(stored.items, type=list[Item])
        ]
        for stored in found
    }


async def known_skus(skus: Iterable[str]) -> set[str]:
    """Those of these SKUs that a product has."""
    return set(await models.Product.filter(sku__in=list(set(skus))).values_list("sku", flat=True))  # type: ignore[arg-type]


async def check_product_code(code: str) -> None:
    """Refuse a product code that no product ever had.

    Raises:
        ProductUnknown: with the code.
    """
    if not await models.ProductCode.exists(code=code):
        raise ProductUnknown(f"No product has the product code {code!r}.")


def _members(stored: models.Product) -> dict[str, Any]:
    return {
        "sku": stored.sku,
        "name": stored.name,
        "items": msgspec.json.decode(stored.items, type=list[Item]),
        "updated_at": stored.updated_at,
    }
