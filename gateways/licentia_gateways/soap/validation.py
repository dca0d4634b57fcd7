"""From the operation's element to a request: the schema answers yes or no, the contract says why."""

from __future__ import annotations

import re
from typing import cast

from lxml import etree

from licentia.contract import Operation, Request, parse
from licentia.contract.operation import Service
from licentia.errors import InvalidRequest
from licentia_gateways.soap.codec import reader
from licentia_gateways.soap.description import xml_schema
from licentia_gateways.soap.envelope import cut
from licentia_gateways.soap.shape import Shape, namespace, shape, snake

_XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
_MARKED = etree.XPath("descendant-or-self::*[@xsi:*]", namespaces={"xsi": _XSI.strip("{}")})
_NAMES = re.compile(rb":nil|:type")
_NIL = {"true": True, "1": True, "false": False, "0": False}
_IN_BRACES = re.compile(r"\{([^{}]*)\}")
_LONGEST = 2000
"""Characters of a reason in libxml2's words; a longer one repeats what the sender made long."""
_WITHOUT_A_VALUE = frozenset(
    {
        "SCHEMAV_ELEMENT_CONTENT",
        "SCHEMAV_CVC_COMPLEX_TYPE_2_1",
        "SCHEMAV_CVC_COMPLEX_TYPE_2_3",
        "SCHEMAV_CVC_COMPLEX_TYPE_3_2_1",
        "SCHEMAV_CVC_TYPE_3_1_1",
        "SCHEMAV_CVC_TYPE_3_1_2",
    }
)
"""The reasons of libxml2 that name elements and attributes only. The others repeat a value, which may be a secret."""


class Validator:
    """Reads the requests of one service."""

    def __init__(self, service: Service) -> None:
        self._namespace = namespace(service)
        self._schema = etree.XMLSchema(etree.fromstring(xml_schema(service)))

    def request(self, operation: Operation, element: etree._Element) -> Request:
        """The request that the operation's element holds.

        Elements are never looked up by `href` or `id`: each stands where it is sent.

        Raises:
            InvalidRequest: with the code and pointer that REST gives for the same value; where the
                contract has nothing against the values, the schema's own reason, such as the order.
        """
        model = shape(operation.request)
        values = reader(model, self._namespace)(element)
        valid = self._schema.validate(element)
        request = parse(operation, values)
        if not valid:
            raise self._refusal(model, element)
        return request

    def _refusal(self, model: Shape, element: etree._Element) -> InvalidRequest:
        error = cast("list[etree._LogEntry]", self._schema.error_log)[0]
        found = _found(element, error.path or "")
        pointer = "" if found is None else _pointer(model, element, found)
        return InvalidRequest.at(pointer, self._detail(error, element if found is None else found))

    def _detail(self, error: etree._LogEntry, found: etree._Element) -> str:
        name = etree.QName(found)
        if name.namespace != self._namespace:
            instead = "" if name.namespace else ", not in none"
            return f"Element '{cut(name.text)}': This element has to be in the namespace {self._namespace}{instead}."
        if error.type_name in _WITHOUT_A_VALUE and len(error.message) < _LONGEST:
            return _IN_BRACES.sub(self._plain_prefix, error.message)
        return f"Element '{cut(name.localname)}': The text does not have the form that the schema asks for."

    def _plain_prefix(self, match: re.Match[str]) -> str:
        return "" if match[1] == self._namespace else match[0]


def settle_attributes(element: etree._Element, message: bytes) -> None:
    """Apply `xsi:nil`, and leave out `xsi:type`, which toolkits of RPC style write on every element.

    `xsi:nil="true"` means that the element is absent; an `xsi:type` changes nothing. Most messages have
    neither, and `message`, the bytes that the element was read from, then lacks even their names.
    """
    if not _NAMES.search(message) and b"\0" not in message:  # zeros are those of UTF-16
        return
    for marked in cast("list[etree._Element]", _MARKED(element)):
        marked.attrib.pop(_XSI + "type", "")
        is_nil = _NIL.get(marked.get(_XSI + "nil", "").strip())
        if is_nil is False or marked is element:
            marked.attrib.pop(_XSI + "nil", "")
        elif is_nil and not len(marked) and not marked.text:
            cast("etree._Element", marked.getparent()).remove(marked)


def _found(element: etree._Element, path: str) -> etree._Element | None:
    """The element at libxml2's path, whose first step is `element` itself."""
    steps = path.split("/")[2:]
    prefixes = {prefix: uri for prefix, uri in element.nsmap.items() if prefix}
    try:
        found = cast("list[etree._Element]", element.xpath("/".join(steps) or ".", namespaces=prefixes))
    except etree.XPathError:  # a prefix that is declared further inside
        return None
    return found[0] if found else None


def _pointer(model: Shape, element: etree._Element, found: etree._Element) -> str:
    """The JSON pointer of what was found within `element`."""
    chain = [found, *found.iterancestors()]
    pointer = ""
    inner: Shape | None = model
    for child in reversed(chain[: chain.index(element)]):
        name = snake(etree.QName(child).localname)
        field = next((field for field in (inner.fields if inner else ()) if field.json_name == name), None)
        pointer += "/" + name
        if field is not None and field.repeated:
            pointer += f"/{sum(1 for _ in child.itersiblings(str(child.tag), preceding=True))}"
        inner = field.type if field is not None and isinstance(field.type, Shape) else None
    return pointer
