"""The story with zeep: types, operations and faults come from the WSDL when the program runs."""

# ruff: noqa: T201

import os

import requests
import zeep
from zeep.wsse.username import UsernameToken

URL, RUN, AUTH = os.environ["LICENTIA_URL"], os.environ["RUN"], os.environ["SOAP_AUTH"]
WSDL, PORT = {"1.1": ("wsdl", "Soap11"), "1.2": ("wsdl12", "Soap12")}[os.environ["SOAP_VERSION"]]


def client(service):
    """A proxy of one service, which shows its key in the way that is wanted."""
    key = os.environ["KEY_" + service.upper()]
    _, key_id, secret = key.split("_", 2)
    session, wsse = requests.Session(), None
    if AUTH == "basic":
        session.auth = (key_id, secret)
    elif AUTH == "bearer":
        session.headers["Authorization"] = f"Bearer {key}"
    else:
        wsse = UsernameToken(key_id, secret, use_digest=AUTH == "digest")
    made = zeep.Client(f"{URL}/soap/{service}?{WSDL}", transport=zeep.Transport(session=session), wsse=wsse)
    return made, made.bind(f"{service.capitalize()}Service", service.capitalize() + PORT)


def say(step, value):
    """Print what was seen."""
    print(f"{step}={str(value).lower() if isinstance(value, bool) else value}")


def refusal(made, call, **fields):
    """The typed detail of the fault that a call gives."""
    try:
        call(**fields)
    except zeep.exceptions.Fault as fault:
        element = fault.detail[0]
        return made.get_element(element.tag).parse(element, made.wsdl.types)
    raise SystemExit("no fault")


_, admin = client("admin")
sales_client, sales = client("sales")
_, depot = client("depot")
licensing_client, licensing = client("licensing")

product = admin.PutProduct(sku=RUN, name="Ä & <b>", items=[{"productCode": RUN, "quantity": 3, "features": ["x", "y"]}])
say("product.created", product.created)
say("product.name", product.name)
say("product.features", " ".join(product["items"][0].features))

order = {
    "source": "interop",
    "orderNumber": RUN,
    "customer": {"id": "c1", "name": "Ünal & Söhne <GmbH>"},
    "lines": [{"lineId": "1", "sku": RUN, "quantity": 1}],
}
first, again = sales.CreateOrder(**order), sales.CreateOrder(**order)
say("order.created", first.created)
say("order.ticket", first.ticket)
say("repeat.created", again.created)
say("repeat.ticket", again.ticket)
order["lines"][0]["sku"] = "a b"
wrong = refusal(sales_client, sales.CreateOrder, **order)
say("invalid.code", wrong.code)
say("invalid.pointer", wrong.errors[0].pointer)

ticket = depot.GetTicket(code=first.ticket)
say("ticket.customer", ticket.customer)
say("ticket.available", ticket.licenses[0].available)
activation = depot.ActivateTicket(code=first.ticket, container={"kind": "cloud-lite", "user": RUN})
say("activation.state", activation.state)


def checkout(number):
    """Take a seat, or renew it."""
    return licensing.CheckoutLicense(leaseId=f"{RUN}-{number}", productCode=RUN, user=RUN)


leases = [checkout(number) for number in (1, 2, 3)]
say("checkout.seats", " ".join(str(lease.seatsInUse) for lease in leases))
say("checkout.seconds", int((leases[0].expiresAt - leases[0].grantedAt).total_seconds()))
fourth = {"leaseId": f"{RUN}-4", "productCode": RUN, "user": RUN}
say("refusal.code", refusal(licensing_client, licensing.CheckoutLicense, **fourth).code)
say("renewal.created", checkout(1).created)
say("leases", " ".join(sorted(lease.leaseId[-1] for lease in licensing.ListLeases(productCode=RUN).leases)))
licensing.ReleaseLease(leaseId=f"{RUN}-1")
say("released", " ".join(sorted(lease.leaseId[-1] for lease in licensing.ListLeases(productCode=RUN).leases)))
