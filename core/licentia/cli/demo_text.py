"""What the demo prints: where it is, what it holds, and five commands to try."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from licentia import __version__
from licentia.cli.demo_info import DemoInfo

ENVELOPE = (
    '<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body>'
    '<GetTicket xmlns="urn:licentia:depot:1"><code>{code}</code></GetTicket></Body></Envelope>'
)


def introduction(info: DemoInfo, seconds: float) -> str:
    """All that a newcomer needs, to read and to paste."""
    url, (cad, render), keys = info.base_url, info.tickets, info.keys
    lines = [
        f"Licentia {__version__} demo at {url}, ready in {seconds:.1f} s.",
        "Only this computer can reach it. Ctrl-C stops it and throws everything away.",
        "",
        f"REST  {url}/docs  and  {url}/openapi.json",
        *(f"SOAP  {url}/soap/{service}?wsdl" for service in keys),
        "",
        f"acme-cad     201001  3 floating seats  ticket {cad}",
        f"acme-render  201002  1000 units        ticket {render}",
        "",
        *(f"key for {scope:9}  {key}" for scope, key in keys.items()),
        "",
        "Try in another terminal:",
    ]
    for what, command in commands(info):
        lines += ["", f"# {what}", command]
    return "\n".join(lines)


def commands(info: DemoInfo) -> list[tuple[str, str]]:
    """Five commands that can be pasted in any order and as often as one likes."""
    url, (cad, render), keys = info.base_url, info.tickets, info.keys
    licentia = _this_command()
    envelope = ENVELOPE.format(code=render)
    return [
        (
            "A licensed program. Start it in four terminals: there are three seats.",
            f"{licentia} demo run",
        ),
        (
            "Who holds a seat?",
            f"curl -fsS {url}/v1/leases -H 'Authorization: Bearer {keys['licensing']}'",
        ),
        (
            "What does a ticket hold?",
            f"{licentia} ticket show {cad} --url {url} --key {keys['depot']}",
        ),
        (
            "An order, as a shop would place it. Repeat it: the ticket stays the same.",
            f"{licentia} order create --source shop --order-number 1 --customer you --line acme-cad:2"
            f" --url {url} --key {keys['sales']}",
        ),
        (
            "The other ticket, by SOAP.",
            f"curl -fsS {url}/soap/depot -H 'Authorization: Bearer {keys['depot']}'"
            f" -H 'Content-Type: text/xml' -H 'SOAPAction: \"\"' -d '{envelope}'",
        ),
    ]


def _this_command() -> str:
    """How this very `licentia` is called in another terminal, where an environment may not be active."""
    if shutil.which("licentia"):
        return "licentia"
    called = Path(sys.argv[0])
    if called.name == "licentia" and called.is_file():
        return shlex.quote(str(called.absolute()))
    return f"{shlex.quote(sys.executable)} -m licentia"
