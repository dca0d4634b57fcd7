"""The way to one SOAP service of a server, and the address that was given for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import urlsplit

import httpx

from licentia.client.faults import Unreachable
from licentia.client.remote import RemoteLicentia
from licentia.client.soapcheck.messages import MEDIA_TYPES, Answer, Version
from licentia.contract import Service

SERVICES: tuple[str, ...] = get_args(Service)


@dataclass(frozen=True)
class Target:
    """A server by its base address, and the services of it that are looked at."""

    base: str
    services: tuple[str, ...]

    @classmethod
    def of(cls, url: str, service: str | None) -> Target:
        """The target that an address means: a base address, or that of a service with or without `?wsdl`.

        Raises:
            ValueError: it is not an address, or names another service than `service`.
        """
        parts = urlsplit(url)
        path, named = parts.path.rstrip("/"), None
        if match := re.fullmatch(r"(.*)/soap(?:/([^/]*))?", path):
            path, named = match[1], match[2] or None
        if named is not None and named not in SERVICES:
            raise ValueError(f"there is no service {named!r}; services are {', '.join(SERVICES)}")
        if named and service and named != service:
            raise ValueError(f"the address is that of {named!r}, but {service!r} was asked for")
        only = service or named
        return cls(f"{parts.scheme}://{parts.netloc}{path}", (only,) if only else SERVICES)


@dataclass(frozen=True)
class Line:
    """One service of a server, to which messages are sent."""

    licentia: RemoteLicentia
    service: str

    @property
    def path(self) -> str:
        """The path of the service below the base address."""
        return f"/soap/{self.service}"

    @property
    def url(self) -> str:
        """The address of the service."""
        return self.licentia.url + self.path

    def post(self, content: str | bytes | Iterator[bytes], version: Version = "1.1", **headers: str) -> Answer:
        """Send a message; the names of `headers` have underscores.

        Raises:
            Unreachable: no answer came.
        """
        headers = {"content_type": f"{MEDIA_TYPES[version]}; charset=utf-8"} | headers
        return self._sent("POST", self.path, headers, content=content)

    def read(self, query: str, **headers: str) -> Answer:
        """Read the address with a query, such as `wsdl`.

        Raises:
            Unreachable: no answer came.
        """
        return self._sent("GET", f"{self.path}?{query}", headers)

    def _sent(self, method: str, path: str, headers: dict[str, str], **content: Any) -> Answer:
        everything = {"accept": "*/*", "accept-encoding": "identity"}
        everything |= {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            return Answer.of(self.licentia.send(method, path, headers=everything, **content))
        except httpx.DecodingError as error:
            told = f"{self.url} answers what cannot be unpacked: {error}."
            raise Unreachable(told, "Let the proxy pass answers unchanged.") from None
