"""The SOAP envelope: bytes to a safe tree, and its version, its headers and the one element of its body.

Nothing here trusts the sender. A document type is refused before and after parsing (SOAP 1.1 section
3, SOAP 1.2 part 1 section 5, WS-I Basic Profile 1.1 R1008), entities and external files are never
read, and libxml2's own limits on depth and text hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from lxml import etree

from licentia.errors import InvalidRequest
from licentia_gateways.soap import charsets


class Malformed(InvalidRequest):
    """The body is not well-formed XML."""


class VersionMismatch(Exception):
    """The envelope is of no version of SOAP that is known here."""


class NotUnderstood(Exception):
    """A header that must be understood is not; `names` are the first few of them."""

    def __init__(self, names: list[etree.QName]) -> None:
        super().__init__(", ".join(name.localname for name in names))
        self.names = names


@dataclass(frozen=True)
class Version:
    """A version of SOAP: its names, and which headers it addresses to this receiver."""

    namespace: str
    media_type: str
    client: str
    server: str
    recipient: str
    addressed: frozenset[str]
    true: frozenset[str]


SOAP11 = Version(
    namespace="http://schemas.xmlsoap.org/soap/envelope/",
    media_type="text/xml",
    client="Client",
    server="Server",
    recipient="actor",
    addressed=frozenset({"", "http://schemas.xmlsoap.org/soap/actor/next"}),
    true=frozenset({"1"}),
)
SOAP12 = Version(
    namespace="http://www.w3.org/2003/05/soap-envelope",
    media_type="application/soap+xml",
    client="Sender",
    server="Receiver",
    recipient="role",
    addressed=frozenset(
        {
            "",
            "http://www.w3.org/2003/05/soap-envelope/role/next",
            "http://www.w3.org/2003/05/soap-envelope/role/ultimateReceiver",
        }
    ),
    true=frozenset({"1", "true"}),
)

_VERSIONS = {f"{{{version.namespace}}}Envelope": version for version in (SOAP11, SOAP12)}
SECURITY = "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd}Security"
IDEMPOTENCY_KEYS = frozenset({"IdempotencyKey", "Idempotency-Key"})

_REPEATED = 200
_NAMED = 8
"""Headers that are named, of those that are not understood; there may be thousands."""

HELP = "Send one SOAP envelope as the WSDL describes it; the address with `?wsdl` gives the WSDL."


class Envelope(NamedTuple):
    """What was sent: the headers that are understood and addressed to this receiver, and the body's element."""

    security: etree._Element | None
    idempotency_key: str | None
    content: etree._Element


def parse(body: bytes, encoding: str | None) -> etree._Element:
    """The root element of a body. `encoding`, where given, overrules the XML declaration (RFC 7303).

    Raises:
        Malformed: it is not well-formed.
        InvalidRequest: it has a document type.
        UnsupportedMediaType: it declares an encoding that is not read, such as UTF-7.
    """
    if b"<!DOCTYPE" in body:
        raise _document_type()
    parser = _parser(encoding)
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        raise _malformed(str(error.msg), encoding) from None
    for flaw in parser.error_log:
        if flaw.level > etree.ErrorLevels.WARNING:  # where a warning came last, lxml lets errors pass
            raise _malformed(flaw.message, encoding)
    info = root.getroottree().docinfo
    if info.internalDTD is not None:
        raise _document_type()
    charsets.check(info.encoding or "utf-8")
    return root


@cache
def _parser(encoding: str | None) -> etree.XMLParser:
    """One per encoding that is read: making it takes a third of the time of parsing a short message."""
    return etree.XMLParser(
        encoding=encoding,
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )


def cut(text: str) -> str:
    """As much of a sender's own words as an answer repeats: enough to see what was meant."""
    return text if len(text) <= _REPEATED else f"{text[:_REPEATED]}..."


def version_of(root: etree._Element) -> Version:
    """The version of SOAP that the root element belongs to.

    Raises:
        VersionMismatch: it is an envelope of another version.
        InvalidRequest: it is no envelope at all.
    """
    version = _VERSIONS.get(root.tag)
    if version is not None:
        return version
    name = etree.QName(root)
    if name.localname == "Envelope":
        raise VersionMismatch
    raise _refused(f"A SOAP envelope is expected, not `{cut(name.localname)}`.")


def open_envelope(root: etree._Element, version: Version) -> Envelope:
    """The parts of an envelope.

    Raises:
        NotUnderstood: a header for this receiver must be understood and is not.
        InvalidRequest: the body is missing, is not last, or does not hold exactly one element.
    """
    qualified = f"{{{version.namespace}}}"
    parts = list(root)
    header = parts.pop(0) if parts and parts[0].tag == qualified + "Header" else None
    security, key = (None, None) if header is None else _headers(header, version)
    if len(parts) != 1 or parts[0].tag != qualified + "Body":
        raise _refused("An envelope holds at most one Header and then exactly one Body.")
    content = list(parts[0])
    if len(content) != 1:
        raise _refused(f"The Body holds exactly one element, that of the operation; this one holds {len(content)}.")
    return Envelope(security, key, content[0])


def _headers(header: etree._Element, version: Version) -> tuple[etree._Element | None, str | None]:
    qualified = f"{{{version.namespace}}}"
    security, key = None, None
    unknown = []
    for block in header:
        if (block.get(qualified + version.recipient) or "").strip() not in version.addressed:
            continue
        name = etree.QName(block)
        if block.tag == SECURITY:
            security = block
        elif name.localname in IDEMPOTENCY_KEYS:
            key = (block.text or "").strip()
        elif (block.get(qualified + "mustUnderstand") or "").strip() in version.true:
            unknown.append(name)
    if unknown:
        raise NotUnderstood(unknown[:_NAMED])
    return security, key


def _malformed(reason: str, encoding: str | None) -> Malformed:
    told = cut(" ".join(reason.split()))
    if "encoding" in told:
        told += f"; it was read as {encoding or 'the XML declaration says, else as UTF-8'}"
    return Malformed(f"The body is not well-formed XML: {told}.", help=HELP)


def _document_type() -> InvalidRequest:
    return _refused("A document type (DOCTYPE) is not allowed in a SOAP message.")


def _refused(detail: str) -> InvalidRequest:
    return InvalidRequest(detail, help=HELP)
