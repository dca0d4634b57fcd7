"""The WSDLs of a server: are they there, do they follow the rules, and do they name the address they came from?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import SplitResult, urlsplit

from lxml import etree

from licentia.client.soapcheck.explained import STATUSES, told
from licentia.client.soapcheck.findings import Finding, fault, judged, ok, skipped
from licentia.client.soapcheck.line import Line
from licentia.client.soapcheck.messages import parsed
from licentia.client.soapcheck.rules import RULES, WSDL

PORTS = {"http": 80, "https": 443}
ADDRESSES = ("{http://schemas.xmlsoap.org/wsdl/soap/}address", "{http://schemas.xmlsoap.org/wsdl/soap12/}address")


def descriptions(lines: list[Line]) -> Iterator[Finding]:
    """Read `?wsdl` and `?wsdl12` of each service and look at them.

    Raises:
        Unreachable: no answer came.
    """
    plain: dict[str, etree._Element] = {}
    everything: list[tuple[Line, etree._Element]] = []
    for line in lines:
        for query in ("wsdl", "wsdl12"):
            root, finding = _read(line, query)
            yield finding
            if root is not None:
                everything.append((line, root))
                if query == "wsdl":
                    plain[line.service] = root
    yield from _judge_rules(plain)
    for service in dict.fromkeys(line.service for line, _ in everything):
        yield _judge_address([(line, root) for line, root in everything if line.service == service])


def _read(line: Line, query: str) -> tuple[etree._Element | None, Finding]:
    name = f"{query} {line.service}"
    answer = line.read(query)
    root = parsed(answer.content)
    if answer.status != 200 or root is None or root.tag != WSDL + "definitions":
        if "location" in answer.headers:
            help = f"Check the address that it leads to: licentia soap check {answer.headers['location']}"
        else:
            help = STATUSES.get(answer.status, "Is this the address of Licentia? Give the base address, without /soap.")
        return None, fault(name, f"{line.url}?{query} is no WSDL: {told(answer)}", help)
    kind = answer.headers.get("content-type", "")
    return root, judged(
        name,
        kind.startswith(("text/xml", "application/wsdl+xml", "application/xml")),
        f"{len(list(root.iterfind(f'{WSDL}portType/{WSDL}operation')))} operations",
        f"The Content-Type is {kind or 'missing'}: let the proxy leave text/xml as it is, toolkits look at it.",
    )


def _judge_rules(roots: Mapping[str, etree._Element]) -> Iterator[Finding]:
    if not roots:
        yield skipped("WS-I rules", "there is no WSDL to look at", "Mend the faults above first.")
        return
    for rule in RULES:
        places = [f"{place} in {service}" for service, root in roots.items() for place in rule.look(root)]
        broken = f"{rule.sentence} Not so: {', '.join(places[:3])}{' and more' if places[3:] else ''}"
        help = "Something changes the WSDL on its way: compare it with the one read on the server itself."
        yield judged(rule.number, not places, broken if places else rule.sentence, help)


def _judge_address(found: list[tuple[Line, etree._Element]]) -> Finding:
    """Whether the addresses in the WSDLs of a service are the one under which they were read."""
    line = found[0][0]
    name = f"address {line.service}"
    named = {str(each.get("location")) for _, root in found for each in root.iter(*ADDRESSES)}
    for location in sorted(named):
        if cause := _difference(urlsplit(line.url), urlsplit(location)):
            detail = f"The WSDL tells clients to call {location}, but was read at {line.url}: {cause}"
            return fault(
                name,
                detail,
                f'Set `public_url = "{line.licentia.url}"` in the server\'s settings. '
                f"If clients do use {location}, check that one.",
            )
    if not named:
        return fault(name, "The WSDL names no address", "Compare it with the one read on the server itself.")
    return ok(name, f"the WSDL names {line.url}")


def _difference(read: SplitResult, named: SplitResult) -> str:
    """Why two addresses differ, as far as one can tell; empty if they do not."""
    if named.hostname != read.hostname:
        return "the server does not know this name, as `allowed_hosts` lacks it or a proxy puts another Host."
    if named.scheme != read.scheme:
        return "TLS ends at a proxy that does not tell the server by X-Forwarded-Proto, or is not in `trusted_proxies`."
    if _port(named) != _port(read):
        return "a proxy does not pass the port on in the Host."
    if named.path != read.path:
        return "a proxy takes a part of the path away."
    return ""


def _port(address: SplitResult) -> int | None:
    return address.port or PORTS.get(address.scheme)
