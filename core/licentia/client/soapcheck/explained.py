"""What it means when something else than the server answers, or the server answers something else."""

from __future__ import annotations

from licentia.client.soapcheck.messages import Answer

PAGES = (
    "Something before the server puts its own page in the place of faults. Let it pass the body of errors on: "
    "nginx `proxy_intercept_errors off`, Apache `ProxyErrorOverride Off`, "
    'IIS `<httpErrors existingResponse="PassThrough">`.'
)
GATE = "Something before the server asks for a login or forbids this. Let it pass /soap: Licentia checks keys itself."
UNREACHED = "The proxy does not reach the server. Is it running, and does the proxy's upstream name its host and port?"
STATUSES = {
    400: PAGES,
    401: GATE,
    403: GATE,
    404: "The proxy has nothing at this path. Let it pass /soap/ on, unchanged.",
    405: "The proxy lets no POST pass to this path. Allow it.",
    407: GATE,
    411: "The proxy wants a Content-Length. Let it pass chunked bodies, or collect them.",
    413: "The proxy takes smaller bodies only. Raise its limit: nginx `client_max_body_size`, "
    "Apache `LimitRequestBody`, IIS `maxAllowedContentLength`.",
    415: "The proxy refuses the media type. Let it pass text/xml and application/soap+xml.",
    417: "The proxy does not know `Expect: 100-continue`. "
    ".NET clients then need `ServicePointManager.Expect100Continue = false`.",
    426: "The proxy refuses HTTP/1.0 (Envoy: `accept_http_10`). Old PHP and Perl clients speak it.",
    500: PAGES,
    502: UNREACHED,
    503: UNREACHED,
    504: UNREACHED,
}
"""What to do about a status that comes without a SOAP message."""


def told(answer: Answer) -> str:
    """What came, in a few words."""
    kind = answer.headers.get("content-type", "").partition(";")[0] or "no content type"
    if target := answer.headers.get("location"):
        return f"status {answer.status}, a redirect to {target}"
    if answer.is_fault:
        return f"status {answer.status}, fault {answer.code or 'of another kind'}: {answer.text}"
    return f"status {answer.status}, {'a SOAP reply' if answer.is_soap else kind}"


def remedy(answer: Answer) -> str:
    """What to do about an answer that is not the one expected."""
    if "location" in answer.headers:
        return "Give clients the address that the redirect leads to: toolkits do not repeat a POST elsewhere."
    if answer.is_fault and answer.status in (400, 500) and "well-formed" in answer.text:
        return "The body does not arrive as it was sent: something before the server empties or changes it."
    if answer.is_fault and answer.code in ("unavailable", "internal_error", "too_many_requests"):
        return "The server itself has a fault: read its log, and run `licentia doctor`."
    if answer.is_soap:
        return "The message does not arrive as it was sent, or this is another version of Licentia."
    return STATUSES.get(answer.status, "Something else answers in the server's place. Let /soap/ pass unchanged.")
