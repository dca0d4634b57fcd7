"""The metadata service is asked within bounds, whatever answers, and nobody else is."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import msgspec
import pytest

from licentia.client.metadata import LINK_LOCAL, MAX_ANSWER_BYTES, MetadataError, MetadataService, MetadataSettings
from licentia.testing.metadata import AWS_DOCUMENT, AWS_TOKEN, MetadataServer

SECONDS = 0.3
TTL = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}


@pytest.fixture
def server() -> Iterator[MetadataServer]:
    """A metadata service as AWS has it."""
    with MetadataServer(aws=b"document") as running:
        yield running


def client(url: str, seconds: float = SECONDS) -> MetadataService:
    """The client with a short time."""
    return MetadataService(MetadataSettings(metadata_url=url, timeout_seconds=seconds))


def ask(service: MetadataService) -> bytes:
    """The document, with a token as IMDSv2 wants it."""
    token = service.ask(AWS_TOKEN, TTL, method="PUT").decode()
    return service.ask(AWS_DOCUMENT, {"X-aws-ec2-metadata-token": token})


def test_it_answers(server: MetadataServer) -> None:
    """Token first, document then."""
    assert ask(client(server.url)) == b"document"
    assert dict(server.asked) == {AWS_TOKEN: 1, AWS_DOCUMENT: 1}


def test_without_the_token_there_is_no_document(server: MetadataServer) -> None:
    """The fake is as strict as the service that it plays."""
    with pytest.raises(MetadataError, match="status 401") as refused:
        client(server.url).ask(AWS_DOCUMENT, {})
    assert not refused.value.silent


@pytest.mark.parametrize("status", [302, 404, 500])
def test_only_200_is_an_answer(server: MetadataServer, status: int) -> None:
    """A redirect is not followed."""
    server.status = status
    with pytest.raises(MetadataError, match=f"status {status}"):
        ask(client(server.url))
    assert list(server.asked) == [AWS_TOKEN]


def test_a_silent_service_is_given_up(server: MetadataServer) -> None:
    """After the time that is set, and told as silence."""
    server.answering.clear()
    begun = time.monotonic()
    with pytest.raises(MetadataError, match="did not answer") as refused:
        ask(client(server.url))
    assert refused.value.silent
    assert time.monotonic() - begun < 3 * SECONDS


def test_a_trickling_service_is_given_up(server: MetadataServer) -> None:
    """Each byte in time is not enough: the time is for the whole."""
    server.body, server.trickle_seconds = b"x" * 1000, 0.05
    begun = time.monotonic()
    with pytest.raises(MetadataError, match="did not answer"):
        ask(client(server.url))
    assert time.monotonic() - begun < 3 * SECONDS


def test_a_flood_is_cut_off(server: MetadataServer) -> None:
    """Not more is read than an answer may have."""
    server.body = b"x" * (MAX_ANSWER_BYTES + 1)
    with pytest.raises(MetadataError, match="more than"):
        ask(client(server.url))
    server.body = b"x" * MAX_ANSWER_BYTES
    assert len(client(server.url).ask(AWS_TOKEN, TTL, method="PUT")) == MAX_ANSWER_BYTES


def test_nobody_there_is_told(server: MetadataServer) -> None:
    """A port that nobody listens on is silence too."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(MetadataError, match="Nothing answers") as refused:
        ask(client(f"http://127.0.0.1:{port}"))
    assert refused.value.silent


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x" * 100_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
        b"\xff" * 1000,
    ],
    ids=["nothing", "empty", "ssh", "half", "chunks", "headers", "header", "continue", "noise"],
)
def test_what_is_no_http_is_refused(said: bytes) -> None:
    """Whatever speaks there, it ends with a MetadataError, in time."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def speak() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(said)

        speaker = threading.Thread(target=speak)
        speaker.start()
        begun = time.monotonic()
        with pytest.raises(MetadataError):
            client(f"http://127.0.0.1:{listener.getsockname()[1]}").ask("/", {})
        assert time.monotonic() - begun < 3 * SECONDS
        speaker.join()


def test_no_proxy_is_asked(server: MetadataServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables of proxies are for others: a proxy would have its own machine's identity."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert ask(client(server.url)) == b"document"


def test_the_default_is_the_link_local_address() -> None:
    """As all three clouds have it."""
    assert MetadataSettings().metadata_url == LINK_LOCAL == "http://169.254.169.254"


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.170.2",
        "http://127.0.0.1:8080",
        "http://[fd00:ec2::254]",
        "http://[::1]:8080/",
        "http://[fe80::1]",
    ],
)
def test_a_machine_own_address_may_be_set(url: str) -> None:
    """Link-local and loopback addresses, and AWS's on IPv6."""
    MetadataService(MetadataSettings(metadata_url=url))


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1",
        "http://8.8.8.8",
        "http://localhost",
        "http://metadata.google.internal",
        "https://169.254.169.254",
        "http://user@169.254.169.254",
        "http://169.254.169.254/latest",
        "http://169.254.169.254?x",
        "http://169.254.169.254:0",
        "http://169.254.169.254:99999",
        "169.254.169.254",
        "file:///etc/passwd",
        "",
    ],
)
def test_another_machine_may_not_be_set(url: str) -> None:
    """A name would have to be resolved, a path would change what is asked."""
    with pytest.raises(ValueError, match="metadata_url"):
        MetadataSettings(metadata_url=url)


@pytest.mark.parametrize("wrong", [{"timeout_seconds": 0}, {"timeout_seconds": 61}, {"url": "http://127.0.0.1"}])
def test_a_wrong_setting_is_named(wrong: dict[str, object]) -> None:
    """A typing error is no silent default."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, MetadataSettings)
