"""The key folder: made once, by whoever comes first, readable by its owner only."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from Crypto.PublicKey import ECC

from licentia.crypto.keyfolder import KeyFolder, KeyFolderError

RACER = """
import sys, time
from pathlib import Path
from licentia.crypto.keyfolder import KeyFolder
folder, signal = map(Path, sys.argv[1:])
print("ready", flush=True)
while not signal.exists():
    time.sleep(0.001)
keys = KeyFolder(folder)
print(keys.master().hex(), keys.lease_key().current().public.kid)
"""


def test_keys_stay_the_same(tmp_path: Path) -> None:
    """What is made at the first start is there at the next."""
    first, second = KeyFolder(tmp_path / "keys"), KeyFolder(tmp_path / "keys")
    assert len(first.master()) == 32
    assert first.master() == second.master()
    assert first.lease_key().current().pem() == second.lease_key().current().pem()
    assert KeyFolder(tmp_path / "other").master() != first.master()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_the_owner_can_read(tmp_path: Path, umask: int) -> None:
    """The folder is 0700 and each file 0600, whatever the umask, also after a rotation."""
    before = os.umask(umask)
    try:
        keys = KeyFolder(tmp_path / "data" / "keys")
        keys.master()
        keys.lease_key().rotate()
        keys.lease_key().prepare()
    finally:
        os.umask(before)
    assert stat.S_IMODE(keys.folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in keys.folder.iterdir()}
    assert modes.keys() >= {"master.key", "lease.key", "lease-next.key"}
    assert set(modes.values()) == {0o600}


def test_eight_processes_make_one_key(tmp_path: Path) -> None:
    """Processes that start at the same instant all end up with the same keys."""
    folder, signal = tmp_path / "keys", tmp_path / "go"
    racers = [
        subprocess.Popen([sys.executable, "-c", RACER, str(folder), str(signal)], stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    time.sleep(0.01)
    signal.touch()
    answers = {racer.communicate(timeout=30)[0] for racer in racers}
    assert [racer.returncode for racer in racers] == [0] * 8
    assert len(answers) == 1
    assert sorted(path.name for path in folder.iterdir()) == ["lease.key", "master.key"]


def master(keys: KeyFolder) -> object:
    """Read the master secret."""
    return keys.master()


def lease(keys: KeyFolder) -> object:
    """Read the lease key."""
    return keys.lease_key()


NO_KEY = ["", "\n", "no key", "-----BEGIN {0}-----\nAAAA\n-----END {0}-----".format("PRIVATE" + " KEY"), "\xe9"]


@pytest.mark.parametrize(
    ("name", "read", "content"),
    [
        *(("master.key", master, content) for content in [*NO_KEY, "ab" * 31, "ab" * 33, "zz" * 32]),
        *(("lease.key", lease, content) for content in NO_KEY),
        ("lease.key", lease, ECC.generate(curve="Ed25519").public_key().export_key(format="PEM")),
        ("lease.key", lease, ECC.generate(curve="P-256").export_key(format="PEM")),
        ("lease.key", lease, ECC.generate(curve="Curve25519").export_key(format="PEM")),
        (
            "lease.key",
            lease,
            ECC.generate(curve="Ed25519").export_key(
                format="PEM", passphrase=b"x", protection="PBKDF2WithHMAC-SHA512AndAES256-CBC"
            ),
        ),
    ],
)
def test_a_damaged_file_is_named_and_kept(
    tmp_path: Path, name: str, read: Callable[[KeyFolder], object], content: str
) -> None:
    """A key file that is no key stops the start with its name; it is neither shown nor replaced."""
    keys = KeyFolder(tmp_path)
    (tmp_path / name).write_text(content, "latin-1")
    with pytest.raises(KeyFolderError) as refusal:
        read(keys)
    assert str(tmp_path / name) in str(refusal.value)
    assert content.strip() in ("", "\xe9") or content.strip() not in str(refusal.value)
    assert (tmp_path / name).read_text("latin-1") == content


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    """Where the folder cannot be, the message says which one."""
    (tmp_path / "keys").touch()
    with pytest.raises(KeyFolderError, match="keys"):
        KeyFolder(tmp_path / "keys")


def test_a_key_that_is_a_folder_is_named(tmp_path: Path) -> None:
    """A file that cannot be read is named."""
    (tmp_path / "master.key").mkdir()
    with pytest.raises(KeyFolderError, match=r"master\.key cannot be read"):
        KeyFolder(tmp_path).master()


def test_nothing_secret_is_shown(tmp_path: Path) -> None:
    """The folder's own text holds no key."""
    keys = KeyFolder(tmp_path)
    shown = repr(keys) + repr(vars(keys))
    assert keys.master().hex() not in shown
    lease_key = keys.lease_key()
    shown = repr(lease_key) + repr(vars(lease_key))
    assert lease_key.current().pem().splitlines()[1] not in shown
