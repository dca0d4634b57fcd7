"""The remote client against servers that answer well, badly, or not at all."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from licentia.cli.root import licentia
from licentia.client.faults import Unreachable
from licentia.client.remote import RemoteLicentia
from licentia.contract import BY_NAME
from licentia.contract.activations import ActivateTicket, Container
from licentia.contract.leases import CheckoutLicense, ReleaseLease
from licentia.contract.licenses import ListLicenses, UserLicenses
from licentia.contract.products import GetProduct, ListProducts
from licentia.contract.usage import GetUsage
from licentia.errors import InternalError, InvalidRequest, LicensingError, NotFound, TooManyRequests, catalogue

PRODUCTS = {"products": [], "next_cursor": None, "of_a_later_version": 1}


@dataclass
class Answer:
    """What the server answers to everything, and what it was asked."""

    status: int = 200
    content_type: str = "application/json"
    body: Any = field(default_factory=lambda: PRODUCTS)
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""


@contextmanager
def answering(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[Answer]:
    """A server on the loopback address."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer.asked.append((self.command, self.path, headers, body))
            text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(text)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    answer.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield answer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def problem(code: str, **more: Any) -> dict[str, Any]:
    """Problem details as Licentia sends them."""
    kind = catalogue()[code]
    return {"type": f"urn:licentia:error:{code}", "title": kind.title(), "status": kind.status, "code": code} | {
        "detail": "this is wrong",
        "help": "do that",
        **more,
    }


def test_a_request_goes_where_the_contract_says() -> None:
    """Path fields are encoded into the path, the rest of a GET is the query without what is absent, times are UTC."""
    at = datetime(2026, 11, 1, tzinfo=UTC)
    with answering(Answer(body={"user": "a", "licenses": []})) as answer, RemoteLicentia(answer.url, "lic_x") as remote:
        reply = remote.call(BY_NAME["ListLicenses"], ListLicenses(user="ümit?#%&+;=@x"))
        with pytest.raises(Unreachable):
            remote.call(BY_NAME["GetUsage"], GetUsage(from_=at))
    assert reply == UserLicenses(user="a", licenses=[])
    (method, path, headers, _), (_, usage, *_) = answer.asked
    assert (method, path) == ("GET", "/v1/users/%C3%BCmit%3F%23%25%26%2B%3B%3D%40x/licenses")
    assert headers["authorization"] == "Bearer lic_x"
    assert usage == "/v1/usage?from=2026-11-01T00%3A00%3A00Z&per=total&limit=10000"


@pytest.mark.parametrize("dots", [".", ".."])
def test_an_id_of_dots_is_no_step_in_the_path(dots: str) -> None:
    """`..` is a valid id: it must reach the server as an id, not climb to another address."""
    with answering(Answer(status=404, content_type="application/problem+json", body=problem("not_found"))) as answer:
        with RemoteLicentia(answer.url) as remote, pytest.raises(NotFound):
            remote.call(BY_NAME["GetProduct"], GetProduct(sku=dots))
        assert answer.asked[0][1] == f"/v1/products/{dots.replace('.', '%2E')}"


def test_a_body_holds_all_but_the_path() -> None:
    """A PUT or POST carries JSON without the fields of the path; an idempotency key travels as a header."""
    with (
        answering(Answer(status=500, content_type="text/plain", body="")) as answer,
        RemoteLicentia(answer.url) as remote,
    ):
        with pytest.raises(Unreachable):
            remote.call(BY_NAME["CheckoutLicense"], CheckoutLicense(lease_id="l1", product_code="1", user="anna"))
        activation = ActivateTicket(code="T", container=Container(kind="cloud-lite", user="anna"))
        with pytest.raises(Unreachable):
            remote.call(BY_NAME["ActivateTicket"], activation, idempotency_key="k-1")
    (put, path, headers, body), (post, _, more, _) = answer.asked
    assert (put, path, post) == ("PUT", "/v1/leases/l1", "POST")
    assert headers["content-type"] == "application/json"
    assert "lease_id" not in json.loads(body)
    assert json.loads(body)["user"] == "anna"
    assert more["idempotency-key"] == "k-1"


def test_a_reply_may_be_nothing() -> None:
    """204 is None."""
    with answering(Answer(status=204, body="")) as answer, RemoteLicentia(answer.url) as remote:
        assert remote.call(BY_NAME["ReleaseLease"], ReleaseLease(lease_id="l1")) is None


def test_a_reply_may_have_fields_of_a_later_version() -> None:
    """A newer server may say more than this client knows."""
    with answering(Answer()) as answer, RemoteLicentia(answer.url + "/") as remote:
        assert remote.call(BY_NAME["ListProducts"], ListProducts()) is not None


@pytest.mark.parametrize("code", catalogue())
def test_every_refusal_comes_back_as_its_class(code: str) -> None:
    """The code of the problem gives the class; its words are the server's."""
    refused = Answer(status=catalogue()[code].status, content_type="application/problem+json", body=problem(code))
    with answering(refused) as answer, RemoteLicentia(answer.url) as remote, pytest.raises(LicensingError) as raised:
        remote.call(BY_NAME["ListProducts"], ListProducts())
    assert type(raised.value) is catalogue()[code]
    assert (raised.value.detail, raised.value.next_step) == ("this is wrong", "do that")


def test_a_refusal_keeps_its_pointers_and_its_wait() -> None:
    """What was wrong in which field, and how long to wait, survive the way."""
    errors = [{"pointer": "/name", "detail": "too long"}]
    invalid = Answer(400, "application/problem+json", problem("invalid_request", errors=errors))
    with answering(invalid) as answer, RemoteLicentia(answer.url) as remote, pytest.raises(InvalidRequest) as raised:
        remote.call(BY_NAME["ListProducts"], ListProducts())
    assert [(each.pointer, each.detail) for each in raised.value.problems] == [("/name", "too long")]
    often = Answer(429, "application/problem+json", problem("too_many_requests"), {"Retry-After": "7"})
    with answering(often) as answer, RemoteLicentia(answer.url) as remote, pytest.raises(TooManyRequests) as raised_too:
        remote.call(BY_NAME["ListProducts"], ListProducts())
    assert raised_too.value.retry_after_seconds == 7


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(200, "text/html", "<h1>Welcome</h1>"), "not as Licentia does"),
        (Answer(404, "text/html", "<h1>no</h1>"), "status 404"),
        (Answer(502, "application/problem+json", "{}"), "not as Licentia does"),
        (
            Answer(301, "text/html", "", {"Location": "https://elsewhere.example/"}),
            "points to https://elsewhere.example/",
        ),
        (Answer(400, "application/problem+json", problem("conflict") | {"code": "new_code"}), "`new_code`"),
    ],
)
def test_what_is_not_licentia_is_called_so(answer: Answer, said: str) -> None:
    """A foreign page, a broken answer, a redirect or an unknown code is never taken for a reply."""
    with answering(answer), RemoteLicentia(answer.url) as remote, pytest.raises(Unreachable, match=said) as raised:
        remote.call(BY_NAME["ListProducts"], ListProducts())
    assert raised.value.next_step


def test_nobody_there_is_told_with_the_next_step() -> None:
    """A refused connection names the address, and how to start a server."""
    with (
        RemoteLicentia("http://127.0.0.1:1") as remote,
        pytest.raises(Unreachable, match="cannot be reached") as raised,
    ):
        remote.call(BY_NAME["ListProducts"], ListProducts())
    assert "licentia serve" in raised.value.next_step


def test_silence_ends_after_the_timeout() -> None:
    """A server that accepts and says nothing does not hold the caller for ever."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with RemoteLicentia(url, timeout_seconds=0.05) as remote, pytest.raises(Unreachable, match="in time"):
            remote.call(BY_NAME["ListProducts"], ListProducts())


def test_https_to_a_server_without_tls_is_told() -> None:
    """The wrong scheme is a clear sentence."""
    with (
        answering(Answer()) as answer,
        RemoteLicentia(answer.url.replace("http", "https")) as remote,
        pytest.raises(Unreachable, match="does not speak TLS"),
    ):
        remote.call(BY_NAME["ListProducts"], ListProducts())


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificate")
def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown certificate is refused with the way to trust it, and that way works."""
    certificate = tmp_path / "certificate.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out certificate.pem -days 2 -subj /CN=localhost"
    )
    extensions = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command.split(), *extensions], cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, tmp_path / "key.pem")
    with answering(Answer(), context) as answer:
        with RemoteLicentia(answer.url) as remote, pytest.raises(Unreachable, match="not trusted") as raised:
            remote.call(BY_NAME["ListProducts"], ListProducts())
        assert "SSL_CERT_FILE" in raised.value.next_step
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with RemoteLicentia(answer.url) as remote:
            assert remote.call(BY_NAME["ListProducts"], ListProducts()) is not None


def test_loopback_does_not_go_by_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy in the environment cannot reach this computer's own server, so it is not asked."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with answering(Answer()) as answer, RemoteLicentia(answer.url) as remote:
        assert remote.call(BY_NAME["ListProducts"], ListProducts()) is not None


@pytest.mark.parametrize("url", ["ftp://x", "licenses.example.com", "http://", "", "https:///v1"])
def test_what_is_no_address_is_said_at_once(url: str) -> None:
    """An address without scheme or host is a ValueError before anything is sent."""
    with pytest.raises(ValueError, match="is not an address such as"):
        RemoteLicentia(url)


def test_the_command_line_tells_each_fault_apart() -> None:
    """Refused: 2, with the code on the standard error or as JSON; unreachable: 69; wrong usage: 64."""
    refused = Answer(500, "application/problem+json", problem("internal_error"))
    with answering(refused) as answer:
        text = CliRunner().invoke(licentia, ["product", "list", "--url", answer.url])
        as_json = CliRunner().invoke(licentia, ["product", "list", "-o", "json"], env={"LICENTIA_URL": answer.url})
    assert (text.exit_code, as_json.exit_code) == (2, 2)
    assert text.stdout == as_json.stderr == ""
    assert text.stderr.splitlines() == [f"{InternalError.title()} (internal_error).", "this is wrong", "do that"]
    assert json.loads(as_json.stdout) == {"code": "internal_error", "detail": "this is wrong", "help": "do that"}
    gone = CliRunner().invoke(licentia, ["product", "list", "--url", "http://127.0.0.1:1"])
    assert (gone.exit_code, gone.stdout) == (69, "")
    assert "licentia serve" in gone.stderr
    nowhere = CliRunner().invoke(licentia, ["product", "list", "--url", "nowhere"])
    assert nowhere.exit_code == 64
