"""ubl keeps the contract of connectors, on documents of our own and on those of OASIS and OpenPeppol."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from lxml import etree

from licentia.connectors import Change, Delivery, Outcome
from licentia.errors import InvalidRequest
from licentia.settings import SettingsError
from licentia.testing import ConnectorContract
from licentia_integrations.ubl import Ubl
from licentia_integrations.ubl.names import NS, texts

GOLDEN = Path(__file__).parents[1] / "golden" / "connectors" / "ubl"
SAMPLES = sorted(
    name.removesuffix(".changes.json")
    for name in (path.name for path in GOLDEN.glob("*.changes.json"))
    if not (GOLDEN / name.replace(".changes.json", ".xml")).exists()
)
AT = datetime(2026, 11, 24, tzinfo=UTC)
SECRET = "of the access point"
TICKET = "7GJDG-J8HPG-QX2MN-4TRWB-9KVCS"
DONE, PARKED = Outcome(order_number="34", ticket=TICKET), Outcome(order_number="34", problem="Item 1\x07 is unknown.")


@pytest.fixture
def peppol() -> Ubl:
    """The connector with its defaults."""
    return Ubl("ubl", {"secret": SECRET})


def sample(shared_data: Path, name: str) -> Delivery:
    """A document of the shared folder."""
    folder = "ubl" if name.startswith("UBL-") else "peppol"
    return Delivery(body=(shared_data / "orders" / folder / f"{name}.xml").read_bytes(), received_at=AT)


class TestUbl(ConnectorContract):
    """Each file of the folder is a document that a buyer could send."""

    golden = GOLDEN
    signed = False

    @pytest.fixture
    def connector(self) -> Ubl:
        """The connector with the secret that the deliveries show."""
        return Ubl("ubl", {"secret": SECRET})


@pytest.mark.parametrize("name", SAMPLES)
def test_an_official_sample_means_its_changes(peppol: Ubl, shared_data: Path, name: str) -> None:
    """Orders, changes and cancellations are understood, and what a seller sends means nothing."""
    wanted = msgspec.json.decode((GOLDEN / f"{name}.changes.json").read_bytes(), type=tuple[Change, ...])
    assert peppol.normalise(sample(shared_data, name)) == wanted


def test_every_official_sample_is_tested(shared_data: Path) -> None:
    """None of the folder is left out."""
    found = [path.stem for folder in ("ubl", "peppol") for path in (shared_data / "orders" / folder).glob("*.xml")]
    assert sorted(found) == SAMPLES


def test_documents_of_one_number_are_told_apart(peppol: Ubl, shared_data: Path) -> None:
    """A change and a cancellation may have the same number and the same date."""
    names = ("UBL-OrderChange-2.1-Example", "UBL-OrderCancellation-2.1-Example")
    assert len({peppol.delivery_id(sample(shared_data, name)) for name in names}) == len(names)


def test_the_number_may_be_qualified_by_the_buyer(shared_data: Path) -> None:
    """For a connection on which several buyers send, each with numbers of its own."""
    connector = Ubl("ubl", {"secret": SECRET, "qualify": True})
    names = ("Order_sc1", "OrderChange_Example", "OrderCancellation_Example")
    numbers = {connector.normalise(sample(shared_data, name))[0].order_number for name in names}
    assert numbers == {"0088:7300010000001/Order-1"}


def test_a_change_may_be_complete(shared_data: Path) -> None:
    """Where the sender's changes repeat all lines; by default a line that is missing is left as it is."""
    connector = Ubl("ubl", {"secret": SECRET, "complete_changes": True})
    assert connector.normalise(sample(shared_data, "OrderChange_Example"))[0].full_snapshot


@pytest.mark.parametrize(
    ("outcomes", "code", "note"),
    [
        ((DONE,), "AP", f"License ticket: {TICKET}"),
        ((PARKED,), "RE", "Item 1 is unknown."),
        ((DONE, PARKED), "RE", "Item 1 is unknown."),
        ((), "AB", None),
    ],
)
def test_an_order_is_answered_by_a_response(
    peppol: Ubl, shared_data: Path, outcomes: tuple[Outcome, ...], code: str, note: str | None
) -> None:
    """It is accepted with the ticket, rejected with the reason, or only acknowledged."""
    answer = peppol.answer(sample(shared_data, "Order_sc1"), outcomes)
    assert (answer.status, answer.media_type) == (200, "application/xml")
    response = etree.fromstring(answer.body)
    assert list(texts(response, "cbc:OrderResponseCode")) == [code]
    assert next(texts(response, "cbc:Note"), None) == note


@pytest.mark.parametrize(
    ("name", "theirs"),
    [("Order_sc1", "peppol/OrderResponse_sc1.xml"), ("UBL-Order-2.1-Example", "ubl/UBL-OrderResponse-2.1-Example.xml")],
)
def test_the_response_is_formed_as_the_official_one(peppol: Ubl, shared_data: Path, name: str, theirs: str) -> None:
    """The elements have the official names and order, and the parties and references of the official response."""
    official = etree.parse(shared_data / "orders" / theirs).getroot()
    response = etree.fromstring(peppol.answer(sample(shared_data, name), (DONE,)).body)
    assert response.tag == official.tag
    order = [child.tag for child in official]
    ours = [child.tag for child in response if child.tag in order]
    assert ours == sorted(ours, key=order.index)
    for path in (
        "cac:OrderReference/cbc:ID",
        "cac:SellerSupplierParty/cac:Party/cbc:EndpointID",
        "cac:BuyerCustomerParty/cac:Party/cbc:EndpointID",
        "cac:SellerSupplierParty/cac:Party/cac:PartyIdentification/cbc:ID",
    ):
        assert list(texts(response, path)) == list(texts(official, path))
        assert [each.attrib for each in response.iterfind(path, NS)] == [
            each.attrib for each in official.iterfind(path, NS)
        ]


def test_what_needs_no_response_gets_none(peppol: Ubl, shared_data: Path) -> None:
    """A cancellation is taken without a document."""
    assert peppol.answer(sample(shared_data, "OrderCancellation_Example"), (DONE,)).status == 204


def test_wrong_settings_are_refused() -> None:
    """With the name of the setting."""
    with pytest.raises(SettingsError, match=r"\[connector.ubl\]: .*`secret`"):
        Ubl("ubl", {})


def test_a_document_of_too_many_lines_is_refused(peppol: Ubl) -> None:
    """Before its lines are looked at."""
    body = (GOLDEN / "nobody.xml").read_bytes()
    start, end = body.index(b"  <cac:OrderLine>"), body.index(b"</Order>")
    long = body[:start] + body[start:end] * 10_000 + body[end:]
    with pytest.raises(InvalidRequest, match="50000 elements"):
        peppol.normalise(Delivery(body=long, received_at=AT))
