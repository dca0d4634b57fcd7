"""The HTTP request around a message: its media type, and a body that is bounded before and after unpacking."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from email.message import Message
from functools import lru_cache

from starlette.types import Receive, Scope

from licentia.errors import PayloadTooLarge, UnsupportedMediaType
from licentia_gateways.received import coded_body, header
from licentia_gateways.soap import charsets
from licentia_gateways.soap.envelope import HELP, SOAP11, SOAP12, Malformed


@dataclass(frozen=True)
class ContentType:
    """A Content-Type (RFC 9110, section 8.3): the media type and the two parameters that SOAP uses."""

    media_type: str
    charset: str
    action: str


@lru_cache(maxsize=64)
def content_type(value: str) -> ContentType:
    """Read a Content-Type; what is not understood is empty or of another media type."""
    message = Message()
    message["content-type"] = value
    charset, action = (str(message.get_param(name, "")) for name in ("charset", "action"))
    return ContentType(message.get_content_type(), charset.strip(), action)


def encoding(declared: ContentType, content: bytes) -> str | None:
    """The encoding that overrules the XML declaration, if any.

    Raises:
        UnsupportedMediaType: the body is declared to be of another media type, or in an encoding that is not read.
    """
    if declared.media_type not in (SOAP11.media_type, SOAP12.media_type):
        raise UnsupportedMediaType(f"Send {SOAP11.media_type} for SOAP 1.1 or {SOAP12.media_type} for SOAP 1.2.")
    return charsets.overruling(declared.charset, content)


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The body of a request, at most `limit` bytes of it, packed as well as unpacked.

    Raises:
        PayloadTooLarge: it is longer.
        UnsupportedMediaType: it has another content coding (RFC 9110, section 8.4) than gzip.
        Malformed: it is not the gzip it claims to be.
        ClientDisconnect: the caller went away; nobody is left to answer.
    """
    coding = (header(scope, b"content-encoding") or "identity").lower()
    if coding not in ("identity", "gzip", "x-gzip"):
        raise UnsupportedMediaType("Send the body as it is, or with the Content-Encoding gzip.")
    content = await coded_body(scope, receive, limit)
    return content if coding == "identity" else _unpacked(content, limit)


def _unpacked(packed: bytes, limit: int) -> bytes:
    unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        content = unpacker.decompress(packed, limit + 1)
    except zlib.error:
        raise Malformed("The body is not valid gzip.", help=HELP) from None
    if len(content) > limit:
        raise PayloadTooLarge(f"The unpacked body is longer than {limit} bytes.")
    if not unpacker.eof or unpacker.unused_data:
        raise Malformed("The body is not exactly one gzip member.", help=HELP)
    return content
