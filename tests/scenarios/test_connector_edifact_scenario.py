"""Orders by UN/EDIFACT, from the interchange to the licenses and back: through the real gateway."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import connector_world as worlds
import systems_base as base

from licentia_integrations.edifact.interchange import read_interchange


class Edifact(base.System):
    """A buyer whose gateway hands over interchanges; the article has the name of the line."""

    plugin = "edifact"

    def interchange(self, *messages: list[str], at: int, test: bool = False) -> Any:
        """An interchange with these messages, by a reference of its own."""
        reference, stamp = self.fresh(), base.moment(at)
        header = f"UNB+UNOC:3+BUYER:14+SELLER:14+{stamp:%y%m%d:%H%M}+{reference}{'++++++1' if test else ''}"
        segments = [header]
        for number, message in enumerate(messages, 1):
            kind, *rest = message
            segments += [f"UNH+{number}+{kind}:D:96A:UN", *rest, f"UNT+{len(rest) + 2}+{number}"]
        segments.append(f"UNZ+{len(messages)}+{reference}")
        body = "".join(f"{segment}'\r\n" for segment in segments).encode()
        return base.Sent(body, {"content-type": "application/EDIFACT"} | self.sign(body))

    def order(self, number: str, lines: base.Lines, at: int, buyer: str = "NAD+BY+4399902000015::9") -> list[str]:
        """A new order."""
        told = [each for line, count in lines.items() for each in (f"LIN+{line}++{line}:SA", f"QTY+21:{count}")]
        begin = [f"BGM+220+{number}+9", f"DTM+137:{base.moment(at):%Y%m%d%H%M}:203", buyer]
        return ["ORDERS", *begin, *told, "UNS+S"]

    def change(self, number: str, at: int, *lines: tuple[str, str, int], function: str = "4") -> list[str]:
        """A change of some lines: the line, what is to be done with it, and how many it has then."""
        told = [
            segment
            for place, (line, action, count) in enumerate(lines, 1)
            for segment in (f"LIN+{place}+{action}+{line}:SA", f"QTY+21:{count}", f"RFF+ON:{number}:{line}")
        ]
        begin = [f"BGM+230+C-{at}+{function}", f"DTM+137:{base.moment(at):%Y%m%d%H%M}:203", f"RFF+ON:{number}"]
        return ["ORDCHG", *begin, *told, "UNS+S"]

    def placed(self, number: str, lines: base.Lines, at: int) -> Any:
        return self.interchange(self.order(number, lines, at), at=at)

    def changed(self, number: str, at: int, *lines: tuple[str, str, int]) -> Any:
        """A change of an order."""
        return self.interchange(self.change(number, at, *lines), at=at)

    def cancelled(self, number: str, lines: base.Lines, at: int) -> Any:
        return self.interchange(self.change(number, at, function="1"), at=at)


def responses(answer: Any) -> list[tuple[str, str]]:
    """The code and the text of each response in a reply."""
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/EDIFACT"
    found = []
    for message in read_interchange(answer.content).messages:
        told = {segment.tag: segment for segment in message.segments}
        text = " ".join(told["FTX"].elements[4]) if "FTX" in told else ""
        found.append((told["BGM"].value(3), text))
    return found


async def test_the_life_of_an_order(data: Path, database_url: str) -> None:
    """Placed, changed, a line deleted, cancelled, each twice: one ticket, which the buyer gets each time."""
    async with worlds.opened(Edifact(), data, database_url) as world:
        edi = world.system
        happened = [
            (edi.placed("4711/A", {"a": 3, "b": 1}, 1), {"a": 3, "b": 1}),
            (edi.changed("4711/A", 2, ("a", "3", 5)), {"a": 5, "b": 1}),
            (edi.changed("4711/A", 3, ("b", "2", 1)), {"a": 5}),
            (edi.cancelled("4711/A", {}, 4), {}),
        ]
        for sent, wanted in happened:
            for _ in range(2):
                ((code, text),) = responses(await world.send(sent))
                assert (code, text) == ("29", f"License ticket: {(await world.order('4711/A')).ticket}")
                assert await world.licensed("4711/A") == wanted
        assert (await world.order("4711/A")).status == "cancelled"
        assert len(await world.sql("SELECT id FROM delivery")) == len(happened)
        assert await world.parked() == []


async def test_every_order_of_arrival_comes_to_the_same(data: Path) -> None:
    """By the times of the messages; a change that comes before its order waits for it."""
    async with worlds.opened(Edifact(), data, None) as world:
        edi = world.system
        for place, arrival in enumerate(itertools.permutations(range(3))):
            number = str(100 + place)
            happened = [
                edi.placed(number, {"a": 3, "b": 1}, 1),
                edi.changed(number, 2, ("a", "3", 4), ("b", "3", 2)),
                edi.changed(number, 3, ("a", "3", 5)),
            ]
            await world.tell_anyway(*(happened[which] for which in arrival))
            assert await world.licensed(number) == {"a": 5, "b": 2}, arrival
        assert await world.parked() == []


async def test_several_messages_of_one_interchange(data: Path) -> None:
    """Each is applied and answered for itself, in their order; one that waits keeps none of the others."""
    async with worlds.opened(Edifact(), data, None) as world:
        edi = world.system
        sent = edi.interchange(
            edi.order("1", {"a": 1}, 1), edi.change("1", 2, ("a", "3", 2)), edi.order("2", {"x": 1}, 1), at=2
        )
        told = responses(await world.send(sent))
        assert [code for code, _ in told] == ["29", "29", "27"]
        assert "'x'" in told[2][1]
        assert await world.licensed("1") == {"a": 2}
        await world.call("PutMapping", article="x", sku="b", factor=5)
        await world.call("ReplayDeliveries")
        assert await world.licensed("2") == {"b": 5}
        assert [code for code, _ in responses(await world.send(sent))] == ["29", "29", "29"]


async def test_what_is_no_order_licenses_nothing(data: Path) -> None:
    """A test interchange, one without a buyer, and one that breaks off and then comes whole."""
    async with worlds.opened(Edifact(), data, None) as world:
        edi = world.system
        ((code, text),) = responses(await world.send(edi.interchange(edi.order("1", {"a": 1}, 1), at=1, test=True)))
        assert (code, "test order" in text) == ("27", True)
        nameless = edi.interchange(edi.order("2", {"a": 1}, 1, buyer="NAD+SU+1::9"), at=1)
        ((code, text),) = responses(await world.send(nameless))
        assert (code, "who bought" in text) == ("27", True)
        whole = edi.placed("3", {"a": 2}, 1)
        refused = await world.send(base.Sent(whole.body[:-30], whole.headers))
        assert (refused.status_code, "breaks off" in refused.text) == (400, True)
        assert [code for code, _ in responses(await world.send(whole))] == ["29"]
        assert await world.licensed("3") == {"a": 2}
        assert len(await world.orders()) == 1


async def test_a_stranger_is_refused(data: Path) -> None:
    """Whatever is sent without the secret is kept nowhere."""
    async with worlds.opened(Edifact(), data, None) as world:
        sent = world.system.placed("1", {"a": 1}, 1)
        assert (await world.send(base.Sent(sent.body, {"authorization": "Bearer guessed"}))).status_code == 401
        assert await world.sql("SELECT id FROM delivery") == []
