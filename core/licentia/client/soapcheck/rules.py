"""Rules of WS-I Basic Profile 1.1 for a WSDL: what toolkits of all makes were agreed to understand.

Each function is one rule, under its number and in a sentence; it yields the places that break it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lxml import etree

WSDL = "{http://schemas.xmlsoap.org/wsdl/}"
SOAP = "{http://schemas.xmlsoap.org/wsdl/soap/}"
XSD = "{http://www.w3.org/2001/XMLSchema}"
ENCODED_ARRAY = "{http://schemas.xmlsoap.org/soap/encoding/}Array"
HTTP = "http://schemas.xmlsoap.org/soap/http"
EXTENSIONS = tuple(SOAP + name for name in ("body", "fault", "header", "headerfault"))

Look = Callable[[etree._Element], Iterator[str]]


@dataclass(frozen=True)
class Rule:
    """One rule; `look` yields what breaks it in a `wsdl:definitions`."""

    number: str
    sentence: str
    look: Look


RULES: list[Rule] = []
"""All rules, in the order of their numbers."""


def rule(number: str, sentence: str) -> Callable[[Look], Look]:
    """Make a function a rule."""

    def add(look: Look) -> Look:
        RULES.append(Rule(number, sentence, look))
        return look

    return add


@rule("R2023", "wsdl:types comes before all other WSDL elements but documentation and import.")
def _types_first(root: etree._Element) -> Iterator[str]:
    names = [etree.QName(child).localname for child in root.iterchildren(WSDL + "*")]
    rest = [name for name in names if name not in ("documentation", "import")]
    if "types" in rest[1:]:
        yield "wsdl:types"


@rule("R2105", "Every schema has a target namespace, unless it only imports.")
def _schemas_have_a_namespace(root: etree._Element) -> Iterator[str]:
    for schema in root.iterfind(f"{WSDL}types/{XSD}schema"):
        imports_only = all(child.tag in (XSD + "import", XSD + "annotation") for child in schema.iterchildren("*"))
        if not (schema.get("targetNamespace") or imports_only):
            yield "a schema without targetNamespace"


@rule("R2110", "No type extends or restricts soapenc:Array.")
def _no_encoded_arrays(root: etree._Element) -> Iterator[str]:
    for derived in root.iter(XSD + "extension", XSD + "restriction"):
        if _resolved(derived, "base") == ENCODED_ARRAY:
            yield _nearest_name(derived)


@rule("R2112", "No element is named ArrayOfXXX.")
def _no_array_names(root: etree._Element) -> Iterator[str]:
    for element in root.iter(XSD + "element"):
        if element.get("name", "").startswith("ArrayOf"):
            yield element.get("name", "")


@rule("R2206", "A message part with `element` refers to a global element.")
def _parts_refer_to_elements(root: etree._Element) -> Iterator[str]:
    declared = {
        f"{{{schema.get('targetNamespace')}}}{element.get('name')}"
        for schema in root.iterfind(f"{WSDL}types/{XSD}schema")
        for element in schema.iterfind(XSD + "element")
    }
    for part in root.iterfind(f"{WSDL}message/{WSDL}part[@element]"):
        if _resolved(part, "element") not in declared:
            yield _nearest_name(part.getparent())


@rule("R2304", "The operations of a portType have different names.")
def _operations_have_names_of_their_own(root: etree._Element) -> Iterator[str]:
    for port_type in root.iterfind(WSDL + "portType"):
        counted = Counter(operation.get("name", "") for operation in port_type.iterfind(WSDL + "operation"))
        yield from (name for name, count in counted.items() if count > 1)


@rule("R2306", "No message part has both `type` and `element`.")
def _parts_are_of_one_kind(root: etree._Element) -> Iterator[str]:
    for part in root.iterfind(f"{WSDL}message/{WSDL}part[@element][@type]"):
        yield _nearest_name(part.getparent())


@rule("R2401", "Every binding is the SOAP binding of WSDL 1.1.")
def _bindings_are_soap(root: etree._Element) -> Iterator[str]:
    for binding in root.iterfind(WSDL + "binding"):
        if binding.find(SOAP + "binding") is None:
            yield binding.get("name", "")


@rule("R2702", "Every SOAP binding is over HTTP.")
def _bindings_are_over_http(root: etree._Element) -> Iterator[str]:
    for soap in root.iterfind(f"{WSDL}binding/{SOAP}binding"):
        if soap.get("transport") != HTTP:
            yield _nearest_name(soap.getparent())


@rule("R2706", "Bodies, faults and headers are literal.")
def _all_is_literal(root: etree._Element) -> Iterator[str]:
    for extension in _extensions(root):
        if extension.get("use", "literal") != "literal":
            yield _nearest_name(extension.getparent())


@rule("R2710", "The operations of a binding differ by what is on the wire.")
def _signatures_differ(root: etree._Element) -> Iterator[str]:
    elements = {
        message.get("name"): _resolved(part, "element")
        for message in root.iterfind(WSDL + "message")
        for part in message.iterfind(WSDL + "part")
    }
    for port_type in root.iterfind(WSDL + "portType"):
        inputs = [operation.find(WSDL + "input") for operation in port_type.iterfind(WSDL + "operation")]
        messages = [given.get("message", "").rpartition(":")[2] for given in inputs if given is not None]
        counted = Counter(elements.get(message, message) for message in messages)
        yield from (name for name, count in counted.items() if count > 1)


@rule("R2716", "In a document binding no body, fault or header has a namespace attribute.")
def _no_namespaces_on_documents(root: etree._Element) -> Iterator[str]:
    for extension in _extensions(root):
        if "namespace" in extension.attrib:
            yield _nearest_name(extension.getparent())


@rule("R2718", "A binding has the operations of its portType, all and no others.")
def _bindings_are_complete(root: etree._Element) -> Iterator[str]:
    offered = {port_type.get("name"): _operations(port_type) for port_type in root.iterfind(WSDL + "portType")}
    for binding in root.iterfind(WSDL + "binding"):
        if offered.get(binding.get("type", "").rpartition(":")[2]) != _operations(binding):
            yield binding.get("name", "")


@rule("R2721", "Every soap:fault has a name.")
def _faults_have_names(root: etree._Element) -> Iterator[str]:
    for soap_fault in root.iter(SOAP + "fault"):
        if not soap_fault.get("name"):
            yield _nearest_name(soap_fault.getparent())


@rule("R2754", "The name of a soap:fault is that of the wsdl:fault around it.")
def _names_of_faults_agree(root: etree._Element) -> Iterator[str]:
    for wsdl_fault in root.iterfind(f"{WSDL}binding/{WSDL}operation/{WSDL}fault"):
        for soap_fault in wsdl_fault.iterfind(SOAP + "fault"):
            if soap_fault.get("name") not in (None, wsdl_fault.get("name")):
                yield _nearest_name(wsdl_fault.getparent())


def _extensions(root: etree._Element) -> Iterator[etree._Element]:
    for binding in root.iterfind(WSDL + "binding"):
        yield from binding.iter(*EXTENSIONS)


def _operations(parent: etree._Element) -> list[str]:
    return sorted(operation.get("name", "") for operation in parent.iterfind(WSDL + "operation"))


def _resolved(element: etree._Element, attribute: str) -> str:
    """The qualified name that an attribute holds, as `{namespace}name`."""
    prefix, _, name = element.get(attribute, "").rpartition(":")
    namespace = element.nsmap.get(prefix or None)
    return f"{{{namespace}}}{name}" if namespace else name


def _nearest_name(element: etree._Element | None) -> str:
    """The name of an element or, without one, of what is around it."""
    while element is not None:
        if name := element.get("name"):
            return name
        element = element.getparent()
    return "definitions"
