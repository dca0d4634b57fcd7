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
from licentia_gateways.soap.shape import Shape, namespace, shape, snake

_XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
_WITH_NIL = etree.XPath("descendant-or-self::*[@xsi:nil]", namespaces={"xsi": _XSI.strip("{}")})
_NIL = {"true": True, "1": True, "false": False, "0": False}


class Validator:
    """Reads the requests of one service."""

    def __init__(self, service: Service) -> None:
        self._namespace = namespace(service)
        self._schema = etree.XMLSchema(etree.fromstring(xml_schema(service)))

    def request(self, operation: Operation, element: etree._Element) -> Request:
        """The request that the operation's element holds.

        `xsi:nil="true"` means that the element is absent. Elements are never looked up by `href` or
        `id`: each stands where it is sent.

        Raises:
            InvalidRequest: with the code and pointer that REST gives for the same value; where the
                contract has nothing against the values, the schema's own reason, such as the order.
        """
        _resolve_nil(element)
        model = shape(operation.request)
        values = reader(model, self._namespace)(element)
        valid = self._schema.validate(element)
        request = parse(operation, values, text=True)
        if not valid:
            raise self._refusal(model, element)
        return request

    def _refusal(self, model: Shape, element: etree._Element) -> InvalidRequest:
        error = cast("list[etree._LogEntry]", self._schema.error_log)[0]
        detail = re.sub(r"\{(.*?)\}", self._plain_prefix, error.message)
        if "not a valid value" in detail or "[facet" in detail:  # these repeat the value, which may be a secret
            detail = detail.partition(":")[0] + ": The text does not have the form that the schema asks for."
        return InvalidRequest.at(_pointer(model, element, error.path or ""), detail)

    def _plain_prefix(self, match: re.Match[str]) -> str:
        return "" if match[1] == self._namespace else match[0]


def _resolve_nil(element: etree._Element) -> None:
    for nil in cast("list[etree._Element]", _WITH_NIL(element)):
        is_nil = _NIL.get(nil.get(_XSI + "nil", "").strip())
        if is_nil is False or nil is element:
            del nil.attrib[_XSI + "nil"]
        elif is_nil and not len(nil) and not nil.text:
            cast("etree._Element", nil.getparent()).remove(nil)


def _pointer(model: Shape, element: etree._Element, path: str) -> str:
    """The JSON pointer of the element at libxml2's path, whose first step is `element` itself."""
    steps = path.split("/")[2:]
    prefixes = {prefix: uri for prefix, uri in element.nsmap.items() if prefix}
    try:
        found = cast("list[etree._Element]", element.xpath("/".join(steps) or ".", namespaces=prefixes))
    except etree.XPathError:  # a prefix that is declared further inside
        return ""
    if not found:
        return ""
    chain = [found[0], *found[0].iterancestors()]
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
