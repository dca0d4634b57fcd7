"""The one file on a machine: whole, durable, its owner's, and changed by one process at a time."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from licentia.client.actfile.store import LIMIT, Store
from licentia.errors import DocumentInvalid


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store in a folder that is not there yet."""
    return Store(tmp_path / "folder" / "cad.act")


def test_there_is_nothing_at_first(store: Store) -> None:
    """A file that does not exist is no error."""
    assert store.read() is None


def test_what_was_written_is_read(store: Store) -> None:
    """Written twice, the newer content is there; nothing else lies beside it but the lock."""
    for data in (b"one", b"two" * 1000):
        with store.alone():
            store.write(data)
        assert store.read() == data
    assert sorted(path.name for path in store.path.parent.iterdir()) == [".cad.act.lock", "cad.act"]


def test_it_is_its_owners_only(store: Store) -> None:
    """Keys are in it, so nobody else may read the file, its draft or its new folder."""
    with store.alone():
        draft = store.draft(b"secret")
        assert stat.S_IMODE(draft.stat().st_mode) == 0o600
        store.publish(draft)
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700


def test_a_draft_of_a_dead_process_is_no_obstacle(store: Store) -> None:
    """What a process that died left beside the file is replaced, also a link to a place that is not ours."""
    victim = store.path.with_name("victim")
    with store.alone():
        store.write(b"old")
        draft = store.draft(b"half")
        assert store.read() == b"old"
        draft.unlink()
        victim.write_bytes(b"precious")
        draft.symlink_to(victim)
        store.write(b"new")
    assert (store.read(), victim.read_bytes()) == (b"new", b"precious")
    assert not store.path.is_symlink()


@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
def test_a_full_disk_takes_nothing(store: Store, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever step of writing fails, the old content is there, and the next write works."""
    with store.alone():
        store.write(b"old")
        real = getattr(os, call)

        def fail(*given: object, **named: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, call, fail)
        with pytest.raises(OSError, match="No space"):
            store.write(b"new")
        monkeypatch.setattr(os, call, real)
        assert store.read() == b"old"
        store.write(b"newer")
    assert store.read() == b"newer"


def test_a_file_that_is_too_long_is_refused(store: Store) -> None:
    """Whatever is longer than any container is not read into memory."""
    with store.alone():
        store.write(b"x" * LIMIT)
    assert store.read() == b"x" * LIMIT
    with store.path.open("ab") as file:
        file.write(b"x")
    with pytest.raises(DocumentInvalid, match="too long"):
        store.read()


def test_threads_take_turns(store: Store) -> None:
    """A hundred increments by four threads are a hundred increments."""
    with store.alone():
        store.write(b"0")

    def count() -> None:
        own = Store(store.path)
        for _ in range(25):
            with own.alone():
                number = int(own.read() or b"")
                own.write(b"%d" % (number + 1))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.read() == b"100"


def test_a_process_that_dies_lets_go(store: Store, tmp_path: Path) -> None:
    """Others wait while a process has the file to itself, and go on when it is killed."""
    code = (
        "import sys, time; from pathlib import Path; from licentia.client.actfile.store import Store\n"
        "with Store(Path(sys.argv[1])).alone():\n"
        "    print('mine', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(store.path)], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "mine\n"
    got: list[float] = []

    def take() -> None:
        with store.alone():
            got.append(time.monotonic())

    waiting = threading.Thread(target=take)
    waiting.start()
    time.sleep(0.2)
    assert got == []
    other.kill()
    waiting.join(10)
    assert len(got) == 1
    other.communicate()
