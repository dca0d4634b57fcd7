"""`licentia soap check` against the real server, and against proxies that break SOAP in the ways real ones do."""

from __future__ import annotations

import gzip
import json
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from licentia.cli.logs import to_standard_error
from licentia.cli.root import licentia

PAGE = b"<!DOCTYPE html><html><body><h1>Oops</h1></body></html>"


@pytest.fixture(autouse=True)
def _log_of_the_server() -> None:
    """Keep the server's log, which is of this process here, out of what the command says."""
    to_standard_error()


@dataclass(frozen=True)
class Habits:
    """What a proxy does to what passes it; by default nothing."""

    host: str = ""
    own_pages: tuple[int, ...] = ()
    takes: tuple[str, ...] = ()
    takes_back: tuple[str, ...] = ()
    limit: int = 0
    hangs_up_at: int = 0
    empties: bool = False
    prefix: str = ""
    forwarded_proto: bool = False
    refuses: dict[str, int] = field(default_factory=dict)
    expect: str = "continue"
    redirects: bool = False
    packs: bool = False
    chunks: bool = False
    date: str = ""
    changes: tuple[bytes, bytes] = (b"", b"")


class Proxy(BaseHTTPRequestHandler):
    """A reverse proxy with habits."""

    habits = Habits()
    upstream = ""
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 5

    def handle_expect_100(self) -> bool:
        """Say `100 Continue`, nothing, or no."""
        if self.habits.expect in ("refuse", "hang up"):
            if self.habits.expect == "refuse":
                self.reply(417, {"content-type": "text/html"}, PAGE)
            self.close_connection = True
            return False
        return super().handle_expect_100() if self.habits.expect == "continue" else True

    def pass_on(self) -> None:
        """Pass a request on and its answer back, in the manner of this proxy."""
        habits = self.habits
        body = self.received()
        if habits.redirects:
            self.reply(308, {"location": f"https://elsewhere.example{self.path}"}, b"")
            return
        if habits.hangs_up_at and len(body) > habits.hangs_up_at:
            self.close_connection = True
            return
        if status := self.refusal(body):
            self.reply(status, {"content-type": "text/html"}, PAGE)
            return
        status, headers, content = self.asked(b"" if habits.empties else body)
        if status in habits.own_pages:
            headers, content = {"content-type": "text/html"}, PAGE
        if habits.packs and len(content) > 1000 and "content-encoding" not in headers:
            headers, content = headers | {"content-encoding": "gzip"}, gzip.compress(content)
        self.reply(status, headers, content.replace(*habits.changes) if habits.changes[0] else content)

    do_GET = do_POST = pass_on  # noqa: N815 - the names are http.server's

    def received(self) -> bytes:
        """The body of the request."""
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def refusal(self, body: bytes) -> int:
        """The status with which the proxy refuses by itself; 0 for none."""
        habits = self.habits
        if habits.limit and len(body) > habits.limit:
            return 413
        if not self.path.startswith(habits.prefix):
            return 404
        marks = {"method": self.command, "http": self.request_version, "coding": self.headers.get("transfer-encoding")}
        return next((status for mark, status in habits.refuses.items() if mark in marks.values()), 0)

    def asked(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """The answer of the server behind."""
        habits = self.habits
        drop = {"host", "connection", "transfer-encoding", "content-length", "expect", *habits.takes}
        headers = {name.lower(): value for name, value in self.headers.items() if name.lower() not in drop}
        headers["host"] = habits.host or str(self.headers["host"])
        if habits.forwarded_proto:
            headers["x-forwarded-proto"] = "https"
        host, _, port = self.upstream.partition(":")
        connection = HTTPConnection(host, int(port), timeout=5)
        try:
            connection.request(self.command, self.path.removeprefix(habits.prefix), body, headers)
            return self.answered(connection.getresponse())
        finally:
            connection.close()

    def answered(self, response: HTTPResponse) -> tuple[int, dict[str, str], bytes]:
        """The parts of an answer that go back."""
        drop = {"connection", "content-length", *self.habits.takes_back}
        headers = {name.lower(): value for name, value in response.getheaders() if name.lower() not in drop}
        if self.habits.date:
            headers["date"] = self.habits.date
        return response.status, headers, response.read()

    def reply(self, status: int, headers: dict[str, str], content: bytes) -> None:
        """Answer the client."""
        self.send_response_only(status)
        length = {"transfer-encoding": "chunked"} if self.habits.chunks else {"content-length": str(len(content))}
        for name, value in (headers | length).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content) if self.habits.chunks else content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def proxy(server: Any, habits: Habits, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A proxy with these habits before the server; its address."""
    upstream = server.url.removeprefix("http://")
    handler = type("Handler", (Proxy,), {"habits": habits, "upstream": upstream})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listener:
        listener.handle_error = lambda *_: None  # type: ignore[method-assign]
        if tls is not None:
            listener.socket = tls.wrap_socket(listener.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"{'https' if tls else 'http'}://127.0.0.1:{listener.server_port}{habits.prefix}"
        finally:
            listener.shutdown()
            thread.join()


@dataclass(frozen=True)
class Report:
    """What the command said."""

    exit_code: int
    checks: dict[str, dict[str, str]]

    @property
    def faults(self) -> set[str]:
        """The names of the checks that found a fault."""
        return {name for name, check in self.checks.items() if check["state"] == "fault"}

    def words(self, name: str) -> str:
        """All that is said about one check."""
        return f"{self.checks[name]['detail']} {self.checks[name]['help']}"


def check(url: str, *options: str, key: str = "") -> Report:
    """Run the command and read its JSON."""
    shown = CliRunner().invoke(licentia, ["soap", "check", url, "-o", "json", *options], env={"LICENTIA_KEY": key})
    assert shown.exit_code in (0, 2), shown.output
    told = json.loads(shown.stdout)
    assert told["ok"] == (shown.exit_code == 0)
    return Report(shown.exit_code, {each["name"]: each for each in told["checks"]})


def test_the_server_itself_is_as_it_should_be(server: Any) -> None:
    """Each check passes on the server without anything before it; without a key, the calls are left out and say so."""
    report = check(server.url)
    assert report.faults == set()
    assert [name for name, each in report.checks.items() if each["state"] == "skipped"] == ["key"]
    assert "LICENTIA_KEY" in report.words("key")
    assert {"wsdl admin", "wsdl12 licensing", "address depot", "R2754", "fault 1.2", "HTTP/1.0"} <= set(report.checks)


def test_a_decent_proxy_is_as_good_as_none(server: Any) -> None:
    """Nothing is found behind a proxy that passes everything on, with a key neither."""
    with proxy(server, Habits()) as url:
        report = check(url, key=server.keys["sales"])
    assert report.faults == set()
    ways = ("key sales", "key by Basic", "key by PasswordText", "key by PasswordDigest")
    assert all(report.checks[name]["state"] == "ok" for name in ways)
    assert report.checks["key admin"]["state"] == "skipped"
    assert "--scopes admin" in report.words("key admin")


PLAIN = ("accept-encoding",)
"""Without it, the server packs nothing, so that a proxy can change the text of an answer."""

FAULTS: tuple[tuple[Habits, set[str], str, str], ...] = (
    (Habits(host="backend.internal"), {"address sales"}, "address sales", "public_url"),
    (Habits(host="localhost"), {"address sales"}, "address sales", "another Host"),
    (Habits(host="127.0.0.1"), {"address sales"}, "address sales", "pass the port"),
    (Habits(prefix="/licensing"), {"address sales"}, "address sales", "part of the path"),
    (
        Habits(own_pages=(500,)),
        {"post", "fault 1.1", "SOAPAction", "Authorization", "DOCTYPE", "gzip sent", "chunked", "Expect", "HTTP/1.0"}
        | {"body limit"},
        "fault 1.1",
        "proxy_intercept_errors off",
    ),
    (Habits(own_pages=(400,)), {"fault 1.2"}, "fault 1.2", "ProxyErrorOverride Off"),
    (Habits(own_pages=(401,)), {"fault 401"}, "fault 401", "login"),
    (Habits(takes=("soapaction",)), {"SOAPAction"}, "SOAPAction", "does not arrive"),
    (Habits(takes=("authorization",)), {"Authorization"}, "Authorization", "UsernameToken"),
    (Habits(takes=("content-encoding",)), {"gzip sent"}, "gzip sent", "Content-Encoding"),
    (Habits(takes_back=("www-authenticate",)), {"fault 401"}, "fault 401", "WWW-Authenticate"),
    (Habits(chunks=True), {"HTTP/1.0"}, "HTTP/1.0", "in chunks"),
    (Habits(expect="hang up"), {"Expect"}, "Expect", "without an answer"),
    (Habits(changes=(b"\x1f\x8b", b"xx")), {"gzip read"}, "gzip read", "cannot be unpacked"),
    (Habits(limit=100_000), {"body limit"}, "body limit", "over about 97 KiB"),
    (Habits(limit=100_000), {"body limit"}, "body limit", "client_max_body_size"),
    (Habits(hangs_up_at=50_000), {"body limit"}, "body limit", "over about 48 KiB"),
    (Habits(refuses={"HTTP/1.0": 426}), {"HTTP/1.0"}, "HTTP/1.0", "accept_http_10"),
    (Habits(refuses={"chunked": 411}), {"chunked"}, "chunked", "Content-Length"),
    (Habits(expect="refuse"), {"Expect"}, "Expect", "Expect100Continue"),
    (Habits(packs=True), {"gzip read"}, "gzip read", "not asked for"),
    (Habits(takes=PLAIN, changes=(b'use="literal"', b'use="encoded"')), {"R2706"}, "R2706", "in sales"),
    (Habits(takes=PLAIN, changes=(b"literal", b"<literal>")), {"wsdl sales", "wsdl12 sales"}, "wsdl sales", "no WSDL"),
)


def test_every_bad_habit_of_a_proxy_is_found_and_explained(server: Any) -> None:
    """Each breakage is found by the checks that it breaks and no other; they say what it is and what to do."""
    for habits, faults, name, words in FAULTS:
        with proxy(server, habits) as url:
            report = check(url, "--service", "sales")
        assert (report.faults, report.exit_code) == (faults, 2), habits
        assert words in report.words(name), report.words(name)


def test_a_body_that_gets_lost_is_named(server: Any) -> None:
    """Where every message arrives empty, that is what is said."""
    with proxy(server, Habits(empties=True)) as url:
        report = check(url, "--service", "depot")
    assert "something before the server empties" in report.words("fault 1.1")


def test_a_proxy_that_lets_no_post_pass_is_named(server: Any) -> None:
    """Where the WSDL can be read but nothing be called, the method is what is said."""
    with proxy(server, Habits(refuses={"POST": 405})) as url:
        report = check(f"{url}/soap/sales?wsdl")
    assert "no POST" in report.words("post")
    assert report.checks["wsdl sales"]["state"] == "ok"


def test_a_missing_go_ahead_is_named(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that never says `100 Continue` makes each call of a client slow that waits for it."""
    monkeypatch.setattr("licentia.client.soapcheck.raw.PATIENCE_SECONDS", 0.1)
    with proxy(server, Habits(expect="ignore")) as url:
        report = check(url, "--service", "sales")
    assert report.faults == {"Expect"}
    assert "0.35 s" in report.words("Expect")


def test_a_redirect_is_followed_by_no_toolkit(server: Any) -> None:
    """A server that has moved is told with the address to check instead."""
    with proxy(server, Habits(redirects=True)) as url:
        report = check(url, "--service", "sales")
    assert "licentia soap check https://elsewhere.example/soap/sales?wsdl" in report.words("wsdl sales")
    assert report.checks["WS-I rules"]["state"] == "skipped"


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificate")
def test_tls_that_ends_at_the_proxy(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A WSDL that says http behind https is found; the proxy that tells the server by X-Forwarded-Proto is fine."""
    command = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out own.pem -days 2 -subj /CN=localhost"
    extensions = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command.split(), *extensions], cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "own.pem", tmp_path / "key.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "own.pem"))
    with proxy(server, Habits(), context) as url:
        report = check(url, "--service", "sales")
        assert report.faults == {"address sales"}
        assert "X-Forwarded-Proto" in report.words("address sales")
        assert f'public_url = "{url}"' in report.words("address sales")
    with proxy(server, Habits(forwarded_proto=True), context) as url:
        assert check(url, "--service", "sales", key=server.keys["sales"]).faults == set()


def test_a_refused_key_is_explained(server: Any) -> None:
    """A key that is wrong, and one that does not arrive, are two different faults with two different remedies."""
    wrong = server.keys["sales"][:-1] + ("A" if server.keys["sales"][-1] != "A" else "B")
    report = check(server.url, "--service", "sales", key=wrong)
    assert {"key sales", "key by Basic", "key by PasswordText", "key by PasswordDigest"} == report.faults
    assert "licentia key list" in report.words("key sales")
    with proxy(server, Habits(takes=("authorization",))) as url:
        report = check(url, "--service", "sales", key=server.keys["sales"])
    assert {"Authorization", "key sales", "key by Basic"} == report.faults
    assert "does not arrive" in report.words("key by Basic")
    assert report.checks["key by PasswordText"]["state"] == "ok"
    foreign = check(server.url, "--service", "sales", key="a.foreign.token")
    assert foreign.checks["key by Basic"]["state"] == "skipped"


def test_a_key_of_another_service_is_no_fault(server: Any) -> None:
    """A key that is good elsewhere is said to be that, and its ways to be shown are looked at all the same."""
    report = check(server.url, "--service", "sales", key=server.keys["admin"])
    assert report.faults == set()
    assert report.checks["key sales"]["state"] == "skipped"
    assert "not for this service" in report.words("key by PasswordDigest")


def test_clocks_that_differ_are_named(server: Any) -> None:
    """A digest that is refused while the clocks are far apart gets that for a reason."""
    wrong = server.keys["sales"][:-4] + "AAAA"
    with proxy(server, Habits(date="Tue, 01 Jan 2030 00:00:00 GMT")) as url:
        report = check(url, "--service", "sales", key=wrong)
    assert "NTP" in report.words("key by PasswordDigest")
    assert "licentia key list" in report.words("key by PasswordText")


def test_no_key_is_shown(server: Any) -> None:
    """Neither output has the key or its secret in it, whether it is right or wrong."""
    key = server.keys["admin"]
    for given in (key, key[:-4] + "AAAA"):
        for output in ("text", "json"):
            words = ["soap", "check", server.url, "--service", "admin", "--key", given, "-o", output]
            shown = CliRunner().invoke(licentia, words)
            assert "key admin" in shown.output
            assert given.split("_", 2)[2] not in shown.output


def test_the_servers_own_limit_is_no_fault(server: Any) -> None:
    """Who asks for more than the server takes is told its limit; who names the right one is fine."""
    limit = server.settings.body_limit_bytes
    report = check(server.url, "--service", "sales", "--body-limit", str(limit * 2))
    assert report.checks["body limit"]["state"] == "skipped"
    assert str(limit) in report.words("body limit")


def test_text_says_each_thing_in_a_line(server: Any) -> None:
    """People get one line per check, the remedy below a fault, and the sum at the end."""
    with proxy(server, Habits(takes=("soapaction",))) as url:
        shown = CliRunner().invoke(licentia, ["soap", "check", url, "--service", "sales"], env={"LICENTIA_KEY": ""})
    assert shown.exit_code == 2
    lines = shown.output.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("FAULT"))
    assert "SOAPAction" in lines[at]
    assert "Let the proxy pass SOAPAction on" in lines[at + 1]
    assert lines[-1] == "1 fault in 32 checks."


@pytest.mark.parametrize(
    "words",
    [
        ["ftp://x"],
        ["licenses.example.com"],
        ["http://127.0.0.1:1/soap/nonsense"],
        ["http://127.0.0.1:1/soap/sales", "--service", "depot"],
        ["http://127.0.0.1:1", "--service", "nonsense"],
        [],
    ],
    ids=" ".join,
)
def test_a_wrong_address_is_wrong_usage(words: list[str]) -> None:
    """What is no address, or names another service than asked for, exits with 64."""
    assert CliRunner().invoke(licentia, ["soap", "check", *words]).exit_code == 64


def test_no_server_is_69() -> None:
    """Where nothing answers, that is said at once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    shown = CliRunner().invoke(licentia, ["soap", "check", f"http://127.0.0.1:{port}"])
    assert shown.exit_code == 69
    assert "cannot be reached" in shown.output
