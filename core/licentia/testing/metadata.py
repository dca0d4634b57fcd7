"""A metadata service on the loopback interface, as clouds give one to their virtual machines.

It answers as AWS (IMDSv2), Azure and Google Cloud do, with the documents that it is given, and can be
made to misbehave: to be slow, silent or wrong.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

AWS_TOKEN = "/latest/api/token"  # noqa: S105
AWS_DOCUMENT = "/latest/dynamic/instance-identity/rsa2048"
AZURE_DOCUMENT = "/metadata/attested/document"
GCP_TOKEN = "/computeMetadata/v1/instance/service-accounts/default/identity"  # noqa: S105

MAX_TOKEN_SECONDS = 21_600
"""Six hours, as AWS has it."""


class MetadataServer(ThreadingHTTPServer):
    """`with MetadataServer(aws=document) as service:` serves until the block ends.

    A cloud that is not given is not found. Each may be changed while it serves, as if the machine
    were another one.

    Attributes:
        url: where it is, for the setting `metadata_url`.
        aws: the signed instance identity document, as base64.
        azure: makes the attested document for a nonce, which is empty if none was asked for.
        gcp: makes the identity token for an audience.
        asked: how often each path was asked for.
        status: the status of every answer, if not the right one.
        body: the body of every answer, if not the right one.
        answering: cleared, it takes requests and lets them wait.
        trickle_seconds: the pause after each byte of an answer, if any.
    """

    daemon_threads = True

    def __init__(
        self,
        *,
        aws: bytes | None = None,
        azure: Callable[[str], bytes] | None = None,
        gcp: Callable[[str], bytes] | None = None,
        address: tuple[str, int] = ("127.0.0.1", 0),
    ) -> None:
        super().__init__(address, _Handler)
        self.url = f"http://{address[0]}:{self.server_port}"
        self.aws, self.azure, self.gcp = aws, azure, gcp
        self.asked: Counter[str] = Counter()
        self.status: int | None = None
        self.body: bytes | None = None
        self.answering = threading.Event()
        self.trickle_seconds = 0.0
        self.aws_token = secrets.token_urlsafe(40)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> MetadataServer:
        self.answering.set()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.answering.set()
        self.trickle_seconds = 0
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: MetadataServer

    def do_PUT(self) -> None:
        seconds = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
        if self.path != AWS_TOKEN or self.server.aws is None:
            self._answer(404, b"")
        elif re.fullmatch(r"[0-9]{1,5}", seconds) and 1 <= int(seconds) <= MAX_TOKEN_SECONDS:
            self._answer(200, self.server.aws_token.encode())
        else:
            self._answer(400, b"")

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        answers = {AWS_DOCUMENT: self._aws, AZURE_DOCUMENT: self._azure, GCP_TOKEN: self._gcp}
        answer = answers.get(asked.path)
        query = {name: values[-1] for name, values in parse_qs(asked.query).items()}
        self._answer(*(answer(query) if answer else (404, b"")))

    def _aws(self, query: Mapping[str, str]) -> tuple[int, bytes]:
        if self.server.aws is None:
            return 404, b""
        right = self.headers.get("X-aws-ec2-metadata-token") == self.server.aws_token
        return (200, self.server.aws) if right else (401, b"")

    def _azure(self, query: Mapping[str, str]) -> tuple[int, bytes]:
        if self.server.azure is None:
            return 404, b""
        right = self.headers.get("Metadata") == "true" and "api-version" in query
        return (200, self.server.azure(query.get("nonce", ""))) if right else (400, b"")

    def _gcp(self, query: Mapping[str, str]) -> tuple[int, bytes]:
        if self.server.gcp is None:
            return 404, b""
        right = self.headers.get("Metadata-Flavor") == "Google" and query.get("format") == "full"
        return (200, self.server.gcp(query["audience"])) if right and "audience" in query else (403, b"")

    def _answer(self, status: int, body: bytes) -> None:
        service = self.server
        service.asked[urlsplit(self.path).path] += 1
        service.answering.wait(10)
        body = body if service.body is None else service.body
        self.send_response(service.status or status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Location", f"{service.url}/elsewhere")
        self.end_headers()
        size = 1 if service.trickle_seconds else len(body) or 1
        for start in range(0, len(body), size):
            self.wfile.write(body[start : start + size])
            time.sleep(service.trickle_seconds)

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # whoever asked may have given up
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:
        return
