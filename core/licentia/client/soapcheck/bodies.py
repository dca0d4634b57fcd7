"""How bodies come through: long, packed, in chunks, on demand, and by an old version of HTTP."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

from licentia.client.faults import Unreachable
from licentia.client.soapcheck.explained import STATUSES, remedy, told
from licentia.client.soapcheck.findings import Finding, fault, judged, ok, skipped
from licentia.client.soapcheck.line import Line
from licentia.client.soapcheck.messages import Answer
from licentia.client.soapcheck.probes import Probe, guarded, is_refusal, nothing
from licentia.client.soapcheck.raw import RawAnswer, exchange, goes_by_proxy

BY_HAND = "requests leave by a proxy of this computer (HTTP_PROXY, HTTPS_PROXY), which writes them anew"
EXACT_BYTES = 1024
"""How exactly the limit of a proxy is found."""


def bodies(line: Line, limit: int) -> Iterator[Finding]:
    """Send bodies in all ways; `limit` is the longest that the server says it takes, in bytes."""
    for name, probe in PROBES.items():
        yield guarded(name, probe, line)
    yield guarded("body limit", lambda line: _limit(line, limit), line)


def _packed(line: Line) -> Finding:
    answer = line.post(gzip.compress(nothing(line).encode()), content_encoding="gzip")
    is_good = is_refusal(answer)
    help = "Let the proxy pass packed bodies and the header Content-Encoding on as they are. " + remedy(answer)
    return judged("gzip sent", is_good, "a packed body arrives" if is_good else told(answer), help)


def _unpacked(line: Line) -> Finding:
    plain = line.read("wsdl")
    packed = line.read("wsdl", accept_encoding="gzip")
    if "content-encoding" in plain.headers:
        help = "Let the proxy pack only for clients that send Accept-Encoding: old ones cannot unpack."
        return fault("gzip read", "an answer comes packed although it was not asked for", help)
    if plain.content != packed.content:
        return fault("gzip read", "a packed answer is not what the plain one is", "Switch packing in the proxy off.")
    coding = packed.headers.get("content-encoding", "none")
    return ok("gzip read", f"a long answer comes packed ({coding}) for who asks, plain for who does not")


def _chunked(line: Line) -> Finding:
    content = nothing(line).encode()
    answer = line.post(content[start : start + 100] for start in range(0, len(content), 100))
    is_good = is_refusal(answer)
    return judged("chunked", is_good, "a body in chunks arrives" if is_good else told(answer), remedy(answer))


def _expect(line: Line) -> Finding:
    if goes_by_proxy(line):
        return skipped("Expect", BY_HAND, "Run this where the server is reached directly.")
    answer = exchange(line, nothing(line).encode(), expect=True)
    if not _is_good(answer):
        return fault("Expect", _told(answer), STATUSES.get(answer.status, STATUSES[417]))
    if not answer.continued:
        help = "Each call of .NET waits 0.35 s for it, of curl 1 s: let the proxy answer, or switch it off there."
        return fault("Expect", "`Expect: 100-continue` is never answered by `100 Continue`", help)
    return ok("Expect", "`Expect: 100-continue` is answered at once")


def _http_1_0(line: Line) -> Finding:
    if goes_by_proxy(line):
        return skipped("HTTP/1.0", BY_HAND, "Run this where the server is reached directly.")
    answer = exchange(line, nothing(line).encode(), http="1.0")
    if not _is_good(answer):
        return fault("HTTP/1.0", _told(answer), STATUSES.get(answer.status, STATUSES[426]))
    if "transfer-encoding: chunked" in answer.head:
        help = "Let the proxy buffer the answer, or send it unchunked: HTTP/1.0 has no chunks."
        return fault("HTTP/1.0", "the answer to HTTP/1.0 comes in chunks", help)
    return ok("HTTP/1.0", "an old client is answered")


def _limit(line: Line, limit: int) -> Finding:
    answer = _sent(line, limit)
    if answer is not None and is_refusal(answer):
        return ok("body limit", f"a body of {limit} bytes arrives")
    if answer is not None and answer.code == "payload_too_large":
        help = "Give the limit by --body-limit, or raise `body_limit_bytes` in the server's settings."
        return skipped("body limit", f"the server's own limit is lower: {answer.text}", help)
    passes, fails = 0, limit
    while fails - passes > EXACT_BYTES:
        middle = (passes + fails) // 2
        tried = _sent(line, middle)
        passes, fails = (middle, fails) if tried is not None and is_refusal(tried) else (passes, middle)
    came = "no answer" if answer is None else told(answer)
    help = STATUSES[413] if answer is None or answer.status != 413 else remedy(answer)
    return fault("body limit", f"bodies over about {passes // 1024} KiB do not arrive; {limit} bytes get {came}", help)


def _sent(line: Line, size: int) -> Answer | None:
    """What a body of this size gets; None if the connection ends instead."""
    try:
        return line.post(nothing(line).encode().ljust(size))
    except Unreachable:
        return None


def _is_good(answer: RawAnswer) -> bool:
    return answer.status == 500 and answer.is_soap


def _told(answer: RawAnswer) -> str:
    return f"status {answer.status}, {'a SOAP message' if answer.is_soap else 'no SOAP message'}"


PROBES: dict[str, Probe] = {
    "gzip sent": _packed,
    "gzip read": _unpacked,
    "chunked": _chunked,
    "Expect": _expect,
    "HTTP/1.0": _http_1_0,
}
