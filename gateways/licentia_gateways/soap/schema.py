"""The types and operations of a service for spyne, and the WSDL that spyne makes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lxml import etree

from licentia.contract import OPERATIONS, Operation
from licentia.contract.operation import Service
from licentia_gateways.soap import _spyne as spyne
from licentia_gateways.soap.faults import LicensingFault
from licentia_gateways.soap.shape import Field, Scalar, Shape, namespace, shape

_INT_MAX = 2**31 - 1


def describe(service: Service) -> etree._Element:
    """The WSDL of a service as spyne writes it: sound, but to be tidied before anyone sees it."""
    operations = [operation for operation in OPERATIONS if operation.service == service]
    types = _Types(service)
    methods = {operation.name: _method(operation, types) for operation in operations}
    name = service.capitalize()
    application = spyne.Application(
        [type(spyne.Service)(name, (spyne.Service,), methods)],
        tns=namespace(service),
        name=name,
        in_protocol=spyne.Soap11(),
        out_protocol=spyne.Soap11(),
    )
    application.transport = "http://schemas.xmlsoap.org/soap/http"
    document = spyne.Wsdl11(application.interface)
    document.build_interface_document("http://localhost")
    return etree.fromstring(document.get_interface_document())


def _method(operation: Operation, types: _Types) -> Callable[..., Any]:
    request = shape(operation.request)
    reply = shape(operation.reply).fields if operation.reply else ()

    def described_only() -> None: ...

    described_only.__name__ = operation.name
    declare = spyne.srpc(
        *(types.element(field) for field in request.fields),
        _args=[field.xml_name for field in request.fields],
        _returns=[types.element(field) for field in reply],
        _throws=[types.complex(shape(LicensingFault))],
        _wsdl_part_name="parameters",
        **({"_out_variable_names": [field.xml_name for field in reply]} if reply else {}),
    )
    method: Callable[..., Any] = declare(described_only)
    return method


class _Types:
    """The spyne types of one service; a complex type is made once."""

    def __init__(self, service: Service) -> None:
        self._namespace = namespace(service)
        self._complex: dict[str, Any] = {}

    def element(self, field: Field) -> Any:
        """The type of an element, with how often it occurs."""
        occurs = {
            "min_occurs": field.minimum,
            "max_occurs": "unbounded" if field.maximum is None else field.maximum,
            "nillable": False,
        }
        if isinstance(field.type, Shape):
            return self.complex(field.type).customize(**occurs)
        base, bounds = _restriction(field.type)
        if field.type.name:
            bounds |= {"type_name": field.type.name, "__namespace__": self._namespace}
        return base.customize(**bounds, **occurs)

    def complex(self, model: Shape) -> Any:
        """The complex type of a shape."""
        if model.name not in self._complex:
            members = [(field.xml_name, self.element(field)) for field in model.fields]
            self._complex[model.name] = spyne.ComplexModel.produce(self._namespace, model.name, members)
        return self._complex[model.name]


def _restriction(scalar: Scalar) -> tuple[Any, dict[str, Any]]:
    match scalar.kind:
        case "integer":
            small = scalar.maximum is not None and scalar.maximum <= _INT_MAX
            base = spyne.Integer32 if small else spyne.Integer64
            return base, {"ge": scalar.minimum, "le": scalar.maximum}
        case "boolean":
            return spyne.Boolean, {}
        case "time":
            return spyne.DateTime, {}
        case _:
            facets = {
                "min_len": scalar.min_length,
                "max_len": scalar.max_length,
                "pattern": scalar.pattern,
                "values": scalar.values or None,
            }
            return spyne.Unicode, {name: value for name, value in facets.items() if value is not None}
