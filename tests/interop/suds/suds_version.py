"""Print what suds sends to the SOAP 1.2 port."""

# ruff: noqa: T201

import os

from suds.client import Client

client = Client(os.environ["LICENTIA_URL"] + "/soap/depot?wsdl12", cache=None, nosend=True, port="DepotSoap12")
print(client.service.GetTicket(code="a").envelope.decode())
