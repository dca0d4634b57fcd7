"""What a demo starts with: two products, an order and its ticket for each, and a key per scope."""

from __future__ import annotations

from typing import get_args

from licentia.cli.demo_info import DemoInfo, DemoProduct
from licentia.contract import BY_NAME, Service
from licentia.contract.orders import CreateOrder, CreateOrderReply, Customer, OrderLine
from licentia.contract.products import Item, PutProduct
from licentia.services.application import Application
from licentia.services.identity import OPERATOR

PRODUCTS = (
    PutProduct(
        sku="acme-cad",
        name="Acme CAD",
        items=[Item(product_code="201001", name="Acme CAD", quantity=3, features=["basic", "pro"])],
    ),
    PutProduct(
        sku="acme-render",
        name="Acme Render",
        items=[Item(product_code="201002", name="Acme Render", units=1000)],
    ),
)

CUSTOMER = Customer(id="demo", name="Demo Ltd")


async def seed(application: Application, base_url: str) -> DemoInfo:
    """Fill an empty data folder, and tell what is in it."""
    tickets = []
    for number, product in enumerate(PRODUCTS, 1001):
        await application.call(BY_NAME["PutProduct"], product, OPERATOR)
        line = OrderLine(line_id="1", sku=product.sku, quantity=1)
        order = CreateOrder(source="demo", order_number=str(number), customer=CUSTOMER, lines=[line])
        placed = await application.call(BY_NAME["CreateOrder"], order, OPERATOR)
        assert isinstance(placed, CreateOrderReply)
        tickets.append(placed.ticket)
    keys = {
        scope: (await application.create_key(frozenset({scope}), f"demo {scope}"))[1] for scope in get_args(Service)
    }
    items = [(product.sku, product.items[0]) for product in PRODUCTS]
    products = [DemoProduct(sku=sku, product_code=item.product_code, quantity=item.quantity) for sku, item in items]
    return DemoInfo(base_url=base_url, keys=keys, tickets=tickets, products=products)
