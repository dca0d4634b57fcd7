"""The story with suds-community: types, operations and faults come from the WSDL when the program runs."""

# ruff: noqa: T201

import base64
import hashlib
import os

from suds import WebFault
from suds.client import Client
from suds.sax.date import DateTime
from suds.wsse import Security, UsernameToken

URL, RUN, AUTH = os.environ["LICENTIA_URL"], os.environ["RUN"], os.environ["SOAP_AUTH"]


CLIENTS = {
    service: Client(f"{URL}/soap/{service}?wsdl", cache=None) for service in ("admin", "sales", "depot", "licensing")
}


def call(service, operation, **fields):
    """Call an operation, and show the service's key in the way that is wanted."""
    client = CLIENTS[service]
    key = os.environ["KEY_" + service.upper()]
    _, key_id, secret = key.split("_", 2)
    if AUTH == "basic":
        both = base64.b64encode(f"{key_id}:{secret}".encode()).decode()
        client.set_options(headers={"Authorization": f"Basic {both}"})
    elif AUTH == "bearer":
        client.set_options(headers={"Authorization": f"Bearer {key}"})
    else:
        security = Security()
        security.tokens.append(digest(key_id, secret) if AUTH == "digest" else UsernameToken(key_id, secret))
        client.set_options(wsse=security)
    return getattr(client.service, operation)(**fields)


def digest(key_id, secret):
    """A token with a digest, which suds wants to be given; each is good for one call."""
    token = UsernameToken(key_id, secret)
    token.setcreated()
    nonce = os.urandom(16)
    token.setnonceencoding(True)
    token.setnonce(base64.b64encode(nonce).decode())
    created = str(DateTime(token.created))
    token.setpassworddigest(base64.b64encode(hashlib.sha1(nonce + (created + secret).encode()).digest()).decode())
    return token


def say(step, value):
    """Print what was seen."""
    print(f"{step}={str(value).lower() if isinstance(value, bool) else value}")


def refusal(service, operation, **fields):
    """The detail of the fault that a call gives."""
    try:
        call(service, operation, **fields)
    except WebFault as fault:
        return fault.fault.detail.LicensingFault
    raise SystemExit("no fault")


product = call(
    "admin", "PutProduct", sku=RUN, name="Ä & <b>", items=[{"productCode": RUN, "quantity": 3, "features": ["x", "y"]}]
)
say("product.created", product.created)
say("product.name", product.name)
say("product.features", " ".join(product["items"][0].features))

order = {
    "source": "interop",
    "orderNumber": RUN,
    "customer": {"id": "c1", "name": "Ünal & Söhne <GmbH>"},
    "lines": [{"lineId": "1", "sku": RUN, "quantity": 1}],
}
first, again = call("sales", "CreateOrder", **order), call("sales", "CreateOrder", **order)
say("order.created", first.created)
say("order.ticket", first.ticket)
say("repeat.created", again.created)
say("repeat.ticket", again.ticket)
order["lines"][0]["sku"] = "a b"
wrong = refusal("sales", "CreateOrder", **order)
say("invalid.code", wrong.code)
say("invalid.pointer", wrong.errors.pointer)

ticket = call("depot", "GetTicket", code=first.ticket)
say("ticket.customer", ticket.customer)
say("ticket.available", ticket.licenses[0].available)
activation = call("depot", "ActivateTicket", code=first.ticket, container={"kind": "cloud-lite", "user": RUN})
say("activation.state", activation.state)


def checkout(number):
    """Take a seat, or renew it."""
    return call("licensing", "CheckoutLicense", leaseId=f"{RUN}-{number}", productCode=RUN, user=RUN)


leases = [checkout(number) for number in (1, 2, 3)]
say("checkout.seats", " ".join(str(lease.seatsInUse) for lease in leases))
say("checkout.seconds", int((leases[0].expiresAt - leases[0].grantedAt).total_seconds()))
fourth = {"leaseId": f"{RUN}-4", "productCode": RUN, "user": RUN}
say("refusal.code", refusal("licensing", "CheckoutLicense", **fourth).code)
say("renewal.created", checkout(1).created)
listed = call("licensing", "ListLeases", productCode=RUN)
say("leases", " ".join(sorted(lease.leaseId[-1] for lease in listed.leases)))
call("licensing", "ReleaseLease", leaseId=f"{RUN}-1")
listed = call("licensing", "ListLeases", productCode=RUN)
say("released", " ".join(sorted(lease.leaseId[-1] for lease in listed.leases)))
