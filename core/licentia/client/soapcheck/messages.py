"""SOAP messages for the checks, and what came back for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

import httpx
from lxml import etree

Version = Literal["1.1", "1.2"]

NAMESPACES: Mapping[Version, str] = {
    "1.1": "http://schemas.xmlsoap.org/soap/envelope/",
    "1.2": "http://www.w3.org/2003/05/soap-envelope",
}
MEDIA_TYPES: Mapping[Version, str] = {"1.1": "text/xml", "1.2": "application/soap+xml"}
NOTHING = "LicentiaSoapCheck"
"""An operation that no service has: asking for it needs no key, changes nothing and is always refused alike."""


def envelope(
    service: str, operation: str, fields: Mapping[str, Any], header: str = "", version: Version = "1.1"
) -> str:
    """A message; the names of the fields are those of the JSON, absent ones are None."""
    given = {camel(name): escape(str(value)) for name, value in fields.items() if value is not None}
    told = "".join(f"<{name}>{value}</{name}>" for name, value in given.items())
    head = f"<s:Header>{header}</s:Header>" if header else ""
    body = f'<{operation} xmlns="urn:licentia:{service}:1">{told}</{operation}>'
    return f'<s:Envelope xmlns:s="{NAMESPACES[version]}">{head}<s:Body>{body}</s:Body></s:Envelope>'


def camel(name: str) -> str:
    """The element of a JSON name."""
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)


def parsed(content: bytes) -> etree._Element | None:
    """A document as a tree, without entities, document types and anything from outside; None if it is none."""
    parser = etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    return None if root.getroottree().docinfo.internalDTD is not None else root


@dataclass(frozen=True)
class Answer:
    """What came back. `code` is that of a fault of Licentia's, `text` what any fault says; both may be empty."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    is_soap: bool
    is_fault: bool
    code: str
    text: str

    @classmethod
    def of(cls, response: httpx.Response) -> Answer:
        """The answer that a response holds."""
        root = parsed(response.content)
        is_soap = root is not None and root.tag in {f"{{{namespace}}}Envelope" for namespace in NAMESPACES.values()}
        found = root.find("{*}Body/{*}Fault") if root is not None and is_soap else None
        typed = None if found is None else found.find("detail/{*}LicensingFault")
        if found is not None and typed is None:
            typed = found.find("{*}Detail/{*}LicensingFault")
        text = "" if found is None else found.findtext("faultstring") or found.findtext("{*}Reason/{*}Text") or ""
        code = "" if typed is None else typed.findtext("{*}code") or ""
        return cls(response.status_code, response.headers, response.content, is_soap, found is not None, code, text)
