"""Long answers are packed for who asks, and never beside a secret; a message's encoding is known by its name."""

from __future__ import annotations

import gzip

import pytest

from licentia.contract import BY_NAME
from licentia.errors import UnsupportedMediaType
from licentia_gateways.packing import LONGEST, SHORTEST, may_be_packed, packed
from licentia_gateways.soap import charsets


def _asking(value: bytes) -> dict[str, list[tuple[bytes, bytes]]]:
    return {"headers": [(b"accept-encoding", value)]}


@pytest.mark.parametrize("value", [b"gzip", b"deflate, gzip;q=0.5", b"GZIP", b"x-gzip"])
def test_a_long_answer_is_packed_for_who_asks(value: bytes) -> None:
    """Whoever accepts gzip gets a long answer packed, and unpacks to the same bytes."""
    body = b"<a/>" * SHORTEST
    answer = packed(_asking(value), body)
    assert answer is not None
    assert len(answer) < len(body)
    assert gzip.decompress(answer) == body


@pytest.mark.parametrize("value", [b"", b"identity", b"gzip;q=0", b"gzip;q=0.0", b"br"])
def test_who_does_not_ask_gets_it_as_it_is(value: bytes) -> None:
    """Without gzip among the accepted codings, or with a weight of none, nothing is packed."""
    assert packed(_asking(value), b"a" * SHORTEST) is None


@pytest.mark.parametrize("length", [SHORTEST - 1, LONGEST + 1])
def test_short_and_huge_answers_stay_as_they_are(length: int) -> None:
    """What fits into a packet gains nothing, and what is huge would hold up all others."""
    assert packed(_asking(b"gzip"), b"a" * length) is None


def test_secrets_are_never_packed() -> None:
    """A reply with a ticket, a lease token or a delivery in it is not packed; lists without them are."""
    for name in ("GetTicket", "GetOrder", "CreateOrder", "CheckoutLicense", "ActivateTicket", "GetActivation"):
        assert not may_be_packed(BY_NAME[name]), name
    for name in ("ListProducts", "ListEvents", "ListLeases", "GetUsage"):
        assert may_be_packed(BY_NAME[name]), name


@pytest.mark.parametrize(
    ("name", "known"), [("utf8", "utf-8"), ("UTF-8", "utf-8"), ("ISO_8859-1", "iso-8859-1"), ("utf-16LE", "utf-16le")]
)
def test_an_encoding_is_known_by_its_usual_names(name: str, known: str) -> None:
    """Case and signs of an encoding's name do not matter."""
    assert charsets.check(name) == known


def test_an_unknown_encoding_is_refused() -> None:
    """An encoding that is not read is refused with the ones that are."""
    with pytest.raises(UnsupportedMediaType, match="UTF-8"):
        charsets.check("ebcdic-cp-us")


def test_two_names_for_one_message_are_refused_where_no_byte_could_tell() -> None:
    """ISO-8859-1 in the header and UTF-8 in the declaration would be two readings of the same bytes."""
    body = b'<?xml version="1.0" encoding="utf-8"?><a/>'
    with pytest.raises(UnsupportedMediaType):
        charsets.overruling("iso-8859-1", body)
    assert charsets.overruling("", body) is None
