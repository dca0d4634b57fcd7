"""Messages that are nearly right, in every way a message can be wrong.

They are made as the contract describes them, then changed as a tree, as text, as bytes, in their
encoding, and in the HTTP request around them. All chance comes from one `Random`: the same one makes
the same attack.
"""

from __future__ import annotations

import gzip
from base64 import b64encode
from dataclasses import dataclass, field
from random import Random
from typing import Any, get_args
from xml.sax.saxutils import escape, quoteattr

from licentia.contract import OPERATIONS, Service
from licentia_gateways.soap.shape import Field, Scalar, Shape, shape

ENVELOPES = ("http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope")
WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
BY_SERVICE = {s: [each for each in OPERATIONS if each.service == s] for s in get_args(Service)}
FIELDS = {field.xml_name for each in OPERATIONS for field in shape(each.request).fields}
NAMES = sorted(FIELDS | {each.name for each in OPERATIONS})

# --- what messages are made of --------------------------------------------------------------------

STRINGS = ["a", "cad", "201001", "shop", "1", "c", "cloud-lite", "", " ", "é", "\u2028", "now", ".", "%00", "x" * 65]
NUMBERS = ["0", "1", "2", "-1", "+7", " 3 ", "007", "1e3", "2147483648", "9" * 19, "9" * 400, "\u0661", "NaN", ""]
BOOLEANS = ["true", "0", "TRUE", "", "yes"]
JSON = ["{}", "[1]", "{", "1", "null"]
TIMES = [
    *["2026-11-24T02:00:00Z", "2026-11-24T02:00:00.123456789+01:00", "9999-12-31T23:59:59Z", "2026-12-31T23:59:60Z"],
    *["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z"],
    *["2026-01-01", "-2026-01-01T00:00:00Z", "12026-01-01T00:00:00Z", "yesterday"],
]
TEXTS = [
    *["&amp;", "&#x10FFFF;", "<![CDATA[a]]>", "<!-- c -->", "<?p i?>", "\U0001f600", "'\"{}[]", "\r\n\r\n", "text"],
    *["../../etc/passwd", "${jndi:x}", "<x/>", "{" * 50, "\u0085"],
]
BROKEN = [
    *["&#0;", "&#55296;", "&nope;", "&", "]]>", "<![CDATA[", "<!--", "<?xml version='1.0'?>", "<!DOCTYPE a>", "<x:y/>"],
    *["\x00", "\x0b", "\ufffe", "</s:Body>", "<", ">"],
]
WEIRD = ["x", "xml", "_", "é", "s:Body", "s:Header", "s:Fault", "i:x", "xml:x", "a" * 300]
ATTRIBUTES = [
    *[("i:nil", value) for value in ("true", "false", "1", "x")],
    *[("i:type", value) for value in ("xs:string", "o:GetOrder", "{" * 99)],
    *[("i:schemaLocation", "urn:a file:///etc/passwd"), ("href", "#a"), ("id", "a"), ("a", "1"), ("Type", "x")],
    *[("s:mustUnderstand", "1"), ("s:mustUnderstand", "true"), ("s:actor", ""), ("s:role", "urn:x")],
    *[("s:encodingStyle", "urn:x"), ("xml:base", "file:///"), ("xml:lang", ""), ("xml:id", "a"), ("xml:space", "x")],
    *[("xmlns", ""), ("xmlns", "urn:licentia:sales:1"), ("xmlns:s", ENVELOPES[0]), ("xmlns:o", "urn:o")],
    *[("xmlns:z", ""), ("xmlns:i", "urn:i"), ("xmlns:q", "urn:" + "q" * 5000), ("xmlns", "rel"), (":", "")],
]
MANY = [" ".join([*(f'xmlns:n{n}="urn:{n}"' for n in range(amount)), "xmlns:n"]) for amount in (1, 100, 5000)]
"""Names of an attribute, each with many namespaces before it."""
DOCTYPES = (
    "<!DOCTYPE a>",
    '<!DOCTYPE a [<!ENTITY x "y">]>',
    '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    '<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:1/"> %x;]>',
    '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>',
    '<!doctype a [<!ATTLIST a b CDATA "c">]>',
)
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "iso-8859-1", "cp1252", "utf-7", "cp037"]
DECLARED = ["", "", "utf-8", "UTF8", "utf-16", "iso-8859-1", "windows-1252", "utf-7", "ebcdic-cp-us", "x", "é", "a'b"]
MEDIA_TYPES = ["text/xml", "application/soap+xml", "TEXT/XML", "application/xml", "multipart/related", "", "/", ";;;"]
CHARSETS = ["", "utf-8", '"UTF-8"', "utf8", "utf-16", "iso-8859-1", "windows-1252", "us-ascii", "x", '"', "'"]
PARAMETERS = ["", '; action="urn:x/ListProducts"', "; charset*=utf-8''%ff", "; a*0=b; a*1*=%", ";=;", "; a*=b'c"]
ACTIONS = ['""', '"*"', "x", '"urn:licentia:sales:1/CreateOrder"', "ListProducts", '"' * 9, "\x80\xff", "/" * 500]
HEADERS = [
    *[("accept-encoding", value) for value in ("gzip", "*;q=0", "gzip;q=a", "gzip;q=0")],
    *[("host", value) for value in ("localhost", "evil.example", '"><x', "")],
    *[("x-request-id", value) for value in ("ok", "not ok", "")],
    *[("idempotency-key", value) for value in ("k", "", "\xe9")],
    *[("content-length", value) for value in ("999999999999999999", "1")],
    *[("content-encoding", value) for value in ("br", "identity", "gzip, gzip")],
    *[("authorization", value) for value in ("Bearer", "Basic !", "Basic OmE=", "\xff", "Bearer lic_a_b")],
    *[("content-type", "text/xml"), ("soapaction", ""), ("expect", "100-continue"), ("x", "y" * 9000)],
]
LONGEST = 400_000
"""Characters; more is refused by its length alone."""
METHODS = ["GET", "HEAD", "PUT", "POST", "OPTIONS", "FOO"]
QUERIES = (b"", b"wsdl", b"WSDL12", b"wsdl=1", b"\xff%00", b"x" * 2000)


@dataclass
class Node:
    """An element; `name` has its prefix, `attributes` its namespaces too."""

    name: str
    attributes: list[tuple[str, str]] = field(default_factory=list)
    children: list[Node | str] = field(default_factory=list)

    def text(self) -> str:
        """The element as XML."""
        told = "".join(f" {name}={quoteattr(value)}" for name, value in self.attributes)
        inner = text_of(self.children)
        return f"<{self.name}{told}>{inner}</{self.name}>" if inner else f"<{self.name}{told}/>"

    def all(self) -> list[Node]:
        """This element and all inside it."""
        return [self, *(inner for child in self.children if isinstance(child, Node) for inner in child.all())]


def text_of(children: list[Node | str]) -> str:
    """Elements and text as XML."""
    return "".join(child if isinstance(child, str) else child.text() for child in children)


# --- a message as the contract describes it -------------------------------------------------------


def message(random: Random, target: Any, service: str) -> Node:
    """A message for one of the operations of a service, valid but for some values."""
    operation = random.choice(BY_SERVICE[service])
    prefix = random.choice(["", "", "o:"])
    declared = ("xmlns:o" if prefix else "xmlns", f"urn:licentia:{service}:1")
    content = Node(prefix + operation.name, [declared], _fields(random, target, shape(operation.request), prefix))
    parts: list[Node | str] = [Node("s:Body", [], [content])]
    if kind := random.choice(["", "", "", "security", "key", "unknown"]):
        parts.insert(0, Node("s:Header", [], [_header(random, target, service, kind)]))
    return Node("s:Envelope", [("xmlns:s", random.choice(ENVELOPES)), ("xmlns:i", XSI)], parts)


def _fields(random: Random, target: Any, model: Shape, prefix: str) -> list[Node | str]:
    nodes: list[Node | str] = []
    for each in model.fields:
        present = each.required or random.random() < 0.25
        for _ in range((random.randint(1, 3) if each.repeated else 1) if present else 0):
            nodes.append(Node(prefix + each.xml_name, [], _value(random, target, each, prefix)))
    return nodes


def _value(random: Random, target: Any, field: Field, prefix: str) -> list[Node | str]:
    if isinstance(field.type, Shape):
        return _fields(random, target, field.type, prefix)
    if field.xml_name in ("code", "ticket"):
        return [random.choice([target.ticket, target.ticket.lower(), "AAAAA-AAAAA-AAAAA-AAAAA-AAAAA"])]
    pool = {"integer": NUMBERS, "boolean": BOOLEANS, "time": TIMES, "json": JSON}
    values = list(field.type.values) if isinstance(field.type, Scalar) and field.type.values else STRINGS
    return [escape(random.choice(pool.get(field.type.kind, values)))]


def _header(random: Random, target: Any, service: str, kind: str) -> Node:
    if kind == "key":
        return Node("IdempotencyKey", [], [escape(random.choice(["k", "", "k" * 201, "é"]))])
    if kind == "unknown":
        return Node("z:Z", [("xmlns:z", "urn:z"), random.choice(ATTRIBUTES)])
    _, key_id, secret = target.keys[service].split("_", 2)
    digest = b64encode(b"0" * 20).decode()
    password, form = random.choice([(secret, "Text")] * 3 + [(digest, "Digest"), ("a", "Text"), (secret, "")])
    nodes: list[Node | str] = [
        Node("w:Username", [], [key_id]),
        Node("w:Password", [("Type", f"{WSS}username-token-profile-1.0#Password{form}")], [password]),
        Node("w:Nonce", [], [random.choice([digest, "!", ""])]),
        Node("u:Created", [], [random.choice([*TIMES, "x", ""])]),
    ]
    names = [("xmlns:w", f"{WSS}wssecurity-secext-1.0.xsd"), ("xmlns:u", f"{WSS}wssecurity-utility-1.0.xsd")]
    return Node("w:Security", names, [Node("w:UsernameToken", [], nodes)])


# --- what is done to it ---------------------------------------------------------------------------


def change_tree(random: Random, root: Node) -> None:
    """Change one thing about the elements, attributes or namespaces."""
    node = random.choice(root.all())
    at = random.randint(0, len(node.children))
    match random.randint(0, 11):
        case 0:
            node.children[at : at + 1] = []
        case 1:
            again = text_of(node.children[at : at + 1])
            node.children.insert(at, again * min(random.choice([1, 1, 2, 1000]), LONGEST // (len(again) or 1)))
        case 2:
            random.shuffle(node.children)
        case 3:
            prefix = node.name.rpartition(":")[0]
            node.name = (f"{prefix}:" if prefix else "") + random.choice(NAMES)
        case 4:
            node.name = random.choice(WEIRD)
        case 5:
            node.children.insert(at, random.choice(TEXTS))
        case 6:
            node.children = [random.choice(TEXTS)]
        case 7:
            node.attributes.append(random.choice(ATTRIBUTES))
        case 8 if node.attributes:
            node.attributes.pop()
        case 9:
            node.children.insert(at, anything(random))
        case 10:
            depth = random.choice([1, 5, 250, 20_000])
            node.children = ["<d>" * depth, *node.children, "</d>" * depth]
        case _:
            node.attributes.append((random.choice(MANY), "urn:n"))


def anything(random: Random) -> Node:
    """A little tree of anything."""
    node = Node(random.choice(WEIRD + NAMES), random.choices(ATTRIBUTES, k=random.randint(0, 3)))
    node.children = [*random.choices(TEXTS, k=random.randint(0, 2))]
    if random.random() < 0.3:
        node.children.append(anything(random))
    return node


def change_text(random: Random, text: str) -> str:
    """Change one thing about the characters."""
    at = random.randint(0, len(text))
    end = min(len(text), at + random.randint(0, 40))
    match random.randint(0, 6):
        case 0:
            return text[:at] + text[end:]
        case 1:
            return text[:end] + text[at:end] + text[end:]
        case 2:
            return text[:at] + random.choice(TEXTS + BROKEN) + text[at:]
        case 3:
            return random.choice(DOCTYPES) + text
        case 4:
            times = min(random.choice([10, 1000, 100_000]), 250_000 // (end - at or 1))
            return text[:at] + text[at:end] * times + text[end:]
        case 5:
            return text[:at]
        case _:
            return text[:at] + "".join(chr(random.randint(0, 0x2FFF)) for _ in range(random.randint(1, 8))) + text[at:]


def change_bytes(random: Random, content: bytes) -> bytes:
    """Change one thing about the bytes."""
    at = random.randint(0, len(content))
    match random.randint(0, 3):
        case 0 if at < len(content):
            return content[:at] + bytes([content[at] ^ (1 << random.randint(0, 7))]) + content[at + 1 :]
        case 1:
            return content[:at] + bytes(random.randint(0, 255) for _ in range(random.randint(1, 6))) + content[at:]
        case 2:
            return random.choice([b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\0", b"\n"]) + content
        case _:
            return content[:at]


def body(random: Random, target: Any, service: str) -> bytes:
    """The bytes of a message changed at several levels, or of a tree of anything."""
    root = message(random, target, service) if random.random() < 0.95 else anything(random)
    while random.random() < 0.6:
        change_tree(random, root)
    text = root.text()[:LONGEST]
    while random.random() < 0.15:
        text = change_text(random, text)
    encoding = "utf-8"
    if random.random() < 0.1:
        encoding, declared = random.choice(ENCODINGS), random.choice(DECLARED)
        text = (f'<?xml version="1.0" encoding="{declared}"?>' if declared else "") + text
    content = text.encode(encoding, "replace")
    while random.random() < 0.1:
        content = change_bytes(random, content)
    return content


def packed(random: Random, content: bytes) -> bytes:
    """The bytes as gzip, or nearly."""
    good = gzip.compress(content, 1, mtime=0)
    match random.randint(0, 9):
        case 0:
            return change_bytes(random, good)
        case 1:
            return gzip.compress(good, 1, mtime=0)
        case 2:
            return gzip.compress(content + b" " * 1_000_000, 1, mtime=0)
        case 3:
            return good + good
        case _:
            return good


# --- the HTTP request around it -------------------------------------------------------------------


def attack(random: Random, target: Any) -> dict[str, Any]:
    """What makes an `Attack`."""
    service = random.choice(list(BY_SERVICE))
    content = body(random, target, service)
    headers: list[tuple[str, str]] = []
    if random.random() < 0.97:
        headers.append(("content-type", _content_type(random)))
    if random.random() < 0.85:
        headers.append(("authorization", _authorization(random, target, service)))
    if random.random() < 0.2:
        headers.append(("soapaction", random.choice(ACTIONS)))
    if random.random() < 0.2:
        headers += random.choices(HEADERS, k=random.randint(1, 3))
    if random.random() < 0.1:
        headers.append(("content-encoding", random.choice(["gzip", "x-gzip", "GZIP"])))
        content = packed(random, content)
    cut = random.randint(0, len(content))
    is_odd = random.random() < 0.05
    return {
        "service": service,
        "method": random.choice(METHODS) if is_odd else "POST",
        "query": random.choice(QUERIES) if is_odd else b"",
        "headers": tuple((name.encode(), value.encode("latin-1")) for name, value in headers),
        "chunks": (content[:cut], content[cut:]),
        "hangs_up": is_odd and random.random() < 0.3,
    }


def _content_type(random: Random) -> str:
    if random.random() < 0.93:
        return random.choice(["text/xml; charset=utf-8", "text/xml", "application/soap+xml; charset=utf-8"])
    charset = random.choice(CHARSETS)
    return random.choice(MEDIA_TYPES) + (f"; charset={charset}" if charset else "") + random.choice(PARAMETERS)


def _authorization(random: Random, target: Any, service: str) -> str:
    key = target.keys[service]
    _, key_id, secret = key.split("_", 2)
    basic = b64encode(f"{key_id}:{secret}".encode()).decode()
    return str(random.choice([f"Bearer {key}"] * 6 + [f"Basic {basic}", f"bearer  {key} ", f"Bearer {key}x"]))
