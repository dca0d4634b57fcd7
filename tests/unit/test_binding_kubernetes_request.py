"""Tokens that the cluster makes for one request, from an API on the loopback that answers as Kubernetes does."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from licentia.bindings import Challenge, ClientHalf
from licentia.errors import BindingEvidenceInvalid, Unavailable
from licentia.testing.issuer import RSA, Issuer
from licentia_plugins.bindings.kubernetes import Kubernetes

NONCE = "n" * 32
PLACE = {
    "namespace": "cad",
    "serviceaccount": {"name": "render", "uid": "6c2f1d3e"},
    "pod": {"name": "render-1", "uid": "0d2a3f1b"},
}
ACCOUNT = "system:serviceaccount:cad:render"


class Api(ThreadingHTTPServer):
    """The cluster's API, as far as tokens go; `answer` replaces what it answers, `status` how."""

    daemon_threads = True

    def __init__(self, folder: Path, issuer: Issuer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.issuer = issuer
        self.url = f"https://127.0.0.1:{self.server_port}"
        self.own = issuer.token(RSA, aud=["https://kubernetes.default.svc"], sub=ACCOUNT, **{"kubernetes.io": PLACE})
        self.status = 201
        self.answer: Any = None
        self.asked: list[dict[str, Any]] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_certified(folder))
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that does not trust us hangs up."""


class _Handler(BaseHTTPRequestHandler):
    server: Api

    def do_POST(self) -> None:
        api = self.server
        wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        allowed = self.headers["Authorization"] == f"Bearer {api.own}"
        allowed &= self.path == "/api/v1/namespaces/cad/serviceaccounts/render/token"
        api.asked.append(wanted)
        token = api.issuer.token(RSA, aud=wanted["spec"]["audiences"], sub=ACCOUNT, **{"kubernetes.io": PLACE})
        self.send_response(api.status if allowed else 401)
        self.end_headers()
        answer = {"kind": "TokenRequest", "status": {"token": token}} if api.answer is None else api.answer
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, format: str, *args: Any) -> None:
        return


def _certified(folder: Path) -> Path:
    """A file with a key and its certificate for 127.0.0.1; `ca.crt` beside it has the certificate alone."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(address, critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    (folder / "ca.crt").write_bytes(certificate)
    unencrypted = serialization.NoEncryption()
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, unencrypted)
    (folder / "key.pem").write_bytes(secret + certificate)
    return folder / "key.pem"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """Makes the tokens."""
    with Issuer() as running:
        yield running


@pytest.fixture
def api(tmp_path: Path, issuer: Issuer) -> Iterator[Api]:
    """The API, and in the folder what a pod has: its account, and the projected token."""
    api = Api(tmp_path, issuer)
    (tmp_path / "token").write_text(api.own)
    projected = issuer.token(RSA, aud=["licentia"], sub=ACCOUNT, **{"kubernetes.io": PLACE})
    (tmp_path / "projected").write_text(projected)
    thread = threading.Thread(target=api.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield api
    api.shutdown()
    thread.join()
    api.server_close()


def pod(folder: Path, api_server: str) -> ClientHalf:
    """The client half in a pod that asks for fresh tokens."""
    files = {"token_file": str(folder / "projected"), "api_account": str(folder)}
    return Kubernetes("kubernetes", files | {"api_server": api_server}).client()


async def test_a_token_of_this_request_is_fresh(
    tmp_path: Path, api: Api, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cluster itself, not a proxy, makes a token with the nonce, for this pod and ten minutes; it is fresh."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    evidence = pod(tmp_path, api.url).collect(NONCE)
    assert api.asked == [
        {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": ["licentia", NONCE],
                "expirationSeconds": 600,
                "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "render-1", "uid": "0d2a3f1b"},
            },
        }
    ]
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [RSA.as_dict(private=False)]}))
    clusters = {"east": {"issuer": issuer.url, "jwks": str(tmp_path / "jwks.json")}}
    server = Kubernetes("kubernetes", {"audience": "licentia", "clusters": clusters}).server()
    now = datetime.now(UTC)
    assert (await server.verify(evidence, Challenge(nonce=NONCE, at=now))).fresh
    assert not (await server.verify(evidence, Challenge(nonce="m" * 32, at=now))).fresh
    assert pod(tmp_path, api.url).unseal(await server.seal(evidence, bytes(32))).secret == bytes(32)


@pytest.mark.parametrize("status", [401, 403, 404, 302])
def test_an_account_that_may_not_ask_is_told_what_is_missing(tmp_path: Path, api: Api, status: int) -> None:
    """The refusal says which right the account needs, and repeats no token."""
    api.status = status
    with pytest.raises(BindingEvidenceInvalid, match=f"status {status}") as refusal:
        pod(tmp_path, api.url).collect(NONCE)
    assert "`serviceaccounts/token`" in refusal.value.next_step
    assert api.own not in f"{refusal.value.detail}{refusal.value.next_step}"


@pytest.mark.parametrize("answer", ["", [], {}, {"status": {}}, {"status": {"token": "a.b.c"}}], ids=str)
def test_an_answer_without_a_token_is_refused(tmp_path: Path, api: Api, answer: Any) -> None:
    """Only a service-account token is handed on."""
    api.answer = answer
    with pytest.raises(BindingEvidenceInvalid, match="something that is no token"):
        pod(tmp_path, api.url).collect(NONCE)


def test_only_the_clusters_own_api_is_asked(tmp_path: Path, api: Api) -> None:
    """An API that the account's certificate does not vouch for gets no token to see."""
    (tmp_path / "other").mkdir()
    _certified(tmp_path / "other")
    (tmp_path / "other" / "token").write_text(api.own)
    (tmp_path / "other" / "projected").write_text((tmp_path / "projected").read_text())
    with pytest.raises(Unavailable, match="cannot be reached"):
        pod(tmp_path / "other", api.url).collect(NONCE)
    assert api.asked == []


def test_without_an_account_there_is_nobody_to_ask(tmp_path: Path, api: Api) -> None:
    """A pod whose account is switched off says so."""
    (tmp_path / "token").unlink()
    with pytest.raises(BindingEvidenceInvalid, match="holds no account"):
        pod(tmp_path, api.url).collect(NONCE)
