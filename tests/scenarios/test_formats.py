"""docs/formats.md: its programs run and print what stands below them, and its vector is the published one.

A block whose tag is followed by the name of a file is written into that file, a block tagged `sh` is
run, and a block tagged `text` right after it is what it must print. The other named blocks are the
test vector.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from licentia.crypto.vectors import SEED, lease_token

CHECKOUT = Path(__file__).parents[2]
GOLDEN = CHECKOUT / "tests" / "golden" / "lease-token.json"
BLOCKS = re.findall(
    r"^```(\w*)(?: ([^\n]+))?\n(.*?)^```$",
    (CHECKOUT / "docs" / "formats.md").read_text("utf-8"),
    re.DOTALL | re.MULTILINE,
)
NAMED = {name: text for _, name, text in BLOCKS if name}
COMMANDS = {
    text: output for (language, _, text), (_, name, output) in pairwise(BLOCKS) if language == "sh" and not name
}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.split()[0])
def test_a_verifier_of_the_page_tells_all_tokens_apart(command: str, tmp_path: Path) -> None:
    """Each program of the page accepts and refuses what the published vector says."""
    program = command.split()[0]
    if program != "python" and not shutil.which(program):
        pytest.skip(f"{program} is not on this machine")
    for name, text in NAMED.items():
        if "." in name:
            (tmp_path / name).write_text(text, "utf-8")
    shutil.copy(GOLDEN, tmp_path)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, COMMANDS[command]), done.stderr


def test_there_is_a_program_in_two_languages() -> None:
    """The page shows how to verify in Python and in JavaScript, and what both print."""
    assert [command.split()[0] for command in COMMANDS] == ["python", "node"]
    assert all(COMMANDS.values())


def test_the_vector_of_the_page_is_the_published_one() -> None:
    """Key, header, payload and token on the page are the first case of tests/golden/lease-token.json."""
    vector = json.loads(GOLDEN.read_text("utf-8"))
    case: dict[str, Any] = vector["accepted"][0]
    assert NAMED["private key, hexadecimal"].strip() == SEED.hex()
    assert json.loads(NAMED["public keys"]) == vector["jwks"]
    assert json.loads(NAMED["header"]) == case["header"]
    assert json.loads(NAMED["payload"]) == case["payload"]
    assert ".".join(NAMED["token"].split()) == case["token"]


def test_the_published_vector_is_of_this_version() -> None:
    """What `licentia contract export` writes is what lies in tests/golden."""
    assert GOLDEN.read_bytes() == lease_token(), "If this is meant: licentia contract export tests/golden"
