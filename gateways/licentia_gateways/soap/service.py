"""The SOAP services: from an HTTP request to an operation of the contract, and back."""

from __future__ import annotations

from typing import NamedTuple

from lxml import etree
from starlette.types import Receive, Scope, Send

from licentia.contract import OPERATIONS, Operation, Reply
from licentia.contract.operation import Service
from licentia.errors import InvalidRequest, LicensingError, MethodNotAllowed, Unauthenticated
from licentia.services.application import Application
from licentia.services.identity import ANYONE, Caller
from licentia_gateways.answer import Headers, send_body
from licentia_gateways.credentials import credentials
from licentia_gateways.exchange import Exchange
from licentia_gateways.packing import may_be_packed
from licentia_gateways.problems import RETRY_AFTER_SECONDS
from licentia_gateways.received import header, idempotency_key
from licentia_gateways.soap import description, faults
from licentia_gateways.soap.addresses import address
from licentia_gateways.soap.codec import writer
from licentia_gateways.soap.envelope import (
    HELP,
    SOAP11,
    SOAP12,
    Envelope,
    NotUnderstood,
    Version,
    VersionMismatch,
    cut,
    open_envelope,
    parse,
    version_of,
)
from licentia_gateways.soap.security import username_token
from licentia_gateways.soap.shape import namespace, shape
from licentia_gateways.soap.transport import content_type, encoding, read_body
from licentia_gateways.soap.validation import Validator, settle_attributes
from licentia_gateways.waiting import answered

_DESCRIPTIONS: dict[bytes, description.SoapVersion] = {b"wsdl": "1.1", b"wsdl12": "1.2"}


class _Answer(NamedTuple):
    status: int
    version: Version
    body: bytes
    headers: Headers = ()
    may_be_packed: bool = False


class SoapService:
    """One service of the contract as an ASGI application.

    A POST calls an operation, by SOAP 1.1 or 1.2 as its envelope says; a GET with `?wsdl` (SOAP 1.1,
    for every toolkit) or `?wsdl12` (both) gives the description.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._namespace = namespace(service)
        own = [operation for operation in OPERATIONS if operation.service == service]
        self._operations = {operation.name: operation for operation in own}
        self._by_tag = {f"{{{self._namespace}}}{operation.name}": operation for operation in own}
        self._validator = Validator(service)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, a refusal as a fault."""
        Exchange.of(scope).gateway = "soap"
        answer = await self._answer(scope, receive)
        media_type = f"{answer.version.media_type}; charset=utf-8"
        await send_body(
            scope,
            send,
            answer.status,
            media_type,
            answer.body,
            answer.headers,
            may_be_packed=answer.may_be_packed,
        )

    async def _answer(self, scope: Scope, receive: Receive) -> _Answer:
        """What to answer. SOAP asks for this order of checks: version, headers, body (WS-I BP 1.1, R2725)."""
        version = SOAP11
        wanted = _DESCRIPTIONS.get(scope["query_string"].lower())
        try:
            declared = content_type(header(scope, b"content-type") or "")
            version = SOAP12 if declared.media_type == SOAP12.media_type else SOAP11
            if wanted and scope["method"] in ("GET", "HEAD"):
                return self._describe(scope, wanted)
            if scope["method"] != "POST":
                raise MethodNotAllowed("Operations are called by POST; `?wsdl` is read by GET.")
            body = await read_body(scope, receive, scope["app"].state.settings.body_limit_bytes)
            root = parse(body, encoding(declared, body))
            version = version_of(root)
            envelope = open_envelope(root, version)
            settle_attributes(envelope.content, body)
            operation = self._operation(envelope.content, header(scope, b"soapaction") or declared.action)
            reply = await self._call(scope, receive, operation, envelope)
            content = self._reply(operation, reply, version)
            return _Answer(200, version, content, may_be_packed=may_be_packed(operation))
        except LicensingError as error:
            Exchange.of(scope).code = error.code
            status = faults.status_of(error, version)
            headers = _headers(error, status, b"GET, HEAD, POST" if wanted else b"POST")
            return _Answer(status, version, faults.fault(error, version, self._service), headers)
        except NotUnderstood as error:
            Exchange.of(scope).code = InvalidRequest.code
            return _Answer(500, version, faults.not_understood(error, version))
        except VersionMismatch:
            Exchange.of(scope).code = InvalidRequest.code
            return _Answer(500, version, faults.version_mismatch(version))

    def _describe(self, scope: Scope, wanted: description.SoapVersion) -> _Answer:
        Exchange.of(scope).operation = "wsdl"
        settings = scope["app"].state.settings
        content = description.wsdl(self._service, address(scope, settings), wanted)
        return _Answer(200, SOAP11, content, may_be_packed=True)

    def _operation(self, element: etree._Element, action: str) -> Operation:
        """The operation that the body's element names; an action may be missing or unknown, but not name another."""
        operation = self._by_tag.get(str(element.tag))
        if operation is None:
            raise self._no_operation(etree.QName(element))
        named = action.strip('" ').rpartition("/")[2]
        if named != operation.name and named in self._operations:
            raise InvalidRequest(f"The action names {named}, but the Body holds {operation.name}.", help=HELP)
        return operation

    def _no_operation(self, name: etree.QName) -> InvalidRequest:
        if name.localname not in self._operations:
            known = ", ".join(self._operations)
            return InvalidRequest(f"There is no operation `{cut(name.localname)}` here; there are {known}.", help=HELP)
        found = cut(name.namespace or "none")
        return InvalidRequest(
            f"`{name.localname}` has to be in the namespace {self._namespace}, not in {found}.", help=HELP
        )

    async def _call(self, scope: Scope, receive: Receive, operation: Operation, envelope: Envelope) -> Reply | None:
        application: Application = scope["app"].state.application
        exchange = Exchange.of(scope)
        exchange.operation = operation.name
        if operation.open:
            caller = ANYONE(exchange.address)
        else:
            caller = await _authenticated(application, scope, envelope)
        exchange.actor = caller.actor
        key = idempotency_key(scope, envelope.idempotency_key) if operation.mutates else None
        request = self._validator.request(operation, envelope.content)
        call = application.call(operation, request, caller, idempotency_key=key, request_id=exchange.request_id)
        return await answered(operation, request, call, receive)

    def _reply(self, operation: Operation, reply: Reply | None, version: Version) -> bytes:
        name = f"{operation.name}Response"
        fields = writer(shape(operation.reply))(reply) if operation.reply else ""
        return faults.wrap(version, f'<{name} xmlns="{self._namespace}">{fields}</{name}>')


async def _authenticated(application: Application, scope: Scope, envelope: Envelope) -> Caller:
    """Who calls, by the message's own Security header or else by HTTP."""
    shown = None if envelope.security is None else username_token(envelope.security)
    if shown is None:
        shown = credentials(scope)
    try:
        return await application.authenticate(shown, Exchange.of(scope).address)
    except Unauthenticated as error:
        if shown is None:
            raise faults.Challenge(error.detail, help=error.next_step) from None
        raise


def _headers(error: LicensingError, status: int, allow: bytes) -> Headers:
    if isinstance(error, faults.Challenge):
        yield b"www-authenticate", b'Basic realm="licentia"'
    if status == 405:
        yield b"allow", allow
    if status == 413:
        yield b"connection", b"close"
    if error.status in (429, 503):
        seconds = RETRY_AFTER_SECONDS if error.retry_after_seconds is None else error.retry_after_seconds
        yield b"retry-after", str(seconds).encode("ascii")
