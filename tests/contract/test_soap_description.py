"""The WSDL and the XML Schema: what they promise, and that they are made from the contract alone."""

from __future__ import annotations

import difflib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import msgspec
import pytest
import zeep
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from msgspec import structs

from licentia.contract import OPERATIONS
from licentia.contract.operation import Service
from licentia_gateways.soap import wsdl
from licentia_gateways.soap.description import xml_schema
from licentia_gateways.soap.shape import Scalar, Shape, camel, shape, snake

GOLDEN = Path(__file__).parents[1] / "golden"
SERVICES: tuple[Service, ...] = get_args(Service)
WSDL = "{http://schemas.xmlsoap.org/wsdl/}"
SOAP = "{http://schemas.xmlsoap.org/wsdl/soap/}"
SOAP12 = "{http://schemas.xmlsoap.org/wsdl/soap12/}"
XSD = "{http://www.w3.org/2001/XMLSchema}"


def described(service: Service, version: str = "1.1") -> etree._Element:
    """The WSDL as a tree."""
    return etree.fromstring(wsdl(service, f"http://localhost:8400/soap/{service}", version))


@pytest.mark.parametrize("service", SERVICES)
def test_the_wsdl_changes_only_on_purpose(service: Service) -> None:
    """The WSDL is the committed one, byte for byte."""
    made = wsdl(service, f"http://localhost:8400/soap/{service}").decode()
    committed = (GOLDEN / f"{service}.wsdl").read_text("utf-8")
    changes = "".join(difflib.unified_diff(committed.splitlines(True), made.splitlines(True), "committed", "made"))
    assert not changes, f"{changes}\nIf this is meant: licentia contract export tests/golden"


def test_the_wsdl_does_not_depend_on_the_hash_seed() -> None:
    """Two processes with different hash seeds write the same bytes."""
    code = "from licentia_gateways.soap import wsdl; print(wsdl('depot', 'http://localhost'))"
    made = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(made) == 1


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_is_described_as_document_literal_wrapped(service: Service) -> None:
    """Each operation of the contract has one input, one output and the typed fault, bound as document/literal."""
    root = described(service)
    expected = {operation.name for operation in OPERATIONS if operation.service == service}
    port_type = root.find(WSDL + "portType")
    assert {operation.get("name") for operation in port_type.iter(WSDL + "operation")} == expected
    for operation in port_type.iter(WSDL + "operation"):
        name = operation.get("name")
        assert operation.get("parameterOrder") is None
        assert operation.findtext(WSDL + "documentation")
        messages = [child.get("message") for child in operation if child.get("message")]
        assert messages == [f"tns:{name}", f"tns:{name}Response", "tns:LicensingFault"]
    binding = root.find(WSDL + "binding")
    assert binding.find(SOAP + "binding").get("style") == "document"
    actions = [operation.get("soapAction") for operation in binding.iter(SOAP + "operation")]
    assert sorted(actions) == sorted(f"urn:licentia:{service}:1/{name}" for name in expected)
    uses = {element.get("use") for tag in ("body", "fault") for element in binding.iter(SOAP + tag)}
    assert uses == {"literal"}


@pytest.mark.parametrize("service", SERVICES)
def test_parts_are_named_so_that_toolkits_unwrap_them(service: Service) -> None:
    """Each message has one part, `parameters` or `fault`, that refers to an element (WS-I BP 1.1, R2204)."""
    for message in described(service).iter(WSDL + "message"):
        (part,) = message
        assert part.get("name") == ("fault" if message.get("name") == "LicensingFault" else "parameters")
        assert part.get("element") == f"tns:{message.get('name')}"
        assert part.get("type") is None


@pytest.mark.parametrize("service", SERVICES)
def test_the_elements_are_the_fields_of_the_contract(service: Service) -> None:
    """A message's children are the JSON names in camelCase, in order, required and repeated as the contract has it."""
    types = {element.get("name"): element for element in described(service).iter(XSD + "complexType")}
    for operation in OPERATIONS:
        if operation.service != service:
            continue
        for name, struct in ((operation.name, operation.request), (f"{operation.name}Response", operation.reply)):
            elements = list(types[name].iter(XSD + "element"))
            fields = structs.fields(struct) if struct else ()
            assert [snake(element.get("name")) for element in elements] == [field.encode_name for field in fields]
            for element, field in zip(elements, fields, strict=True):
                many = element.get("maxOccurs", "1") != "1"
                assert field.required or element.get("minOccurs") == "0"
                assert many or (element.get("minOccurs", "1") == "1") == field.required
                assert element.get("nillable") is None


@pytest.mark.parametrize("service", SERVICES)
def test_bounds_are_published(service: Service) -> None:
    """Every bound of the contract stands in the schema as a facet of a named type."""
    types = {element.get("name"): element[0] for element in described(service).iter(XSD + "simpleType")}
    checked = 0
    for scalar in scalars(service):
        if scalar.name is None:
            continue
        facets = [(etree.QName(facet).localname, facet.get("value")) for facet in types[scalar.name]]
        expected = [("enumeration", value) for value in scalar.values]
        expected += [("minLength", str(scalar.min_length))] if scalar.min_length else []
        expected += [("maxLength", str(scalar.max_length))] if scalar.max_length is not None else []
        expected += [("pattern", scalar.pattern)] if scalar.pattern else []
        expected += [("minInclusive", str(scalar.minimum))] if scalar.minimum is not None else []
        expected += [("maxInclusive", str(scalar.maximum))] if scalar.maximum is not None else []
        assert facets == expected
        if scalar.kind == "integer":
            small = scalar.maximum is not None and scalar.maximum < 2**31
            assert types[scalar.name].get("base") == ("xs:int" if small else "xs:long")
        checked += 1
    assert checked


def scalars(service: Service) -> list[Scalar]:
    """Every scalar that a service's messages hold."""
    found: list[Scalar] = []

    def visit(model: Shape) -> None:
        for field in model.fields:
            if isinstance(field.type, Shape):
                visit(field.type)
            else:
                found.append(field.type)

    for operation in OPERATIONS:
        if operation.service == service:
            visit(shape(operation.request))
            if operation.reply:
                visit(shape(operation.reply))
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_the_basic_profile_is_kept(service: Service) -> None:
    """`?wsdl` has the SOAP 1.1 binding alone over HTTP (WS-I BP 1.1, R2401, R2702), and one element per name."""
    root = described(service)
    assert root.get("targetNamespace") == f"urn:licentia:{service}:1"
    assert len(root.findall(WSDL + "binding")) == 1
    assert {b.get("transport") for b in root.iter(SOAP + "binding")} == {"http://schemas.xmlsoap.org/soap/http"}
    assert not list(root.iter(SOAP12 + "*"))
    order = [etree.QName(child).localname for child in root.iterchildren(WSDL + "*")]
    assert sorted(order, key=["types", "message", "portType", "binding", "service"].index) == order
    schema = root.find(f"{WSDL}types/{XSD}schema")
    assert schema.get("elementFormDefault") == "qualified"
    elements = {element.get("name") for element in schema.findall(XSD + "element")}
    assert elements == {message.get("name") for message in root.iter(WSDL + "message")}


@pytest.mark.parametrize("service", SERVICES)
def test_the_second_wsdl_adds_soap_12(service: Service) -> None:
    """`?wsdl12` has the same operations once more, bound to SOAP 1.2, at the same address."""
    root = described(service, "1.2")
    ports = [port.get("name") for port in root.iter(WSDL + "port")]
    name = service.capitalize()
    assert ports == [f"{name}Soap11", f"{name}Soap12"]
    assert len({a.get("location") for tag in (SOAP, SOAP12) for a in root.iter(tag + "address")}) == 1
    first, second = root.findall(WSDL + "binding")
    assert [o.get("name") for o in first.iter(WSDL + "operation")] == [
        o.get("name") for o in second.iter(WSDL + "operation")
    ]
    assert len(list(second.iter(SOAP12 + "*"))) == len(list(first.iter(SOAP + "*")))


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_zeep_reads_it(service: Service, version: str, tmp_path: Path) -> None:
    """A SOAP library finds every operation in the WSDL."""
    file = tmp_path / "service.wsdl"
    file.write_bytes(wsdl(service, "http://localhost/soap", version))
    client = zeep.Client(str(file))
    expected = {operation.name for operation in OPERATIONS if operation.service == service}
    for port in client.wsdl.services[f"{service.capitalize()}Service"].ports.values():
        assert set(port.binding.all()) == expected


def test_a_type_that_soap_cannot_carry_is_found_at_the_start() -> None:
    """Whoever gives the contract a type without a form in XML is told so, with the field's name."""
    with pytest.raises(TypeError, match="WeightGrams"):
        shape(msgspec.defstruct("Weight", [("grams", float)], namespace={"__module__": __name__}))


def test_names_survive_the_way_to_xml_and_back() -> None:
    """No two fields of one struct share an element name, and each comes back from it."""
    assert camel("order_number") == "orderNumber"
    assert camel("from") == "from"
    assert snake("notKnownHere") == "not_known_here"
    for operation in OPERATIONS:
        for struct in filter(None, (operation.request, operation.reply)):
            names = [field.encode_name for field in structs.fields(struct)]
            assert [snake(camel(name)) for name in names] == names


PATTERNS = sorted({scalar.pattern for service in SERVICES for scalar in scalars(service) if scalar.pattern})
CHARACTERS = st.characters(exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"], exclude_characters="\ufffe\uffff")
"""Characters of XML without the spaces that Python's `\\s` knows and XML Schema's does not."""


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_schema_knows_each_pattern(pattern: str) -> None:
    """A text of the contract's form has the schema's form too; one with a character outside of it has neither."""
    root = etree.fromstring(
        '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:element name="a"><xs:simpleType>'
        '<xs:restriction base="xs:string"><xs:pattern/></xs:restriction></xs:simpleType></xs:element></xs:schema>'
    )
    next(root.iter(XSD + "pattern")).set("value", pattern)
    schema = etree.XMLSchema(root)
    element = etree.Element("a")

    @given(st.from_regex(pattern, fullmatch=True, alphabet=CHARACTERS) | st.text(CHARACTERS))
    def agree(text: str) -> None:
        element.text = text
        assert schema.validate(element) == bool(re.fullmatch(pattern, text))

    agree()


@pytest.mark.parametrize("service", SERVICES)
def test_the_schema_stands_alone(service: Service) -> None:
    """The schema compiles by itself, and refuses an element that it does not know."""
    schema = etree.XMLSchema(etree.fromstring(xml_schema(service)))
    assert not schema.validate(etree.Element("nothing"))
