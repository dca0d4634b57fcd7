"""A real Vendure shop for tests: its process, what its owner does by the Admin API, and what a buyer does."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from vendor import PATIENCE

HERE = Path(__file__).parent
MODULES = HERE.parents[2] / ".venv-interop" / "vendure" / "node_modules"
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

LOGIN = """mutation {
  login(username: "superadmin", password: "superadmin", rememberMe: true) { ... on CurrentUser { identifier } }
}"""
PRODUCT = """mutation ($name: String!) {
  createProduct(input: {
    enabled: true, translations: [{languageCode: en, name: $name, slug: $name, description: ""}]
  }) { id }
}"""
VARIANT = """mutation ($input: [CreateProductVariantInput!]!) { createProductVariants(input: $input) { id } }"""
ADD = """mutation ($id: ID!, $quantity: Int!, $domain: String) {
  addItemToOrder(productVariantId: $id, quantity: $quantity, customFields: {domain: $domain}) {
    ... on ErrorResult { message }
  }
}"""
BUYER = """mutation ($mail: String!) {
  setCustomerForOrder(input: {emailAddress: $mail, firstName: "Ann", lastName: "Acme"}) {
    ... on ErrorResult { message }
  }
  setOrderShippingAddress(input: {fullName: "Ann Acme", streetLine1: "1 Way", countryCode: "DE"}) {
    ... on ErrorResult { message }
  }
}"""
SHIPPING = """mutation ($ids: [ID!]!) {
  setOrderShippingMethod(shippingMethodId: $ids) { ... on ErrorResult { message } }
  transitionOrderToState(state: "ArrangingPayment") { ... on ErrorResult { message } }
}"""
PAY = """mutation ($method: String!) {
  addPaymentToOrder(input: {method: $method, metadata: {}}) {
    ... on Order { code state } ... on ErrorResult { message }
  }
}"""
ORDER = """query ($code: String!) {
  orders(options: {filter: {code: {eq: $code}}}) {
    items {
      id code state updatedAt customFields { licentiaTicket licentiaProblem }
      lines { id quantity } payments { id state amount }
    }
  }
}"""
NOTES = """query ($code: String!) {
  orders(options: {filter: {code: {eq: $code}}}) {
    items { history(options: {filter: {type: {eq: "ORDER_NOTE"}}}) { items { isPublic data } } }
  }
}"""


class Api:
    """A client of one of the shop's two interfaces; it logs in by its own cookies."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=PATIENCE)

    def close(self) -> None:
        """Give up its connections."""
        self._http.close()

    def __call__(self, text: str, **variables: Any) -> dict[str, Any]:
        """The data of an answer, in which nothing may be refused."""
        answer = self._http.post("", json={"query": text, "variables": variables}).json()
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        refusals = [value for value in data.values() if isinstance(value, dict) and "message" in value]
        assert refusals == []
        return data


class Shop:
    """A shop that is up, at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.admin_url = f"{url}/admin-api"
        self.admin = Api(self.admin_url)
        self.admin(LOGIN)

    def add_article(self, sku: str, item: str | None = None) -> str:
        """Sell another article; the id of its variant."""
        product = self.admin(PRODUCT, name=sku)["createProduct"]["id"]
        variant = {
            "productId": product,
            "sku": sku,
            "price": 1000,
            "trackInventory": "FALSE",
            "customFields": {"licenceItem": item},
            "translations": [{"languageCode": "en", "name": sku}],
        }
        made: str = self.admin(VARIANT, input=[variant])["createProductVariants"][0]["id"]
        return made

    def variant(self, sku: str) -> str:
        """The id of the variant with an article number."""
        text = "query ($sku: String!) { productVariants(options: {filter: {sku: {eq: $sku}}}) { items { id } } }"
        found: str = self.admin(text, sku=sku)["productVariants"]["items"][0]["id"]
        return found

    def buy(self, *items: tuple[str, int], method: str = "invoice", mail: str = "it@acme.example") -> str:
        """A buyer orders articles and pays; the code of the order."""
        with closing(Api(f"{self.url}/shop-api")) as buyer:
            for sku, quantity in items:
                buyer(ADD, id=self.variant(sku), quantity=quantity, domain="cad.acme.example")
            buyer(BUYER, mail=mail)
            methods = buyer("{ eligibleShippingMethods { id } }")["eligibleShippingMethods"]
            buyer(SHIPPING, ids=[methods[0]["id"]])
            code: str = buyer(PAY, method=method)["addPaymentToOrder"]["code"]
            return code

    def order(self, code: str) -> dict[str, Any]:
        """An order, as the owner sees it."""
        found: dict[str, Any] = self.admin(ORDER, code=code)["orders"]["items"][0]
        return found

    def notes(self, code: str) -> list[tuple[str, bool]]:
        """The notes of an order, and whether the buyer sees them."""
        entries = self.admin(NOTES, code=code)["orders"]["items"][0]["history"]["items"]
        return [(each["data"]["note"], each["isPublic"]) for each in entries]


def needed() -> None:
    """Skip the test where Vendure is not installed."""
    if shutil.which("node") is None or not (MODULES / "@vendure" / "core").is_dir():
        pytest.skip("Vendure is not installed: run tests/integrations/vendure/setup")


@contextmanager
def running(folder: Path, *told: str, node: tuple[str, ...] = ()) -> Iterator[Shop]:
    """A shop with what it keeps in a folder; `told` is where its plugin sends orders, and the secret."""
    needed()
    command = ["node", *node, str(HERE / "shop.js"), str(folder), *told]
    environment = os.environ | {"NODE_PATH": str(MODULES)}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("http://"):
                break
        assert said, "the shop did not start"
        assert said[-1].startswith("http://"), "".join(said)
        shop = Shop(said[-1].strip())
        try:
            yield shop
        finally:
            shop.admin.close()
            process.kill()
            process.communicate()
