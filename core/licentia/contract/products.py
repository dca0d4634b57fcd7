"""Products: what is sold, and the terms of what it licenses."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from licentia.contract.operation import Operation, Reply, Request
from licentia.contract.types import (
    ContainerKind,
    Cursor,
    Days,
    Feature,
    Instant,
    LicenseModel,
    Name,
    PageSize,
    ProductCode,
    ProtectedData,
    Quantity,
    Seconds,
    Sku,
    TtlSeconds,
    Units,
)
from licentia.errors import NotFound


class Meter(Request):
    """Units of one kind, for pay per use."""

    name: Feature
    units: Annotated[Units, Meta(description="Units per unit sold.")]


class Terms(Request, kw_only=True):
    """What a license allows. All optional; a term that is absent does not limit."""

    license_model: LicenseModel = "floating"
    quantity: Annotated[Quantity, Meta(description="Seats per unit sold.")] = 1
    features: Annotated[list[Feature], Meta(max_length=256, description="The features that are part of it.")] = []
    units: Annotated[Units | None, Meta(description="Units per unit sold, for pay per use.")] = None
    meters: Annotated[list[Meter], Meta(max_length=32, description="Further kinds of units, each by its name.")] = []
    activation_at: Annotated[Instant | None, Meta(description="Not valid before.")] = None
    expires_at: Annotated[Instant | None, Meta(description="Not valid from then on.")] = None
    expires_after_days: Annotated[Days | None, Meta(description="Days of validity from the activation.")] = None
    usage_period_days: Annotated[Days | None, Meta(description="Days of validity from the first use.")] = None
    maintenance_until: Annotated[Instant | None, Meta(description="Releases up to then are licensed.")] = None
    overdraft: Annotated[int, Meta(ge=0, le=1_000_000, description="Seats allowed beyond what was sold.")] = 0
    linger_seconds: Annotated[Seconds, Meta(description="How long a released seat stays taken.")] = 0
    lease_ttl_seconds: Annotated[TtlSeconds, Meta(description="The longest life of a lease without renewal.")] = 600
    reassign_after_days: Annotated[
        Days | None, Meta(description="How long a named user's seat stays that user's; absent: as long as the leases.")
    ] = None
    renewal_days: Annotated[
        Days | None,
        Meta(description="Days that a paid renewal adds to its ends; absent: as many as `expires_after_days`."),
    ] = None
    checkpoint_days: Annotated[Days | None, Meta(description="Longest time without contact to the server.")] = None
    offline_days: Annotated[Days | None, Meta(description="Longest borrow.")] = None
    restore_limit: Annotated[
        Annotated[int, Meta(ge=0, le=1_000_000)] | None,
        Meta(description="How often it may be restored after a loss; absent: always."),
    ] = None
    restore_wait_days: Annotated[Days | None, Meta(description="How long a restore waits after it was asked for.")] = (
        None
    )
    restore_approval: Annotated[bool, Meta(description="Whether the vendor has to approve each restore.")] = False
    protected_data: Annotated[
        ProtectedData | None, Meta(description="Data for the application, readable only in an opened container.")
    ] = None
    containers: Annotated[
        Annotated[list[ContainerKind], Meta(max_length=32)] | None,
        Meta(description="Kinds of container allowed; absent: all."),
    ] = None


class Item(Terms, kw_only=True):
    """One product code that a product licenses, with its terms."""

    product_code: ProductCode
    name: Name | None = None


class PutProduct(Request):
    """Create a product or replace it. Licenses that exist keep the terms they were sold with."""

    sku: Sku
    name: Name
    items: Annotated[list[Item], Meta(min_length=1, max_length=100, description="What a unit of it licenses.")]


class GetProduct(Request):
    """One product by its SKU."""

    sku: Sku


class ListProducts(Request):
    """All products, by SKU."""

    cursor: Cursor | None = None
    limit: PageSize = 100


class Product(Reply):
    """A product with its items."""

    sku: Sku
    name: Name
    items: list[Item]
    updated_at: Instant


class PutProductReply(Product):
    """The product as it is now; `created` tells a new one from a replaced one."""

    created: bool


class ProductPage(Reply):
    """A page of products; without `next_cursor` it is the last."""

    products: list[Product]
    next_cursor: Cursor | None = None


OPERATIONS = (
    Operation(
        "PutProduct", "admin", "PUT", "/v1/products/{sku}", "products:put_product", PutProduct, PutProductReply,
        "Create or replace a product.", mutates=True,
    ),
    Operation(
        "ListProducts", "admin", "GET", "/v1/products", "products:list_products", ListProducts, ProductPage,
        "List the products.",
    ),
    Operation(
        "GetProduct", "admin", "GET", "/v1/products/{sku}", "products:get_product", GetProduct, Product,
        "Read one product.", (NotFound,),
    ),
)
