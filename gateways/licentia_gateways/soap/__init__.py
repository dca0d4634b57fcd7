"""The SOAP gateway: SOAP 1.1 and 1.2, each service and its WSDL made from the operations of `licentia.contract`."""

from __future__ import annotations

from typing import get_args

from starlette.routing import Route

from licentia.contract.operation import Service
from licentia_gateways.soap.description import wsdl
from licentia_gateways.soap.service import SoapService

__all__ = ["routes", "wsdl"]


def routes() -> list[Route]:
    """One route per service, `/soap/{service}`."""
    services: tuple[Service, ...] = get_args(Service)
    return [Route(f"/soap/{service}", SoapService(service)) for service in services]
