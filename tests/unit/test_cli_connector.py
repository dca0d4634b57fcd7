"""`licentia connector normalise`, as a shell runs it."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from licentia import installed
from licentia.cli.command import REFUSED
from licentia.cli.root import WRONG_USAGE, Root
from licentia.cli.tree import Noun, Own
from licentia.connectors import Change, Connector, Customer, Delivery, Line
from licentia.errors import InvalidRequest, Unauthenticated
from licentia.settings import SettingsError

ROOT = Root("licentia", {"connector": Noun("", {"normalise": Own("licentia.cli.commands.connector:normalise", "")})})
ORDER = {"number": "1001", "buyer": "acme", "items": {"cad": 5, "render": 1.5}}

Run = Callable[..., Result]


class Shop(Connector):
    """A shop that signs the body; `secret` is required, `article` names its articles anew."""

    def __init__(self, name: str, settings: dict[str, Any]) -> None:
        super().__init__(name, settings)
        if not isinstance(settings.get("secret"), str) or settings.keys() - {"secret", "article"}:
            raise SettingsError("[connector.shop] Object missing required field `secret`")

    async def _authenticate(self, delivery: Delivery) -> None:
        wanted = hmac.new(self.settings["secret"].encode(), delivery.body, "sha256").hexdigest()
        if not hmac.compare_digest(wanted, delivery.headers.get("x-shop-signature", "")):
            raise Unauthenticated("The shop has not signed this.", help="Give both sides the same secret.")

    def _normalise(self, delivery: Delivery) -> tuple[Change, ...]:
        try:
            order = json.loads(delivery.body, parse_float=str)
        except ValueError:
            raise InvalidRequest("This is no order of the shop.") from None
        if "items" not in order:
            return ()
        items = order["items"].items()
        lines = tuple(Line(line_id=sku, sku=self.settings.get("article", sku), quantity=q) for sku, q in items)
        customer = Customer(id=order["buyer"])
        told = delivery.pointer or delivery.url
        return (Change(kind="placed", order_number=order["number"] + told, customer=customer, lines=lines),)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs `licentia connector normalise ...` in a folder of its own, with one connector that works and one broken."""
    targets = {"shop": f"{__name__}:Shop", "lost": "licentia_integrations.lost:Lost"}
    points = [EntryPoint(name, target, "licentia.connectors") for name, target in targets.items()]
    monkeypatch.setattr(installed, "installed", lambda: points)
    monkeypatch.setattr(EntryPoint, "load", lambda self: Shop if self.name == "shop" else _lost())
    monkeypatch.chdir(tmp_path)
    Path("order.json").write_text(json.dumps(ORDER), "utf-8")
    return lambda *words: CliRunner().invoke(ROOT, ["connector", "normalise", *words])


def _lost() -> None:
    raise ImportError("no such module")


def signature(secret: str) -> str:
    """The signature of the order."""
    return hmac.new(secret.encode(), Path("order.json").read_bytes(), "sha256").hexdigest()


def test_the_changes_are_printed_as_json(run: Run) -> None:
    """A list of all fields; quantities are numbers, fractions as they are."""
    done = run("shop", "order.json", "-o", "json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout) == [
        {
            "kind": "placed",
            "order_number": "1001",
            "version": 0,
            "full_snapshot": False,
            "pointer": None,
            "customer": {"id": "acme", "name": None, "email": None},
            "lines": [
                {"line_id": "cad", "sku": "cad", "quantity": 5, "alternatives": [], "options": {}},
                {"line_id": "render", "sku": "render", "quantity": 1.5, "alternatives": [], "options": {}},
            ],
            "origin": None,
            "test": False,
        }
    ]


def test_the_changes_are_told_as_a_table(run: Run) -> None:
    """To a person, with the lines beneath each change."""
    done = run("shop", "order.json")
    assert done.stdout.splitlines() == [
        "placed 1001, version 0, for acme",
        "line_id  sku     quantity",
        "cad      cad     5",
        "render   render  1.5",
    ]


def test_what_means_nothing_is_understood(run: Run) -> None:
    """It is no refusal: the list is empty."""
    Path("hello.json").write_text("{}")
    assert run("shop", "hello.json").stdout == "It means nothing for orders.\n"
    assert json.loads(run("shop", "hello.json", "-o", "json").stdout) == []


def test_a_delivery_is_authenticated_with_a_secret(run: Run) -> None:
    """The right one is let in, a wrong one is refused with code, detail and help."""
    Path("headers").write_text(f"X-Shop-Signature: {signature('right')}\n")
    assert run("shop", "order.json", "--headers", "headers", "--secret", "right").exit_code == 0
    assert run("shop", "order.json", "--headers", "headers", "--setting", "secret=right").exit_code == 0
    assert run("shop", "order.json", "--headers", "headers").exit_code == 0, "without a secret nothing is judged"
    done = run("shop", "order.json", "--headers", "headers", "--secret", "wrong", "-o", "json")
    assert done.exit_code == REFUSED
    assert json.loads(done.stdout) == {
        "code": "unauthenticated",
        "detail": "The shop has not signed this.",
        "help": "Give both sides the same secret. If it was recorded some time ago, tell by --at when it came.",
    }
    assert run("shop", "order.json", "--setting", "secret=right").exit_code == REFUSED


def test_a_recorded_request_brings_its_headers(run: Run) -> None:
    """One file with `headers` and `body` is authenticated like two files; `--headers` outweighs it."""
    body = Path("order.json").read_text("utf-8")
    recorded = {"path": "/shop", "headers": {"X-Shop-Signature": signature("right")}, "body": body}
    Path("recorded.json").write_text(json.dumps(recorded))
    done = run("shop", "recorded.json", "--secret", "right", "-o", "json")
    assert json.loads(done.stdout)[0]["order_number"] == "1001/shop"
    Path("headers").write_text('{"x-shop-signature": "another"}')
    assert run("shop", "recorded.json", "--secret", "right", "--headers", "headers").exit_code == REFUSED


def test_what_was_fetched_may_be_tried(run: Run) -> None:
    """With the pointer that it was fetched for, or with the address that was called."""
    for option in ("--pointer", "--url"):
        done = run("shop", "order.json", option, "/orders/7", "-o", "json")
        assert json.loads(done.stdout)[0]["order_number"] == "1001/orders/7"


def test_a_setting_is_toml_or_text(run: Run) -> None:
    """As in a variable of the server."""
    for text in ("article=CAD-PRO", 'article="CAD-PRO"'):
        done = run("shop", "order.json", "--setting", text, "-o", "json")
        assert json.loads(done.stdout)[0]["lines"][0]["sku"] == "CAD-PRO"


@pytest.mark.parametrize("content", [b"", b"no order", b"\xff\xfe", b"[" * 100_000])
def test_what_is_illegible_is_refused(run: Run, content: bytes) -> None:
    """With exit code 2 and an object that says why."""
    Path("odd").write_bytes(content)
    done = run("shop", "odd", "-o", "json")
    assert done.exit_code == REFUSED
    assert json.loads(done.stdout).keys() == {"code", "detail", "help"}


def test_a_long_file_is_refused(run: Run) -> None:
    """Before the connector sees it."""
    Path("long").write_bytes(bytes(8 * 2**20 + 1))
    done = run("shop", "long")
    assert done.exit_code == REFUSED
    assert "8388608 bytes" in done.stderr


def test_headers_must_be_headers(run: Run) -> None:
    """A file that holds none is refused."""
    for content in (b"no colon", b"\xff: x"):
        Path("headers").write_bytes(content)
        assert run("shop", "order.json", "--headers", "headers", "--secret", "s").exit_code == REFUSED


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("shop", "missing.json"), WRONG_USAGE, "missing.json"),
        (("ebay", "order.json"), WRONG_USAGE, "installed are: lost, shop"),
        (("shop", "order.json", "--setting", "color=red"), WRONG_USAGE, "[connector.shop]"),
        (("shop", "order.json", "--setting", "red"), WRONG_USAGE, "NAME=VALUE"),
        (("shop", "order.json", "--at", "noon"), WRONG_USAGE, "noon"),
        (("shop",), WRONG_USAGE, "FILE"),
        (("lost", "order.json"), 1, "is broken"),
    ],
)
def test_wrong_usage_is_told(run: Run, words: tuple[str, ...], code: int, told: str) -> None:
    """With the exit code of wrong usage, or of a plugin that does not load."""
    done = run(*words)
    assert done.exit_code == code
    assert told in done.stderr
