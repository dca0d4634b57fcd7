"""The lease key through its rotations: what was signed stays good, whoever interrupts or races."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from licentia.crypto import keyfiles, leasekey
from licentia.crypto.keyfiles import KeyFolderError
from licentia.crypto.leasekey import LeaseKey
from licentia.errors import Conflict, NotFound

RACER = """
import sys, time
from pathlib import Path
from licentia.crypto.leasekey import LeaseKey
folder, signal, times = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
key = LeaseKey(folder)
print("ready", flush=True)
while not signal.exists():
    time.sleep(0.001)
for _ in range(times):
    key.rotate()
    print(LeaseKey(folder).current().public.kid)
"""


class Killed(BaseException):
    """The process ended here."""


def kids(folder: Path) -> list[str]:
    """The ids of all published keys, as a process that starts now sees them."""
    return [key.kid for key in LeaseKey(folder).published()]


def secrets_in(folder: Path) -> set[str]:
    """The names of the files with a private key."""
    return {path.name for path in folder.iterdir() if "PRIVATE" in path.read_text()}


def test_a_rotation_keeps_the_public_half(tmp_path: Path) -> None:
    """The new key is published first, then the old ones, the last replaced first; only the new one is still secret."""
    first = LeaseKey(tmp_path).current().public
    second, previous = LeaseKey(tmp_path).rotate()
    assert previous == first
    assert kids(tmp_path) == [second.kid, first.kid]
    third = LeaseKey(tmp_path).rotate().current
    assert kids(tmp_path) == [third.kid, second.kid, first.kid]
    assert LeaseKey(tmp_path).current().public == third
    assert secrets_in(tmp_path) == {"lease.key"}


def test_another_process_publishes_at_once_and_signs_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has the folder open publishes a new key at the next question, and signs with it a second later."""
    server, operator = LeaseKey(tmp_path), LeaseKey(tmp_path)
    old = server.current().public
    new = operator.rotate().current
    assert server.published() == [new, old]
    monkeypatch.setattr(time, "monotonic", lambda now=time.monotonic: now() + leasekey.LOOK_SECONDS)
    assert server.current().public == new


def test_a_settled_folder_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without changes costs two looks at its times; the first change is seen however fast it comes."""
    key = LeaseKey(tmp_path)
    monkeypatch.setattr(leasekey, "SETTLED_NS", -1)
    key.published()
    with monkeypatch.context() as broken:
        broken.setattr(keyfiles, "read", None)
        assert len(key.published()) == 1
    LeaseKey(tmp_path).prepare()
    assert len(key.published()) == 2


def test_a_prepared_key_is_published_and_signs_nothing(tmp_path: Path) -> None:
    """Preparing twice gives one key, which signs when it is used, by name or without; using it again does nothing."""
    key = LeaseKey(tmp_path)
    old = key.current().public
    prepared = key.prepare()
    assert key.prepare() == LeaseKey(tmp_path).prepare() == prepared
    assert kids(tmp_path) == [old.kid, prepared.kid]
    assert LeaseKey(tmp_path).current().public == old
    assert key.rotate(prepared.kid) == (prepared, old)
    assert key.rotate(prepared.kid) == (prepared, None)
    following = key.prepare()
    assert key.rotate() == (following, prepared)


def test_only_a_prepared_key_can_be_used(tmp_path: Path) -> None:
    """A key that is not there, or is an old one, is refused, and nothing changes."""
    key = LeaseKey(tmp_path)
    old = key.current().public
    for kid in ("nonsense", old.kid):
        if kid == old.kid:
            key.rotate()
        before = kids(tmp_path)
        with pytest.raises(NotFound):
            key.rotate(kid)
        assert kids(tmp_path) == before


def test_a_copy_of_the_folder_takes_the_same_key(tmp_path: Path) -> None:
    """Machines with a copy of the prepared folder end up with one key, in any order, and publish it before."""
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    old = LeaseKey(here).current().public
    copy(here, there)
    kid = LeaseKey(here).prepare().kid
    server = LeaseKey(there)
    copy(here, there)
    assert [key.kid for key in server.published()] == [old.kid, kid]
    for folder in (there, here):
        LeaseKey(folder).rotate(kid)
    assert kids(here) == kids(there) == [kid, old.kid]


def test_a_leftover_of_copying_is_not_used_again(tmp_path: Path) -> None:
    """Where the whole folder was copied over an older copy, the key stays, and the next rotation makes a new one."""
    key = LeaseKey(tmp_path)
    kid = key.prepare().kid
    left = (tmp_path / "lease-next.key").read_bytes()
    key.rotate()
    (tmp_path / "lease-next.key").write_bytes(left)
    assert kids(tmp_path)[0] == kid
    assert len(kids(tmp_path)) == 2
    new, previous = LeaseKey(tmp_path).rotate()
    assert previous is not None
    assert (previous.kid, new.kid != kid) == (kid, True)
    assert len(kids(tmp_path)) == 3


def copy(source: Path, target: Path) -> None:
    """Copy over what is there, as cp does: into the same files."""
    for path in source.iterdir():
        (target / path.name).write_bytes(path.read_bytes())


def test_retiring(tmp_path: Path) -> None:
    """An old key and a prepared one can be dropped, by name; the one that signs cannot, nor one that is not there."""
    key = LeaseKey(tmp_path)
    old = key.current().public
    current = key.rotate().current
    prepared = key.prepare()
    with pytest.raises(Conflict):
        key.retire(current.kid)
    for kid in (old.kid, prepared.kid):
        key.retire(kid)
        with pytest.raises(NotFound):
            key.retire(kid)
    assert kids(tmp_path) == [current.kid]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"lease-{current.kid}.jwk", "lease.key"]


def test_the_age_of_a_key_counts_from_its_replacement(tmp_path: Path) -> None:
    """Neither the key that signs nor a prepared one is old, however long they are there."""
    key = LeaseKey(tmp_path)
    old = key.current().public.kid
    key.prepare()
    for path in tmp_path.glob("*.jwk"):
        os.utime(path, (0, 0))
    assert key.replaced_before(timedelta(days=1)) == []
    key.rotate()
    assert key.replaced_before(timedelta(days=1)) == []
    assert key.replaced_before(timedelta()) == [old]
    os.utime(tmp_path / f"lease-{old}.jwk", (0, 0))
    assert key.replaced_before(timedelta(days=1)) == [old]


# --- interrupted and raced ------------------------------------------------------------------------


@contextmanager
def killed_at(number: int) -> Iterator[list[int]]:
    """End the process at its n-th step that touches the folder, before the step or, for odd numbers, after it."""
    done = [0]

    def dying(step: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            done[0] += 1
            if done[0] > number // 2:
                if number % 2 and done[0] == number // 2 + 1:
                    step(*arguments, **options)
                raise Killed
            return step(*arguments, **options)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("open", "fsync", "link", "utime"):
            patch.setattr(os, name, dying(getattr(os, name)))
        for name in ("replace", "unlink"):
            patch.setattr(Path, name, dying(getattr(Path, name)))
        yield done


@pytest.mark.parametrize("prepared", [False, True])
def test_a_killed_rotation_leaves_a_folder_that_works(tmp_path: Path, prepared: bool) -> None:
    """Ended before or after any step, a rotation leaves every key published, and the next one succeeds."""
    for number in range(200):
        folder = tmp_path / str(number)
        folder.mkdir()
        server = LeaseKey(folder)
        used = [server.current().public.kid]
        if prepared:
            server.prepare()
        try:
            with killed_at(number):
                LeaseKey(folder).rotate()
        except Killed:
            pass
        else:
            break
        used.append(LeaseKey(folder).current().public.kid)
        assert {key.kid for key in server.published()} >= set(used)
        used.append(LeaseKey(folder).rotate().current.kid)
        assert set(kids(folder)) >= set(used)
        assert LeaseKey(folder).current().public.kid == used[-1]
    assert number > 20


@pytest.mark.parametrize("seed", range(40))
def test_interleaved_rotations_publish_all_they_used(tmp_path: Path, seed: int) -> None:
    """Whatever other processes do between two steps of a rotation, no key that ever signed goes unpublished."""
    folder, luck = tmp_path, random.Random(seed)
    used = {LeaseKey(folder).current().public.kid}
    depth = 0

    def between(step: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal depth
            if depth < 2 and luck.random() < 0.3:
                depth += 1
                luck.choice([LeaseKey(folder).rotate, LeaseKey(folder).prepare])()
                depth -= 1
            used.add(LeaseKey(folder).current().public.kid)
            result = step(*arguments, **options)
            used.add(LeaseKey(folder).current().public.kid)
            return result

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "link", between(os.link))
        patch.setattr(os, "utime", between(os.utime))
        patch.setattr(Path, "replace", between(Path.replace))
        patch.setattr(Path, "unlink", between(Path.unlink))
        LeaseKey(folder).rotate()
    assert used <= set(kids(folder))


def test_processes_that_rotate_at_once(tmp_path: Path) -> None:
    """Four processes that rotate five times each, at the same instant, keep every key that was ever the current one."""
    folder, signal = tmp_path / "keys", tmp_path / "go"
    folder.mkdir()
    first = LeaseKey(folder).current().public.kid
    command = [sys.executable, "-c", RACER, str(folder), str(signal), "5"]
    racers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    signal.touch()
    used = {first}
    for racer in racers:
        used |= set(racer.communicate(timeout=30)[0].split())
        assert racer.returncode == 0
    assert used <= set(kids(folder))
    assert secrets_in(folder) <= {"lease.key", "lease-next.key"}


# --- damaged --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lease-next.key", "lease-x.jwk"])
@pytest.mark.parametrize("content", [b"", b"no key", b"\xff", b"{}"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    """A file that holds no key stops the start with its name."""
    LeaseKey(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(KeyFolderError, match=name):
        LeaseKey(tmp_path)


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_text("no key")])
def test_a_running_server_goes_on_with_its_key(
    tmp_path: Path, damage: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the folder breaks under a server, it signs on, publishes nothing that may be stale, and recovers."""
    server = LeaseKey(tmp_path)
    key, pem = server.current(), (tmp_path / "lease.key").read_text()
    damage(tmp_path / "lease.key")
    monkeypatch.setattr(time, "monotonic", lambda now=time.monotonic: now() + leasekey.LOOK_SECONDS)
    assert server.current() is key
    with pytest.raises(KeyFolderError, match=r"lease\.key"):
        server.published()
    (tmp_path / "lease.key").write_text(pem)
    assert server.published() == [key.public]
