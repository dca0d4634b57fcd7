"""`licentia container`: an act-file on its machine, as a person at the keyboard uses it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from click.testing import CliRunner

from licentia.cli import root

ITEM = {"product_code": "cad", "name": "CAD", "features": ["pro"], "expires_at": "2099-01-01T00:00:00Z", "quantity": 2}


@pytest.fixture
def server(serve: Callable[..., Any]) -> Iterator[Any]:
    """A server that takes containers bound to nothing, as the licenses here end by themselves."""
    with serve(bindings=("none",), container={"act-file": {"bindings": ["none"]}}) as running:
        yield running


@pytest.fixture
def licentia(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs a command in a folder of its own, with the key of the depot; JSON where it is asked for."""
    monkeypatch.chdir(tmp_path)
    # The server's log would be among what the commands print, as both are in this process.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

    def run(*words: str, code: int = 0) -> Any:
        environment = {"LICENTIA_URL": server.url, "LICENTIA_KEY": server.keys["depot"]}
        done = CliRunner().invoke(root.licentia, words, env=environment)
        assert done.exit_code == code, done.output
        return json.loads(done.stdout) if "json" in words else done.output

    return run


@pytest.fixture
def ticket(server: Any) -> str:
    """Two seats of `cad`."""

    def send(scope: str, method: str, path: str, body: Any) -> Any:
        answer = httpx.request(method, server.url + path, headers=server.headers(scope), json=body, timeout=30)
        return answer.raise_for_status().json()

    send("admin", "PUT", "/v1/products/cad", {"name": "CAD", "items": [ITEM]})
    order = {"source": "erp", "order_number": "1", "customer": {"id": "c"},
             "lines": [{"line_id": "1", "sku": "cad", "quantity": 1}]}  # fmt: skip
    return str(send("sales", "POST", "/v1/orders", order)["ticket"])


@pytest.fixture
def activated(licentia: Callable[..., Any], server: Any, ticket: str) -> str:
    """An act-file `cad.act` with the license in it; the activation."""
    licentia("container", "new", "cad.act", "--url", server.url, "--binding", "none")
    assert "Next" in licentia("container", "request", "cad.act")
    words = ("ticket", "activate", ticket, "--request", "cad.request", "--out", "cad.update", "-o", "json")
    activation = licentia(*words)["activation_id"]
    applied = licentia("container", "apply", "cad.act", "cad.update", "-o", "json")
    assert [license["product_code"] for license in applied["licenses"]] == ["cad"]
    return str(activation)


def test_a_license_is_used_where_it_was_applied(licentia: Callable[..., Any], activated: str) -> None:
    """It is shown, may be used, and a feature that is not in it is refused with exit code 2."""
    shown = licentia("container", "show", "cad.act", "-o", "json")
    assert (shown["changed"], shown["weak"]) == ([], True)  # bound to nothing
    (license,) = shown["licenses"]
    assert (license["quantity"], license["activation_id"]) == (2, activated)
    assert "CAD may be used here until 2099-01-01" in licentia("container", "check", "cad.act", "cad")
    refusal = licentia("container", "check", "cad.act", "cad", "--feature", "max", "-o", "json", code=2)
    assert refusal["code"] == "feature_not_licensed"
    assert "confirmed" in licentia("activation", "confirm", activated, "--receipt", "cad.receipt")


def test_a_file_is_looked_at_and_verified(licentia: Callable[..., Any], server: Any, activated: str) -> None:
    """Without a key what it is can be read; with the vendor's keys, in either form, every signature is verified."""
    for name, kind in (("cad.update", "updates"), ("cad.act", "act-file"), ("cad.request", "request")):
        assert licentia("container", "inspect", name, "-o", "json")["kind"] == kind
    (update,) = licentia("container", "inspect", "cad.update", "-o", "json")["updates"]
    assert (update["sequence"], update["bound_by"], update["algorithms"]) == (1, ["none"], ["Ed25519", "ML-DSA-65"])
    Path("keys.json").write_bytes(httpx.get(f"{server.url}/v1/keys").content)
    Path("vendor.manifest").write_text(licentia("key", "manifest"))
    for keys in ("keys.json", "vendor.manifest"):
        for name in ("cad.update", "cad.act", "cad.receipt"):
            assert licentia("container", "verify", name, "--keys", keys, "-o", "json")["verified"] is True
    changed = bytearray(Path("cad.update").read_bytes())
    changed[len(changed) // 2] ^= 1
    Path("forged.update").write_bytes(changed)
    refusal = licentia("container", "verify", "forged.update", "--keys", "keys.json", "-o", "json", code=2)
    assert refusal["code"] == "document_invalid"
    assert (
        licentia("container", "apply", "cad.act", "forged.update", "-o", "json", code=2)["code"] == "document_invalid"
    )


def test_a_license_is_given_back(licentia: Callable[..., Any], activated: str, ticket: str) -> None:
    """The receipt of the return frees the seats; the act-file has the license no more."""
    licentia("container", "return", "cad.act", activated)
    assert licentia("container", "check", "cad.act", "cad", "-o", "json", code=2)["code"] == "not_licensed"
    assert "returned" in licentia("activation", "return", activated, "--receipt", "cad.receipt")
    assert licentia("ticket", "show", ticket, "-o", "json")["licenses"][0]["available"] == 2
    assert "holds 0 licenses" in licentia("container", "contact", "cad.act")


def test_contact_needs_nothing_but_the_address(licentia: Callable[..., Any], server: Any, activated: str) -> None:
    """A container asks, applies and confirms in one step, as often as it likes."""
    for _ in range(2):
        assert "Updated" in licentia("container", "contact", "cad.act", "--url", server.url)
    written = Path("cad.receipt").read_bytes()
    licentia("container", "receipt", "cad.act", "--out", "again.receipt")
    assert Path("again.receipt").read_bytes() != written
    assert licentia("container", "inspect", "again.receipt", "-o", "json")["sequence"] == 3


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("container", "show", "none.act"), 2, "licentia container new none.act"),
        (("container", "new", "x.act"), 64, "--trust FILE or --url URL"),
        (("container", "inspect", "cad.txt"), 2, "document_invalid"),
        (("container", "apply", "cad.act", "missing.update"), 64, "missing.update"),
    ],
)
def test_a_mistake_is_told_with_the_next_step(
    licentia: Callable[..., Any], words: tuple[str, ...], code: int, told: str
) -> None:
    """A file that is not there, or is something else, is named, and so is what to do."""
    Path("cad.txt").write_text("nothing of ours")
    assert told in licentia(*words, code=code)


def test_a_container_is_made_once(licentia: Callable[..., Any], server: Any) -> None:
    """Made again it stays as it is; for other bindings it is refused, and nothing is lost."""
    words = ("container", "new", "cad.act", "--url", server.url)
    first = licentia(*words, "--binding", "none", "-o", "json")
    before = Path("cad.act").read_bytes()
    assert licentia(*words, "--binding", "none", "-o", "json") == first
    assert licentia(*words, "-o", "json", code=2)["code"] == "conflict"
    assert Path("cad.act").read_bytes() == before
