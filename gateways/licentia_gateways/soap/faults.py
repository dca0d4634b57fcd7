"""Faults: every refusal as SOAP 1.1 and 1.2 write it, with the code that REST gives in its problem details."""

from __future__ import annotations

import msgspec
from lxml import etree

from licentia.contract.operation import Service
from licentia.errors import FieldProblem, LicensingError, Unauthenticated
from licentia_gateways.soap.codec import escape, writer
from licentia_gateways.soap.envelope import SOAP11, SOAP12, Malformed, NotUnderstood, Version, cut
from licentia_gateways.soap.shape import namespace, shape


class LicensingFault(msgspec.Struct, frozen=True):
    """Why the request was refused: the code of the contract, what is wrong, and what to do next."""

    code: str
    message: str
    help: str
    errors: list[FieldProblem]


class Challenge(Unauthenticated):
    """No credentials were given at all: HTTP 401 makes those clients send theirs that wait to be asked."""


_XML = "http://www.w3.org/XML/1998/namespace"
_OWN_STATUS = frozenset({405, 413, 415})
"""Refusals of the HTTP request itself, which keep their HTTP status."""


def status_of(error: LicensingError, version: Version) -> int:
    """The HTTP status of a fault.

    SOAP 1.1 over HTTP answers 500 to all (section 6.2), but 400 to what is not XML (WS-I Basic Profile
    1.1, R1113); SOAP 1.2 answers 400 where the sender is to blame (part 2, table 20).
    """
    if error.status in _OWN_STATUS or isinstance(error, Challenge):
        return error.status
    if isinstance(error, Malformed) or (version is SOAP12 and error.status < 500):
        return 400
    return 500


def fault(error: LicensingError, version: Version, service: Service) -> bytes:
    """The envelope of a refusal, with the typed detail that the WSDL declares."""
    content = LicensingFault(error.code, error.detail, error.next_step, list(error.problems))
    fields = writer(shape(LicensingFault))(content)
    detail = f'<LicensingFault xmlns="{namespace(service)}">{fields}</LicensingFault>'
    blame = version.client if error.status < 500 else version.server
    return _envelope(version, blame, error.detail, detail=detail)


def not_understood(error: NotUnderstood, version: Version) -> bytes:
    """The fault for headers that must be understood; SOAP 1.2 names them in headers of its own (part 1, 5.4.8)."""
    headers = "".join(_not_understood(name) for name in error.names) if version is SOAP12 else ""
    names = ", ".join(f"`{cut(name.localname)}`" for name in error.names)
    return _envelope(version, "MustUnderstand", f"A header that must be understood is not known here: {names}", headers)


def _not_understood(name: etree.QName) -> str:
    if name.text != cut(name.text):
        return ""
    if name.namespace is None:  # no prefix may stand for none (Namespaces in XML 1.0, section 2.2)
        return f'<soap:NotUnderstood qname="{name.localname}"/>'
    if name.namespace == _XML:  # and no other than its own for this one (section 3)
        return f'<soap:NotUnderstood qname="xml:{name.localname}"/>'
    return f'<soap:NotUnderstood qname="n:{name.localname}" xmlns:n="{escape(name.namespace)}"/>'


def version_mismatch(version: Version) -> bytes:
    """The fault for an envelope of an unknown version; SOAP 1.2 lists the known ones (part 1, 5.4.7)."""
    upgrade = ""
    if version is SOAP12:
        supported = "".join(
            f'<soap:SupportedEnvelope qname="v:Envelope" xmlns:v="{known.namespace}"/>' for known in (SOAP12, SOAP11)
        )
        upgrade = f"<soap:Upgrade>{supported}</soap:Upgrade>"
    known = f"{SOAP11.namespace} (SOAP 1.1) or {SOAP12.namespace} (SOAP 1.2)"
    return _envelope(version, "VersionMismatch", f"The envelope has to be in the namespace {known}", upgrade)


def _envelope(version: Version, code: str, reason: str, headers: str = "", detail: str = "") -> bytes:
    reason = escape(reason)
    header = f"<soap:Header>{headers}</soap:Header>" if headers else ""
    if version is SOAP12:
        fault = (
            f"<soap:Code><soap:Value>soap:{code}</soap:Value></soap:Code>"
            f'<soap:Reason><soap:Text xml:lang="en">{reason}</soap:Text></soap:Reason>'
        )
        fault += f"<soap:Detail>{detail}</soap:Detail>" if detail else ""
    else:
        fault = f"<faultcode>soap:{code}</faultcode><faultstring>{reason}</faultstring>"
        fault += f"<detail>{detail}</detail>" if detail else ""
    return wrap(version, f"<soap:Fault>{fault}</soap:Fault>", header)


def wrap(version: Version, body: str, header: str = "") -> bytes:
    """An envelope around the text of a body."""
    return (
        f'<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="{version.namespace}">'
        f"{header}<soap:Body>{body}</soap:Body></soap:Envelope>"
    ).encode()
