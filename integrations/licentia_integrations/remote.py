"""How connectors log in at the system that they fetch from: OAuth 2.0 client credentials, Basic, or a fixed token."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated

import httpx
import msgspec
from msgspec import Meta

from licentia.errors import InvalidRequest, Unavailable
from licentia_integrations.incoming import Secret

Url = Annotated[str, Meta(pattern=r"^https?://[^/?#@\s]+(/[^?#\s]*)?$")]
LOCAL = ("127.0.0.1", "::1", "localhost")


class Api(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[connector.NAME.api]`: where documents are fetched, and who fetches them.

    Attributes:
        url: the system's address, without the path of a document.
        token_url: where a token is had for `user` and `password` (RFC 6749, section 4.4); without it they
            are shown to the system itself (RFC 7617).
        user: a user, or the id of a client.
        password: its password or secret; without a `user` a token that the system has given out.
        scope: what the token is asked for.
    """

    url: Url
    password: Secret
    user: Secret | None = None
    token_url: Url | None = None
    scope: str | None = None

    def __post_init__(self) -> None:
        for address in filter(None, (self.url, self.token_url)):
            if not address.startswith("https://") and httpx.URL(address).host not in LOCAL:
                raise ValueError("`url` and `token_url` must begin with https://, as a password goes there")
        if self.token_url and not self.user:
            raise ValueError("`token_url` needs a `user`")

    def address(self, path: str) -> str:
        """The address of a path under `url`."""
        return f"{self.url.rstrip('/')}/{path.lstrip('/')}"

    def login(self) -> httpx.Auth:
        """What puts the credentials into requests; keep it, as it keeps the token."""
        if self.user is None:
            return BearerToken(self.password)
        if self.token_url is None:
            return httpx.BasicAuth(self.user, self.password)
        form = {"grant_type": "client_credentials", "client_id": self.user, "client_secret": self.password}
        return ClientCredentials(self.token_url, form | ({"scope": self.scope} if self.scope else {}))


def login_of(api: Api | None) -> httpx.Auth | None:
    """The login of an interface that may not be set."""
    return api.login() if api else None


def needed(api: Api | None) -> Api:
    """The interface, if it is set.

    Raises:
        Unavailable: it is not, so nothing can be fetched yet.
    """
    if api is None:
        raise Unavailable(
            "What this delivery points to cannot be fetched, as it is not known where.",
            help="Set the table `api` of this connector; what waits is fetched then.",
        )
    return api


class BearerToken(httpx.Auth):
    """A token that does not change (RFC 6750)."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Show the token."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


class _Granted(msgspec.Struct):
    access_token: str


class ClientCredentials(httpx.Auth):
    """A token that is had for a client's secret, and had again when it is not accepted any more."""

    def __init__(self, token_url: str, form: dict[str, str]) -> None:
        self._token_url = token_url
        self._form = form
        self._token = ""

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Show the token; ask for one if there is none, or if it has run out."""
        fresh = not self._token
        if fresh:
            self._token = _token(await _read((yield self._asking())))
        request.headers["Authorization"] = f"Bearer {self._token}"
        reply = yield request
        if reply.status_code == httpx.codes.UNAUTHORIZED and not fresh:
            self._token = _token(await _read((yield self._asking())))
            request.headers["Authorization"] = f"Bearer {self._token}"
            yield request

    def _asking(self) -> httpx.Request:
        return httpx.Request("POST", self._token_url, data=self._form, headers={"accept": "application/json"})


async def _read(reply: httpx.Response) -> httpx.Response:
    await reply.aread()
    return reply


def _token(reply: httpx.Response) -> str:
    if reply.status_code != httpx.codes.OK:
        raise Unavailable(f"{reply.request.url.host} gave no token: status {reply.status_code}.")
    try:
        return msgspec.json.decode(reply.content, type=_Granted).access_token
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unavailable(f"{reply.request.url.host} gave no token: its answer is illegible.") from None


def odd(what: str) -> InvalidRequest:
    """The refusal of a document; `what` is a clause without any value of a secret."""
    return InvalidRequest(f"This cannot be understood: {what}.")
