"""Asks the metadata service of a cloud, from inside a virtual machine.

The service answers plain HTTP at a link-local address, and only to the machine itself. So nothing
else is talked to: no name is resolved, no proxy and no redirect is followed, an answer is small, and
the time for it is short. It blocks; there is no other program to wait for.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

LINK_LOCAL = "http://169.254.169.254"
"""Where AWS, Azure and Google Cloud have it (RFC 3927)."""

MAX_ANSWER_BYTES = 64 * 1024
_AWS_IPV6 = ip_address("fd00:ec2::254")


class MetadataError(Exception):
    """The service gave no answer of use; the message is a sentence that says why.

    `silent` says that nothing answered at all: this may be no machine of a cloud, or its network is down.
    """

    def __init__(self, message: str, *, silent: bool = False) -> None:
        super().__init__(message)
        self.silent = silent


class MetadataSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an application may set: where the service is, and how long it may take in all, in seconds.

    `metadata_url` is a plain HTTP address without a path; its host is a literal link-local or loopback
    address, so that a setting cannot make the application talk to somebody else's machine.
    """

    metadata_url: str = LINK_LOCAL
    timeout_seconds: Annotated[float, Meta(gt=0, le=60)] = 5

    def __post_init__(self) -> None:
        parts = urlsplit(self.metadata_url)
        try:
            address, port = ip_address(parts.hostname or ""), parts.port
        except ValueError:
            raise ValueError("`metadata_url` must be http:// and an IP address") from None
        plain = parts.scheme == "http" and not parts.username and parts.path in ("", "/") and not parts.query
        if not plain or port == 0:
            raise ValueError("`metadata_url` must be http:// and an IP address, without a path")
        if not (address.is_link_local or address.is_loopback or address == _AWS_IPV6):
            raise ValueError("`metadata_url` must be a link-local or loopback address")


class MetadataService:
    """One metadata service. Every request has a connection of its own."""

    def __init__(self, settings: MetadataSettings) -> None:
        parts = urlsplit(settings.metadata_url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._timeout = settings.timeout_seconds

    def ask(self, path: str, headers: Mapping[str, str], method: str = "GET") -> bytes:
        """The body of the answer.

        Raises:
            MetadataError: nothing answers in time, or the answer is no 200, or longer than 64 KiB.
        """
        late = threading.Event()
        try:
            with self._connected(late) as connection:
                connection.request(method, path, headers={"Accept-Encoding": "identity", **headers})
                answer = connection.getresponse()
                body = answer.read(MAX_ANSWER_BYTES + 1)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._failure(error, late) from None
        if late.is_set():
            raise self._failure(TimeoutError(), late)
        if answer.status != http.client.OK:
            raise MetadataError(f"{self._address} answered {path.split('?')[0]} with status {answer.status}.")
        if answer.length or len(body) > MAX_ANSWER_BYTES:
            raise MetadataError(f"{self._address} answered in part, or with more than {MAX_ANSWER_BYTES} bytes.")
        return body

    @contextlib.contextmanager
    def _connected(self, late: threading.Event) -> Iterator[http.client.HTTPConnection]:
        """A connection that ends after its time however slowly it trickles, and sets `late` then."""
        begun = time.monotonic()
        with socket.create_connection((self._host, self._port), self._timeout) as connected:

            def end() -> None:
                late.set()
                with contextlib.suppress(OSError):
                    connected.shutdown(socket.SHUT_RDWR)

            timer = threading.Timer(self._timeout - (time.monotonic() - begun), end)
            timer.daemon = True
            timer.start()
            try:
                connection = http.client.HTTPConnection(self._host, self._port)
                connection.sock = connected
                yield connection
            finally:
                timer.cancel()

    def _failure(self, error: Exception, late: threading.Event) -> MetadataError:
        if late.is_set() or isinstance(error, TimeoutError):
            return MetadataError(f"{self._address} did not answer within {self._timeout:g} s.", silent=True)
        if isinstance(error, OSError):
            return MetadataError(f"Nothing answers at {self._address}: {error.strerror or error}.", silent=True)
        return MetadataError(f"What answers at {self._address} does not speak HTTP: {type(error).__name__}.")

    @property
    def _address(self) -> str:
        return f"{self._host}:{self._port}"
