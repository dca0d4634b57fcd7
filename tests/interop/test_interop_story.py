"""Each SOAP toolkit makes a client from the WSDL that is served, and runs one story with it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

ENVELOPES = {"1.1": "http://schemas.xmlsoap.org/soap/envelope/", "1.2": "http://www.w3.org/2003/05/soap-envelope"}
SERVICES = ("admin", "sales", "depot", "licensing")
SHOWN = {
    "basic": re.compile(r"^authorization: basic ", re.IGNORECASE | re.MULTILINE),
    "bearer": re.compile(r"^authorization: bearer ", re.IGNORECASE | re.MULTILINE),
    "text": re.compile(r"<(\w+:)?Password( [^>]*#PasswordText[^>]*)?>"),
    "digest": re.compile(r"<(\w+:)?Password [^>]*#PasswordDigest[^>]*>"),
}
STORY = {
    "product.created": "true",
    "product.name": "Ä & <b>",
    "product.features": "x y",
    "order.created": "true",
    "repeat.created": "false",
    "invalid.code": "invalid_request",
    "invalid.pointer": "/lines/0/sku",
    "ticket.customer": "Ünal & Söhne <GmbH>",
    "ticket.available": "3",
    "activation.state": "confirmed",
    "checkout.seats": "1 2 3",
    "checkout.seconds": "600",
    "refusal.code": "no_free_seats",
    "renewal.created": "false",
    "leases": "1 2 3",
    "released": "2 3",
}


def build(toolkit: Any, soap: str, url: str, environment: dict[str, str], root: Path) -> Path:
    """The folder with the client for a version of SOAP, generated and compiled."""
    if soap not in toolkit.built:
        folder = root / f"{toolkit.name}-{soap}"
        shutil.copytree(Path(__file__).parent / toolkit.name, folder)
        wsdl, protocol = {"1.1": ("wsdl", "SOAP"), "1.2": ("wsdl12", "SOAP12")}[soap]
        values = {"url": url, "wsdl": wsdl, "protocol": protocol, "digit": soap[-1]}
        for command in toolkit.row.get("build", []):
            for service in SERVICES if "{service}" in command else ("",):
                filled = toolkit.fill(command, service=service, Service=service.capitalize(), **values)
                done = toolkit.run(filled, folder, environment)
                said = done.stdout + done.stderr
                assert done.returncode == 0, f"{filled}\n{said[-8000:]}"
                if soap == "1.1":
                    assert unexpected_warnings(toolkit, said) == [], filled
        toolkit.built[soap] = folder
    return Path(toolkit.built[soap])


def unexpected_warnings(toolkit: Any, said: str) -> list[str]:
    """The warnings in what a generator or compiler said, but for those that the table knows."""
    known = re.compile(toolkit.row.get("remarks", "$^"))
    return [line for line in said.splitlines() if "warning" in line.lower() and not known.search(line)]


def test_the_story_is_the_same(
    toolkit: Any,
    way: tuple[str, str],
    demo: dict[str, str],
    relay: Any,
    results: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Product, order, repeat, ticket, activation, three seats, a typed refusal, renewal and release, in each way."""
    soap, auth = way
    folder = build(toolkit, soap, relay.url, demo, tmp_path_factory.getbasetemp())
    run = f"{toolkit.name}-{soap}-{auth}"
    environment = demo | {"LICENTIA_URL": relay.url, "RUN": run, "SOAP_VERSION": soap, "SOAP_AUTH": auth}
    relay.heard()
    done = toolkit.run(toolkit.fill(toolkit.row["run"]), folder, environment)
    assert done.returncode in toolkit.row.get("ends", [0]), f"{done.stdout[-3000:]}\n{done.stderr[-5000:]}"
    said = dict(re.findall(r"^([a-z]+(?:\.[a-z]+)?)=(.*)$", done.stdout, re.MULTILINE))
    ticket = said.pop("order.ticket")
    assert said.pop("repeat.ticket") == ticket
    assert said == STORY

    sent = relay.heard()
    posts = len(re.findall(r"POST /soap/\w+ HTTP/1", sent))
    assert posts >= 13
    other = ENVELOPES["1.2" if soap == "1.1" else "1.1"]
    assert f'"{ENVELOPES[soap]}"' in sent.replace("'", '"')
    assert f'"{other}"' not in sent.replace("'", '"')
    assert len(SHOWN[auth].findall(sent)) >= 13
    assert [kind for kind, pattern in SHOWN.items() if kind != auth and pattern.search(sent)] == []

    key = {"Authorization": f"Bearer {demo['KEY_DEPOT']}"}
    kept = httpx.get(f"{demo['LICENTIA_URL']}/v1/tickets/{ticket}", headers=key, timeout=10).json()
    assert (kept["order_number"], kept["customer"], kept["licenses"][0]["available"]) == (
        run,
        STORY["ticket.customer"],
        0,
    )
    seen = results.setdefault(toolkit.name, {"version": toolkit.version(), "passed": []})
    seen["passed"].append([soap, auth])


@pytest.mark.slow
def test_the_bug_of_a_toolkit_is_still_there(
    toolkit: Any, bug: str, demo: dict[str, str], results: dict[str, Any], tmp_path: Path
) -> None:
    """What docs/soap.md says that a toolkit cannot do by a fault of its own, it does not do: else the page is wrong."""
    source = Path(__file__).parent / toolkit.name
    folder = Path(shutil.copytree(source, tmp_path / toolkit.name)) if source.is_dir() else tmp_path
    known = toolkit.row["bug"][bug]
    done = toolkit.run(toolkit.fill(known["run"], url=demo["LICENTIA_URL"]), folder, demo)
    assert re.search(known["evidence"], done.stdout + done.stderr), f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    seen = results.setdefault(toolkit.name, {"version": toolkit.version(), "passed": []})
    seen.setdefault("bugs", []).append(bug)
