"""A real OpenID Connect issuer on the loopback interface, for tests of what depends on one.

It publishes keys over HTTP and signs tokens. It can be made to misbehave: to be slow, silent or
wrong, to change its keys, to sign nonsense.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

DISCOVERY = "/.well-known/openid-configuration"
JWKS = "/keys"
AUDIENCE = "acme-app"
ALGORITHMS = {"RSA": "RS256", "EC": "ES256", "OKP": "Ed25519"}
ABSENT = object()
"""In place of a value: leave this header or claim out."""

RSA = RSAKey.generate_key(2048, {"kid": "rsa-1", "use": "sig"})
EC = ECKey.generate_key("P-256", {"kid": "ec-1"})
OKP = OKPKey.generate_key("Ed25519", {"kid": "okp-1"})
NEXT = ECKey.generate_key("P-256", {"kid": "ec-2"})
"""A key that is not published at first."""


class Issuer(ThreadingHTTPServer):
    """`with Issuer() as issuer:` serves until the block ends.

    Attributes:
        url: the issuer's name, and where it is.
        asked: how often each path was asked for.
        documents: what each path answers; any other path is not found.
        status: the HTTP status of the answers.
        answering: cleared, it takes requests and lets them wait.
        trickle_seconds: the pause after each byte of an answer, if any.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked: Counter[str] = Counter()
        self.answering = threading.Event()
        self.status = 200
        self.trickle_seconds = 0.0
        self.documents: dict[str, Any] = {DISCOVERY: {"issuer": self.url, "jwks_uri": self.url + JWKS}}
        self.publish(RSA, EC, OKP)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    def publish(self, *keys: Key) -> None:
        """From now on have these public keys."""
        self.documents[JWKS] = {"keys": [key.as_dict(private=False) for key in keys]}

    def token(self, key: Key = EC, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A good token for `ada`, valid for ten minutes, but for the header and claims that are given."""
        now = int(time.time())
        good = {"iss": self.url, "aud": AUDIENCE, "sub": "ada", "iat": now, "nbf": now, "exp": now + 600}
        head = _present({"alg": ALGORITHMS[key.key_type], "kid": key.kid} | (header or {}))
        registry = JWSRegistry(algorithms=[head["alg"]], strict_check_header=False)
        return jwt.encode(head, _present(good | claims), key, registry=registry)

    def __enter__(self) -> Issuer:
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
    server: Issuer

    def do_GET(self) -> None:
        issuer = self.server
        issuer.asked[self.path] += 1
        issuer.answering.wait(10)
        document = issuer.documents.get(self.path)
        self.send_response(issuer.status if document is not None else 404)
        self.send_header("Location", issuer.url + "/elsewhere")
        self.end_headers()
        body = json.dumps(document).encode()
        size = 1 if issuer.trickle_seconds else len(body)
        for start in range(0, len(body), size):
            self.wfile.write(body[start : start + size])
            time.sleep(issuer.trickle_seconds)

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # whoever asked may have given up
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:
        return


def _present(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not ABSENT}
