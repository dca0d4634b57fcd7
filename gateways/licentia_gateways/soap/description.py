"""The published description of a service: its WSDL 1.1 and the XML Schema inside it.

spyne's document is brought to the rules of WS-I Basic Profile 1.1, and to what the toolkits that read
it were seen to need: parts named `parameters`, actions that are absolute URIs, no parameterOrder, no
element that nothing names, and one order that does not depend on Python's.
"""

from __future__ import annotations

from copy import deepcopy
from functools import cache, lru_cache
from typing import Literal

from lxml import etree

from licentia.contract import OPERATIONS, Operation
from licentia.contract.operation import Service
from licentia_gateways.soap import schema
from licentia_gateways.soap.faults import LicensingFault
from licentia_gateways.soap.shape import Shape, namespace, shape

SoapVersion = Literal["1.1", "1.2"]

_WSDL = "{http://schemas.xmlsoap.org/wsdl/}"
_XSD = "{http://www.w3.org/2001/XMLSchema}"
_SOAP11 = "{http://schemas.xmlsoap.org/wsdl/soap/}"
_SOAP12 = "{http://schemas.xmlsoap.org/wsdl/soap12/}"
_JAXWS = "{http://java.sun.com/xml/ns/jaxws}"
_DONE = Shape("", "Done.", ())
_ORDER = ["types", "message", "portType", "binding", "service"]


@lru_cache(maxsize=64)
def wsdl(service: Service, address: str, version: SoapVersion = "1.1") -> bytes:
    """The WSDL of a service that answers at `address`, an absolute URL.

    Version 1.1 has the SOAP 1.1 binding alone, as WS-I Basic Profile 1.1 (R2401) wants it; 1.2 adds
    the SOAP 1.2 binding (WSDL 1.1 Binding for SOAP 1.2) as a second port.
    """
    root = deepcopy(_tidied(service))
    if version == "1.2":
        _add_soap12(root)
    for prefix in (_SOAP11, _SOAP12):
        for element in root.iter(prefix + "address"):
            element.set("location", address)
    etree.cleanup_namespaces(root, keep_ns_prefixes=["tns", "xs"])
    etree.indent(root)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + etree.tostring(root) + b"\n"


@cache
def xml_schema(service: Service) -> bytes:
    """The XML Schema of a service's messages, as the WSDL holds it."""
    return etree.tostring(_schema(_tidied(service)))


def _schema(root: etree._Element) -> etree._Element:
    (found,) = root.iter(_XSD + "schema")
    return found


@cache
def _tidied(service: Service) -> etree._Element:
    described = schema.describe(service)
    prefixes = {"wsdl": _WSDL, "xs": _XSD, "soap": _SOAP11, "soap12": _SOAP12, "jaxws": _JAXWS}
    nsmap = {prefix: uri.strip("{}") for prefix, uri in prefixes.items()} | {"tns": namespace(service)}
    name = service.capitalize()
    attributes = {"name": name, "targetNamespace": namespace(service)}
    root = etree.Element(_WSDL + "definitions", attributes, nsmap=nsmap)
    _ask_java_not_to_unwrap(root)
    root.extend(sorted(described, key=lambda child: _ORDER.index(etree.QName(child).localname)))
    _tidy_schema(_schema(root), service, {part.get("element") for part in root.iter(_WSDL + "part")})
    for message in root.iter(_WSDL + "message"):
        if message.get("name") == LicensingFault.__name__:
            message[0].set("name", "fault")
    _tidy_port_type(root, service)
    binding = root.find(_WSDL + "binding")
    port = root.find(f"{_WSDL}service/{_WSDL}port")
    assert binding is not None
    assert port is not None
    for operation in binding.iter(_SOAP11 + "operation"):
        operation.set("soapAction", f"{namespace(service)}/{operation.get('soapAction')}")
    _name_port(binding, port, f"{name}Soap11")
    parent = port.getparent()
    assert parent is not None
    parent.set("name", f"{name}Service")
    return root


def _ask_java_not_to_unwrap(root: etree._Element) -> None:
    """Make one class of each message (JAX-WS 2.2, section 8.7.3).

    Unwrapped, a field that is optional in the request and always there in the reply has two types
    under one name, which wsimport refuses. All other toolkits pass over this element.
    """
    bindings = etree.SubElement(root, _JAXWS + "bindings")
    etree.SubElement(bindings, _JAXWS + "enableWrapperStyle").text = "false"


def _name_port(binding: etree._Element, port: etree._Element, name: str) -> None:
    binding.set("name", name)
    port.set("name", name)
    port.set("binding", f"tns:{name}")


def _tidy_port_type(root: etree._Element, service: Service) -> None:
    operations = {operation.name: operation for operation in OPERATIONS if operation.service == service}
    for element in root.iterfind(f"{_WSDL}portType/{_WSDL}operation"):
        del element.attrib["parameterOrder"]
        documentation = etree.Element(_WSDL + "documentation")
        documentation.text = _documentation(operations[element.get("name", "")])
        element.insert(0, documentation)


def _documentation(operation: Operation) -> str:
    codes = ", ".join(error.code for error in operation.errors)
    return operation.summary + (f" Fault codes of its own: {codes}." if codes else "")


def _tidy_schema(root: etree._Element, service: Service, named: set[str | None]) -> None:
    """Keep the elements that a message names, add the documentation, and sort."""
    shapes = _shapes(service)
    for element in root.findall(_XSD + "element"):
        if f"tns:{element.get('name')}" not in named:
            root.remove(element)
    for declared in root.findall(_XSD + "complexType"):
        model = shapes[declared.get("name", "")]
        _annotate(declared, model.description)
        for element, field in zip(declared.iter(_XSD + "element"), model.fields, strict=True):
            assert element.get("name") == field.xml_name
            _annotate(element, field.description)
    kinds = [_XSD + "simpleType", _XSD + "complexType", _XSD + "element"]
    root[:] = sorted(root, key=lambda child: (kinds.index(str(child.tag)), child.get("name", "")))


def _annotate(element: etree._Element, text: str) -> None:
    if text:
        annotation = etree.Element(_XSD + "annotation")
        etree.SubElement(annotation, _XSD + "documentation").text = text
        element.insert(0, annotation)


def _shapes(service: Service) -> dict[str, Shape]:
    """Every complex type of a service by its published name."""
    found: dict[str, Shape] = {}

    def visit(name: str, model: Shape) -> None:
        found[name] = model
        for field in model.fields:
            if isinstance(field.type, Shape):
                visit(field.type.name, field.type)

    visit(LicensingFault.__name__, shape(LicensingFault))
    for operation in OPERATIONS:
        if operation.service == service:
            visit(operation.name, shape(operation.request))
            visit(operation.name + "Response", shape(operation.reply) if operation.reply else _DONE)
    return found


def _add_soap12(root: etree._Element) -> None:
    """A second binding and port, the twins of the first in the SOAP 1.2 namespace."""
    binding = root.find(_WSDL + "binding")
    port = root.find(f"{_WSDL}service/{_WSDL}port")
    assert binding is not None
    assert port is not None
    twin_binding, twin_port = deepcopy(binding), deepcopy(port)
    for twin in (twin_binding, twin_port):
        for element in twin.iter(_SOAP11 + "*"):
            element.tag = _SOAP12 + etree.QName(element).localname
    _name_port(twin_binding, twin_port, f"{root.get('name')}Soap12")
    binding.addnext(twin_binding)
    port.addnext(twin_port)
