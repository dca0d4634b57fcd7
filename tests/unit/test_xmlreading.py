"""XML of strangers: what is read, and what is refused before it can do harm."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licentia.errors import DocumentInvalid
from licentia.xmlreading import MAX_ATTRIBUTE, MAX_ATTRIBUTES, read_xml

LAUGHS = "".join(f'<!ENTITY a{i + 1} "{f"&a{i};" * 10}">' for i in range(11))
LAUGHING = f'<!DOCTYPE l [<!ENTITY a0 "lol">{LAUGHS}]>'

HOSTILE = {
    "billion laughs": f"{LAUGHING}<l>&a11;</l>".encode(),
    "billion laughs in an attribute": f'{LAUGHING}<l x="&a11;"/>'.encode(),
    "billion laughs in UTF-16": f"{LAUGHING}<l>&a11;</l>".encode("utf-16"),
    "quadratic blow-up": b'<!DOCTYPE l [<!ENTITY a "' + b"x" * 100_000 + b'">]><l>' + b"&a;" * 20_000 + b"</l>",
    "a file as an entity": b'<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]><l>&a;</l>',
    "a file as a parameter entity": b'<!DOCTYPE l [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]><l/>',
    "a document type far away": b'<!DOCTYPE l SYSTEM "http://127.0.0.1:1/l.dtd"><l/>',
    "a harmless document type": b"<!DOCTYPE l><l/>",
    "a default attribute": b'<!DOCTYPE l [<!ATTLIST l x CDATA "y">]><l/>',
    "an unknown entity": b"<l>&a;</l>",
    "bottomless": b"<a>" * 1_000_000,
    "too deep": b"<a>" * 65 + b"</a>" * 65,
    "a huge attribute": b'<a x="' + b"x" * (MAX_ATTRIBUTE + 1) + b'"/>',
    "many attributes": b"<a " + b" ".join(b'x%d=""' % i for i in range(MAX_ATTRIBUTES + 1)) + b"/>",
    "attributes without end": b"<a " + b" ".join(b'x%d=""' % i for i in range(190_000)) + b"/>",
    "many elements": b"<a>" + b"<b/>" * 200_000 + b"</a>",
    "many namespaces": b"<a>" + b"<b xmlns:x='u' xmlns:y='v'/>" * 100_000 + b"</a>",
    "too long": b"<a>" + b" " * 4_194_304 + b"</a>",
    "a huge name": b"<" + b"x" * 60_000 + b"/>",
    "UTF-7": b'<?xml version="1.0" encoding="UTF-7"?><a/>',
    "UTF-32": "<a/>".encode("utf-32"),
    "an encoding that nobody knows": b'<?xml version="1.0" encoding="' + b"x" * 500 + b'"?><a/>',
    "bytes that are no UTF-8": b"<a>\xff</a>",
    "a zero byte": b"<a>\x00</a>",
    "a reference to no character": b"<a>&#xD800;</a>",
    "a prefix of nothing": b"<x:a/>",
    "an element left open": b"<a>",
    "two roots": b"<a/><b/>",
    "a tail": b"<a/>tail",
    "JSON": b'{"a": 1}',
    "nothing": b"",
    "blanks": b" \n",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_what_could_do_harm_is_refused_quickly(body: bytes) -> None:
    """It is refused in short words, without waiting for it and without what it points to."""
    before = monotonic()
    with pytest.raises(DocumentInvalid) as refusal:
        read_xml(body)
    assert monotonic() - before < 2
    assert len(refusal.value.detail) < 300
    assert "root:" not in refusal.value.detail


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "iso-8859-15", "windows-1252"])
def test_encodings_of_business_systems_are_read(encoding: str) -> None:
    """What the XML declaration or a byte order mark says, holds."""
    name = encoding.removesuffix("-sig")
    root = read_xml(f'<?xml version="1.0" encoding="{name}"?><a>Größe</a>'.encode(encoding))
    assert root.text == "Größe"


def test_a_charset_of_the_media_type_overrules_the_declaration() -> None:
    """As RFC 7303 wants it, for a system that converts a document and forgets its first line."""
    body = '<?xml version="1.0" encoding="utf-16"?><a>Größe</a>'.encode("iso-8859-1")
    assert read_xml(body, encoding="iso-8859-1").text == "Größe"
    for name in ("utf-7", "\ud800", ""):
        with pytest.raises(DocumentInvalid, match="encoded as"):
            read_xml(b"<a/>", encoding=name)


def test_text_is_whole_without_comments_and_instructions() -> None:
    """A comment does not split a text, nothing is included, and what looks like a document type in CDATA is text."""
    root = read_xml(b'<?x y?><a>1<!-- 2 --><![CDATA[<!DOCTYPE z>]]><?p q?>3<xi:include xmlns:xi="i" href="/x"/></a>')
    assert root.text == "1<!DOCTYPE z>3"
    assert [child.tag for child in root] == ["{i}include"]


def test_a_document_at_its_bounds_is_read() -> None:
    """The bounds are exact: one less of anything would do, one more is refused."""
    body = b"<a x='1'><b xmlns:n='u'/></a>"
    assert read_xml(body, max_bytes=len(body), max_depth=2, max_nodes=4).get("x") == "1"
    with pytest.raises(DocumentInvalid, match="longer than"):
        read_xml(body, max_bytes=len(body) - 1)
    with pytest.raises(DocumentInvalid, match="nested deeper"):
        read_xml(body, max_depth=1)
    with pytest.raises(DocumentInvalid, match="more than 3"):
        read_xml(body, max_nodes=3)
    assert len(read_xml(b"<a x='" + b"x" * MAX_ATTRIBUTE + b"'/>").get("x", "")) == MAX_ATTRIBUTE


def test_prefixes_stay_known() -> None:
    """A name in a text, as of `xsi:type`, can be resolved."""
    assert read_xml(b"<a xmlns:sf='urn:x'><b/></a>")[0].nsmap == {"sf": "urn:x"}


@given(st.binary(max_size=200) | st.text("<>/a&;!?-[]=' \"", max_size=60).map(str.encode))
def test_anything_is_read_or_refused(body: bytes) -> None:
    """No other error leaves the reader, whatever comes."""
    with suppress(DocumentInvalid):
        assert read_xml(body).tag
