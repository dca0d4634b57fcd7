"""What plugins have to withstand: bytes that mean nothing, and good ones that were changed on their way."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

from licentia.bindings import EVIDENCE_LIMIT as LIMIT

NONSENSE = {
    "a zero byte": b"\x00",
    "blanks": b" \n\t ",
    "not UTF-8": b"\xff\xfe\xfd",
    "null": b"null",
    "an empty object": b"{}",
    "an object of objects": b'{"nonce": {"nonce": []}, "features": {"a": {}}, "v": true}',
    "half a surrogate": b'{"nonce": "\\ud800"}',
    "a huge number": b"9" * 10_000,
    "deep JSON": b"[" * LIMIT,
    "deep objects": b'{"a":' * (LIMIT // 5),
    "deep DER": b"\x30\x80" * (LIMIT // 2),
    "long DER": b"\x30\x84\x7f\xff\xff\xff\x02\x01\x00",
    "an empty token": b"..",
    "a token of nothing": b"e30.e30.e30",
    "base64 of zeros": base64.b64encode(bytes(600)),
    "noise": hashlib.shake_128(b"noise").digest(4096),
    "as long as may be": b"A" * LIMIT,
    "longer than may be": b"A" * (LIMIT + 1),
    "nothing": b"",
}
"""What no plugin has asked for: no evidence of a machine, no record, no delivery of a shop."""


def changed(good: bytes, places: int) -> Iterator[bytes]:
    """The same with one bit changed, at so many places over the whole, cut, and with something added."""
    step = max(1, len(good) // places)
    for place in sorted({*range(0, len(good), step), len(good) - 1}):
        yield good[:place] + bytes([good[place] ^ 1 << place % 8]) + good[place + 1 :]
    for length in (1, len(good) // 2, len(good) - 1):
        yield good[:length]
    yield from (good[1:], good + b"\x00", good + good[: LIMIT - len(good)])
