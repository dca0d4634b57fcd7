"""A Licentia server reached by REST, from the declaration alone: no address or field is named again here."""

from __future__ import annotations

import ssl
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from licentia import __version__
from licentia.client.faults import Unreachable
from licentia.contract import Operation, Reply, Request
from licentia.errors import FieldProblem, catalogue

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
PROBLEM = "application/problem+json"


class Problem(msgspec.Struct):
    """Problem details (RFC 9457) with Licentia's members."""

    code: str
    detail: str
    help: str
    errors: list[FieldProblem] = []


class RemoteLicentia:
    """A server at `url`, spoken to with `key` (none: open operations only). May be used from several threads.

    `timeout_seconds` bounds each connect, send and wait. A proxy and an own certificate authority are
    taken from the usual variables (`HTTPS_PROXY`, `SSL_CERT_FILE`); loopback never goes by a proxy.

    Raises:
        ValueError: `url` is not an http or https address.
    """

    def __init__(self, url: str, key: str = "", *, timeout_seconds: float = 30.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not an address such as https://licenses.example.com")
        self.url = url.rstrip("/")
        headers = {"User-Agent": f"licentia/{__version__}", "Accept": "application/json"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        self._client = httpx.Client(
            headers=headers, timeout=timeout_seconds, mounts={f"all://{host}": None for host in LOOPBACK}
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def call(self, operation: Operation, request: Request, *, idempotency_key: str | None = None) -> Reply | None:
        """Send the request and return the reply; None where the operation has none.

        Raises:
            LicensingError: the server refused, in the class of the refusal's code.
            Unreachable: no answer came, or not one of Licentia.
        """
        values: dict[str, Any] = msgspec.to_builtins(request)
        path = operation.path.format(**{name: in_path(values.pop(name)) for name in operation.path_fields})
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        if operation.method in ("GET", "DELETE"):
            given = {name: value for name, value in values.items() if value is not None}
            response = self.send(operation.method, path, params=given, headers=headers)
        else:
            headers["Content-Type"] = "application/json"
            response = self.send(operation.method, path, content=msgspec.json.encode(values), headers=headers)
        if not response.is_success:
            raise self._refusal(response)
        if operation.reply is None:
            return None
        try:
            return msgspec.json.decode(response.content, type=operation.reply)
        except msgspec.DecodeError as error:
            raise self._foreign(response, str(error)) from None

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send any request below the server's address.

        Raises:
            Unreachable: no answer came.
        """
        try:
            return self._client.request(method, self.url + path, **options)
        except httpx.TimeoutException:
            raise Unreachable(f"{self.url} did not answer in time.", "Repeating the request is safe.") from None
        except httpx.TransportError as error:
            raise _no_answer(self.url, error) from None

    def _refusal(self, response: httpx.Response) -> Exception:
        if response.headers.get("content-type", "").partition(";")[0] != PROBLEM:
            return self._foreign(response, response.headers.get("content-type", "no content type"))
        try:
            problem = msgspec.json.decode(response.content, type=Problem)
        except msgspec.DecodeError as error:
            return self._foreign(response, str(error))
        kind = catalogue().get(problem.code)
        if kind is None:
            return Unreachable(
                f"{self.url} refused with `{problem.code}`, which this version does not know: {problem.detail}",
                "Update the `licentia` package.",
            )
        wait = response.headers.get("retry-after", "")
        return kind(
            problem.detail,
            problems=problem.errors,
            help=problem.help,
            retry_after_seconds=int(wait) if wait.isdecimal() else None,
        )

    def _foreign(self, response: httpx.Response, why: str) -> Unreachable:
        if target := response.headers.get("location"):
            return Unreachable(f"{self.url} points to {target}.", "Use the address of the server itself.")
        return Unreachable(
            f"{self.url} answers, but not as Licentia does (status {response.status_code}, {why}).",
            "Check the address, and what stands before the server.",
        )


def in_path(value: object) -> str:
    """A path segment. One of dots only would be taken for a step in the path (RFC 3986, 5.2.4)."""
    text = quote(str(value), safe="")
    return text.replace(".", "%2E") if text in (".", "..") else text


def _no_answer(url: str, error: httpx.TransportError) -> Unreachable:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Unreachable(
                f"{url} is not trusted: {cause.verify_message}.",
                "Name your certificate authority in SSL_CERT_FILE, or correct the address.",
            )
        if isinstance(cause, ssl.SSLError):
            return Unreachable(f"{url} does not speak TLS as expected: {cause.reason}.", "Is it http, not https?")
        cause = cause.__cause__ or cause.__context__
    return Unreachable(f"{url} cannot be reached: {error}.", "Is the server running? `licentia serve` starts one.")
