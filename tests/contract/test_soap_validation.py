"""Bad values get the code and the pointer that REST gives; what only XML can get wrong is explained in plain words."""

from __future__ import annotations

from typing import Any

import pytest

from licentia.contract import BY_NAME, parse
from licentia.errors import InvalidRequest

NIL = 'xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:nil'
SOURCE, NUMBER = "<source>shop</source>", "<orderNumber>7</orderNumber>"
CUSTOMER = "<customer><id>c</id></customer>"
LINE = "<lines><lineId>1</lineId><sku>a</sku><quantity>2</quantity></lines>"
ORDER = SOURCE + NUMBER + CUSTOMER + LINE + LINE
VALUES: dict[str, Any] = {
    "source": "shop",
    "order_number": "7",
    "customer": {"id": "c"},
    "lines": [{"line_id": "1", "sku": "a", "quantity": 2}, {"line_id": "1", "sku": "a", "quantity": 2}],
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The order with one value set, or taken away by `...`."""

    def change(node: Any, steps: list[str]) -> Any:
        step, *rest = steps
        if isinstance(node, list):
            return [change(item, rest) if index == int(step) else item for index, item in enumerate(node)]
        if rest:
            return node | {step: change(node[step], rest)}
        return {name: old for name, old in node.items() if name != step} | ({} if value is ... else {step: value})

    return change(VALUES, path.split("/")[1:])


@pytest.mark.parametrize(
    ("old", "new", "path", "value"),
    [
        (SOURCE, "", "/source", ...),
        (SOURCE, "<source>a b</source>", "/source", "a b"),
        (SOURCE, "<source> shop</source>", "/source", " shop"),
        (SOURCE, "<source/>", "/source", ""),
        (SOURCE, f"<source>{'x' * 65}</source>", "/source", "x" * 65),
        (SOURCE, SOURCE + SOURCE, "/source", ["shop", "shop"]),
        (SOURCE, "<source><a/></source>", "/source", {"a": ""}),
        (SOURCE, f'<source {NIL}="true"/>', "/source", ...),
        (ORDER[-len(LINE) :], LINE.replace("<sku>a", "<sku>ä"), "/lines/1/sku", "ä"),
        (ORDER[-len(LINE) :], LINE.replace("<sku>a</sku>", ""), "/lines/1/sku", ...),
        (ORDER[-len(LINE) :], LINE.replace(">2<", ">0<"), "/lines/1/quantity", 0),
        (ORDER[-len(LINE) :], LINE.replace(">2<", ">1000001<"), "/lines/1/quantity", 1_000_001),
        (ORDER[-len(LINE) :], LINE.replace(">2<", ">two<"), "/lines/1/quantity", "two"),
        (ORDER[-len(LINE) :], LINE.replace(">2<", "><"), "/lines/1/quantity", ""),
        (ORDER[-len(LINE) :], LINE.replace(">2<", "><a/><"), "/lines/1/quantity", {"a": ""}),
        (ORDER[-len(LINE) :], LINE.replace(">2<", f">{'9' * 5000}<"), "/lines/1/quantity", "9" * 5000),
        (ORDER[-len(LINE) :], LINE.replace("</lines>", "<notKnown>1</notKnown></lines>"), "/lines/1/not_known", 1),
        (LINE + LINE, "", "/lines", []),
        (CUSTOMER, CUSTOMER.replace("</id>", "</id><email>" + "x" * 255 + "</email>"), "/customer/email", "x" * 255),
        (CUSTOMER, "<customer/>", "/customer/id", ...),
        (CUSTOMER, '<customer href="#c"/>', "/customer/id", ...),
        (SOURCE, f"<foreign>1</foreign>{SOURCE}", "/foreign", 1),
    ],
)
async def test_a_bad_value_is_refused_as_by_rest(soap: Any, old: str, new: str, path: str, value: Any) -> None:
    """The fault has the code, the pointer and the explanation that the contract has for the same JSON."""
    with pytest.raises(InvalidRequest) as refusal:
        parse(BY_NAME["CreateOrder"], changed(path, value))
    head, _, tail = ORDER.rpartition(old)
    response = await soap.call("sales", "CreateOrder", head + new + tail)
    fault = soap.fault(response)
    assert (response.status_code, fault.faultcode, fault.code) == (500, "Client", "invalid_request")
    assert fault.pointers == tuple(problem.pointer for problem in refusal.value.problems) == (path,)
    if not isinstance(value, str) or not value.isdecimal():  # REST's text has the type that JSON gave it
        assert fault.message == refusal.value.detail


@pytest.mark.parametrize(
    ("fields", "pointer", "word"),
    [
        (NUMBER + SOURCE + CUSTOMER + LINE, "/order_number", "source"),
        (SOURCE + NUMBER + LINE + CUSTOMER, "/lines/0", "customer"),
        (ORDER.replace("<source>", '<source xmlns="urn:x">'), "/source", "{urn:x}source"),
        (ORDER.replace("<source>", "<Source>").replace("</source>", "</Source>"), "/source", "Source"),
        (ORDER.replace("<id>", '<id href="#c">'), "/customer/id", "href"),
        (ORDER.replace("<id>", '<id xmlns:x="urn:x" x:y="1">'), "/customer/id", "{urn:x}y"),
        (f"text{ORDER}", "", "CreateOrder"),
        (ORDER + LINE.replace(">2<", ">2.0<"), "/lines/2/quantity", "quantity"),
        (
            ORDER + LINE.replace("<lineId>1</lineId><sku>a</sku>", "<sku>a</sku><lineId>1</lineId>"),
            "/lines/2/sku",
            "lineId",
        ),
    ],
)
async def test_what_only_xml_can_get_wrong_is_explained(soap: Any, fields: str, pointer: str, word: str) -> None:
    """Order, namespace, attributes and stray text are refused with the element and what was expected."""
    fault = soap.fault(await soap.call("sales", "CreateOrder", fields))
    assert (fault.code, fault.pointers) == ("invalid_request", (pointer,))
    assert word in fault.message


async def test_a_prefix_does_not_matter(soap: Any) -> None:
    """Elements with a prefix are the same elements, and are pointed at alike."""
    body = (
        '<o:CreateOrder xmlns:o="urn:licentia:sales:1"><o:orderNumber>7</o:orderNumber><o:source>s</o:source>'
        "<o:customer><o:id>c</o:id></o:customer><o:lines><o:lineId>1</o:lineId><o:sku>a</o:sku><o:quantity>1</o:quantity>"
        "</o:lines></o:CreateOrder>"
    )
    assert soap.fault(await soap.post("sales", soap.envelope(body))).pointers == ("/order_number",)


@pytest.mark.parametrize("outer", ["", 'xmlns:p="urn:licentia:sales:1"'])
async def test_a_prefix_declared_inside_is_explained_without_a_pointer(soap: Any, outer: str) -> None:
    """Where a prefix means something else further inside, the explanation names the element and points at the whole."""
    fields = ORDER.replace("<source>", '<p:source xmlns:p="urn:x">').replace("</source>", "</p:source>")
    body = f'<CreateOrder xmlns="urn:licentia:sales:1" {outer}>{fields}</CreateOrder>'
    fault = soap.fault(await soap.post("sales", soap.envelope(body)))
    assert fault.pointers == ("",)
    assert "{urn:x}source" in fault.message


async def test_a_refused_value_is_not_repeated(soap: Any) -> None:
    """The explanation names the element, not its value, which may be a ticket code."""
    fault = soap.fault(await soap.call("licensing", "GetUsage", "<from>2026-01-01 00:00:00Z</from>"))
    assert fault.pointers == ("/from",)
    assert "2026" not in fault.message


async def test_nil_is_absent_and_not_nil_is_there(soap: Any) -> None:
    """`xsi:nil="true"` leaves an optional field out; `xsi:nil="false"` is no different from a plain element."""
    item = '<items><units {}="{}"{}<productCode>1</productCode></items>'
    for nil, rest, expected in (
        ("true", "/>", None),
        ("1", "/>", None),
        ("false", ">5</units>", "5"),
        ("0", ">5</units>", "5"),
    ):
        fields = f"<sku>a</sku><name>b</name>{item.format(NIL, nil, rest)}"
        assert soap.reply(await soap.call("admin", "PutProduct", fields)).findtext("{*}items/{*}units") == expected
    fields = f"<sku>a</sku><name>b</name>{item.format(NIL, 'true', '>5</units>')}"
    assert soap.fault(await soap.call("admin", "PutProduct", fields)).pointers == ("/items/0/units",)
    fields = f'<sku>a</sku><name {NIL}="true"/><items><productCode>1</productCode></items>'
    assert soap.fault(await soap.call("admin", "PutProduct", fields)).pointers == ("/name",)


async def test_white_space_around_numbers_and_times_is_no_part_of_them(soap: Any) -> None:
    """Numbers and times may be indented, may have a plus sign and leading zeros; text is kept exactly."""
    terms = "<quantity>\n +007\t</quantity><expiresAt>\n2030-01-02T03:04:05+02:00 </expiresAt>"
    fields = f"<sku>a</sku><name>  two  spaces </name><items>{terms}<productCode>1</productCode></items>"
    reply = soap.reply(await soap.call("admin", "PutProduct", fields))
    assert reply.findtext("{*}name") == "  two  spaces "
    assert reply.findtext("{*}items/{*}quantity") == "7"
    assert reply.findtext("{*}items/{*}expiresAt") == "2030-01-02T01:04:05Z"


@pytest.mark.parametrize("time", ["2026-01-01T00:00:00", "2026-01-01T24:00:00Z", "12026-01-01T00:00:00Z", "yesterday"])
async def test_a_time_needs_a_zone_and_a_clock(soap: Any, time: str) -> None:
    """A time without a zone, and one that only XML Schema knows, is refused as by REST."""
    fault = soap.fault(await soap.call("licensing", "GetUsage", f"<to>{time}</to>"))
    assert (fault.code, fault.pointers) == ("invalid_request", ("/to",))


async def test_an_empty_list_has_no_element(soap: Any) -> None:
    """A reply's empty list is nothing at all."""
    reply = soap.reply(await soap.call("admin", "ListProducts"))
    assert [child.tag for child in reply] == []


async def test_a_reply_without_fields_is_an_empty_element(soap: Any) -> None:
    """An operation without a reply answers with its empty response element."""
    reply = soap.reply(await soap.call("licensing", "ReleaseLease", "<leaseId>none</leaseId>"))
    assert (reply.tag, len(reply)) == ("{urn:licentia:licensing:1}ReleaseLeaseResponse", 0)


async def test_many_wrong_elements_cost_little(soap: Any) -> None:
    """A body full of unknown elements is refused at the first."""
    fault = soap.fault(await soap.call("sales", "CreateOrder", "<a/>" * 50_000))
    assert fault.pointers == ("/a",)
