"""What the tests of the shops' connectors share: golden deliveries out of real samples that are not kept here.

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
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from licentia.connectors import Change, Connector, Delivery, headers_of
from licentia.errors import InvalidRequest

CHECKOUT = Path(__file__).parents[2]
SHARED = CHECKOUT.parent / "shared" / "data" / "orders"
GOLDEN = CHECKOUT / "tests" / "golden" / "connectors"
AT = datetime(2026, 1, 1, tzinfo=UTC)


def sample(system: str, name: str) -> bytes:
    """A real document of a system; skips the test where it is missing."""
    path = SHARED / system / name
    if not path.exists():
        pytest.skip(f"the shared sample {system}/{name} is not here")
    return path.read_bytes()


def deliveries(
    system: str,
    sign: Callable[[bytes], Mapping[str, str]],
    wrap: Callable[[str, bytes], bytes] = lambda name, body: body,
) -> Path:
    """A folder with the golden deliveries of a system, signed; `wrap` makes a body of a sample."""
    folder = Path(tempfile.mkdtemp(prefix="licentia-golden-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for expected in sorted((GOLDEN / system).glob("*.changes.json")):
        name = expected.name.removesuffix(".changes.json")
        own, shared, extra = (
            expected.with_name(f"{name}.json"),
            SHARED / system / f"{name}.json",
            expected.with_name(f"{name}.headers"),
        )
        if not own.exists() and not shared.exists():
            continue
        body = own.read_bytes() if own.exists() else wrap(name, shared.read_bytes())
        headers = "".join(f"{key}: {value}\n" for key, value in sign(body).items())
        stem = name.replace(".", "-")
        (folder / f"{stem}.json").write_bytes(body)
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


def means(connector: Connector, document: Any, pointer: str = "", **headers: str) -> tuple[Change, ...]:
    """What a document means; the names of `headers` have underscores."""
    body = document if isinstance(document, bytes) else msgspec.json.encode(document)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return connector.normalise(Delivery(body=body, headers=named, pointer=pointer, received_at=AT))
