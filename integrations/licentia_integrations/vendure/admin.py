"""The Admin API of Vendure 3: logging in, and what custom fields the shop has."""

from __future__ import annotations

import time
from typing import Any, TypeVar

import msgspec

from licentia.errors import Unavailable
from licentia_integrations.calls import Caller, answered
from licentia_integrations.changed import system_now
from licentia_integrations.incoming import label
from licentia_integrations.remote import Api

LOGIN = """mutation ($user: String!, $password: String!) {
  login(username: $user, password: $password, rememberMe: true) { __typename ... on ErrorResult { message } }
}"""
NO_SESSION = frozenset({"FORBIDDEN", "UNAUTHORIZED", "UNAUTHENTICATED"})
KNOWN_SECONDS = 600.0
"""How long the custom fields of the shop are taken for those that it has."""

KINDS = frozenset({"SCALAR", "ENUM"})
OF_TYPE = "kind ofType { kind ofType { kind ofType { kind } } }"
CUSTOM = f"""{{
  order: __type(name: "OrderCustomFields") {{ fields {{ name type {{ {OF_TYPE} }} }} }}
  line: __type(name: "OrderLineCustomFields") {{ fields {{ name type {{ {OF_TYPE} }} }} }}
  variant: __type(name: "ProductVariantCustomFields") {{ fields {{ name type {{ {OF_TYPE} }} }} }}
}}"""

T = TypeVar("T")


class _Extensions(msgspec.Struct, frozen=True):
    code: str = ""


class _Error(msgspec.Struct):
    message: str = ""
    extensions: _Extensions = _Extensions()


class _Answer(msgspec.Struct):
    data: msgspec.Raw = msgspec.Raw(b"null")
    errors: list[_Error] = []


class _LoggedIn(msgspec.Struct):
    login: dict[str, Any]


class _Kind(msgspec.Struct, rename="camel"):
    kind: str
    of_type: _Kind | None = None

    @property
    def is_plain(self) -> bool:
        """Whether it is a value, or a list of such, and so is asked for without its parts."""
        return self.kind in KINDS or (self.of_type is not None and self.of_type.is_plain)


class _Field(msgspec.Struct):
    name: str
    type: _Kind


class _Type(msgspec.Struct):
    fields: list[_Field]


class Custom(msgspec.Struct):
    """The types of the shop's custom fields; it has none of a type that is missing."""

    order: _Type | None = None
    line: _Type | None = None
    variant: _Type | None = None


def names(custom: _Type | None) -> list[str]:
    """The fields that are plain values."""
    return [field.name for field in custom.fields if field.type.is_plain] if custom else []


class Admin:
    """One user of the Admin API, who logs in when it is needed; `now` is the shop's time of the last answer."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._caller = Caller(None)
        self._custom: Custom | None = None
        self._custom_until = 0.0
        self.now = 0

    async def ask(self, text: str, kind: type[T], **variables: Any) -> T:
        """The data that the shop answers.

        Raises:
            Unavailable: it does not answer, refuses, or answers something else.
        """
        answer = await self._post(text, variables)
        if self._api.user and any(error.extensions.code in NO_SESSION for error in answer.errors):
            await self._log_in()
            answer = await self._post(text, variables)
        if answer.errors:
            self._custom = None  # perhaps the shop has other fields by now
            said = label(answer.errors[0].message)
            raise Unavailable(
                f"The shop refuses: {said}",
                help="Look what the user may do there: it needs ReadOrder and UpdateOrder.",
            )
        return self.read(bytes(answer.data), kind)

    async def custom(self) -> Custom:
        """The custom fields of orders, their lines and of articles; none where the shop tells nobody its schema."""
        if self._custom is None or time.monotonic() > self._custom_until:
            try:
                self._custom = await self.ask(CUSTOM, Custom)
            except Unavailable as error:
                if "introspection" not in str(error).lower():
                    raise
                self._custom = Custom()
            self._custom_until = time.monotonic() + KNOWN_SECONDS
        return self._custom

    async def close(self) -> None:
        """Give up the connections."""
        await self._caller.close()

    async def _log_in(self) -> None:
        answer = await self._post(LOGIN, {"user": self._api.user, "password": self._api.password})
        told = self.read(bytes(answer.data), _LoggedIn).login if not answer.errors else {}
        if told.get("__typename") != "CurrentUser":
            raise Unavailable("The shop lets nobody in by this `user` and `password`.", help="Check them in `api`.")

    async def _post(self, text: str, variables: dict[str, Any]) -> _Answer:
        headers = {} if self._api.user else {"vendure-api-key": self._api.password}
        body = msgspec.json.encode({"query": text, "variables": variables})
        reply = await self._caller.call("POST", self._api.url, headers=headers, body=body)
        if not (reply.ok or 400 <= reply.status < 404):
            raise reply.refusal()
        self.now = system_now(reply.headers)
        return self.read(reply.body, _Answer)

    @staticmethod
    def read(body: bytes, kind: type[T]) -> T:
        """What the shop answered, as the struct that it should be; Unavailable if it is none."""
        return answered(body, kind, "Vendure's Admin API", "api.url")
