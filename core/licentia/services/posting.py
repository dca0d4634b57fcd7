"""Sending one message to an endpoint: signed, to an address that was judged, and no further.

The name is resolved here and each address judged; the connection goes to such an address, while TLS and
`Host` have the name. Redirects are not followed, no proxy is asked, and only the beginning of the
answer is read.
"""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from urllib.parse import SplitResult, urlsplit

import httpx
import msgspec

from licentia.addresses import is_public, literal, resolve
from licentia.contract.webhooks import Format
from licentia.crypto import sealing
from licentia.crypto.webhookkeys import WebhookKeys, signed_headers
from licentia.domain.webhooks import MEDIA_TYPES, Answer, Message
from licentia.settings import Settings
from licentia.storage.webhook_models import Webhook

SECONDS = 20
"""How long an attempt may take in all."""

ANSWER_BYTES = 4096
ANSWER_CHARACTERS = 1000
"""How much of an answer is read, and kept."""

ADDRESSES = 3
"""How many addresses of a name are tried."""

LABEL = b"licentia webhook keys\0"
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class KeyPeriod(msgspec.Struct, frozen=True):
    """Keys of an endpoint, and until when they sign, if not for ever."""

    keys: WebhookKeys
    until: datetime | None = None


class Post:
    """Sends to endpoints, and keeps their keys.

    Args:
        master: the server's master secret; the keys of endpoints are encrypted with it.
        settings: says where to one may send.
    """

    def __init__(self, master: bytes, settings: Settings) -> None:
        self._master = master
        self._settings = settings.webhooks
        self._source = settings.public_url or "urn:licentia"

    def sealed(self, webhook_id: str, periods: Sequence[KeyPeriod]) -> str:
        """Keys as they are stored."""
        plain = msgspec.msgpack.encode(periods)
        return base64.b64encode(sealing.seal(self._master, LABEL + webhook_id.encode(), plain)).decode()

    def keys(self, webhook: Webhook, now: datetime) -> list[KeyPeriod]:
        """The keys that an endpoint's messages are signed with now, the newest first."""
        plain = sealing.unseal(self._master, LABEL + webhook.id.encode(), base64.b64decode(webhook.keys))
        periods = msgspec.msgpack.decode(plain, type=list[KeyPeriod])
        return [each for each in periods if each.until is None or now < each.until]

    def refusal(self, url: str) -> str | None:
        """Why this can be no endpoint's address, as far as that is plain before it is asked."""
        try:
            parts = urlsplit(url)
            port_is_good = parts.port != 0
        except ValueError:
            return "this is no URL"
        if parts.scheme not in ("https", "http") or not parts.hostname or not port_is_good:
            return "this is no URL that begins with https://"
        if parts.username is not None or parts.password is not None or "#" in url:
            return "an address has no credentials and no fragment: every message is signed"
        if parts.scheme == "http" and not self._settings.allow_http:
            return "http:// is not allowed here, as anybody on the way could read along"
        if (address := literal(parts.hostname)) and not self._is_allowed(address):
            return f"{address} is no public address"
        return None

    async def send(self, webhook: Webhook, message: Message) -> Answer:
        """Make one attempt. Whatever goes wrong is an answer, too."""
        if (problem := self.refusal(webhook.url)) is not None:
            return Answer(problem=f"Its address cannot be used: {problem}.")
        format: Format = "cloudevents" if webhook.format == "cloudevents" else "standard"
        body = message.body(format, self._source)
        keys = [each.keys for each in self.keys(webhook, datetime.now(UTC))]
        headers = signed_headers(keys, message.id, int(time.time()), body)
        headers |= {"content-type": MEDIA_TYPES[format], "user-agent": "Licentia", "accept-encoding": "identity"}
        try:
            async with asyncio.timeout(SECONDS):
                return await self._send(urlsplit(webhook.url), headers, body)
        except TimeoutError:
            return Answer(problem=f"It did not answer within {SECONDS} seconds.")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
            return Answer(problem=f"It cannot be reached: {_told(error)}.")

    async def _send(self, parts: SplitResult, headers: dict[str, str], body: bytes) -> Answer:
        host = parts.hostname or ""
        addresses = await resolve(host)
        if not addresses or not all(map(self._is_allowed, addresses)):
            return Answer(problem=f"{host} leads to an address that is not public.")
        port = "" if parts.port is None else f":{parts.port}"
        named = f"[{host}]" if ":" in host else host
        for place, address in enumerate(addresses[:ADDRESSES], 1):
            at = f"[{address}]" if ":" in address else address
            request = httpx.Request(
                "POST",
                parts._replace(netloc=f"{at}{port}").geturl(),
                content=body,
                headers={"host": f"{named}{port}", "connection": "close", **headers},
                extensions={"sni_hostname": host},
            )
            # A client of its own: a pooled connection to this address may have been made for another name.
            async with httpx.AsyncClient(verify=self._tls, trust_env=False, timeout=None) as client:  # noqa: S113
                try:
                    answer = await client.send(request, stream=True)
                except httpx.ConnectError:
                    if place == min(len(addresses), ADDRESSES):
                        raise
                    continue
                try:
                    return _answer(answer, await _beginning(answer))
                finally:
                    await answer.aclose()
        raise AssertionError("the last address gives an answer or an error")

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return httpx.create_ssl_context()

    def _is_allowed(self, address: str) -> bool:
        return self._settings.allow_private or is_public(address)


async def _beginning(answer: httpx.Response) -> bytes:
    found = bytearray()
    async for chunk in answer.aiter_raw():
        found += chunk
        if len(found) >= ANSWER_BYTES:
            break
    return bytes(found[:ANSWER_BYTES])


def _answer(answer: httpx.Response, body: bytes) -> Answer:
    text = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", body.decode("utf-8", "replace"))[:ANSWER_CHARACTERS]
    problem = None if answer.is_success else f"It answered with status {answer.status_code}."
    if answer.has_redirect_location:
        problem = f"It answered with status {answer.status_code}; redirects are not followed."
    return Answer(
        status=answer.status_code,
        text=text,
        problem=problem,
        retry_after=_seconds(answer.headers.get("retry-after", "")),
    )


def _seconds(text: str) -> int | None:
    """`Retry-After` (RFC 9110, section 10.2.3): seconds, or a date."""
    if text.isascii() and text.isdigit() and len(text) < 10:
        return int(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0, int((at - datetime.now(UTC)).total_seconds()))


def _told(error: Exception) -> str:
    """What is wrong, in the words of the system if there are any."""
    words = _UNPRINTABLE.sub("", str(error))[:200].rstrip(".")
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
