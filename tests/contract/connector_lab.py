"""What the tests of connectors share: golden deliveries out of real samples that are not kept here, stand-ins, polls.

A golden delivery is written down as the kit wants it. Where only `NAME.changes.json` is there, the body is the
sample NAME of the shared data. The headers are signed when the tests start, as each sample is signed anew.
"""

from __future__ import annotations

import atexit
import contextlib
import re
import shutil
import tempfile
import tomllib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from loopback_shop import listening

from licentia.connectors import Change, Connector, Delivery, headers_of
from licentia.errors import InvalidRequest
from licentia_integrations.changed import Position

CHECKOUT = Path(__file__).parents[2]
SHARED = CHECKOUT.parent / "shared" / "data" / "orders"
GOLDEN = CHECKOUT / "tests" / "golden" / "connectors"
AT = datetime(2026, 1, 1, tzinfo=UTC)
MOST_POLLS = 100
"""More than any walk needs: the tests have some hundred orders, and a poll finds up to a hundred."""


def sample(system: str, name: str) -> bytes:
    """A real document of a system; skips the test where it is missing."""
    path = SHARED / system / name
    if not path.exists():
        pytest.skip(f"the shared sample {system}/{name} is not here")
    return path.read_bytes()


def unsigned(body: bytes) -> Mapping[str, str]:
    """The headers of a system that signs nothing."""
    return {}


def deliveries(
    system: str,
    sign: Callable[[bytes], Mapping[str, str]] = unsigned,
    wrap: Callable[[str, bytes], bytes] = lambda name, body: body,
) -> Path:
    """A folder with the golden deliveries of a system, signed; `wrap` makes a body of a sample."""
    folder = Path(tempfile.mkdtemp(prefix="licentia-golden-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    own, shared = GOLDEN / system, SHARED / system
    for expected in sorted(own.glob("*.changes.json")):
        name = expected.name.removesuffix(".changes.json")
        places = [place / f"{name}{ending}" for place in (own, shared) for ending in (".json", ".xml")]
        source = next((each for each in places if each.exists()), None)
        if source is None:
            continue
        body = source.read_bytes() if source.parent == own else wrap(name, source.read_bytes())
        extra = own / f"{name}.headers"
        headers = "".join(f"{key}: {value}\n" for key, value in sign(body).items())
        stem = name.replace(".", "-")
        (folder / f"{stem}{source.suffix}").write_bytes(body)
        (folder / f"{stem}.headers").write_text((extra.read_text("utf-8") if extra.exists() else "") + headers, "utf-8")
        (folder / f"{stem}.changes.json").write_bytes(expected.read_bytes())
    return folder


ODD: list[Any] = [
    *(None, "", [], {}, 1, -1, 0, 1.5, True, 10**30, 2**63, [None], [{}], {"id": None}, {"id": "y" * 250}),
    *("x" * 200, "x" * 300, "9" * 400, "1e999999", "NaN", "0000-00-00", "9999-12-31T23:59:59-23:59", "\u0000"),
]
"""Values that no field expects, or only some."""


def nearly(document: Any) -> Iterator[Any]:
    """The document with each of its values replaced by each odd one, and each of its members left out."""
    yield from ODD
    if isinstance(document, dict):
        for key, value in document.items():
            yield {name: each for name, each in document.items() if name != key}
            yield from ({**document, key: each} for each in nearly(value))
    elif isinstance(document, list):
        for place, value in enumerate(document[:2]):
            yield from ([*document[:place], each, *document[place + 1 :]] for each in nearly(value))


def assert_robust(connector: Connector, golden: Path) -> None:
    """Whatever stands in a golden delivery, it has a meaning or is refused as illegible."""
    tried = 0
    for path in sorted(golden.glob("*.headers")):
        headers = headers_of(path.read_text("utf-8"))
        document = msgspec.json.decode(golden.joinpath(path.stem + ".json").read_bytes())
        for each in nearly(document):
            tried += 1
            delivery = Delivery(body=msgspec.json.encode(each), headers=headers, received_at=AT)
            assert connector.delivery_id(delivery)
            with contextlib.suppress(InvalidRequest):
                connector.normalise(delivery)
    assert tried > 1000


def assert_documented(name: str, settings: type[msgspec.Struct]) -> None:
    """The page of a connector has the settings of the code, in their order, and says which are required."""
    section = (CHECKOUT / "docs" / "plugins" / f"{name}.md").read_text("utf-8").split("## Settings")[1].split("## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    told = {setting: row[-1].strip() for row in rows for setting in re.findall(r"`(\w+)`", row[0])}
    fields = {field.name: field for field in msgspec.structs.fields(settings)}
    assert list(told) == list(fields)
    for setting, field in fields.items():
        assert (told[setting] == "required") is field.required
        if not field.required and field.default is not None:
            written = tomllib.loads(f"it = {told[setting].strip('`')}")["it"]
            assert written == msgspec.json.decode(msgspec.json.encode(field.default))


def delivery(document: Any, **given: Any) -> Delivery:
    """A delivery of a document, given as bytes or as what JSON is made of."""
    body = document if isinstance(document, bytes) else msgspec.json.encode(document)
    return Delivery(body=body, **{"received_at": AT, **given})


def means(connector: Connector, document: Any, pointer: str = "", **given: Any) -> tuple[Change, ...]:
    """What a document means; `given` is as for `delivery`."""
    return connector.normalise(delivery(document, pointer=pointer, **given))


@contextlib.asynccontextmanager
async def connecting(system: Any, made: Callable[..., Connector]) -> AsyncIterator[Callable[..., Any]]:
    """Makes connectors of a stand-in, which can be reached at its `url` meanwhile; all are closed at the end.

    Args:
        system: the stand-in.
        made: makes a connector, of the address and of settings.
    """
    with listening(system) as system.url:
        async with contextlib.AsyncExitStack() as stack:

            def connect(**settings: Any) -> Connector:
                connector = made(system.url, **settings)
                stack.push_async_callback(connector.close)
                return connector

            yield connect


class Walk:
    """Polls with one cursor after the other, as the server does: also with that of a poll that found nothing."""

    def __init__(self, connector: Any, cursor: str = "", most: int = 100) -> None:
        self.connector, self.cursor, self.most = connector, cursor, most

    async def __call__(self) -> list[Change]:
        """All that is found until there is nothing more."""
        found: list[Change] = []
        for _ in range(MOST_POLLS):
            page = await self.connector.poll(self.cursor)
            assert len(page.deliveries) <= self.most
            self.cursor = page.cursor
            found += [change for delivery in page.deliveries for change in self.connector.normalise(delivery)]
            if not page.deliveries and not is_under_way(page.cursor):
                return found
        pytest.fail(f"{MOST_POLLS} polls were not enough: the same is found again and again")


async def polled(connector: Any, cursor: str = "", most: int = 500) -> tuple[list[Change], str]:
    """All that a walk finds from a cursor on, and the cursor then; `most` deliveries are of one poll."""
    walk = Walk(connector, cursor, most)
    return await walk(), walk.cursor


def is_under_way(cursor: str) -> bool:
    """Whether a walk of `licentia_integrations.changed` is not at its end; other walks end with an empty page."""
    try:
        known = msgspec.json.decode(cursor, type=dict[str, Position])
    except msgspec.DecodeError:
        return False
    return any(position.at is not None for position in known.values())


def numbers(changes: Iterable[Change]) -> list[str]:
    """The numbers of the orders that changes are of."""
    return [change.order_number for change in changes]


async def fetched(connector: Any, changes: Iterable[Change]) -> list[Change]:
    """What the documents mean to which changes point."""
    return [
        each
        for change in changes
        for whole in await connector.fetch(change.pointer or "")
        for each in connector.normalise(whole)
    ]
