"""The connector of Business Central and Dataverse against its kit and Microsoft's own samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import pytest
import remote_lab as lab

from licentia.errors import InvalidRequest, Unauthenticated, Unavailable
from licentia.settings import SettingsError
from licentia.testing import ConnectorContract
from licentia_integrations.dynamics import Dynamics

SECRETS = ["the older one", "someClientState"]
URL = "https://licenses.example.com/connectors/dynamics?code=someClientState"
COMPANY = "api/v2.0/companies(b18aed47-c385-49d2-b954-dbdf8ad71780)"
RECORD = "(26814998-936a-401c-81c1-0e848a64971d)"


@pytest.fixture
def cloud() -> Iterator[Any]:
    """A Business Central and a Dataverse with the documents of the golden answers."""
    with lab.running() as system:
        documents = (lab.GOLDEN / "dynamics" / "documents.json").read_bytes()
        order = (lab.GOLDEN / "dynamics" / "dataverse_order.json").read_bytes()
        system.answers = {"api/data/v9.2/salesorders": order, "api/v2.0/companies": documents}
        yield system


def connected(url: str, **settings: Any) -> Dynamics:
    """The connector of a system at this address."""
    return Dynamics("dynamics", {"secret": SECRETS, "api": {"url": url, "password": "t-0"}, **settings})


class TestDynamics(ConnectorContract):
    """Each golden delivery, real or ours, means what is written beside it."""

    golden = lab.deliveries("dynamics")
    signed = False

    @pytest.fixture
    def connector(self, cloud: Any) -> Dynamics:
        """The connector with the secret of the subscriptions."""
        return connected(cloud.url)

    def addressed(self, delivery: Any) -> Any:
        """Dataverse has its secret in the address, Business Central in the body."""
        return msgspec.structs.replace(delivery, url=URL)

    def forged(self, delivery: Any) -> Iterable[Any]:
        """Without the address, and with other secrets in the body."""
        body = delivery.body.replace(b'"someClientState"', b'"someClientstate"')
        for url in ("", URL.replace("some", "any"), URL.replace("code", "token")):
            yield msgspec.structs.replace(delivery, body=body, url=url)


@pytest.fixture
def dynamics() -> Dynamics:
    """The connector with a token to fetch by, of nobody who is there."""
    return connected("http://127.0.0.1:9")


def notification(**fields: Any) -> dict[str, Any]:
    """A call of Business Central with one notification."""
    told = {
        "clientState": "someClientState",
        "changeType": "updated",
        "resource": f"{COMPANY}/salesOrders{RECORD}",
        **fields,
    }
    return {"value": [told]}


def test_settings_that_are_wrong_are_named() -> None:
    """Without a secret, or with an entity that nobody knows, nothing starts."""
    wrong: list[dict[str, Any]] = [
        {},
        {"secret": []},
        {"secret": "s", "entities": ["customers"]},
        {"secret": "s", "entities": []},
    ]
    for settings in wrong:
        with pytest.raises(SettingsError, match=r"\[connector.dynamics\]"):
            Dynamics("dynamics", settings)


def test_a_subscription_is_confirmed_by_its_token(dynamics: Dynamics) -> None:
    """The token comes back as text, with the signs that an address escapes; a delivery is no handshake."""
    answer = dynamics.handshake(lab.delivery(b"", url="https://x/y?validationToken=a%2Bb%20%3Cc%3E"))
    assert answer is not None
    assert (answer.status, answer.body, answer.media_type) == (200, b"a+b <c>", "text/plain; charset=utf-8")
    for url in (URL, "", "https://x/y?validationToken=", f"https://x/y?validationToken={'x' * 2001}", "https://[x"):
        assert dynamics.handshake(lab.delivery(b"", url=url)) is None


async def test_each_notification_has_to_show_the_secret(dynamics: Dynamics) -> None:
    """One that does not spoils the call, and the address does not help it."""
    good = notification()["value"][0]
    await dynamics.authenticate(lab.delivery({"value": [good, {**good, "clientState": "the older one"}]}))
    for other in ({**good, "clientState": "other"}, {**good, "clientState": None}, {**good, "clientState": ""}):
        with pytest.raises(Unauthenticated):
            await dynamics.authenticate(lab.delivery({"value": [good, other]}, url=URL))


async def test_dataverse_shows_its_secret_in_three_ways() -> None:
    """As the key of a webhook, as a header of one's own, or as others do."""
    context = lab.sample("dynamics", "dataverse_remoteexecutioncontext_contact_update.json")
    connector = connected("http://127.0.0.1:9", secret_header="X-Licentia")
    for given in (
        {"url": URL},
        {"headers": {"x-licentia": "someClientState"}},
        {"url": "https://x?secret=someClientState"},
    ):
        await connector.authenticate(lab.delivery(context, **given))
    for given in (
        {},
        {"headers": {"x-licentia": ""}},
        {"headers": {"": "someClientState"}},
        {"url": "https://x?code="},
    ):
        with pytest.raises(Unauthenticated):
            await connector.authenticate(lab.delivery(context, **given))


def test_a_call_that_is_sent_again_keeps_its_id(dynamics: Dynamics) -> None:
    """Business Central: what has changed and when; Dataverse: the operation."""
    first, second = notification()["value"][0], notification(changeType="created")["value"][0]
    one = dynamics.delivery_id(lab.delivery({"value": [first, second]}))
    assert one == dynamics.delivery_id(lab.delivery({"value": [second, {**first, "expirationDateTime": "x"}]}))
    assert one != dynamics.delivery_id(lab.delivery({"value": [{**first, "lastModifiedDateTime": "later"}, second]}))
    context = msgspec.json.decode(lab.sample("dynamics", "dataverse_remoteexecutioncontext_contact_update.json"))
    again = dynamics.delivery_id(lab.delivery({**context, "OperationCreatedOn": None}))
    assert again == dynamics.delivery_id(lab.delivery(context))
    nothing = {**context, "OperationId": "00000000-0000-0000-0000-000000000000"}
    assert dynamics.delivery_id(lab.delivery(nothing)) != dynamics.delivery_id(lab.delivery({**nothing, "Depth": 2}))


@pytest.mark.parametrize(
    "resource",
    [
        f"{COMPANY}/customers{RECORD}",
        f"{COMPANY}/salesOrders{RECORD}/../customers",
        f"https://evil.example/{COMPANY}/salesOrders{RECORD}",
        f"{COMPANY}/salesOrders{RECORD}?$filter=a&$expand=b",
        "",
    ],
)
def test_a_resource_that_is_no_order_means_nothing(dynamics: Dynamics, resource: str) -> None:
    """No pointer leads out of the collections that are known."""
    assert lab.means(dynamics, notification(resource=resource)) == ()


def test_a_collection_needs_its_query(dynamics: Dynamics) -> None:
    """One record under `collection`, or a collection under `updated`, is not what the system sends."""
    for fields in ({"changeType": "collection"}, {"resource": f"{COMPANY}/salesOrders"}):
        with pytest.raises(InvalidRequest):
            lab.means(dynamics, notification(**fields))
    with pytest.raises(InvalidRequest, match="more than 2000"):
        lab.means(dynamics, {"value": notification()["value"] * 2001})


def test_invoices_of_orders_count_where_orders_do_not() -> None:
    """Whoever follows invoices only, gets those of orders too."""
    documents = (lab.GOLDEN / "dynamics" / "documents.json").read_bytes()
    connector = Dynamics("dynamics", {"secret": "s", "entities": ["salesInvoices"], "placed_statuses": ["Paid"]})
    assert [each.order_number for each in lab.means(connector, documents)] == ["PS-INV1", "PS-INV2", "PS-INV3"]


def test_a_line_without_a_type_is_a_line(dynamics: Dynamics) -> None:
    """Only what says that it is a comment is left out."""
    kinds = (None, "Item", "Comment", " ")
    lines = [{"id": f"{number}", "lineType": kind, "quantity": 1} for number, kind in enumerate(kinds)]
    (change,) = lab.means(
        dynamics, {"number": "1", "status": "Open", "orderDate": "2026-01-01", "salesOrderLines": lines}
    )
    assert [line.line_id for line in change.lines] == ["0", "1"]


@pytest.mark.parametrize("state", [0, None, 5])
def test_an_order_that_is_being_written_means_nothing(dynamics: Dynamics, state: int | None) -> None:
    """Licenses are earned when it is submitted."""
    assert lab.means(dynamics, {"salesorderid": "x", "ordernumber": "1", "statecode": state}) == ()
    (cancelled,) = lab.means(dynamics, {"salesorderid": "x", "ordernumber": "1", "statecode": 2})
    assert (cancelled.kind, cancelled.full_snapshot) == ("cancelled", False)


@pytest.mark.parametrize(
    "fields",
    [
        {"PrimaryEntityName": "salesorderdetail", "PostEntityImages": None},
        {"PrimaryEntityId": None},
        {"PrimaryEntityId": "x') or ('"},
        {"PrimaryEntityName": "salesorderdetail", "PreEntityImages": [{"key": "a", "value": {"Attributes": [1]}}]},
    ],
)
def test_a_context_that_names_no_order_is_refused(dynamics: Dynamics, fields: dict[str, Any]) -> None:
    """A line without its order, and an id that is none."""
    with pytest.raises(InvalidRequest):
        lab.means(dynamics, {"PrimaryEntityName": "salesorder", "MessageName": "Update", **fields})


async def test_pointers_are_fetched_with_their_lines(cloud: Any) -> None:
    """A record, a query with its next page, and an order of Dataverse."""
    connector = connected(cloud.url)
    (order,) = await connector.fetch(f"{COMPANY}/salesOrders{RECORD}")
    assert connector.normalise(order)
    assert cloud.asked[0][:2] == (f"/{COMPANY}/salesOrders{RECORD}?$expand=salesOrderLines", "Bearer t-0")
    (found,) = await connector.fetch("salesorders(dddddddd-0000-0000-0000-000000000009)")
    assert connector.normalise(found)[0].order_number == "ORD-01001-X"
    first = {"value": [], "@odata.nextLink": f"{cloud.url}/api/v2.0/next"}
    cloud.answers = {"/next": b'{"value": []}', "salesInvoices": msgspec.json.encode(first)}
    pointer = f"{COMPANY}/salesInvoices?$filter=lastDateTimeModified%20gt%202018-10-15T11:00:00Z"
    pages = await connector.fetch(pointer)
    assert [each.pointer for each in pages] == [pointer, pointer]
    assert cloud.asked[2][0].endswith("gt 2018-10-15T11:00:00Z&$expand=salesInvoiceLines")


async def test_the_token_is_shown_to_nobody_else(cloud: Any) -> None:
    """A next page elsewhere, or pages without end, are refused; a foreign pointer leads nowhere."""
    connector = connected(cloud.url)
    for link in ("http://127.0.0.2/next", f"{cloud.url}/salesOrders"):
        cloud.answers = {"salesOrders": msgspec.json.encode({"value": [], "@odata.nextLink": link})}
        with pytest.raises(Unavailable, match="next page"):
            await connector.fetch(f"{COMPANY}/salesOrders{RECORD}")
    assert await connector.fetch("https://evil.example/") == ()
    cloud.answers = {}
    assert await connector.fetch(f"{COMPANY}/salesOrders{RECORD}") == ()
    assert await connector.fetch("salesorders(dddddddd-0000-0000-0000-000000000009)") == ()
