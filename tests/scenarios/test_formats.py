"""docs/formats.md: its programs run and print what stands below them, and its vectors are the published ones.

A block whose tag is followed by the name of a file is written into that file, a block tagged `sh` is
run, and a block tagged `text` right after it is what it must print. The other named blocks are the
test vectors.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import exchange_lab as lab
import msgspec
import pytest

from licentia.bindings import ClientHalf, Fingerprint, Unsealed
from licentia.cli.commands.contract import VECTORS
from licentia.client.actfile import ActFile
from licentia.client.actfile import file as actfile
from licentia.client.actfile.halves import client_half
from licentia.crypto import envelope, manifest, sealing, sharing
from licentia.crypto.signing import VerifyKey
from licentia.crypto.suites import HYBRID
from licentia.crypto.vectors import SEED
from licentia.errors import BindingMismatch, DocumentInvalid, UpdateOutOfOrder
from licentia.exchange import messages
from licentia.exchange.combination import unlock
from licentia.exchange.vectors import CONTAINER
from licentia_plugins.bindings.physical.placeholders import PATTERNS, SERIAL_PATTERNS, WORDS

CHECKOUT = Path(__file__).parents[2]
GOLDEN = CHECKOUT / "tests" / "golden"
BLOCKS = re.findall(
    r"^```(\w*)(?: ([^\n]+))?\n(.*?)^```$",
    (CHECKOUT / "docs" / "formats.md").read_text("utf-8"),
    re.DOTALL | re.MULTILINE,
)
NAMED = {name: text for _, name, text in BLOCKS if name}
PUBLISHED = [*VECTORS, "binding-physical.json"]
"""All vectors. The last is a plugin's; its records were sealed once, so no command writes it."""
COMMANDS = {
    text: output for (language, _, text), (_, name, output) in pairwise(BLOCKS) if language == "sh" and not name
}


READER = """
import json, sys
from actfile import read_act_file
from statement import read_statement
from update import apply

manifest, update, file = (open(name, "rb").read() for name in ("manifest", "update", "file"))
container, said = read_statement(open("request", "rb").read(), "application/vnd.licentia.request.v1+json")
box = bytes.fromhex(sys.argv[1])


def key_of(binding, record):
    return bytes.fromhex(sys.argv[2]) if binding == "place" else None


after, contents = apply(update, container, box, said, [manifest], key_of)
state, held = read_act_file(file, manifest, key_of)
print(json.dumps([after["sequence"], state["consumed"], contents == held, [each["terms"] for each in held["held"]]]))
"""
"""A program that reads what a server and a container have written, with the readers of the page."""


def vector(name: str) -> dict[str, Any]:
    """A published vector."""
    return dict(json.loads((GOLDEN / name).read_text("utf-8")))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.split()[1])
def test_a_program_of_the_page_tells_all_cases_apart(command: str, tmp_path: Path) -> None:
    """Each program of the page accepts and refuses what the published vector says."""
    program = command.split()[0]
    if program != "python" and not shutil.which(program):
        pytest.skip(f"{program} is not on this machine")
    for name, text in NAMED.items():
        if "." in name:
            (tmp_path / name).write_text(text, "utf-8")
    for name in PUBLISHED:
        shutil.copy(GOLDEN / name, tmp_path)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, COMMANDS[command]), done.stderr


def test_there_is_a_program_in_two_languages() -> None:
    """The page shows how to read each vector in Python and in JavaScript, and what both print."""
    read = [(command.split()[0], command.split()[2]) for command in COMMANDS]
    assert sorted(read) == sorted((language, name) for name in PUBLISHED for language in ("python", "node"))
    assert all(COMMANDS.values())


def test_the_lease_of_the_page_is_the_published_one() -> None:
    """Key, header, payload and token on the page are the first case of tests/golden/lease-token.json."""
    published = vector("lease-token.json")
    case: dict[str, Any] = published["accepted"][0]
    assert NAMED["private key, hexadecimal"].strip() == SEED.hex()
    assert json.loads(NAMED["public keys"]) == published["jwks"]
    assert json.loads(NAMED["header"]) == case["header"]
    assert json.loads(NAMED["payload"]) == case["payload"]
    assert ".".join(NAMED["token"].split()) == case["token"]


def test_the_documents_of_the_page_are_the_published_ones() -> None:
    """Key, payload and document, salt and sealed text on the page are those of the first cases."""
    published = vector("signed-document.json")
    case = published["accepted"][0]
    assert json.loads(NAMED["first key"]) == published["keys"][0]
    assert case["keys"] == [published["keys"][0]["kid"]]
    assert NAMED["signed payload"].strip().encode() == base64.b64decode(case["payload"])
    assert "".join(NAMED["signed document"].split()) == case["document"]
    sealed = vector("sealed-document.json")["sealed"]["accepted"][0]["sealed"]
    assert "".join(NAMED["sealed text"].split()) == sealed
    assert NAMED["salt"].strip() == sealed[2:66]


def test_the_samples_of_the_exchange_are_the_published_ones() -> None:
    """The request, the shared secret and the evidence on the page are those of the vectors."""
    request = vector("request-and-receipt.json")["accepted"][0]
    assert "".join(NAMED["first request"].splitlines()) == json.dumps(
        request["says"], ensure_ascii=False, separators=(",", ":")
    )
    updates = vector("container-update.json")
    case = next(case for case in updates["accepted"] if case["here"] == ["alpha"])
    lock = messages.unverified_update(case["updates"].strip().encode()).lock
    shown = json.loads(NAMED["shared secret"])
    shares = {number: bytes.fromhex(share) for number, share in enumerate(shown["shares"])}
    secret = unlock(lock, here(updates, case)).secret
    assert secret.hex() == shown["secret"]
    assert all(sharing.combine({a: shares[a], b: shares[b]}) == secret for a, b in ((0, 1), (0, 2), (1, 2)))
    assert NAMED["evidence"].strip() == vector("binding-physical.json")["evidence"][2]["evidence"]


@pytest.mark.parametrize("name", VECTORS)
def test_the_published_vectors_are_of_this_version(name: str) -> None:
    """What `licentia contract export` writes is what lies in tests/golden, and it is the same each time."""
    assert (GOLDEN / name).read_bytes() == VECTORS[name](), "If this is meant: licentia contract export tests/golden"


class Half(ClientHalf):
    """The client half of a binding that is made up: a vector says what its records open to."""

    def __init__(self, name: str, keys: dict[bytes, bytes]) -> None:
        super().__init__(name, {})
        self._keys = keys

    def _collect(self, nonce: str) -> bytes:
        return nonce.encode()

    def _unseal(self, record: bytes) -> Unsealed:
        if record not in self._keys:
            raise BindingMismatch("This is another machine.")
        return Unsealed(secret=self._keys[record])


def here(published: dict[str, Any], case: dict[str, Any]) -> Callable[[str], ClientHalf]:
    """What opens on the machine of a case."""

    def half(name: str) -> ClientHalf:
        opening = [each for each in published["bindings"] if each["binding"] == name and name in case["here"]]
        return Half(name, {octets(each["record"]): octets(each["key"]) for each in opening})

    return half


def octets(text: str) -> bytes:
    """Octets as formats write them."""
    return base64.b64decode(text)


def found_in(path: Path, half: Callable[[str], ClientHalf]) -> tuple[Any, Any]:
    """State and contents of an act-file that this program has accepted, as JSON."""
    file = actfile.decode(path.read_bytes())
    if file.update is None:
        return json.loads(msgspec.json.encode(actfile.state_of(file, None))), None
    update = messages.unverified_update(file.update)
    secret = unlock(update.lock, half).secret
    state = actfile.state_of(file, secret)
    header = messages.header(update)
    plain = sealing.unseal(secret, header, sealing.BoxKey.from_bytes(state.box).open(header, update.box))
    return json.loads(msgspec.json.encode(state)), json.loads(plain)


def test_this_program_tells_all_signed_documents_apart() -> None:
    """What the page's readers accept and refuse, `licentia.crypto.envelope` does too."""
    published = vector("signed-document.json")
    keys = {}
    for each in published["keys"]:
        raw = (base64.b64decode(each.get(name, "")) for name in ("ed25519", "mldsa65"))
        keys[each["kid"]] = VerifyKey(each["suite"], *raw)
    assert all(key.kid == kid for kid, key in keys.items())

    def read(case: dict[str, Any]) -> bytes:
        trusted = [keys[kid] for kid in case["keys"]]
        policy = {"suites": case["suites"], "threshold": case["threshold"]}
        return envelope.verify(case["document"].encode(), published["payload_type"], trusted, **policy).payload

    for case in published["accepted"]:
        assert base64.b64encode(read(case)).decode() == case["payload"]
    for case in published["refused"]:
        with pytest.raises(DocumentInvalid):
            read(case)


def test_this_program_tells_all_sealed_documents_apart() -> None:
    """What the page's readers open and refuse, `licentia.crypto.sealing` does too."""
    published = vector("sealed-document.json")
    key = bytes.fromhex(published["sealed"]["key"])
    box = sealing.BoxKey(bytes.fromhex(published["sealed_to_key"]["private"]))
    assert box.public.hex() == published["sealed_to_key"]["public"]
    for name, opened in (("sealed", partial(sealing.unseal, key)), ("sealed_to_key", box.open)):
        for case in published[name]["accepted"]:
            assert opened(bytes.fromhex(case["header"]), bytes.fromhex(case["sealed"])).hex() == case["text"]
        for case in published[name]["refused"]:
            with pytest.raises(DocumentInvalid):
                opened(bytes.fromhex(case["header"]), bytes.fromhex(case["sealed"]))


def test_this_program_tells_all_key_manifests_apart() -> None:
    """What the page's readers accept and refuse, `licentia.crypto.manifest` does too."""
    published = vector("key-manifest.json")

    def follow(case: dict[str, Any]) -> int:
        current = manifest.read_pinned(case["current"].encode())
        return manifest.verify_next(current, case["next"].encode()).version

    assert [follow(case) for case in published["accepted"]] == [case["version"] for case in published["accepted"]]
    for case in published["refused"]:
        with pytest.raises(DocumentInvalid):
            follow(case)
    for case in published["issuing"]:
        known = manifest.read_pinned(case["manifest"].encode())
        assert [key.kid for key in known.issuing_keys(datetime.fromtimestamp(case["at"], UTC))] == case["kids"]


def test_this_program_tells_all_requests_apart() -> None:
    """What the page's readers accept and refuse, `licentia.exchange.messages` does too."""
    published = vector("request-and-receipt.json")

    def read(case: dict[str, Any]) -> messages.Statement:
        return messages.read_statement(case["document"].encode(), case["payload_type"])

    for case in published["accepted"]:
        said = read(case)
        assert json.loads(msgspec.json.encode(said)) == case["says"]
        assert said.container == case["container"]
        assert messages.nonce(said.container, said.request_id) == case["nonce"]
    for case in published["refused"]:
        with pytest.raises(DocumentInvalid):
            read(case)


def test_this_program_tells_all_updates_apart(tmp_path: Path) -> None:
    """What the page's readers apply and refuse, an act-file does too, and a refusal changes nothing in it."""
    published = vector("container-update.json")
    box = sealing.BoxKey(bytes.fromhex(published["container"]["box"]))
    path = tmp_path / "of-the-page.act"

    def apply(case: dict[str, Any]) -> messages.Statement:
        trust = tuple(published["manifests"][name].encode() for name in case["trust"])
        state = actfile.State(
            key=CONTAINER.to_bytes(),
            box=box.to_bytes(),
            sequence=case["sequence"],
            head=octets(case["head"]),
            request_id=None if case["request_id"] is None else octets(case["request_id"]),
        )
        file = actfile.File(format=actfile.FORMAT, trust=trust, state=b"")
        path.write_bytes(actfile.encode(actfile.with_state(file, state, None)))
        device = ActFile(path, trust=trust[0], half=here(published, case))
        return messages.read_statement(device.apply(case["updates"].encode()), messages.RECEIPT)

    for case in published["accepted"]:
        receipt, after = apply(case), case["after"]
        assert (receipt.sequence, receipt.head, receipt.manifest) == (
            after["sequence"],
            octets(after["head"]),
            after["manifest"],
        )
        waits = None if after["answered"] else case["request_id"]
        assert receipt.request_id == (bytes(16) if waits is None else octets(waits))
        assert found_in(path, here(published, case))[1] == case["contents"]
    for case in published["refused"]:
        with pytest.raises((DocumentInvalid, BindingMismatch, UpdateOutOfOrder)):
            apply(case)
        assert actfile.decode(path.read_bytes()).update is None


def test_this_program_tells_all_act_files_apart(tmp_path: Path) -> None:
    """What the page's readers open and refuse, `licentia.client.actfile` does too."""
    published = vector("act-file.json")
    path = tmp_path / "of-the-page.act"

    def opened(case: dict[str, Any]) -> ActFile:
        path.write_bytes(case["file"].encode())
        device = ActFile(path, trust=published["manifests"][case["trust"]].encode(), half=here(published, case))
        assert device.id == published["container"]
        return device

    for case in published["accepted"]:
        usable = {license.activation_id for license in opened(case).licenses()}
        state, contents = found_in(path, here(published, case))
        assert (state, contents) == (case["state"], case["contents"])
        held = {each["activation_id"] for each in (contents or {"held": []})["held"]}
        assert usable == held - set(state["returned"])
    for case in published["refused"]:
        with pytest.raises((DocumentInvalid, BindingMismatch)):
            opened(case)


def test_the_plugin_tells_all_its_records_apart() -> None:
    """What the page's readers open and refuse, the binding `physical` does too."""
    published = vector("binding-physical.json")
    half = client_half("physical")
    assert isinstance(half, Fingerprint)
    assert sorted(WORDS) == published["placeholders"]
    assert [list(PATTERNS), list(SERIAL_PATTERNS)] == [published["patterns"], published["serial_patterns"]]
    for case in published["evidence"]:
        assert half._evidence_of(case["features"]).decode() == case["evidence"]
    for case in published["accepted"]:
        unsealed = half._unseal_with(case["record"].encode(), case["features"])
        found = (unsealed.secret.hex(), list(unsealed.changed), unsealed.weak)
        assert found == (case["secret"], case["changed"], case["weak"])
    for case in published["refused"]:
        with pytest.raises((DocumentInvalid, BindingMismatch)):
            half._unseal_with(case["record"].encode(), case["features"])


def test_the_page_reads_what_a_server_and_a_container_write(tmp_path: Path) -> None:
    """The page's readers read a real request, update and act-file of the hybrid suite, under two bindings."""
    vendor = lab.Vendor(HYBRID, bindings=[{"place": 2, "none": 1, "threshold": 2}])
    device = lab.Device(vendor, "place", "none")
    request, fresh = device.file.request(), actfile.decode(device.store.read())
    terms = {"license_model": "floating", "features": ["pro"], "checkpoint_days": 3}
    update = vendor.activate(request, vendor.license("cad", terms=terms, units={"": 10}))
    vendor.contact(device.file.apply(update))
    device.file.consume("cad", 3, request_id="job")
    for name, text in NAMED.items():
        if name.endswith(".py"):
            (tmp_path / name).write_text(text, "utf-8")
    written = {"manifest": vendor.trust, "request": request, "update": update, "file": device.store.read()}
    for name, data in written.items():
        (tmp_path / name).write_bytes(data)
    lock = messages.unverified_update(messages.split(update)[0]).lock
    key = device._half("place").unseal(lock.parts[0].record).secret
    box = actfile.state_of(fresh, None).box[1:]
    done = subprocess.run(
        [sys.executable, "-c", READER, box.hex(), key.hex()], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [1, {"job": 7}, True, [terms]]
