"""The kubernetes binding: which tokens prove what, and where a sealed secret opens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from joserfc.jwk import ECKey, Key, RSAKey

from licentia.bindings import Challenge, Identity
from licentia.errors import BindingEvidenceInvalid, BindingMismatch, DocumentInvalid, Unavailable
from licentia.settings import SettingsError
from licentia.testing.issuer import ABSENT, EC, NEXT, OKP, RSA, Issuer
from licentia_plugins.bindings.kubernetes import Kubernetes
from licentia_plugins.bindings.kubernetes.client import KubernetesClient
from licentia_plugins.bindings.kubernetes.server import KubernetesServer
from licentia_plugins.bindings.kubernetes.settings import ClusterSettings, KubernetesSettings, PodSettings

NONCE = "n" * 32
SECRET = bytes(range(32))
AUDIENCE = "licentia"
ACCOUNT_UID = "6c2f1d3e-5b0a-4f6e-9d51-0a7c1f4f2b11"
PLACE = {
    "namespace": "cad",
    "serviceaccount": {"name": "render", "uid": ACCOUNT_UID},
    "pod": {"name": "render-7d4f-x2x9k", "uid": "0d2a3f1b-9c8e-4a54-8c26-3f6f5a1e7d20"},
    "node": {"name": "node-3", "uid": "b7f9c1d2-1111-4222-8333-444455556666"},
}


class Cluster:
    """A cluster: its key, its issuer, and its folder with the public keys."""

    def __init__(self, folder: Path, issuer: Issuer, *keys: Key) -> None:
        self.folder = folder
        self._issuer = issuer
        folder.mkdir()
        self.publish(*keys)

    def publish(self, *keys: Key) -> None:
        """From now on have these keys."""
        self._key = keys[0]
        document = {"keys": [key.as_dict(private=False) for key in keys]}
        (self.folder / "jwks.json").write_text(json.dumps(document))

    def token(self, key: Key | None = None, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """The token of a pod, but for what is given; `place` is what stands in `kubernetes.io`."""
        place = PLACE | claims.pop("place", {})
        account = f"system:serviceaccount:{place['namespace']}:{place['serviceaccount']['name']}"
        good = {"aud": [AUDIENCE], "sub": account, "kubernetes.io": {k: v for k, v in place.items() if v is not ABSENT}}
        return self._issuer.token(key or self._key, header=header, **(good | claims))

    def server(self, **settings: Any) -> KubernetesServer:
        """A server that trusts this cluster."""
        table = {"issuer": self._issuer.url, "jwks": str(self.folder / "jwks.json")} | settings.pop("cluster", {})
        return server_of({"audience": AUDIENCE, "clusters": {"east": table}} | settings)

    def pod(self, **changes: Any) -> KubernetesClient:
        """The client half in a pod, with such a token."""
        return pod_with(self.folder, self.token(**changes))


def server_of(settings: dict[str, Any]) -> KubernetesServer:
    """The server half with these settings."""
    half = Kubernetes("kubernetes", settings).server()
    assert isinstance(half, KubernetesServer)
    return half


def pod_with(folder: Path, token: str) -> KubernetesClient:
    """The client half in a pod that has this token."""
    file = folder / f"token-{hashlib.sha256(token.encode()).hexdigest()[:16]}"
    file.write_text(token + "\n")
    half = Kubernetes("kubernetes", {"token_file": str(file)}).client()
    assert isinstance(half, KubernetesClient)
    return half


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    """Makes tokens; its address is the issuer of the clusters."""
    with Issuer() as running:
        yield running


@pytest.fixture
def cluster(tmp_path: Path, issuer: Issuer) -> Cluster:
    """A cluster with an RSA key, as most have."""
    return Cluster(tmp_path / "east", issuer, RSA, EC)


def challenge(**later: float) -> Challenge:
    """The request, now or later."""
    return Challenge(nonce=NONCE, at=datetime.now(UTC) + timedelta(**later))


async def identity(server: KubernetesServer, token: str, **later: float) -> Identity:
    """What a token proves."""
    return await server.verify(token.encode(), challenge(**later))


@pytest.mark.parametrize("key", [RSA, EC], ids=["RS256", "ES256"])
async def test_a_token_names_the_service_account(cluster: Cluster, key: Key) -> None:
    """The name is cluster, namespace and the account's id; pod and node are told, and a copy is possible."""
    assert await identity(cluster.server(), cluster.token(key)) == Identity(
        name=f"east/cad/{ACCOUNT_UID}",
        attributes={
            "issuer": cluster._issuer.url,
            "namespace": "cad",
            "service_account": "render",
            "pod": "render-7d4f-x2x9k",
            "pod_uid": "0d2a3f1b-9c8e-4a54-8c26-3f6f5a1e7d20",
            "node": "node-3",
            "node_uid": "b7f9c1d2-1111-4222-8333-444455556666",
        },
        fresh=False,
    )


async def test_pods_come_and_go_the_name_stays(cluster: Cluster) -> None:
    """Another pod on another node, and a cluster that names no node, are the same service account."""
    server = cluster.server()
    first = await identity(server, cluster.token())
    moved = {"pod": {"name": "render-2", "uid": "another"}, "node": ABSENT}
    second = await identity(server, cluster.token(place=moved))
    assert first.name == second.name
    assert "node" not in second.attributes


async def test_a_token_that_was_made_for_the_request_is_fresh(cluster: Cluster) -> None:
    """Only a nonce among the audiences shows that the token is no older than the request."""
    server = cluster.server()
    assert (await identity(server, cluster.token(aud=[AUDIENCE, NONCE]))).fresh
    assert not (await identity(server, cluster.token(aud=[AUDIENCE, "m" * 32]))).fresh
    with pytest.raises(BindingEvidenceInvalid, match="`aud`"):
        await identity(server, cluster.token(aud=[NONCE]))
    nothing = Challenge(nonce="", at=datetime.now(UTC))
    assert not (await server.verify(cluster.token(aud=[AUDIENCE, ""]).encode(), nothing)).fresh


async def test_clocks_may_be_off_by_the_leeway(cluster: Cluster) -> None:
    """A clock that is 20 seconds wrong does no harm where the leeway is 30, and does where it is 5."""
    now = int(time.time())
    token = cluster.token(iat=now + 20, nbf=now + 20)
    assert (await identity(cluster.server(), token)).name
    with pytest.raises(BindingEvidenceInvalid, match="does not hold here"):
        await identity(cluster.server(leeway_seconds=5), token)
    assert (await identity(cluster.server(), cluster.token(exp=now - 20))).name


def encoded(document: dict[str, Any]) -> bytes:
    """One part of a token."""
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=")


def unsigned(cluster: Cluster) -> str:
    """A token with the algorithm `none`."""
    return (encoded({"alg": "none", "kid": RSA.kid}) + b"." + cluster.token().encode().split(b".")[1] + b".").decode()


def keyed_with_the_public_key(cluster: Cluster) -> str:
    """A token by HMAC, with the cluster's public key as the secret."""
    text = encoded({"alg": "HS256", "kid": RSA.kid}) + b"." + cluster.token().encode().split(b".")[1]
    code = hmac.digest(RSA.as_pem(private=False), text, hashlib.sha256)
    return (text + b"." + base64.urlsafe_b64encode(code).rstrip(b"=")).decode()


@pytest.mark.parametrize(
    ("forged", "reason"),
    [
        (unsigned, "not signed with one of RS256, ES256"),
        (keyed_with_the_public_key, "not signed with one of RS256, ES256"),
        (lambda c: c.token(OKP), "not signed with one of RS256, ES256"),
        (lambda c: c.token(NEXT), "not signed with a key of the cluster"),
        (lambda c: c.token(NEXT, header={"kid": EC.kid}), "signature does not hold"),
        (lambda c: c.token(EC, header={"kid": RSA.kid}), "not signed with a key of the cluster"),
        (lambda c: c.token(iss="https://elsewhere.example.com"), "issuer is not a cluster"),
        (lambda c: c.token(aud=["vault"]), "`aud`"),
        (lambda c: c.token(aud=[]), "bound to a pod"),
        (lambda c: c.token(exp=int(time.time()) - 60), "expired"),
        (lambda c: c.token(nbf=int(time.time()) + 60), "`nbf`"),
        (lambda c: c.token(iat=int(time.time()) + 60), "`iat`"),
        (lambda c: c.token(iat=int(time.time()) - 90_000, exp=int(time.time()) + 3600), "max_age_seconds"),
        (lambda c: c.token(exp=ABSENT), "bound to a pod"),
        (lambda c: c.token(exp=1e300), "bound to a pod"),
        (lambda c: c.token(place={"pod": ABSENT}), "bound to a pod"),
        (lambda c: c.token(place={"namespace": "cad/x"}), "bound to a pod"),
        (lambda c: c.token(sub="system:serviceaccount:cad:admin"), "`sub` is not"),
        (lambda c: c.token(sub="system:serviceaccount:other:render"), "`sub` is not"),
        (lambda c: c.token(extra="x" * 20_000), "longer than"),
    ],
)
async def test_a_false_token_is_refused(cluster: Cluster, forged: Any, reason: str) -> None:
    """Nothing is proven by another key, algorithm, issuer, audience or time, nor by a token of no pod."""
    token = forged(cluster)
    with pytest.raises(BindingEvidenceInvalid, match=reason) as refusal:
        await identity(cluster.server(), token)
    assert token not in f"{refusal.value.detail} {refusal.value.next_step}"


async def test_a_token_without_a_key_name_needs_a_single_key(cluster: Cluster) -> None:
    """Without `kid` there must be one key that fits the algorithm."""
    token = cluster.token(header={"kid": ABSENT})
    assert (await identity(cluster.server(), token)).name
    cluster.publish(RSA, RSAKey.generate_key(2048, {"kid": "rsa-2"}))
    with pytest.raises(BindingEvidenceInvalid, match="not signed with a key of the cluster"):
        await identity(cluster.server(), token)


async def test_no_character_of_a_token_may_change(cluster: Cluster) -> None:
    """Whichever character is another one, the token proves nothing; only bits of the last may count for nothing."""
    server, token = cluster.server(), cluster.token(EC)
    good = await identity(server, token)
    for position, old in enumerate(token):
        changed = token[:position] + ("A" if old != "A" else "B") + token[position + 1 :]
        try:
            assert await identity(server, changed) == good
            assert position == len(token) - 1
        except BindingEvidenceInvalid:
            pass


async def test_only_what_is_allowed_of_a_cluster(cluster: Cluster) -> None:
    """Namespaces and service accounts can be named; then every other one is refused."""
    allowed = {"namespaces": ["cad"], "service_accounts": ["render"]}
    assert (await identity(cluster.server(cluster=allowed), cluster.token())).name
    with pytest.raises(BindingEvidenceInvalid, match="namespace 'cad'"):
        await identity(cluster.server(cluster={"namespaces": ["web"]}), cluster.token())
    with pytest.raises(BindingEvidenceInvalid, match="service account 'render'"):
        await identity(cluster.server(cluster={"service_accounts": ["admin"]}), cluster.token())


async def test_times_are_judged_as_of_the_challenge(cluster: Cluster) -> None:
    """A kept token can be judged as of the time that it was issued."""
    then = int(time.time()) - 100 * 86_400
    token = cluster.token(iat=then, nbf=then, exp=then + 3600)
    server = cluster.server()
    with pytest.raises(BindingEvidenceInvalid, match="expired"):
        await identity(server, token)
    issued_at = server._issued_at(token.encode())
    assert issued_at == datetime.fromtimestamp(then, UTC)
    assert (await server.verify(token.encode(), Challenge(nonce=NONCE, at=issued_at))).name


async def test_a_folder_of_keys_is_enough_to_look_at_a_token(cluster: Cluster) -> None:
    """With `trust` the keys alone decide: the name begins with the issuer's host, and any audience will do."""
    server = server_of({"trust": cluster.folder})
    assert (await identity(server, cluster.token(aud=["vault"]))).name == f"127.0.0.1/cad/{ACCOUNT_UID}"
    with pytest.raises(BindingEvidenceInvalid, match="key of the cluster"):
        await identity(server, cluster.token(NEXT))


async def test_two_clusters_of_one_issuer_are_told_apart_by_their_keys(
    tmp_path: Path, issuer: Issuer, cluster: Cluster
) -> None:
    """The default issuer is the same in many clusters: whoever rules one cannot name another's accounts."""
    west = Cluster(tmp_path / "west", issuer, NEXT)
    tables = {
        each.folder.name: {"issuer": issuer.url, "jwks": str(each.folder / "jwks.json")} for each in (cluster, west)
    }
    server = server_of({"audience": AUDIENCE, "clusters": tables})
    names = {(await identity(server, each.token())).name for each in (cluster, west)}
    assert names == {f"east/cad/{ACCOUNT_UID}", f"west/cad/{ACCOUNT_UID}"}


async def test_a_cluster_cannot_shut_out_another_one(tmp_path: Path, issuer: Issuer, cluster: Cluster) -> None:
    """A cluster that gives its key the name of another's keeps nobody's tokens from being judged."""
    stolen = ECKey.import_key(NEXT.as_dict(private=True) | {"kid": EC.kid})
    west = Cluster(tmp_path / "west", issuer, stolen)
    tables = {
        each.folder.name: {"issuer": issuer.url, "jwks": str(each.folder / "jwks.json")} for each in (west, cluster)
    }
    server = server_of({"audience": AUDIENCE, "clusters": tables})
    assert (await identity(server, cluster.token(EC))).name == f"east/cad/{ACCOUNT_UID}"
    assert (await identity(server, west.token())).name == f"west/cad/{ACCOUNT_UID}"


async def test_what_is_sealed_opens_in_every_pod_of_the_account(cluster: Cluster) -> None:
    """The secret comes back in this pod and the next; the record shows neither it nor the account's id."""
    record = await cluster.server().seal(cluster.token().encode(), SECRET)
    assert ACCOUNT_UID.encode() not in record
    assert cluster.pod().unseal(record).secret == SECRET
    assert cluster.pod(place={"pod": {"name": "render-2", "uid": "another"}}).unseal(record).secret == SECRET


@pytest.mark.parametrize(
    ("changes", "feature"),
    [
        ({"place": {"namespace": "web"}}, "namespace"),
        ({"place": {"serviceaccount": {"name": "admin", "uid": ACCOUNT_UID}}}, "service_account"),
        ({"place": {"serviceaccount": {"name": "render", "uid": "made-again"}}}, "service_account_uid"),
        ({"iss": "https://elsewhere.example.com"}, "issuer"),
        ({"key": NEXT}, "cluster_keys"),
        ({"key": NEXT, "header": {"kid": EC.kid}}, "token"),
        ({"exp": int(time.time()) - 3600}, "token"),
        ({"aud": ["vault"]}, "token"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
async def test_it_opens_nowhere_else(cluster: Cluster, changes: dict[str, Any], feature: str) -> None:
    """Another account, another cluster, or a token that no longer counts: a mismatch that names what is different."""
    record = await cluster.server().seal(cluster.token().encode(), SECRET)
    with pytest.raises(BindingMismatch) as refusal:
        cluster.pod(**changes).unseal(record)
    assert [problem.pointer for problem in refusal.value.problems] == [f"/features/{feature}"]


async def test_after_new_keys_it_is_sealed_anew(cluster: Cluster) -> None:
    """A rotation closes old records when tokens are signed with the new key; a new record opens with both keys."""
    old = await cluster.server().seal(cluster.token().encode(), SECRET)
    cluster.publish(NEXT, RSA)
    with pytest.raises(BindingMismatch, match="did not have when this was sealed"):
        cluster.pod().unseal(old)
    new = await cluster.server().seal(cluster.token().encode(), SECRET)
    assert cluster.pod().unseal(new).secret == SECRET
    assert cluster.pod(key=RSA).unseal(new).secret == SECRET
    assert cluster.pod(key=RSA).unseal(old).secret == SECRET


async def test_keys_slipped_into_a_record_open_nothing(cluster: Cluster) -> None:
    """The pinned keys are part of what the secret is sealed to."""
    record = json.loads(await cluster.server().seal(cluster.token().encode(), SECRET))
    record["keys"].append(NEXT.as_dict(private=False))
    with pytest.raises(BindingMismatch):
        cluster.pod(key=NEXT).unseal(json.dumps(record).encode())
    record["keys"] = []
    with pytest.raises(DocumentInvalid):
        cluster.pod().unseal(json.dumps(record).encode())


async def test_a_record_is_not_read_without_end(cluster: Cluster) -> None:
    """What is longer than any record is refused unread."""
    record = await cluster.server().seal(cluster.token().encode(), SECRET)
    with pytest.raises(DocumentInvalid):
        cluster.pod().unseal(record + b" " * 70_000)


async def test_without_a_token_there_is_nothing_to_ask(tmp_path: Path, cluster: Cluster) -> None:
    """Outside a cluster, or with another file in its place, there is no evidence, and nothing opens."""
    record = await cluster.server().seal(cluster.token().encode(), SECRET)
    outside = KubernetesClient("kubernetes", {"token_file": str(tmp_path / "nowhere")})
    with pytest.raises(BindingEvidenceInvalid, match="There is no token at"):
        outside.collect(NONCE)
    with pytest.raises(BindingMismatch, match="There is no token at"):
        outside.unseal(record)
    with pytest.raises(BindingEvidenceInvalid, match="no signed token"):
        pod_with(tmp_path, "hello").collect(NONCE)


def test_the_page_lists_every_setting() -> None:
    """The tables of docs/plugins/kubernetes.md are the settings of the code, in its order, with their defaults."""
    page = (Path(__file__).parents[2] / "docs" / "plugins" / "kubernetes.md").read_text("utf-8")
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `")]
    fields = [
        field for table in (KubernetesSettings, ClusterSettings, PodSettings) for field in msgspec.structs.fields(table)
    ]
    assert [row[0].strip("`") for row in rows] == [field.name for field in fields]
    for row, field in zip(rows, fields, strict=True):
        if isinstance(field.default, int | Path):
            assert row[-1].strip("`") == str(field.default)


@pytest.mark.parametrize("order", [("down", "east"), ("east", "down")])
async def test_a_cluster_that_is_silent_stops_no_other_one(cluster: Cluster, order: tuple[str, str]) -> None:
    """With one issuer for two clusters, the one that answers is served; only what it does not know has to wait."""
    tables = {
        "down": {"issuer": cluster._issuer.url, "jwks_url": "https://127.0.0.1:1/keys"},
        "east": {"issuer": cluster._issuer.url, "jwks": str(cluster.folder / "jwks.json")},
    }
    server = server_of({"audience": AUDIENCE, "clusters": {name: tables[name] for name in order}})
    assert (await identity(server, cluster.token())).name.startswith("east/")
    with pytest.raises(Unavailable):
        await identity(server, cluster.token(NEXT))


LEAST = {"issuer": "https://east.example.com", "jwks_url": "https://east.example.com/openid/v1/jwks"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "either `clusters` or `trust`"),
        ({"audience": "a"}, "either `clusters` or `trust`"),
        ({"clusters": {"east": LEAST}}, "`audience` is missing"),
        ({"audience": "a", "clusters": {"east": LEAST}, "trust": "."}, "either `clusters` or `trust`"),
        ({"audience": "a", "clusters": {"East": LEAST}}, r"\$.clusters"),
        ({"audience": "a", "clusters": {"east": LEAST | {"jwks": "x"}}}, "either `jwks`, a file, or `jwks_url`"),
        ({"audience": "a", "clusters": {"east": LEAST | {"jwks_url": "http://a/b"}}}, "jwks_url"),
        ({"audience": "a", "clusters": {"east": LEAST | {"colour": 1}}}, "unknown field `colour`"),
        ({"audience": "a", "clusters": {"east": LEAST}, "max_age_seconds": 1}, "max_age_seconds"),
        ({"region": "eu"}, "unknown field `region`"),
        ({"trust": "/nowhere"}, "/nowhere/jwks.json: No such file"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], words: str) -> None:
    """What is missing, unknown or wrong stops the start with a sentence that names it."""
    with pytest.raises(SettingsError, match=words):
        server_of(settings)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b'{"keys": []}',
        b'{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}]}',
        b"[" * 60_000,
        b" " * 70_000,
        json.dumps({"keys": [RSA.as_dict(private=False) | {"use": "enc"}]}).encode(),
        json.dumps({"keys": [{"kty": "RSA", "kid": "short", "e": "AQAB", "n": "w" * 171}]}).encode(),
        json.dumps({"keys": [ECKey.generate_key("P-384", {"kid": "long"}).as_dict(private=False)]}).encode(),
    ],
    ids=["empty", "list", "no keys", "secret key", "deep", "long", "for encryption", "short RSA", "P-384"],
)
def test_a_file_without_keys_of_use_is_refused(tmp_path: Path, document: bytes) -> None:
    """A key set has at least one RSA key of 2048 bits, or a P-256 key."""
    (tmp_path / "jwks.json").write_bytes(document)
    with pytest.raises(SettingsError, match=r"no set of public keys"):
        server_of({"trust": str(tmp_path)})
