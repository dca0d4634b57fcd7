"""The OpenAPI document and the reference pages say exactly what the contract says."""

from __future__ import annotations

import difflib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from licentia.contract import OPERATIONS, Operation, parse
from licentia.contract.types import WHOLE
from licentia.errors import catalogue
from licentia.settings import Settings
from licentia_gateways.rest import examples
from licentia_gateways.rest.openapi import document, published, successes
from licentia_gateways.rest.reference import errors_page, operations_page

GOLDEN = Path(__file__).parents[1] / "golden" / "openapi.json"
OPERATION = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


def described(operation: Operation) -> dict[str, Any]:
    """What the document says of an operation."""
    found: dict[str, Any] = document(Settings())["paths"][operation.path][operation.method.lower()]
    return found


def declared_codes(operation: Operation) -> set[str]:
    """The codes of all refusals that the document declares for an operation."""
    refusals = [response["$ref"] for response in described(operation)["responses"].values() if "$ref" in response]
    components = document(Settings())["components"]["responses"]
    contents = [components[name.rpartition("/")[2]]["content"]["application/problem+json"] for name in refusals]
    return {code for content in contents for code in content["schema"]["allOf"][1]["properties"]["code"]["enum"]}


def test_the_document_is_the_golden_one() -> None:
    """The published interface changes only on purpose."""
    now = published(Settings()).decode()
    golden = GOLDEN.read_text("utf-8")
    difference = list(difflib.unified_diff(golden.splitlines(), now.splitlines(), "golden", "now", lineterm="", n=1))
    assert now == golden, "\n".join(
        ["The interface changed. If that is meant: licentia contract export tests/golden", *difference[:80]]
    )


def test_the_document_is_valid_openapi() -> None:
    """Every tool that reads OpenAPI 3.1 can read it."""
    OpenAPIV31SpecValidator(document(Settings())).validate()


def test_the_server_is_the_public_url() -> None:
    """A client that is generated from the document calls the address that the vendor published."""
    assert document(Settings(public_url="https://licenses.example/"))["servers"] == [
        {"url": "https://licenses.example"}
    ]
    assert document(Settings())["servers"] == [{"url": "/"}]


def test_no_pattern_keeps_what_only_python_needs() -> None:
    """Patterns are plain ECMA 262, without the look-ahead that closes a gap of Python's `$`."""
    assert json.dumps(WHOLE)[1:-1] not in json.dumps(document(Settings()))


@OPERATION
def test_each_field_has_its_place(operation: Operation) -> None:
    """A field stands in the path, the query or the body, in one of them, and in no other."""
    entry = described(operation)
    places = {parameter["name"]: parameter["in"] for parameter in entry["parameters"] if parameter["in"] != "header"}
    if "requestBody" in entry:
        schema = document(Settings())["components"]["schemas"][operation.request.__name__]
        assert schema["additionalProperties"] is False
        assert not set(schema["properties"]) & set(places)
        places |= dict.fromkeys(schema["properties"], "body")
    beside = "body" if operation.method in ("PUT", "POST") else "query"
    assert places == {
        field.encode_name: "path" if field.encode_name in operation.path_fields else beside
        for field in msgspec.structs.fields(operation.request)
    }


@OPERATION
def test_each_error_is_declared(operation: Operation) -> None:
    """Every code that an operation may answer is listed.

    A key that is not needed and a body that is not taken cannot be wrong, an Idempotency-Key can.
    """
    cannot = {"unauthenticated", "forbidden"} if operation.open else set()
    if "requestBody" not in described(operation):
        cannot |= {"payload_too_large", "unsupported_media_type"}
    can = {"idempotency_mismatch"} if operation.mutates else set()
    assert declared_codes(operation) == {error.code for error in operation.all_errors} - cannot | can
    for error in operation.all_errors:
        assert error.code in cannot or str(error.status) in described(operation)["responses"]


@OPERATION
def test_each_success_is_declared_with_its_reply(operation: Operation) -> None:
    """Each status of a success names the reply, and 204 has none."""
    responses = described(operation)["responses"]
    for status in successes(operation):
        content = responses[str(status)].get("content", {})
        if operation.reply is None:
            assert content == {}
        else:
            assert content["application/json"]["schema"]["$ref"].endswith("/" + operation.reply.__name__)


@OPERATION
def test_each_operation_says_which_key_it_needs(operation: Operation) -> None:
    """The scope is told where a key is needed; open operations say that none is."""
    entry = described(operation)
    assert entry["operationId"] == operation.name
    assert entry["tags"] == [operation.service]
    assert entry.get("x-scope") == (None if operation.open else operation.service)
    assert entry["security"] == ([] if operation.open else [{"bearer": []}, {"basic": []}])


def test_replies_have_all_their_fields() -> None:
    """A reply never lacks a field, so each is required there and may be null."""
    schemas = document(Settings())["components"]["schemas"]
    for operation in OPERATIONS:
        if operation.reply is not None:
            schema = schemas[operation.reply.__name__]
            assert schema["required"] == list(schema["properties"])


@pytest.mark.parametrize(
    ("made_by", "led_to"),
    [
        ("CreateOrder", {"GetOrder", "CancelOrder", "GetTicket", "ActivateTicket"}),
        ("ActivateTicket", {"GetActivation", "ReturnActivation", "MoveActivation"}),
        ("CheckoutLicense", {"ReleaseLease"}),
        ("PutProduct", {"GetProduct"}),
    ],
)
def test_links_lead_from_what_was_made(made_by: str, led_to: set[str]) -> None:
    """A tool can follow the links from an order to its ticket, and from a lease to its release."""
    (operation,) = (operation for operation in OPERATIONS if operation.name == made_by)
    for status in successes(operation):
        assert led_to <= set(described(operation)["responses"][str(status)]["links"])


@OPERATION
def test_each_example_is_a_valid_request(operation: Operation) -> None:
    """The example that the reference shows would pass the checks of the contract."""
    values = {**dict.fromkeys(operation.path_fields, "x"), **(examples.body(operation) or {})}
    parse(operation, values)
    assert "{" not in examples.path(operation)


class Page(HTMLParser):
    """What matters of a page: its anchors, its links, and that no tag is left open."""

    VOID = frozenset({"meta", "link", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.anchors: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name == "id":
                self.anchors.append(value or "")
            if name == "href":
                self.links.append(value or "")
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


PAGES = {"/docs": operations_page("https://licenses.example"), "/docs/errors": errors_page()}


@pytest.mark.parametrize("address", PAGES)
def test_every_link_within_the_reference_leads_somewhere(address: str) -> None:
    """No anchor stands twice, and each link within the two pages meets one."""
    anchors = {page: Page(html).anchors for page, html in PAGES.items()}
    assert len(anchors[address]) == len(set(anchors[address]))
    for link in Page(PAGES[address]).links:
        page, hash_sign, anchor = link.partition("#")
        if hash_sign and (page or address) in anchors:
            assert anchor in anchors[page or address], link


@pytest.mark.parametrize("address", PAGES)
def test_the_reference_needs_no_script_and_no_stranger(address: str) -> None:
    """The pages hold no script, no inline style, no event handler and nothing of another server."""
    page = Page(PAGES[address])
    assert not page.tags & {"script", "style", "iframe", "img", "form"}
    assert not {name for name in page.attributes if name == "style" or name.startswith("on")}
    assert all(link.startswith(("/", "#")) for link in page.links)


def test_the_reference_shows_every_operation_and_field() -> None:
    """Each operation stands there with its REST address, its SOAP name and all its fields."""
    articles = dict(re.findall(r'<article id="(\w+)">(.*?)</article>', PAGES["/docs"], re.DOTALL))
    for operation in OPERATIONS:
        text = "".join(Page(articles[operation.name]).text)
        assert f"{operation.method} {operation.path}" in text
        assert f"SOAP {operation.name}" in text
        for field in msgspec.structs.fields(operation.request):
            assert f"<code>{field.encode_name}</code>" in articles[operation.name]
        for error in operation.errors:
            assert error.code in text


def test_every_code_has_its_place_in_the_catalogue() -> None:
    """The `type` of each problem leads to a paragraph that says what to do."""
    articles = dict(re.findall(r'<article id="(\w+)">(.*?)</article>', PAGES["/docs/errors"], re.DOTALL))
    assert sorted(articles) == sorted(catalogue())
    for name, error in catalogue().items():
        text = "".join(Page(articles[name]).text)
        assert f"{name} {error.status}" in text
        assert error.help.replace("`", "") in text
