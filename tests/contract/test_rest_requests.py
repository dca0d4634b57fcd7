"""What REST takes for a request, and what it refuses with a pointer at the fault."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from licentia.contract import OPERATIONS
from licentia.errors import InvalidRequest
from licentia.services.application import Application
from licentia.services.identity import SCOPES
from licentia.settings import Settings
from licentia_gateways.app import create_app

PRODUCT = {"name": "CAD", "items": [{"product_code": "201001"}]}
JSON = {"Content-Type": "application/json"}


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


def refusal(answer: httpx.Response, status: int, code: str) -> list[tuple[str, str]]:
    """The problems of a refusal, once its form is checked (RFC 9457)."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"] == f"/docs/errors#{code}"
    assert problem["title"]
    assert problem["detail"]
    assert problem["help"]
    assert problem["request_id"] == answer.headers["x-request-id"]
    return [(error["pointer"], error["detail"]) for error in problem.get("errors", [])]


@pytest.mark.parametrize(
    "content",
    [
        b'{"name": "a", "name": "b"}',
        b'{"items": [{"product_code": "1", "product_code": "2"}]}',
        b'{"name": "\xff"}',
        b'{"name": "a"',
        b'{"name": "a"} {}',
        b'{"name": NaN}',
        b'{"name": "\\ud800"}',
        b'\xef\xbb\xbf{"name": "a"}',
        '{"name": "a"}'.encode("utf-16"),
        b"[]",
        b'"name"',
        b"null",
        b" ",
        b"[" * 100_000,
        b'{"a":' * 40_000 + b"1" + b"}" * 40_000,
        b"1" + b"0" * 10_000,
    ],
    ids=lambda content: content[:24].decode("latin-1"),
)
async def test_a_body_is_one_json_object(client: httpx.AsyncClient, content: bytes) -> None:
    """What is no JSON object, or could be read in two ways, is refused as a whole."""
    answer = await client.put("/v1/products/cad", content=content, headers=JSON)
    ((pointer, _),) = refusal(answer, 400, "invalid_request")
    assert pointer == ""


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "Application/JSON; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/vnd.x+json",
    ],
)
async def test_json_has_several_names(client: httpx.AsyncClient, media_type: str) -> None:
    """JSON in UTF-8 is taken under each name of its media type."""
    answer = await client.put("/v1/products/cad", content=json.dumps(PRODUCT), headers={"Content-Type": media_type})
    assert answer.is_success


@pytest.mark.parametrize(
    "media_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1", "application/jsonx"],
)
async def test_another_media_type_is_refused(client: httpx.AsyncClient, media_type: str) -> None:
    """A body that does not say to be JSON in UTF-8 is not guessed at."""
    answer = await client.put("/v1/products/cad", content=json.dumps(PRODUCT), headers={"Content-Type": media_type})
    assert refusal(answer, 415, "unsupported_media_type") == []


async def test_a_compressed_body_is_refused(client: httpx.AsyncClient) -> None:
    """Bodies are small; one that must be inflated first is a trap more often than a gain."""
    content = gzip.compress(json.dumps(PRODUCT).encode())
    answer = await client.put("/v1/products/cad", content=content, headers={**JSON, "Content-Encoding": "gzip"})
    assert refusal(answer, 415, "unsupported_media_type") == []


async def test_a_large_body_is_refused(client: httpx.AsyncClient) -> None:
    """Above `body_limit_bytes` the answer is 413 and the connection ends, whether the length was told or not."""

    async def chunks() -> Any:
        for _ in range(300):
            yield b" " * 1024

    for content in (b" " * 300_000, chunks()):
        answer = await client.put("/v1/products/cad", content=content, headers=JSON)
        assert refusal(answer, 413, "payload_too_large") == []
        assert answer.headers["connection"] == "close"


async def test_an_empty_body_is_an_empty_object(client: httpx.AsyncClient) -> None:
    """Where every field is optional nothing has to be sent; elsewhere the first missing field is named."""
    answer = await client.post("/v1/orders/shop/1/cancel")
    assert refusal(answer, 404, "not_found") == []
    answer = await client.put("/v1/products/cad")
    ((pointer, detail),) = refusal(answer, 400, "invalid_request")
    assert (pointer, detail) == ("/name", "this field is required")


@pytest.mark.parametrize(
    ("method", "path"), [(operation.method, operation.path) for operation in OPERATIONS if operation.path_fields]
)
async def test_a_field_of_the_path_stands_only_there(client: httpx.AsyncClient, method: str, path: str) -> None:
    """The path and the body, or the path and the query, cannot contradict each other."""
    name = path.partition("{")[2].partition("}")[0]
    address = path.replace("{", "").replace("}", "")
    if method in ("GET", "DELETE"):
        answer = await client.request(method, address, params={name: "x"})
    else:
        answer = await client.request(method, address, json={name: "x"})
    ((pointer, detail),) = refusal(answer, 400, "invalid_request")
    assert pointer == f"/{name}"
    assert "has its place in the path" in detail


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=1&limit=2", "/limit"),
        ("color=red", "/color"),
        ("a~b/c=1", "/a~0b~1c"),
        ("limit=0", "/limit"),
        ("limit=", "/limit"),
        ("limit", "/limit"),
        ("limit=1.5", "/limit"),
        ("limit=five", "/limit"),
        ("cursor=%C3%A4", "/cursor"),
        ("cursor=%FF", ""),
        ("&".join(f"a{number}=1" for number in range(101)), ""),
    ],
)
async def test_a_query_is_checked_like_a_body(client: httpx.AsyncClient, query: str, pointer: str) -> None:
    """A parameter that is unknown, given twice or out of its bounds is refused, never passed over."""
    answer = await client.get(f"/v1/products?{query}")
    ((found, _),) = refusal(answer, 400, "invalid_request")
    assert found == pointer


async def test_a_body_operation_takes_no_query(client: httpx.AsyncClient) -> None:
    """A field in the wrong place is not passed over."""
    answer = await client.put("/v1/products/cad?name=CAD", json=PRODUCT)
    ((pointer, _),) = refusal(answer, 400, "invalid_request")
    assert pointer == "/name"


async def test_what_a_read_sends_as_body_is_not_read(client: httpx.AsyncClient) -> None:
    """A GET's and a DELETE's body has no meaning (RFC 9110, section 9.3.1)."""
    assert (await client.request("GET", "/v1/products", content=b"{")).status_code == 200
    assert (await client.request("DELETE", "/v1/leases/a", content=b"{")).status_code == 204


async def test_a_path_is_percent_encoded_utf_8(client: httpx.AsyncClient) -> None:
    """A user's id may hold any character; what is not UTF-8 is refused, as it might stand for several users."""
    answer = await client.get("/v1/users/%C3%A4%3A%20".removesuffix("%20") + "/licenses")
    assert answer.json() == {"user": "ä:", "licenses": []}
    answer = await client.get("/v1/users/%EF%BF%BD/licenses")
    assert answer.json() == {"user": "\N{REPLACEMENT CHARACTER}", "licenses": []}
    answer = await client.get("/v1/users/%FF/licenses")
    assert refusal(answer, 400, "invalid_request") == [("/user", "this is not UTF-8")]


@pytest.mark.parametrize("given", [b"", b"a b", b"x" * 201, "ä".encode(), b"a\tb"])
async def test_an_idempotency_key_is_a_plain_word(client: httpx.AsyncClient, given: bytes) -> None:
    """Of 1 to 200 visible ASCII characters, so that it reads the same everywhere."""
    answer = await client.put("/v1/products/cad", json=PRODUCT, headers={b"Idempotency-Key": given})
    refusal(answer, 400, InvalidRequest.code)
    assert "Idempotency-Key" in answer.json()["detail"]


async def test_an_idempotency_key_comes_once(client: httpx.AsyncClient) -> None:
    """Two keys would leave open which one counts."""
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    answer = await client.request("PUT", "/v1/products/cad", json=PRODUCT, headers=headers)
    refusal(answer, 400, "invalid_request")
