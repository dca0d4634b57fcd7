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
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from licentia.cli.commands.contract import VECTORS
from licentia.crypto import envelope, manifest, sealing
from licentia.crypto.signing import VerifyKey
from licentia.crypto.vectors import SEED
from licentia.errors import DocumentInvalid

CHECKOUT = Path(__file__).parents[2]
GOLDEN = CHECKOUT / "tests" / "golden"
BLOCKS = re.findall(
    r"^```(\w*)(?: ([^\n]+))?\n(.*?)^```$",
    (CHECKOUT / "docs" / "formats.md").read_text("utf-8"),
    re.DOTALL | re.MULTILINE,
)
NAMED = {name: text for _, name, text in BLOCKS if name}
COMMANDS = {
    text: output for (language, _, text), (_, name, output) in pairwise(BLOCKS) if language == "sh" and not name
}


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
    for name in VECTORS:
        shutil.copy(GOLDEN / name, tmp_path)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, COMMANDS[command]), done.stderr


def test_there_is_a_program_in_two_languages() -> None:
    """The page shows how to read each vector in Python and in JavaScript, and what both print."""
    read = [(command.split()[0], command.split()[2]) for command in COMMANDS]
    assert sorted(read) == sorted((language, name) for name in VECTORS for language in ("python", "node"))
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


@pytest.mark.parametrize("name", VECTORS)
def test_the_published_vectors_are_of_this_version(name: str) -> None:
    """What `licentia contract export` writes is what lies in tests/golden, and it is the same each time."""
    assert (GOLDEN / name).read_bytes() == VECTORS[name](), "If this is meant: licentia contract export tests/golden"


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
