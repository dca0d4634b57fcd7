"""Every reader of the exchange, fed with damaged files and with nonsense, also well signed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import exchange_lab as lab
import pytest
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st

from licentia.cli.commands.container import inspect, verify
from licentia.client.actfile import look
from licentia.client.actfile.file import decode
from licentia.crypto import envelope
from licentia.crypto.signing import SoftwareKey
from licentia.crypto.suites import ED25519, HYBRID
from licentia.errors import (
    BindingEvidenceInvalid,
    BindingMismatch,
    ContainerUnknown,
    DocumentInvalid,
    ForkDetected,
    LicensingError,
    UpdateOutOfOrder,
)
from licentia.exchange import messages
from licentia.exchange.messages import RECEIPT, REQUEST, UPDATE

DOCUMENTED = (
    DocumentInvalid,
    UpdateOutOfOrder,
    BindingMismatch,
    BindingEvidenceInvalid,
    ContainerUnknown,
    ForkDetected,
)
KINDS = pytest.mark.parametrize("kind", ["update", "act-file", "request", "receipt", "manifest"])


@pytest.fixture(scope="module")
def files() -> dict[str, Any]:
    """An exchange of each suite."""
    return {suite: lab.Files(suite) for suite in (ED25519, HYBRID)}


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), st.text(max_size=20),
    st.sampled_from(["", "AAAA", "A" * 44, "licentia-act-file-1", REQUEST, RECEIPT, UPDATE]),
)  # fmt: skip
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
)


def everything(own: Any, data: bytes) -> None:
    """Let every reader read it: each takes it, or refuses it by a documented error."""
    readers: list[Callable[[], Any]] = [
        lambda: look.inspect(data),
        lambda: look.verify(data, own.manifest),
        lambda: look.verify(own.file, data),
        lambda: look.kind_of(data),
        lambda: decode(data),
        lambda: messages.split(data),
        lambda: messages.unverified_update(data),
        lambda: messages.read_statement(data, REQUEST),
        lambda: messages.contents_of(data),
        lambda: own.apply(data),
        lambda: own.open(data),
        lambda: own.send(data),
        lambda: own.trust(data),
    ]
    for read in readers:
        with suppress(*DOCUMENTED):
            read()


def mutated(random_: random.Random, data: bytes) -> bytes:
    """The file after some accidents."""
    changed = bytearray(data)
    for _ in range(random_.randint(1, 4)):
        at, length = random_.randrange(len(changed) + 1), random_.choice([1, 1, 2, 7, 40])
        match random_.randrange(5):
            case 0:
                changed[at : at + length] = random_.randbytes(length)
            case 1:
                del changed[at : at + length]
            case 2:
                changed[at:at] = changed[at : at + length] * random_.choice([1, 2, 50])
            case 3:
                changed[at : at + length] = random_.choice(
                    [b"null", b"[", b"{", b'"', b"-1", b"1e999", b"\\u0000", b"\xff"]
                )
            case 4:
                other = random_.randrange(len(changed) + 1)
                changed[at:at] = changed[other : other + 200]
    return bytes(changed)


@KINDS
def test_accidents_are_refused_in_order(files: dict[str, Any], kind: str) -> None:
    """However a file is damaged, no reader fails in a way that is not documented."""
    own, random_ = files[ED25519], random.Random(f"accidents {kind}")
    data, _ = own.readers()[kind]
    for _ in range(60):
        everything(own, mutated(random_, data))


@KINDS
@pytest.mark.slow
def test_many_accidents_are_refused_in_order(files: dict[str, Any], kind: str) -> None:
    """The same many times, from a seed that is told."""
    seed = random.randrange(2**32)
    for suite in (ED25519, HYBRID):
        own, random_ = files[suite], random.Random(seed)
        data, _ = own.readers()[kind]
        for number in range(3000):
            changed = mutated(random_, data)
            try:
                everything(own, changed)
            except Exception as error:
                raise AssertionError(f"seed {seed}, number {number}: {changed!r}") from error


@cache
def nonsense() -> Any:
    """An exchange whose keys sign nonsense."""
    return lab.Files()


@settings(max_examples=60)
@given(tree=TREES, kind=st.sampled_from([REQUEST, RECEIPT, UPDATE]), member=st.integers(0, 30))
@example(tree={}, kind=UPDATE, member=99)
@example(tree=2**40, kind=UPDATE, member=4)
@example(tree=2**40, kind=REQUEST, member=6)
def test_well_signed_nonsense_is_refused(tree: Any, kind: str, member: int) -> None:
    """A signature that holds makes nonsense no better, whichever member of a payload it is in."""
    own = nonsense()
    genuine = {REQUEST: own.request, RECEIPT: own.receipt, UPDATE: own.update[:-1]}[kind]
    payload = json.loads(envelope.unverified_payload(genuine, kind))
    names = list(payload)
    payload = payload | {names[member]: tree} if member < len(names) else tree
    signer = (
        own.vendor.host.issuer()[0] if kind == UPDATE else SoftwareKey.from_bytes(own.device.file._open().state.key)
    )
    document = envelope.sign(kind, json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode(), signer)
    everything(own, document)
    everything(own, document + b"\n")


@settings(max_examples=60)
@given(data=st.binary(max_size=200) | TREES.map(lambda tree: json.dumps(tree).encode()))
@example(data=b"[" * 200_000)
@example(data=b'{"format":"licentia-act-file-1","trust":[],"update":null,"state":""}')
def test_nonsense_is_refused(data: bytes) -> None:
    """Whatever is no file of the exchange is refused by every reader."""
    everything(nonsense(), data)


@KINDS
def test_the_command_line_refuses_in_one_line(files: dict[str, Any], kind: str, tmp_path: Path) -> None:
    """`licentia container inspect` and `verify` say of a damaged file that it is, without a traceback."""
    own, random_ = files[ED25519], random.Random(kind)
    data, _ = own.readers()[kind]
    (tmp_path / "keys").write_bytes(own.manifest)
    file = tmp_path / "file"
    file.write_bytes(data)
    assert CliRunner().invoke(inspect, [str(file)]).exit_code == 0
    for _ in range(8):
        file.write_bytes(mutated(random_, data))
        for command, options in ((inspect, []), (verify, ["--keys", str(tmp_path / "keys")])):
            result = CliRunner().invoke(command, [str(file), *options])
            assert result.exception is None or isinstance(result.exception, SystemExit | LicensingError)
            assert "Traceback" not in result.output
