"""What is attacked: the whole application in this process, with its log and the clock under watch."""

from __future__ import annotations

import asyncio
import gzip
import logging
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, get_args

import hostile
import pytest
import structlog
from lxml import etree
from starlette.types import Message, Scope

from licentia.contract import BY_NAME, OPERATIONS, Service, parse
from licentia.services.application import Application
from licentia.services.identity import OPERATOR
from licentia.settings import Limits, Settings
from licentia_gateways.app import create_app
from licentia_gateways.soap.description import xml_schema

SECONDS = 20.0
CPU_SECONDS = 1.0
"""What one input may cost; the dearest honest one costs a hundredth."""

SOAP = {
    "http://schemas.xmlsoap.org/soap/envelope/": ("text/xml", {"Client", "MustUnderstand", "VersionMismatch"}),
    "http://www.w3.org/2003/05/soap-envelope": (
        "application/soap+xml",
        {"Sender", "MustUnderstand", "VersionMismatch"},
    ),
}
STATUSES = {200, 400, 401, 405, 413, 415, 500}
WSDL = "{http://schemas.xmlsoap.org/wsdl/}definitions"


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long to attack, in place of the short time that the suite has for it."""
    parser.addoption("--seconds", type=float, default=SECONDS, help="how long the fuzzing lasts")
    parser.addoption("--seed", type=int, default=None, help="where the fuzzing starts; elsewhere each time by default")


@pytest.fixture
def seconds(request: pytest.FixtureRequest) -> float:
    """How long to attack; `pytest tests/fuzz --seconds N`."""
    return float(request.config.getoption("seconds", SECONDS))


@pytest.fixture
def first_seed(request: pytest.FixtureRequest) -> int:
    """Where the random numbers start: `--seed`, else somewhere else each time."""
    given = request.config.getoption("seed", None)
    return time.time_ns() // 1_000_000 % 2**31 if given is None else int(given)


@dataclass(frozen=True)
class Attack:
    """One HTTP request, as a server hands it on: the body in pieces, perhaps with the caller gone before its end."""

    service: str
    method: str = "POST"
    query: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    chunks: tuple[bytes, ...] = (b"",)
    hangs_up: bool = False


@dataclass
class Answer:
    """What was sent back, if anything."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    ended: bool = False


class Target:
    """The application and what is expected of it, whatever it is sent."""

    def __init__(self, data: Path) -> None:
        self.runner = asyncio.Runner()
        self.events: list[dict[str, Any]] = []
        self.schemas = {s: etree.XMLSchema(etree.fromstring(xml_schema(s))) for s in get_args(Service)}
        self.operations = {operation.name for operation in OPERATIONS}
        unlimited = Limits(wait_seconds=0, ticket_misses_per_minute=10**9, failed_authentications_per_minute=10**9)
        self.application = self.runner.run(Application.open(Settings(data=data, limits=unlimited)))
        self.app = create_app(self.application)
        self.keys = {scope: self._key(scope) for scope in get_args(Service)}
        self.ticket = self._sell()
        self.count = 0
        self.statuses: Counter[int] = Counter()

    def _key(self, scope: str) -> str:
        return self.runner.run(self.application.create_key(frozenset({scope}), scope))[1]

    def _sell(self) -> str:
        items = [{"product_code": "201001", "name": "CAD", "quantity": 3, "features": ["a"], "units": 1000}]
        self._call("PutProduct", {"sku": "cad", "name": "CAD", "items": items})
        lines = [{"line_id": "1", "sku": "cad", "quantity": 2}]
        order = {"source": "shop", "order_number": "1", "customer": {"id": "c"}, "lines": lines}
        return str(self._call("CreateOrder", order).ticket)

    def _call(self, name: str, values: dict[str, Any]) -> Any:
        operation = BY_NAME[name]
        return self.runner.run(self.application.call(operation, parse(operation, values), OPERATOR))

    @property
    def secrets(self) -> tuple[str, ...]:
        """What nobody may get to see."""
        return tuple(key.split("_", 2)[2] for key in self.keys.values())

    def send(self, **parts: Any) -> Answer:
        """Send an `Attack` and wait for the answer."""
        return self.runner.run(self._send(Attack(**parts)))

    async def _send(self, attack: Attack) -> Answer:
        messages: list[Message] = [
            {"type": "http.request", "body": chunk, "more_body": True} for chunk in attack.chunks
        ]
        if attack.hangs_up:
            messages.append({"type": "http.disconnect"})
        else:
            messages[-1]["more_body"] = False
        answer = Answer()

        async def receive() -> Message:
            if not messages:
                await asyncio.Event().wait()  # it stays connected, and has nothing more to say
            return messages.pop(0)

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                assert not answer.status, "two answers"
                answer.status = message["status"]
                answer.headers = {name.decode("ascii"): value.decode("ascii") for name, value in message["headers"]}
            else:
                assert answer.status, "a body without a status"
                assert not answer.ended, "more after the end"
                answer.body += message.get("body", b"")
                answer.ended = not message.get("more_body", False)

        path = f"/soap/{attack.service}"
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": attack.method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": attack.query,
            "root_path": "",
            "headers": list(attack.headers),
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8400),
        }
        await self.app(scope, receive, send)
        return answer

    def judge(self, **parts: Any) -> Answer:
        """Send an `Attack` and look at all that can be seen from outside."""
        attack = Attack(**parts)
        self.events.clear()
        started = time.process_time()
        answer = self.send(**parts)
        spent = time.process_time() - started
        self.count += 1
        self.statuses[answer.status] += 1
        assert spent < CPU_SECONDS, f"{spent:.2f} s of CPU"
        failures = [event for event in self.events if event.get("event") != "request"]
        assert not failures, "\n".join(str(each.get("traceback") or each) for each in failures)
        shown = f"{answer.headers} {answer.body.decode('utf-8', 'replace')} {self.events}"
        for secret in self.secrets:
            assert secret not in shown, "a secret is shown"
        if attack.hangs_up and not answer.status:
            return answer
        assert answer.ended, "the answer does not end"
        self._judge_answer(attack, answer)
        return answer

    def _judge_answer(self, attack: Attack, answer: Answer) -> None:
        assert answer.status in STATUSES
        if attack.method == "HEAD":
            assert not answer.body
            return
        assert int(answer.headers["content-length"]) == len(answer.body)
        content = answer.body
        if answer.headers.get("content-encoding") == "gzip":
            content = gzip.decompress(content)
        root = etree.fromstring(content)
        media_type = answer.headers["content-type"]
        if answer.status == 200 and attack.method == "GET":
            assert (root.tag, media_type) == (WSDL, "text/xml; charset=utf-8")
            return
        kind, codes = SOAP[etree.QName(root).namespace or ""]
        assert media_type == f"{kind}; charset=utf-8"
        (element,) = root[-1]
        if answer.status == 200:
            assert etree.QName(element).localname.removesuffix("Response") in self.operations
            assert self.schemas[attack.service].validate(element), self.schemas[attack.service].error_log
            return
        code = element.findtext("faultcode") or element.findtext("{*}Code/{*}Value") or ""
        assert code.partition(":")[2] in codes, content
        assert len(content) < 4 * sum(map(len, attack.chunks)) + 8192, "a small question with a large answer"
        for typed in element.iterfind(".//{*}LicensingFault"):
            assert self.schemas[attack.service].validate(typed), self.schemas[attack.service].error_log

    def still_answers(self) -> None:
        """Whether an honest call gets its reply."""
        body = (
            b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>'
            b'<ListProducts xmlns="urn:licentia:admin:1"/></e:Body></e:Envelope>'
        )
        headers = ((b"content-type", b"text/xml"), (b"authorization", f"Bearer {self.keys['admin']}".encode()))
        assert self.judge(service="admin", headers=headers, chunks=(body,)).status == 200

    def close(self) -> None:
        """End it."""
        self.runner.run(self.application.close())
        self.runner.close()


class _Kept(logging.Handler):
    """Keeps what libraries log."""

    def __init__(self, events: list[dict[str, Any]]) -> None:
        super().__init__(logging.WARNING)
        self.events = events

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record."""
        self.events.append({"event": record.getMessage(), "logger": record.name})


@pytest.fixture
def target(data: Path) -> Iterator[Target]:
    """An application that has sold something, under watch."""
    target = Target(data)

    def keep(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
        target.events.append(event | ({"traceback": traceback.format_exc()} if event.get("exc_info") else {}))
        raise structlog.DropEvent

    structlog.configure(processors=[structlog.contextvars.merge_contextvars, keep])
    kept = _Kept(target.events)
    logging.getLogger().addHandler(kept)
    try:
        yield target
    finally:
        logging.getLogger().removeHandler(kept)
        structlog.reset_defaults()
        target.close()


@pytest.fixture
def attack(target: Target) -> Callable[[Random], dict[str, Any]]:
    """What is sent to it, by chance; see `hostile.py`."""
    return lambda random: hostile.attack(random, target)  # type: ignore[no-any-return]
