"""edifact keeps the contract of connectors, on interchanges of our own and on public samples."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from licentia.connectors import Change, Delivery, Outcome
from licentia.errors import InvalidRequest
from licentia.settings import SettingsError
from licentia.testing import ConnectorContract
from licentia_integrations.edifact import Edifact
from licentia_integrations.edifact.interchange import Interchange, read_interchange

GOLDEN = Path(__file__).parents[1] / "golden" / "connectors" / "edifact"
SAMPLES = sorted(
    name
    for name in (path.name.removesuffix(".changes.json") for path in GOLDEN.glob("*.changes.json"))
    if not (GOLDEN / f"{name}.edi").exists()
)
AT = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
SECRET = "of the gateway"
TICKET = "7GJDG-J8HPG-QX2MN-4TRWB-9KVCS"
CONNECTOR = Edifact("edifact", {"secret": SECRET})


def came(body: str | bytes) -> Delivery:
    """A delivery."""
    return Delivery(body=body.encode() if isinstance(body, str) else body, received_at=AT)


def golden(name: str) -> Delivery:
    """One of the golden deliveries."""
    return came((GOLDEN / f"{name}.edi").read_bytes())


def interchange(*messages: str, header: str = "UNB+UNOC:3+B+S+261124:0800+1'", una: str = "") -> bytes:
    """An interchange of messages, each of which is its type and its segments, as `ORDERS'BGM+220+1+9`."""
    written = []
    for number, message in enumerate(messages, 1):
        kind, *segments = message.split("'")
        trailer = f"UNT+{len(segments) + 2}+{number}'"
        written.append("".join(f"{each}'" for each in (f"UNH+{number}+{kind}:D:96A:UN", *segments)) + trailer)
    return f"{una}{header}{''.join(written)}UNZ+{len(messages)}+1'".encode()


def meant(*messages: str, header: str = "UNB+UNOC:3+B+S+261124:0800+1'", una: str = "") -> tuple[Change, ...]:
    """What they mean."""
    return CONNECTOR.normalise(came(interchange(*messages, header=header, una=una)))


def replied(name: str, *outcomes: Outcome) -> Interchange:
    """The reply to a golden delivery."""
    return read_interchange(CONNECTOR.answer(golden(name), outcomes).body)


class TestEdifact(ConnectorContract):
    """Each file of the folder is an interchange that a buyer could send."""

    golden = GOLDEN
    signed = False

    @pytest.fixture
    def connector(self) -> Edifact:
        """The connector with the secret that the deliveries show."""
        return Edifact("edifact", {"secret": SECRET})


@pytest.mark.parametrize("name", SAMPLES)
def test_a_public_sample_means_its_changes(shared_data: Path, name: str) -> None:
    """Orders are understood, also without UNZ; what is no order means nothing, whatever it counts."""
    wanted = msgspec.json.decode((GOLDEN / f"{name}.changes.json").read_bytes(), type=tuple[Change, ...])
    body = (shared_data / "orders" / "edifact" / f"{name}.edi").read_bytes()
    assert CONNECTOR.normalise(came(body)) == wanted


def test_every_public_sample_is_tested(shared_data: Path) -> None:
    """None of the folder is left out."""
    assert sorted(path.stem for path in (shared_data / "orders" / "edifact").glob("*.edi")) == SAMPLES


@pytest.mark.parametrize(
    ("function", "orders", "ordchg"),
    [
        ("", ("placed", True), ("changed", False)),
        ("9", ("placed", True), ("changed", False)),
        ("7", ("placed", True), ("changed", False)),
        ("5", ("placed", True), ("changed", True)),
        ("21", ("placed", True), ("changed", True)),
        ("4", ("changed", False), ("changed", False)),
        ("36", ("changed", False), ("changed", False)),
        ("1", ("cancelled", False), ("cancelled", False)),
        ("17", ("cancelled", False), ("cancelled", False)),
        ("23", None, None),
        ("31", None, None),
    ],
)
def test_the_function_says_what_a_message_means(
    function: str, orders: tuple[str, bool] | None, ordchg: tuple[str, bool] | None
) -> None:
    """Data element 1225; an ORDCHG is a change also where it is an original, and what is on hold is nothing yet."""
    for kind, wanted in (("ORDERS", orders), ("ORDCHG", ordchg)):
        changes = meant(f"{kind}'BGM+220+1+{function}")
        assert [(each.kind, each.full_snapshot) for each in changes] == ([wanted] if wanted else [])


@pytest.mark.parametrize(
    ("message", "number"),
    [
        ("ORDERS'BGM+220+2+9'RFF+ON:1", "2"),
        ("ORDERS'BGM+220+2+5'RFF+ON:1", "1"),
        ("ORDERS'BGM+220+2+5'NAD+BY+7'LIN+1++a:SA'QTY+21:1'RFF+ON:9", "2"),
        ("ORDCHG'BGM+230+2+4'RFF+VN:8'RFF+ON:1", "1"),
        ("ORDCHG'BGM+230+2+4'LIN+1++a:SA'QTY+21:1'RFF+ON:1", "1"),
        ("ORDCHG'BGM+230+2+1'LIN+1++a:SA'RFF+VN:8", "2"),
    ],
)
def test_which_order_a_message_is_about(message: str, number: str) -> None:
    """An order has its own number; what changes one names it by RFF+ON, or has its number."""
    assert [change.order_number for change in meant(message)] == [number]


@pytest.mark.parametrize("where", ["'RFF+ON:1'RFF+ON:2", "'LIN+1'QTY+21:1'RFF+ON:1'LIN+2'QTY+21:1'RFF+ON:2"])
def test_a_change_of_two_orders_is_refused(where: str) -> None:
    """Whose lines they are is not told."""
    with pytest.raises(InvalidRequest, match="two orders"):
        meant(f"ORDCHG'BGM+230+3+4{where}")


def test_a_line_that_stays_needs_a_quantity_in_a_whole_order() -> None:
    """Left out, it would be gone."""
    assert meant("ORDCHG'BGM+230+3+4'LIN+1+11+a:SA")[0].lines == ()
    with pytest.raises(InvalidRequest, match=r"Segment 4 \(LIN\): .*QTY\+21"):
        meant("ORDCHG'BGM+230+3+5'LIN+1+11+a:SA")


@pytest.mark.parametrize(
    ("line", "sku", "alternatives"),
    [
        ("LIN+1++4012345678901:EN'PIA+5+ours:SA+theirs:BP", "ours", ("4012345678901", "theirs")),
        ("LIN+1++theirs:IN'PIA+1+4012345678901:UP'PIA+1+ours:VN", "ours", ("4012345678901", "theirs")),
        ("LIN+1'PIA+5+odd:ZZZ'PIA+1+20261231:HS", "", ("odd",)),
        ("LIN+1++plain", "", ("plain",)),
        ("LIN+1++ours:SA'PIA+3+newer:SA'PIA+1+ours:SA+also:SA", "ours", ("also",)),
        ("LIN+1'IMD+F++:::a name", "", ("a name",)),
        ("LIN+1", "", ()),
    ],
)
def test_the_numbers_of_an_article(line: str, sku: str, alternatives: tuple[str, ...]) -> None:
    """The seller's first; numbers of other articles, and codes that are no articles', are left out."""
    (change,) = meant(f"ORDERS'BGM+220+1+9'{line}'QTY+21:1")
    assert [(each.sku, each.alternatives) for each in change.lines] == [(sku, alternatives)]


@pytest.mark.parametrize(
    ("una", "written", "quantity"),
    [
        ("", "8", "8"),
        ("", "8.5", "8.5"),
        ("", "8,5", "8.5"),
        ("", "1.000", "1"),
        ("UNA:+,? '", "1,250", "1.25"),
        ("UNA:+,? '", "1.250", None),
        ("", "1,000", None),
        ("", "000000000000012", None),
        ("", "00000000012", "12"),
        ("", "1.000,5", None),
        ("", "", None),
        ("", "1E3", None),
        ("", "\N{ARABIC-INDIC DIGIT ONE}", None),
    ],
)
def test_a_quantity_has_one_meaning_or_none(una: str, written: str, quantity: str | None) -> None:
    """ISO 9735 knows no marks of thousands, but senders may."""
    body = interchange(
        f"ORDERS'BGM+220+1+9'LIN+1++a:SA'QTY+21:{written}", una=una, header="UNB+UNOY:3+B+S+261124:0800+1'"
    )
    if quantity is None:
        with pytest.raises(InvalidRequest, match=r"Segment 5 \(QTY\)"):
            CONNECTOR.normalise(came(body))
    else:
        assert [str(line.quantity.normalize()) for line in CONNECTOR.normalise(came(body))[0].lines] == [quantity]


@pytest.mark.parametrize(
    ("stamp", "wanted"),
    [
        ("20261124:102", "2026-11-24T08:00:00Z"),
        ("202611240000:203", "2026-11-24T08:00:00Z"),
        ("20261123:102", "2026-11-23T00:00:00Z"),
        ("202611241230:203", "2026-11-24T12:30:00Z"),
        ("20261124123015:204", "2026-11-24T12:30:15Z"),
        ("202611241230:102", "2026-11-24T12:30:00Z"),
        ("20261123:203", "2026-11-23T00:00:00Z"),
        ("2611241230:201", "2026-11-24T12:30:00Z"),
        ("202611241230?+0100:205", "2026-11-24T11:30:00Z"),
        ("202611241230-0530:205", "2026-11-24T18:00:00Z"),
        ("202611241230?+00:303", "2026-11-24T12:30:00Z"),
        ("202611241230CET:303", "2026-11-24T11:30:00Z"),
        ("20261124123015UTC:304", "2026-11-24T12:30:15Z"),
        ("00010101000000?+9900:304", None),
        ("202647:616", None),
        ("", None),
    ],
)
def test_the_time_of_a_message_is_its_version(stamp: str, wanted: str | None) -> None:
    """In the format that it is written in; a day of which the hour is not told has that of the interchange."""
    (change,) = meant(f"ORDERS'BGM+220+1+9'DTM+137:{stamp}")
    assert change.version == (int(datetime.fromisoformat(wanted).timestamp() * 1000) if wanted else 0)


def test_a_change_of_the_same_day_is_no_older_than_its_order() -> None:
    """Where the one tells an hour, and the other only the day."""
    (order,) = meant("ORDERS'BGM+220+1+9'DTM+137:202611241230:203")
    (change,) = meant("ORDCHG'BGM+230+1+4'DTM+137:20261124:102", header="UNB+UNOC:3+B+S+261124:1300+1'")
    assert change.version > order.version


@pytest.mark.parametrize("wrapped", ["\n", "\r\n", "\r"])
def test_lines_may_be_broken_anywhere(wrapped: str) -> None:
    """Some systems break after 80 characters, whatever stands there."""
    body = (GOLDEN / "change.edi").read_text().replace("\n", "")
    broken = wrapped.join(body[at : at + 7] for at in range(0, len(body), 7))
    assert CONNECTOR.normalise(came(broken)) == CONNECTOR.normalise(golden("change"))


def test_a_segment_may_end_with_its_line() -> None:
    """The end of a line may be the terminator, and a blank says that nothing is released."""
    body = interchange("ORDERS'BGM+220+what?+9'NAD+BY+7++A B", una="UNA:+.  '").replace(b"'", b"\n")
    (change,) = CONNECTOR.normalise(came(body + b"\n"))
    assert change.order_number == "what?"
    assert change.customer is not None
    assert change.customer.name == "A B"


@pytest.mark.parametrize("una", ["UNA:+.? ", "UNA::.? '", "UNA:+.?  ", "UNA:A.? '", "UNA"])
def test_service_characters_that_cannot_be_told_apart_are_refused(una: str) -> None:
    """One is there twice, is missing, or is a letter."""
    with pytest.raises(InvalidRequest, match="UNA"):
        CONNECTOR.normalise(came(una + interchange().decode().replace("'", "")))


@pytest.mark.parametrize(
    ("syntax", "charset"),
    [("UNOA", "utf-8"), ("UNOB", "iso-8859-1"), ("UNOC", "iso-8859-1"), ("UNOL", "iso-8859-15"), ("UNOW", "utf-8")],
)
def test_the_repertoire_is_that_of_unb(syntax: str, charset: str) -> None:
    """Levels A and B have no umlauts, but are read as they are sent."""
    body = interchange("ORDERS'BGM+220+Ü-1+9", header=f"UNB+{syntax}:3+B+S+261124:0800+1'").decode()
    assert [change.order_number for change in CONNECTOR.normalise(came(body.encode(charset)))] == ["Ü-1"]
    (russian,) = CONNECTOR.normalise(came(body.replace(syntax, "UNOE").replace("Ü", "Ж").encode("iso-8859-5")))
    assert russian.order_number == "Ж-1"


@pytest.mark.parametrize(
    ("parties", "customer"),
    [
        ("NAD+SU+1'NAD+BY+2::9++A:B'CTA+OC'COM+1:TE+a@b.example:EM'NAD+IV+3", ("2", "A B", "a@b.example")),
        ("NAD+IV+3'NAD+BY+2'NAD+DP+4'COM+a@b.example:EM", ("2", None, None)),
        ("NAD+BT+5'NAD+IV+3++C'NAD+DP+4", ("3", "C", None)),
        ("NAD+BY+++By name'RFF+VA:1", ("By name", "By name", None)),
        ("NAD+SU+1'NAD+DP+4", None),
        ("NAD+BY", None),
    ],
)
def test_who_bought(parties: str, customer: tuple[str, str | None, str | None] | None) -> None:
    """The buyer, else who ordered, else who pays; by the id, else by the name."""
    (change,) = meant(f"ORDERS'BGM+220+1+9'{parties}")
    found = change.customer
    assert (found and (found.id, found.name, found.email)) == customer


@pytest.mark.parametrize(
    ("told", "quantity"),
    [
        ("QTY+1:25", 25),
        ("QTY+1:25'QTY+21:4", 4),
        ("QTY+21:4'QTY+21:4:PCE'LOC+7+1'QTY+21:1", 4),
        ("QTY+21:4'SCC+1'QTY+21:1'SCC+1'QTY+21:3", 4),
    ],
)
def test_which_quantity_is_ordered(told: str, quantity: int) -> None:
    """That of the line itself; a plain one where no other is told."""
    assert [line.quantity for line in meant(f"ORDERS'BGM+220+1+9'LIN+1'{told}")[0].lines] == [quantity]


def test_settings_say_how_a_sender_means_it() -> None:
    """A change may have all lines, and numbers may be those of one of several buyers."""
    connector = Edifact("edifact", {"secret": SECRET, "complete_changes": True, "qualify": True})
    change = "ORDCHG'BGM+230+1+4'NAD+BY+4711'LIN+1'QTY+21:1"
    (found,) = connector.normalise(came(interchange(change)))
    assert (found.order_number, found.full_snapshot) == ("4711/1", True)
    with pytest.raises(InvalidRequest, match=r"Segment 2 \(UNH\): a NAD\+BY is wanted"):
        connector.normalise(came(interchange("ORDERS'BGM+220+1+9")))
    with pytest.raises(SettingsError, match=r"\[connector.edifact\]: .*`secret`"):
        Edifact("edifact", {})


def test_a_delivery_is_known_by_its_envelope() -> None:
    """Also when a gateway breaks its lines anew; without an end, or illegible, it may come again corrected."""
    body = (GOLDEN / "new.edi").read_bytes()
    assert CONNECTOR.delivery_id(came(body)) == "4399902000015:14/4012345000009:14/261103:0915/7001"
    assert CONNECTOR.delivery_id(came(body.replace(b"\n", b"\r\n"))) == CONNECTOR.delivery_id(came(body))
    for illegible in (body[: body.index(b"UNZ")], body.replace(b"QTY+21:3", b"QTY+21:x")):
        assert CONNECTOR.delivery_id(came(illegible)) != CONNECTOR.delivery_id(came(illegible + b" "))


@pytest.mark.parametrize(
    ("outcomes", "code", "note"),
    [
        ([Outcome(order_number="E-2026/118", ticket=TICKET)], "29", f"License ticket: {TICKET}"),
        ([Outcome(order_number="E-2026/118", problem="Item 1\x07 isn't known.")], "27", "Item 1  isn't known."),
        ([], "12", ""),
    ],
)
def test_an_order_is_answered_by_a_response(outcomes: list[Outcome], code: str, note: str) -> None:
    """Accepted with the ticket, not accepted with the reason, or not processed yet."""
    answer = CONNECTOR.answer(golden("new"), tuple(outcomes))
    assert (answer.status, answer.media_type) == (200, "application/EDIFACT")
    reply = read_interchange(answer.body)
    (response,) = reply.messages
    assert [reply.header.value(at) for at in (2, 3)] == ["4012345000009", "4399902000015"]
    assert [response.header.value(2, at) for at in (1, 2, 3, 4)] == ["ORDRSP", "D", "01B", "UN"]
    found = {each.tag: each for each in response.segments}
    assert [found["BGM"].value(at) for at in (1, 2, 3)] == ["231", "E-2026/118", code]
    assert (found["RFF"].value(1), found["RFF"].value(1, 2)) == ("ON", "E-2026/118")
    assert [each.value(2) for each in response.segments if each.tag == "NAD"] == ["4399902000015", "4012345000009"]
    assert (found["FTX"].value(4) if note else "") == note
    assert "UNA" not in CONNECTOR.answer(golden("proposal"), ()).body.decode()


def test_a_change_is_answered_by_the_number_of_its_order() -> None:
    """And by its own; a test stays one."""
    (response,) = replied("change", Outcome(order_number="E-2026/118", ticket=TICKET)).messages
    found = {each.tag: each for each in response.segments}
    assert (found["BGM"].value(2), found["RFF"].value(1, 2)) == ("C-17", "E-2026/118")
    assert found["FTX"].value(4) == f"LICENSE TICKET: {TICKET}"
    assert replied("test").header.value(11) == "1"


def test_each_message_has_a_response_of_its_own() -> None:
    """By the order that it is about, and in the order in which it came."""
    reply = replied("several", Outcome(order_number="É-1", ticket=TICKET), Outcome(order_number="É-1", problem="No."))
    assert [each.segments[0].value(3) for each in reply.messages] == ["29", "27"]


def test_a_long_reason_is_cut_into_texts() -> None:
    """Of 70 characters, five in a segment, and not without an end."""
    (response,) = replied("new", Outcome(order_number="E-2026/118", problem="word " * 1000)).messages
    texts = [each for each in response.segments if each.tag == "FTX"]
    assert len(texts) == 5
    assert all(len(part) <= 70 for each in texts for part in each.elements[4])


def test_an_acknowledgement_is_sent_where_it_is_asked_for() -> None:
    """CONTRL, in an interchange of its own before the responses."""
    header = "UNB+UNOC:3+BUYER:14+SELLER:14+261124:0800+1++++1'"
    answer = CONNECTOR.answer(came(interchange("ORDERS'BGM+220+1+9", header=header)), ())
    acknowledged, _, responses = answer.body.partition(b"UNA:+.? 'UNB")[2].partition(b"UNA:+.? 'UNB")
    assert b"UNH+1+CONTRL:D:3:UN'UCI+1+BUYER:14+SELLER:14+7'UNT+3+1'" in acknowledged
    assert b"ORDRSP" in responses
    only = came(interchange("INVOIC'BGM+380+1+9", header=header.replace(":3+", ":4+")))
    assert read_interchange(CONNECTOR.answer(only, ()).body).messages[0].header.value(2, 2) == "4"


def test_what_cannot_be_understood_is_told_at_once() -> None:
    """With the segment, as a text for the sender's operator."""
    answer = CONNECTOR.answer(golden("uncounted"), ())
    assert (answer.status, answer.body.decode()) == (
        400,
        "Segment 7 (LIN): this line has no ordered quantity, as QTY+21:5.",
    )


@pytest.mark.parametrize(
    "body",
    [
        b"UNB" + b"+" * 4_000_000 + b"'",
        b"UNB+UNOA:3+B+S" + b"'" * 4_000_000,
        interchange(*["ORDERS'BGM+220+1+9"] * 1001),
        b"U" * 5_000_000,
    ],
    ids=["elements", "segments", "messages", "bytes"],
)
def test_what_is_too_long_is_refused_in_time(body: bytes) -> None:
    """Before it is taken apart."""
    began = time.perf_counter()
    with pytest.raises(InvalidRequest, match=r"more than|longer than"):
        CONNECTOR.normalise(came(body))
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize(
    "message",
    [
        "ORDERS'BGM+220+1+9" + "'LIN+1'QTY+21:1".replace("1'Q", "{}'Q") * 10_000,
        "ORDERS'BGM+220+1+9'LIN+1'QTY+21:1" + "'PIA+5+{}:SA+{}:BP" * 10_000,
        "ORDERS'BGM+220+1+9" + "'NAD+BY" * 50_000,
        "ORDERS'BGM+220+1+9'FTX+AAI+++" + "?+??" * 500_000,
    ],
    ids=["lines", "numbers", "parties", "released"],
)
def test_what_is_nearly_too_long_is_read_in_time(message: str) -> None:
    """No part of it takes longer the more there is of others."""
    count = iter(range(100_000))
    body = interchange("".join(f"{part}{next(count)}" for part in message.split("{}")[:-1]) + message.split("{}")[-1])
    began = time.perf_counter()
    assert CONNECTOR.normalise(came(body))
    assert time.perf_counter() - began < 4


def parts() -> Iterator[bytes]:
    """Pieces of which nearly right interchanges are made."""
    for path in sorted(GOLDEN.glob("*.edi")):
        yield from (part + b"'" for part in path.read_bytes().split(b"'"))


@settings(max_examples=300, deadline=1000)
@given(
    st.lists(
        st.sampled_from(sorted({*parts()}))
        | st.binary(max_size=12)
        | st.text("+:?'\n09ABUNLIQTZ.,- \x00\x1d", max_size=12).map(str.encode),
        max_size=20,
    ),
    st.sampled_from(
        [b"", b"UNA:+.? '", b"UNB+UNOC:3+B+S+261124:0800+1'", b"UNA:+.? 'UNB+UNOY:4+B+S+261124:0800+1++++1'"]
    ),
)
def test_whatever_comes_is_understood_or_refused(pieces: list[bytes], beginning: bytes) -> None:
    """Nothing else happens, and each is answered."""
    delivery = came(beginning + b"".join(pieces))
    assert CONNECTOR.delivery_id(delivery)
    try:
        changes = CONNECTOR.normalise(delivery)
    except InvalidRequest:
        assert CONNECTOR.answer(delivery, ()).status == 400
        return
    outcomes = tuple(Outcome(order_number=each.order_number, ticket=TICKET) for each in changes)
    assert CONNECTOR.answer(delivery, outcomes).status in (200, 204)


@settings(max_examples=200, deadline=1000)
@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=30),
    st.sampled_from([":+.?'", "|^,\\~", "*-.!;", "\x1f\x1d.\x1e\x1c", ":+. \n"]),
)
def test_what_is_released_is_data(number: str, marks: str) -> None:
    """Whatever the service characters are, an order's number may have them."""
    component, element, decimal, release, terminator = tuple(marks)
    if release == " " and set(number) & set(marks):
        return
    released = "".join(f"{release}{each}" if each in marks[:2] + marks[3:] else each for each in number)
    body = f"UNA{component}{element}{decimal}{release} {terminator}"
    segments: list[list[str | list[str]]] = [
        ["UNB", ["UNOY", "4"], "B", "S", "20261124", "1"], ["UNH", "1", ["ORDERS", "D", "96A", "UN"]],
        ["BGM", "220", released, "9"], ["UNT", "3", "1"], ["UNZ", "1", "1"],
    ]  # fmt: skip
    for segment in segments:
        body += element.join(each if isinstance(each, str) else component.join(each) for each in segment) + terminator
    (change,) = CONNECTOR.normalise(came(body))
    assert change.order_number == number
