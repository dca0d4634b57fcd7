"""The issuing key of a folder: made once, changed while it is used, moved under other roots."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from licentia.crypto import envelope, issuingkey, keyfiles, manifest
from licentia.crypto.issuingkey import KEPT, IssuingKey
from licentia.crypto.keyfiles import KeyFolderError
from licentia.crypto.keystores.files import FileStore
from licentia.crypto.leasekey import LeaseKey
from licentia.crypto.manifest import Manifest, Roots
from licentia.crypto.roots import sign_draft
from licentia.crypto.suites import HYBRID
from licentia.errors import Conflict, DocumentInvalid, NotFound, Unavailable

TYPE = "text/plain"
ROTATE = """
import pathlib, sys
from licentia.crypto.issuingkey import IssuingKey
from licentia.errors import Conflict
key, done = IssuingKey(pathlib.Path(sys.argv[1])), 0
for _ in range(5):
    try:
        key.publish(key.rotation())
        done += 1
    except Conflict:
        pass
print(done)
"""


def accepted(data: bytes, known: Manifest) -> bool:
    """Whether a client with this manifest believes a document that was signed now."""
    try:
        envelope.verify(data, TYPE, known.issuing_keys(datetime.now(UTC)), suites=known.suites)
    except DocumentInvalid:
        return False
    return True


def signed(key: IssuingKey) -> bytes:
    """A document, signed with the current key."""
    return envelope.sign(TYPE, b"update", key.current())


def followed(known: Manifest, key: IssuingKey) -> Manifest:
    """What a client that knows this version knows after the folder's chain of manifests."""
    for each in key.manifests():
        if each.version >= known.version:
            known = manifest.verify_next(known, each.to_bytes())
    return known


@pytest.fixture
def key(tmp_path: Path) -> IssuingKey:
    """The key of a new folder, that looks at it each time."""
    return IssuingKey(tmp_path, vendor="Acme")


@pytest.fixture(autouse=True)
def _looks_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuingkey, "LOOK_SECONDS", 0)


def test_a_folder_makes_its_keys_at_first_use(key: IssuingKey, tmp_path: Path) -> None:
    """A hybrid root vouches for a hybrid issuing key; who opens the folder next has the same."""
    first = key.manifest()
    assert (first.version, first.vendor, first.suites) == (1, "Acme", (HYBRID,))
    assert accepted(signed(key), first)
    again = IssuingKey(tmp_path, vendor="Other")
    assert again.manifest().to_bytes() == first.to_bytes()
    assert again.current().public == key.current().public
    assert list(first.lease_keys) == [each.kid for each in LeaseKey(tmp_path).published()]


def test_processes_that_start_at_once_have_one_key(tmp_path: Path) -> None:
    """Whoever comes second drops what it made, so that one root and one issuing key are left."""
    program = "import sys, pathlib; from licentia.crypto.issuingkey import IssuingKey; "
    program += "print(IssuingKey(pathlib.Path(sys.argv[1])).current().public.kid)"
    running = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    kids = {each.communicate(timeout=60)[0].splitlines()[-1] for each in running}
    assert len(kids) == 1
    assert len(list(tmp_path.rglob("*.key"))) == 3, "lease, issuing and root"


def test_a_rotation_reaches_a_running_process(key: IssuingKey, tmp_path: Path) -> None:
    """Another process signs with the new key; a client that knows the first manifest follows to it."""
    first, old = key.manifest(), signed(key)
    other = IssuingKey(tmp_path)
    new = other.publish(other.rotation(timedelta(days=30)))
    assert new.version == 2
    assert key.current().public == new.body.issuing[0].key != first.body.issuing[0].key
    assert not accepted(signed(key), first)
    known = followed(first, key)
    assert accepted(signed(key), known)
    assert accepted(old, known), "what the old key has signed stays good"
    assert [each.public for each in FileStore(tmp_path).stored()] == [new.body.issuing[0].key], (
        "its private half is gone"
    )


def test_a_manifest_does_not_grow_for_ever(key: IssuingKey) -> None:
    """It names the last issuing keys only, and is sent as one, however often it changed."""
    for _ in range(KEPT + 2):
        key.publish(key.rotation())
    assert len(key.manifest().body.issuing) == KEPT
    assert len(key.manifests()) == 1
    assert len(key.manifest().to_bytes()) < manifest.LIMIT


def test_what_a_revoked_key_has_signed_counts_for_nothing(key: IssuingKey) -> None:
    """A client refuses it once it knows; the key that signs now is replaced at once."""
    first, stolen = key.manifest(), signed(key)
    kid = key.current().public.kid
    key.publish(key.revocation(kid))
    assert key.current().public.kid != kid
    known = followed(first, key)
    assert not accepted(stolen, known)
    assert accepted(signed(key), known)
    with pytest.raises(NotFound):
        key.revocation("unknown")


def test_an_old_key_is_revoked_without_a_new_one(key: IssuingKey) -> None:
    """The key that signs now stays."""
    old = key.current().public.kid
    key.publish(key.rotation())
    now = key.current().public.kid
    key.publish(key.revocation(old))
    assert [(each.key.kid, each.state) for each in key.manifest().body.issuing] == [(now, "current"), (old, "revoked")]


def test_roots_on_another_machine_sign_what_is_carried_to_them(key: IssuingKey, tmp_path: Path) -> None:
    """The root is moved away; the server goes on signing, and changes keys by a draft only."""
    first = key.manifest()
    away = FileStore(tmp_path / "away", b"correct horse")
    for each in key.roots().stored():
        key.roots().move(each.public.kid, away)
    files = {path.name for path in tmp_path.iterdir()}
    assert accepted(signed(IssuingKey(tmp_path)), first)
    with pytest.raises(Conflict, match="Not enough"):
        key.publish(key.rotation())
    assert {path.name for path in tmp_path.iterdir()} == files, "the key that nothing vouches for is gone"
    draft = manifest.draft(key.rotation())
    with pytest.raises(DocumentInvalid):
        key.install(draft)
    data, kids = sign_draft(draft, away)
    assert kids == [first.body.roots.keys[0].kid]
    assert [key.install(data).version for _ in range(2)] == [2, 2]
    assert accepted(signed(key), followed(first, key))


def test_roots_hand_over_to_others(key: IssuingKey, tmp_path: Path) -> None:
    """Old and new roots sign; a client follows over several versions from wherever it was."""
    first = key.manifest()
    stores = [FileStore(tmp_path / name) for name in "abc"]
    publics = tuple(each.generate("root", HYBRID).public for each in stores)
    data = manifest.draft(key.succession(Roots(threshold=2, keys=publics)))
    for store in stores[:2]:
        data, _ = sign_draft(data, store)
        with pytest.raises(DocumentInvalid):
            key.install(data)
    data, _ = sign_draft(data, key.roots())
    second = key.install(data)
    data = manifest.draft(key.rotation())
    for store in stores[1:]:
        data, _ = sign_draft(data, store)
    third = key.install(data)
    assert [each.version for each in key.manifests()] == [2, 3]
    for known in (first, second, third):
        assert accepted(signed(key), followed(known, key))
    with pytest.raises(Conflict):
        key.publish(key.rotation())
    with pytest.raises(NotFound, match="None of the roots"):
        sign_draft(third.to_bytes(), key.roots())


def test_two_changes_at_once_are_one(key: IssuingKey, tmp_path: Path) -> None:
    """Of two processes that make the same version one is refused, and its key is gone."""
    other = IssuingKey(tmp_path)
    mine, theirs = key.rotation(), other.rotation()
    other.publish(theirs)
    with pytest.raises(Conflict, match="another process"):
        key.publish(mine)
    assert key.manifest().body == theirs
    assert not (tmp_path / f"issuing-{mine.issuing[0].key.kid}.key").exists()


def test_processes_that_rotate_at_once_leave_one_chain(key: IssuingKey, tmp_path: Path) -> None:
    """Each gets its turn or is refused; every version follows from the one before, and one private key is left."""
    first = key.manifest()
    running = [
        subprocess.Popen([sys.executable, "-c", ROTATE, str(tmp_path)], stdout=subprocess.PIPE) for _ in range(3)
    ]
    done = sum(int(each.communicate(timeout=60)[0].split()[-1]) for each in running)
    assert done >= 5
    assert key.manifest().version == 1 + done
    versions = sorted(int(path.stem.removeprefix("manifest-")) for path in tmp_path.glob("manifest-*.json"))
    assert versions == list(range(1, 2 + done))
    assert accepted(signed(key), followed(first, key))
    assert [each.public for each in FileStore(tmp_path).stored()] == [key.current().public]


def test_a_manifest_whose_key_is_elsewhere_is_not_installed(key: IssuingKey, tmp_path: Path) -> None:
    """A server must be able to sign with the key that its manifest names."""
    body = key.rotation()
    data, _ = sign_draft(manifest.draft(body), key.roots())
    (tmp_path / f"issuing-{body.issuing[0].key.kid}.key").unlink()
    with pytest.raises(NotFound, match="is not in"):
        key.install(data)
    assert key.manifest().version == 1


def test_an_ended_key_signs_no_more(key: IssuingKey, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server says so instead of signing what every client refuses."""
    key.publish(key.rotation(timedelta(seconds=-10)))
    with pytest.raises(Unavailable, match="has ended"):
        key.current()


def test_an_unreadable_folder_does_not_stop_a_running_server(key: IssuingKey, tmp_path: Path) -> None:
    """It goes on with the key that it has; a server that starts then says what is wrong."""
    kid = key.current().public.kid
    shutil.copy(tmp_path / "manifest-1.json", tmp_path / "manifest-2.json")
    (tmp_path / "manifest-3.json").write_text("{}")
    assert key.current().public.kid == kid
    for started in (lambda: IssuingKey(tmp_path), key.manifest):
        with pytest.raises(KeyFolderError, match=r"manifest-3\.json"):
            started()


def test_a_lost_private_key_is_named_and_replaced(key: IssuingKey, tmp_path: Path) -> None:
    """The sentence says that the backup has it; a rotation needs the root only."""
    (tmp_path / f"issuing-{key.current().public.kid}.key").unlink()
    started = IssuingKey(tmp_path)
    with pytest.raises(KeyFolderError, match="backup"):
        started.current()
    started.publish(started.rotation())
    assert accepted(signed(started), followed(key.manifest(), started))


def test_the_newest_manifest_is_enough(key: IssuingKey, tmp_path: Path) -> None:
    """Older ones may be lost: they are needed only by applications that know no newer one."""
    key.publish(key.rotation())
    (tmp_path / "manifest-1.json").unlink()
    assert IssuingKey(tmp_path).current().public == key.current().public


def test_a_protected_key_asks_for_its_passphrase_when_it_signs(tmp_path: Path) -> None:
    """Opening the folder needs none, so that other commands run without it."""
    protected = FileStore(tmp_path, b"correct horse")
    assert IssuingKey(tmp_path, store=protected).current()
    bare = IssuingKey(tmp_path)
    assert bare.manifest().version == 1
    with pytest.raises(KeyFolderError, match="LICENTIA_KEY_PASSPHRASE_FILE"):
        bare.current()


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """The old text or the new one is there, and no draft is left."""
    path = tmp_path / "file"
    for text in ("one", "two"):
        keyfiles.replace(path, text)
        assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]
