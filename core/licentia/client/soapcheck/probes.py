"""What a service does with messages of all kinds, without a key: does each arrive, and does its answer?"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from licentia.client.faults import Unreachable
from licentia.client.soapcheck.explained import remedy, told
from licentia.client.soapcheck.findings import Finding, fault, judged, ok
from licentia.client.soapcheck.line import Line
from licentia.client.soapcheck.messages import NOTHING, Answer, Version, envelope
from licentia.contract import OPERATIONS

Probe = Callable[[Line], Finding]


def guarded(name: str, probe: Probe, line: Line) -> Finding:
    """What a probe finds; no answer at all is a fault of that probe and no more."""
    try:
        return probe(line)
    except Unreachable as gone:
        help = "Something before the server does this when it sees such a message: look into its log."
        return fault(name, str(gone), help)


def probes(line: Line) -> Iterator[Finding]:
    """All probes of one service, in the order in which their faults explain each other."""
    for name, probe in PROBES.items():
        yield guarded(name, probe, line)


def nothing(line: Line, version: Version = "1.1") -> str:
    """A message that is always refused as `invalid_request`, in words that name its operation."""
    return envelope(line.service, NOTHING, {}, version=version)


def is_refusal(answer: Answer, version: Version = "1.1") -> bool:
    """Whether this is the fault that `nothing` gets, with the HTTP status that the version of SOAP asks for."""
    status = 500 if version == "1.1" else 400
    return (answer.status, answer.code) == (status, "invalid_request") and NOTHING in answer.text


def _post(line: Line) -> Finding:
    if line.service != "licensing":
        answer = line.post(nothing(line))
        is_good, what = answer.is_fault and NOTHING in answer.text, "a message is read and answered"
    else:
        answer = line.post(envelope(line.service, "ListPublicKeys", {}))
        is_good, what = answer.status == 200 and answer.is_soap, "a call that needs no key gets its reply"
    return judged("post", is_good, what if is_good else told(answer), remedy(answer))


def _fault(name: str, version: Version) -> Probe:
    def probe(line: Line) -> Finding:
        answer = line.post(nothing(line, version), version)
        is_good = is_refusal(answer, version)
        detail = f"a fault of SOAP {version} arrives as it is, with status {answer.status}"
        return judged(name, is_good, detail if is_good else told(answer), remedy(answer))

    return probe


def _challenge(line: Line) -> Finding:
    answer = line.post(envelope(line.service, _keyed(line)[0], {}))
    if (answer.status, answer.code) != (401, "unauthenticated"):
        return fault("fault 401", told(answer), remedy(answer))
    if "www-authenticate" not in answer.headers:
        help = "Let the proxy pass WWW-Authenticate on: toolkits that wait to be asked never send their key without it."
        return fault("fault 401", "the fault arrives, but without its header WWW-Authenticate", help)
    return ok("fault 401", "who shows no key is asked for one")


def _action(line: Line) -> Finding:
    called, other = _keyed(line)
    answer = line.post(envelope(line.service, called, {}), soapaction=f'"urn:licentia:{line.service}:1/{other}"')
    if answer.code == "invalid_request" and other in answer.text:
        return ok("SOAPAction", "the header arrives")
    if answer.code == "unauthenticated":
        help = "Let the proxy pass SOAPAction on. Licentia does without it, but more may be lost than this."
        return fault("SOAPAction", "the header does not arrive", help)
    return fault("SOAPAction", told(answer), remedy(answer))


def _authorization(line: Line) -> Finding:
    answer = line.post(envelope(line.service, _keyed(line)[0], {}), authorization="LicentiaSoapCheck")
    if answer.code == "unauthenticated" and answer.status != 401:
        return ok("Authorization", "the header arrives")
    if answer.code == "unauthenticated":
        help = "Let the proxy pass Authorization on. Until then clients can send a WS-Security UsernameToken."
        return fault("Authorization", "the header does not arrive, and no key in it", help)
    return fault("Authorization", told(answer), remedy(answer))


def _document_type(line: Line) -> Finding:
    answer = line.post(f'<!DOCTYPE x [<!ENTITY e "{NOTHING}">]>{nothing(line)}')
    if answer.is_fault and "DOCTYPE" in answer.text:
        return ok("DOCTYPE", "a document type is refused")
    if 400 <= answer.status < 500 and not answer.is_soap:
        return ok("DOCTYPE", f"a document type is refused before the server ({told(answer)})")
    return fault("DOCTYPE", f"a document type is not refused as such: {told(answer)}", remedy(answer))


def _keyed(line: Line) -> tuple[str, str]:
    """Two operations of the service that need a key."""
    first, second, *_ = (each.name for each in OPERATIONS if each.service == line.service and not each.open)
    return first, second


PROBES: dict[str, Probe] = {
    "post": _post,
    "fault 1.1": _fault("fault 1.1", "1.1"),
    "fault 1.2": _fault("fault 1.2", "1.2"),
    "fault 401": _challenge,
    "SOAPAction": _action,
    "Authorization": _authorization,
    "DOCTYPE": _document_type,
}
