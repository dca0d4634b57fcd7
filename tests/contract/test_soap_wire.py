"""What old and odd SOAP clients put on the wire, byte by byte: what is served anyway, and what is refused and how."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from io import BytesIO
from typing import Any, BinaryIO

import pytest
from lxml import etree

ENVELOPES = {"1.1": "http://schemas.xmlsoap.org/soap/envelope/", "1.2": "http://www.w3.org/2003/05/soap-envelope"}
TNS = "urn:licentia:admin:1"
LIST = f'<ListProducts xmlns="{TNS}"/>'
PRODUCT = "<sku>a</sku><name>{}</name><items><productCode>1</productCode></items>"


@dataclass
class Answer:
    """An HTTP answer as it came."""

    status_line: str
    headers: Message
    body: bytes

    @property
    def status(self) -> int:
        """The status code."""
        return int(self.status_line.split()[1])

    @property
    def content(self) -> etree._Element:
        """The element in the SOAP body."""
        (content,) = etree.fromstring(self.body)[-1]
        return content

    def fault(self, code: str) -> str:
        """The text of a fault, after a look at its code."""
        text = self.content.findtext("faultcode") or self.content.findtext("{*}Code/{*}Value") or ""
        assert text.partition(":")[2] == code, self.body
        return self.content.findtext("faultstring") or self.content.findtext("{*}Reason/{*}Text") or ""


class Wire:
    """One connection to the server, over which anything can be sent."""

    def __init__(self, port: int, key: str) -> None:
        self.key = key
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.file: BinaryIO = self.socket.makefile("rb")

    def close(self) -> None:
        """Hang up."""
        self.file.close()
        self.socket.close()

    def head(self, *headers: str, http: str = "1.1") -> bytes:
        """The beginning of a POST with these headers and the key."""
        lines = [f"POST /soap/admin HTTP/{http}", "Host: localhost", f"Authorization: Bearer {self.key}", *headers]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def post(
        self,
        body: str | bytes,
        *headers: str,
        content_type: str = "text/xml; charset=utf-8",
        encoding: str = "utf-8",
        http: str = "1.1",
    ) -> Answer:
        """Send a message and read the answer."""
        content = body.encode(encoding) if isinstance(body, str) else body
        own = [f"Content-Length: {len(content)}", *([f"Content-Type: {content_type}"] if content_type else [])]
        self.socket.sendall(self.head(*own, *headers, http=http) + content)
        return self.answer()

    def answer(self) -> Answer:
        """Read one answer; one without a length ends with the connection."""
        status_line = self.file.readline().decode()
        headers = BytesIO()
        while (line := self.file.readline()) not in (b"\r\n", b""):
            headers.write(line)
        parsed = BytesParser().parsebytes(headers.getvalue())
        length = parsed["content-length"]
        return Answer(status_line, parsed, b"" if length is None else self.file.read(int(length)))

    def ended(self) -> bool:
        """Whether the server hangs up."""
        return self.file.read(1) == b""


def envelope(body: str = LIST, header: str = "", version: str = "1.1") -> str:
    """An envelope around a body."""
    return f'<s:Envelope xmlns:s="{ENVELOPES[version]}">{header}<s:Body>{body}</s:Body></s:Envelope>'


def declaration(encoding: str) -> str:
    """The XML declaration of an encoding; nothing for none."""
    return f'<?xml version="1.0" encoding="{encoding}"?>' if encoding else ""


def put(name: str) -> str:
    """A message that makes a product of this name, which the reply repeats."""
    return envelope(f'<PutProduct xmlns="{TNS}">{PRODUCT.format(name)}</PutProduct>')


@pytest.fixture
def wire(server: Any) -> Iterator[Wire]:
    """A connection to a real server, with the key for `admin`."""
    port = int(server.url.rpartition(":")[2])
    with closing(Wire(port, server.keys["admin"])) as connection:
        yield connection


def test_every_form_of_an_action_is_served(wire: Wire) -> None:
    """SOAPAction may be quoted, bare, empty, a star or missing, in any case of its name; one connection serves all."""
    own = f"{TNS}/ListProducts"
    for header in (
        f'SOAPAction: "{own}"',
        f"SOAPAction: {own}",
        f"soapaction: {own}",
        'SOAPAction: ""',
        "SOAPAction:",
        'SOAPAction: "*"',
        "SOAPAction: *",
        "SOAPAction: ListProducts",
        'SOAPAction: "#ListProducts"',
        "X-Unrelated: 1",
    ):
        answer = wire.post(envelope(), header)
        assert (answer.status, answer.content.tag) == (200, f"{{{TNS}}}ListProductsResponse"), header


ENCODINGS = (
    ("text/xml;charset=utf8", "", "utf-8"),
    ('text/xml; charset="UTF-8"', "UTF-8", "utf-8"),
    ("TEXT/XML; Charset=Utf-8;", "", "utf-8"),
    ("text/xml; charset='utf-8'", "", "utf-8"),
    ("text/xml", "", "utf-8"),
    ("text/xml; charset=utf-8", "", "utf-8-sig"),
    ("text/xml; charset=iso-8859-1", "", "utf-8-sig"),
    ("text/xml; charset=utf-8", "iso-8859-1", "utf-8"),
    ("text/xml; charset=utf-16", "UTF-16", "utf-16"),
    ("text/xml", "UTF-16", "utf-16"),
    ("text/xml; charset=UTF-16BE", "", "utf-16-be"),
    ("text/xml; charset=iso-8859-1", "iso-8859-1", "iso-8859-1"),
    ("text/xml; charset=ISO_8859-1", "", "iso-8859-1"),
    ("text/xml", "ISO-8859-1", "iso-8859-1"),
    ("text/xml; charset=windows-1252", "Windows-1252", "cp1252"),
    ("text/xml", "windows-1252", "cp1252"),
)
"""Content-Type, what the XML declaration says, and how the bytes are made."""


def test_every_encoding_is_read_as_it_was_meant(wire: Wire) -> None:
    """UTF-8, UTF-16, ISO-8859-1 and Windows-1252 under all their names; the answer is always UTF-8."""
    for content_type, declared, encoding in ENCODINGS:
        name = "Großhändler" if "8859" in encoding else "Großhändler „A-Z“ €"
        answer = wire.post(declaration(declared) + put(name), content_type=content_type, encoding=encoding)
        assert answer.status == 200, (content_type, declared, encoding)
        assert answer.content.findtext("{*}name") == name, (content_type, declared, encoding)
        assert answer.headers["content-type"] == "text/xml; charset=utf-8"


def test_plain_ascii_is_a_part_of_utf_8(wire: Wire) -> None:
    """A message in US-ASCII with the rest as character references is read."""
    answer = wire.post(put("Gro&#223;h&#xE4;ndler").encode("ascii"), content_type="text/xml; charset=us-ascii")
    assert answer.content.findtext("{*}name") == "Großhändler"


def test_an_encoding_is_never_guessed(wire: Wire) -> None:
    """Names that contradict each other, other encodings, and bytes that do not fit are refused: no name is garbled."""
    for content_type, declared, encoding, status, word in (
        ("text/xml; charset=iso-8859-1", "UTF-8", "utf-8", 415, "iso-8859-1"),
        ("text/xml; charset=windows-1252", "iso-8859-1", "iso-8859-1", 415, "windows-1252"),
        ("text/xml; charset=koi8-r", "", "koi8-r", 415, "UTF-8"),
        ("text/xml", "koi8-r", "koi8-r", 415, "UTF-8"),
        ("text/xml", "UTF-7", "utf-7", 415, "UTF-8"),
        ("text/xml", "UTF-32", "utf-32", 415, "UTF-8"),
        ("text/xml; charset=utf-8", "", "iso-8859-1", 400, "utf-8"),
        ("text/xml", "", "iso-8859-1", 400, "UTF-8"),
    ):
        name = "Товары" if encoding == "koi8-r" else "Händler"
        answer = wire.post(declaration(declared) + put(name), content_type=content_type, encoding=encoding)
        assert answer.status == status, (content_type, declared, encoding)
        assert word in answer.fault("Client")


SPELLINGS = (
    f'<?xml version="1.0"?>\r\n\r\n<!-- c --><?php x?>\n{envelope()}\r\n<!-- end -->\r\n\r\n',
    f'<soapenv:Envelope xmlns:soapenv="{ENVELOPES["1.1"]}" xmlns:q="{TNS}" xmlns:xsd="http://www.w3.org/2001/XMLSchema">'
    "\n\t<soapenv:Header/>\n\t<soapenv:Body>\n\t\t<q:ListProducts>\n\t\t\t<q:limit>\n 5 \n</q:limit></q:ListProducts>"
    "</soapenv:Body>\n</soapenv:Envelope>",
    f'<Envelope xmlns="{ENVELOPES["1.1"]}"><Body><ListProducts xmlns="{TNS}"><limit>5</limit></ListProducts></Body>'
    "</Envelope>",
    f'<_.-é:Envelope xmlns:_.-é="{ENVELOPES["1.1"]}"><_.-é:Body>{LIST}</_.-é:Body></_.-é:Envelope>',
    envelope(f'<a:ListProducts xmlns:a="{TNS}" xmlns:b="{TNS}"><b:limit>5</b:limit></a:ListProducts>'),
    envelope(f'<ListProducts xmlns="{TNS}">  <!-- all -->  </ListProducts>'),
    envelope(f'<ListProducts xmlns="{TNS}"><limit><![CDATA[5]]></limit></ListProducts>'),
    envelope(f'<ListProducts xmlns="{TNS}"><limit>&#x35;</limit></ListProducts>'),
    f'<s:Envelope xmlns:s="{ENVELOPES["1.1"]}" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">'
    f"<s:Body>{LIST}</s:Body></s:Envelope>",
    envelope(
        f'<ListProducts xmlns="{TNS}" xmlns:i="http://www.w3.org/2001/XMLSchema-instance" '
        'xmlns:d="http://www.w3.org/2001/XMLSchema"><limit i:type="d:int">5</limit></ListProducts>'
    ),
)


def test_the_spelling_of_a_message_does_not_matter(wire: Wire) -> None:
    """Comments, instructions, white space, prefixes, CDATA and the types that RPC toolkits add change nothing."""
    for body in SPELLINGS:
        assert wire.post(body).content.tag == f"{{{TNS}}}ListProductsResponse", body


def test_what_is_optional_may_be_missing(wire: Wire) -> None:
    """An element that may be missing is missing, empty by `xsi:nil`, or there; the reply shows what it came to."""
    nil = 'xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:nil="true"'
    for extra, quantity in (("", "1"), (f"<quantity {nil}/>", "1"), ("<quantity>7</quantity>", "7")):
        body = put("x").replace("<productCode>", f"{extra}<productCode>")
        assert wire.post(body).content.findtext("{*}items/{*}quantity") == quantity


@pytest.mark.parametrize("asked", ["X-Unrelated: 1", "Connection: keep-alive"])
def test_http_1_0_is_answered_and_ended(wire: Wire, asked: str) -> None:
    """An HTTP/1.0 client gets an answer with a length, then the end; a wish to stay connected is not confirmed."""
    answer = wire.post(envelope(), asked, http="1.0")
    assert (answer.status, answer.headers["transfer-encoding"]) == (200, None)
    assert answer.headers["connection"] != "keep-alive"
    assert wire.ended()


def test_many_messages_come_over_one_connection(wire: Wire) -> None:
    """A kept connection serves replies and faults alike, also when messages are sent before the answers are read."""
    bad = envelope("<nothing/>")
    for body, status in ((envelope(), 200), (bad, 500), (envelope(), 200), ("<", 400), (envelope(), 200)):
        assert wire.post(body).status == status
    heads = [wire.head("Content-Type: text/xml", f"Content-Length: {len(body)}") for body in (envelope(), bad)]
    wire.socket.sendall(heads[0] + envelope().encode() + heads[1] + bad.encode())
    assert [wire.answer().status, wire.answer().status] == [200, 500]


def test_a_body_may_come_in_chunks(wire: Wire) -> None:
    """A chunked body, cut anywhere and with extensions, is put together (RFC 9112, section 7.1)."""
    content = put("Händler").encode()
    wire.socket.sendall(wire.head("Content-Type: text/xml", "Transfer-Encoding: chunked"))
    for start in range(0, len(content), 7):
        piece = content[start : start + 7]
        wire.socket.sendall(f"{len(piece):X};note=1\r\n".encode() + piece + b"\r\n")
    wire.socket.sendall(b"0\r\n\r\n")
    assert wire.answer().content.findtext("{*}name") == "Händler"


def test_a_slow_body_is_waited_for(wire: Wire) -> None:
    """A message that comes in many small packets is one message."""
    content = envelope().encode()
    message = wire.head("Content-Type: text/xml", f"Content-Length: {len(content)}") + content
    wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for start in range(0, len(message), 50):
        wire.socket.sendall(message[start : start + 50])
    assert wire.answer().status == 200


def test_the_server_says_when_to_go_on(wire: Wire) -> None:
    """`Expect: 100-continue` gets `100 Continue` before the body, as .NET and curl wait for it."""
    content = envelope().encode()
    expects = wire.head("Content-Type: text/xml", f"Content-Length: {len(content)}", "Expect: 100-continue")
    wire.socket.sendall(expects)
    assert wire.answer().status == 100
    wire.socket.sendall(content)
    assert wire.answer().status == 200


def test_the_server_does_not_let_too_much_come(wire: Wire, server: Any) -> None:
    """A body that says it is too long is refused instead of asked for, and the connection ends."""
    limit = server.settings.body_limit_bytes
    expects = wire.head("Content-Type: text/xml", f"Content-Length: {limit + 1}", "Expect: 100-continue")
    wire.socket.sendall(expects)
    answer = wire.answer()
    assert (answer.status, answer.headers["connection"]) == (413, "close")
    assert str(limit) in answer.fault("Client")


def test_gzip_goes_both_ways(wire: Wire) -> None:
    """A packed message is read, and a long reply is packed for who asks; who does not ask, gets it plain."""
    for number in range(40):
        wire.post(put("A long name " * 5).replace("<sku>a", f"<sku>a{number}"))
    content = gzip.compress(envelope().encode())
    plain = wire.post(content, "Content-Encoding: gzip")
    assert "content-encoding" not in plain.headers
    packed = wire.post(content, "Content-Encoding: gzip", "Accept-Encoding: deflate, gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert len(packed.body) < len(plain.body) / 4
    assert gzip.decompress(packed.body) == plain.body


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_what_is_refused_says_what_is_expected(wire: Wire, version: str) -> None:
    """Wrong names, versions and forms get a fault that tells what to send instead."""
    media_type = "text/xml" if version == "1.1" else "application/soap+xml"
    client = "Client" if version == "1.1" else "Sender"
    must = f'<s:Header><w:Routing xmlns:w="urn:w" s:mustUnderstand="{1 if version == "1.1" else "true"}"/></s:Header>'
    product = f'<PutProduct xmlns="{TNS}">{PRODUCT.format("x")}</PutProduct>'
    for body, code, words in (
        (envelope(LIST.replace(TNS, "urn:licentia:admin:2"), "", version), client, (TNS, "urn:licentia:admin:2")),
        (envelope("<ListProducts/>", "", version), client, (TNS, "none")),
        (envelope(product.replace("<name>", '<name xmlns="">'), "", version), client, ("name", TNS, "none")),
        (envelope(product.replace("<name>", '<name xmlns="urn:o">'), "", version), client, ("{urn:o}name", TNS)),
        (envelope(product.replace("name>", "title>"), "", version), client, ("title",)),
        (envelope(product.replace("<name>x</name>", ""), "", version), client, ("name",)),
        (envelope("<MakeProduct/>", "", version), client, ("MakeProduct", "PutProduct", "ListProducts")),
        (envelope(LIST, must, version), "MustUnderstand", ("Routing",)),
        (f"<!DOCTYPE x>{envelope(LIST, '', version)}", client, ("DOCTYPE",)),
        (f'<s:Envelope xmlns:s="{ENVELOPES[version]}"><s:Header/></s:Envelope>', client, ("Body",)),
        (envelope("", "", version), client, ("exactly one element",)),
        (f'<Envelope xmlns="urn:soap:9"><Body>{LIST}</Body></Envelope>', "VersionMismatch", tuple(ENVELOPES.values())),
        (f"<Envelope><Body>{LIST}</Body></Envelope>", "VersionMismatch", tuple(ENVELOPES.values())),
    ):
        text = wire.post(body, content_type=media_type).fault(code)
        assert all(word in text for word in words), text
    assert wire.post(envelope(LIST, "", version), content_type=media_type).status == 200


def test_another_media_type_is_told_the_right_ones(wire: Wire) -> None:
    """A message without a media type, or with one that is not of SOAP, is told which there are."""
    for content_type in ("", "application/json", 'multipart/related; type="text/xml"'):
        answer = wire.post(envelope(), content_type=content_type)
        assert answer.status == 415
        assert "text/xml" in answer.fault("Client")
