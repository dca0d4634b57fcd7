"""What every REST answer has: its status, its headers, the right methods, and no secret anywhere."""

from __future__ import annotations

from base64 import b64encode
from collections import defaultdict
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
import structlog

from licentia.contract import OPERATIONS, Operation
from licentia.services.application import Application
from licentia.services.identity import SCOPES
from licentia.settings import Settings
from licentia_gateways.app import create_app
from licentia_gateways.rest import examples

METHODS = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE")
NEEDING_A_KEY = [operation for operation in OPERATIONS if not operation.open]


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def application(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Application]:
    """One application for all tests here, as none of them depends on what is in it."""
    opened = await Application.open(Settings(data=tmp_path_factory.mktemp("data")))
    yield opened
    await opened.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def key(application: Application) -> str:
    """A key with all scopes."""
    _, key = await application.create_key(SCOPES)
    return key


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(application: Application, key: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client that sends the key."""
    transport = httpx.ASGITransport(create_app(application), client=("127.0.0.1", 4711))
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as opened:
        yield opened


def address(operation: Operation) -> str:
    """The operation's path with some value in each place."""
    return operation.path.replace("{", "").replace("}", "")


def by_path() -> dict[str, set[str]]:
    """The methods of each path, as the contract has them."""
    methods: dict[str, set[str]] = defaultdict(lambda: {"OPTIONS"})
    for operation in OPERATIONS:
        methods[address(operation)] |= {operation.method} | ({"HEAD"} if operation.method == "GET" else set())
    return methods


@pytest.mark.parametrize(("path", "methods"), by_path().items())
async def test_a_path_answers_exactly_its_methods(client: httpx.AsyncClient, path: str, methods: set[str]) -> None:
    """Any other method gets 405, and `Allow` names all that are answered (RFC 9110, section 15.5.6)."""
    for method in METHODS:
        answer = await client.request(method, path)
        assert (answer.status_code == 405) is (method not in methods), method
        if answer.status_code == 405 or method == "OPTIONS":
            assert set(answer.headers["allow"].split(", ")) == methods
    assert (await client.request("PATCH", path)).json()["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/", "/v1/products/", "/v1/leases/a/b", "/V1/products", "/docs/", "/soap"]
)
async def test_an_unknown_address_is_a_problem(client: httpx.AsyncClient, path: str) -> None:
    """Where nothing is, the answer is 404 as a problem, and never a redirect."""
    answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "not_found"


@pytest.mark.parametrize("operation", NEEDING_A_KEY, ids=lambda operation: operation.name)
async def test_an_operation_wants_its_scope(
    application: Application, client: httpx.AsyncClient, operation: Operation
) -> None:
    """Without a key it is 401 with a challenge, before a look at the request; with a key of another scope 403."""
    path = address(operation)
    answer = await client.request(operation.method, path, headers={"Authorization": ""}, content=b"{")
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert [value.partition(" ")[0] for value in answer.headers.get_list("www-authenticate")] == ["Bearer", "Basic"]
    _, key = await application.create_key(SCOPES - {operation.service})
    headers = {"Authorization": f"Bearer {key}"}
    valid = await client.request(operation.method, path, headers=headers, json=examples.body(operation))
    assert (valid.status_code, valid.json()["code"]) == (403, "forbidden")
    assert operation.service in valid.json()["detail"]


async def test_a_key_may_come_as_basic(client: httpx.AsyncClient, key: str) -> None:
    """The key's id and its secret, or the whole key as secret, are as good as Bearer."""
    _, key_id, secret = key.split("_", 2)
    for password in (secret, key):
        given = b64encode(f"{key_id}:{password}".encode()).decode()
        answer = await client.get("/v1/products", headers={"Authorization": f"Basic {given}"})
        assert answer.status_code == 200


@pytest.mark.parametrize("given", ["Bearer lic_A_b", "Bearer x", "Bearer", "Basic x", "Basic eDp5", "Digest x", "x"])
async def test_a_wrong_key_is_refused(client: httpx.AsyncClient, given: str) -> None:
    """Whatever is no key of ours gets 401."""
    answer = await client.get("/v1/products", headers={"Authorization": given})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


async def test_an_open_operation_asks_for_nothing(client: httpx.AsyncClient) -> None:
    """The public keys are for everyone, and a broken Authorization header does not matter there."""
    answer = await client.get("/v1/keys", headers={"Authorization": "x"})
    assert answer.status_code == 200
    assert answer.json()["keys"]


async def test_head_is_a_get_without_its_body(client: httpx.AsyncClient) -> None:
    """HEAD answers the same status and headers."""
    get, head = await client.get("/v1/products"), await client.head("/v1/products")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.content))


async def test_the_log_tells_who_did_what(client: httpx.AsyncClient, key: str) -> None:
    """The line names the operation, the route's template, the key's id and the caller's address."""
    with structlog.testing.capture_logs() as lines:
        await client.put("/v1/leases/a", json={"product_code": "1", "user": "u"})
    (line,) = [line for line in lines if line["event"] == "request"]
    assert line["actor"] == key.split("_")[1]
    assert (line["gateway"], line["operation"], line["route"]) == ("rest", "CheckoutLicense", "/v1/leases/{lease_id}")
    assert (line["method"], line["status"], line["address"]) == ("PUT", 422, "127.0.0.1")
    assert line["code"] == "product_unknown"


async def test_the_documentation_is_served(client: httpx.AsyncClient) -> None:
    """The document, the reference and its style are open to all, and the pages forbid all but their style."""
    for path, kind in {
        "/openapi.json": "application/json",
        "/docs": "text/html; charset=utf-8",
        "/docs/errors": "text/html; charset=utf-8",
        "/docs/style.css": "text/css; charset=utf-8",
    }.items():
        answer = await client.get(path, headers={"Authorization": ""})
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self';")
    assert (await client.get("/openapi.json")).json()["openapi"] == "3.1.1"
