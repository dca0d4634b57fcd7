"""Where private keys are kept: in files with and without a passphrase, and on a token."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from licentia.crypto.keyfiles import KeyFolderError
from licentia.crypto.keystores import KeyStore
from licentia.crypto.keystores.files import FileStore, KeyFile
from licentia.crypto.keystores.opened import open_store, passphrase
from licentia.crypto.signing import SoftwareKey
from licentia.crypto.suites import ED25519, HYBRID, SUITES
from licentia.errors import NotFound

MODULES = [Path("/usr/lib/softhsm/libsofthsm2.so"), Path("/opt/homebrew/lib/softhsm/libsofthsm2.so")]
suites = pytest.mark.parametrize("suite", SUITES)


def only(folder: Path) -> Path:
    """The one key file of a folder."""
    (path,) = folder.glob("*.key")
    return path


@suites
@pytest.mark.parametrize("secret", [None, b"correct horse"])
def test_a_key_is_kept_in_a_file(tmp_path: Path, suite: str, secret: bytes | None) -> None:
    """Another process signs with it, and it is listed without the passphrase."""
    key = FileStore(tmp_path / "keys", secret).generate("issuing", suite)
    again = FileStore(tmp_path / "keys", secret).signer(key.public.kid)
    assert key.public.check(b"text", again.sign(b"text"))
    (listed,) = FileStore(tmp_path / "keys").stored()
    assert (listed.role, listed.public, listed.kept) == ("issuing", key.public, "passphrase" if secret else "file")


@pytest.mark.skipif(os.name == "nt", reason="rights of files are told otherwise there")
def test_a_key_file_is_its_owners_only(tmp_path: Path) -> None:
    """Nobody else on the machine can read the file or list the folder."""
    FileStore(tmp_path / "keys").generate("root", ED25519)
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    assert stat.S_IMODE(only(tmp_path / "keys").stat().st_mode) == 0o600


def test_a_passphrase_keeps_the_private_key_out_of_the_file(tmp_path: Path) -> None:
    """The seeds are in a file without one, and not in a file with one."""
    for secret, there in ((None, True), (b"correct horse", False)):
        key = FileStore(tmp_path / str(there), secret).generate("root", ED25519)
        file = msgspec.json.decode(only(tmp_path / str(there)).read_bytes(), type=KeyFile)
        assert (key.to_bytes() in file.secret) is there
        assert key.to_bytes().hex() not in repr(file)


@pytest.mark.parametrize(("given", "told"), [(None, "LICENTIA_KEY_PASSPHRASE_FILE"), (b"wrong", "another passphrase")])
def test_a_missing_or_wrong_passphrase_is_told(tmp_path: Path, given: bytes | None, told: str) -> None:
    """One sentence says which key it is and what to do; neither passphrase is in it."""
    key = FileStore(tmp_path, b"correct horse").generate("issuing", ED25519)
    with pytest.raises(KeyFolderError, match=told) as refusal:
        FileStore(tmp_path, given).signer(key.public.kid)
    assert key.public.kid in str(refusal.value)
    assert "horse" not in str(refusal.value)
    assert "wrong" not in str(refusal.value)


def test_what_is_readable_in_a_protected_file_cannot_be_changed(tmp_path: Path) -> None:
    """Neither the role nor the public half: the passphrase then opens nothing."""
    key = FileStore(tmp_path, b"correct horse").generate("issuing", ED25519)
    path = only(tmp_path)
    changed = path.with_name(path.name.replace("issuing", "root"))
    changed.write_text(path.read_text().replace('"issuing"', '"root"'))
    path.unlink()
    with pytest.raises(KeyFolderError, match="was changed"):
        FileStore(tmp_path, b"correct horse").signer(key.public.kid)


@pytest.mark.parametrize("text", ["", "{}", "[]", "\xe4", '{"format":"licentia-key-2"}'])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    """The error names the file and says what to do."""
    store = FileStore(tmp_path)
    store.generate("root", ED25519)
    only(tmp_path).write_text(text, "latin-1")
    with pytest.raises(KeyFolderError, match=r"root-.*\.key"):
        store.stored()


def test_a_file_of_another_key_is_refused(tmp_path: Path) -> None:
    """One that was renamed, and one whose private half is not that of its public half."""
    store = FileStore(tmp_path)
    key = store.generate("root", ED25519)
    path = only(tmp_path)
    other = msgspec.structs.replace(store.file(key.public.kid), secret=SoftwareKey.generate(ED25519).to_bytes())
    path.write_bytes(msgspec.json.encode(other))
    with pytest.raises(KeyFolderError, match="damaged"):
        store.signer(key.public.kid)
    path.rename(path.with_name("root-other.key"))
    with pytest.raises(KeyFolderError, match="another key than its name says"):
        store.stored()


def test_keys_are_put_behind_a_passphrase_afterwards(tmp_path: Path) -> None:
    """Those without one get it, once; the key stays the same. Without a passphrase nothing is changed."""
    key = FileStore(tmp_path).generate("issuing", ED25519)
    with pytest.raises(KeyFolderError, match="no passphrase"):
        FileStore(tmp_path).protect()
    assert [FileStore(tmp_path, b"correct horse").protect() for _ in range(2)] == [1, 0]
    assert FileStore(tmp_path, b"correct horse").signer(key.public.kid).public == key.public
    assert len(list(tmp_path.iterdir())) == 1


def test_a_key_moves_to_another_folder(tmp_path: Path) -> None:
    """It is there behind that folder's passphrase, and no longer here."""
    here, there = FileStore(tmp_path / "a"), FileStore(tmp_path / "b", b"correct horse")
    key = here.generate("root", ED25519)
    here.move(key.public.kid, there)
    assert here.stored() == []
    assert there.signer(key.public.kid).to_bytes() == key.to_bytes()
    with pytest.raises(NotFound):
        here.move(key.public.kid, there)


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, None),
        ({"LICENTIA_KEY_PASSPHRASE": "correct horse"}, b"correct horse"),
        ({"LICENTIA_KEY_PASSPHRASE_FILE": "FILE"}, b"from a file "),
    ],
)
def test_the_passphrase_comes_from_a_variable_or_a_file(
    tmp_path: Path, environ: dict[str, str], found: bytes | None
) -> None:
    """The line break at a file's end is not part of it."""
    (tmp_path / "secret").write_text("from a file \n")
    assert passphrase({name: text.replace("FILE", str(tmp_path / "secret")) for name, text in environ.items()}) == found


@pytest.mark.parametrize(
    "environ",
    [
        {"LICENTIA_KEY_PASSPHRASE": ""},
        {"LICENTIA_KEY_PASSPHRASE_FILE": "/nowhere/secret"},
        {"LICENTIA_KEY_PASSPHRASE": "a", "LICENTIA_KEY_PASSPHRASE_FILE": "b"},
        {"LICENTIA_KEY_STORE": "vault"},
        {"LICENTIA_KEY_STORE": "pkcs11:token=a"},
        {"LICENTIA_KEY_STORE": "pkcs11:token=a?module-path=/b&pin-source=file:/c&pin-value=1234"},
        {"LICENTIA_KEY_STORE": "pkcs11:token=a;serial=1?module-path=/b&pin-source=file:/c"},
    ],
)
def test_a_wrong_variable_is_named(tmp_path: Path, environ: dict[str, str]) -> None:
    """An empty or unreadable passphrase, or a store that there is not, stops the start."""
    with pytest.raises(KeyFolderError, match=r"LICENTIA_KEY_|PIN"):
        open_store(tmp_path, environ)


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables of a fresh SoftHSM token."""
    pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed")
    module = next((each for each in MODULES if each.exists()), None)
    program = shutil.which("softhsm2-util")
    if module is None or program is None:
        pytest.skip("SoftHSM2 is not installed")
    folder = tmp_path_factory.mktemp("token")
    (folder / "tokens").mkdir()
    (folder / "pin").write_text("1234\n")
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")  # the library reads it once in a process
    make = [program, "--init-token", "--free", "--label", "licentia test", "--so-pin", "12345678", "--pin", "1234"]
    subprocess.run(make, check=True, capture_output=True)
    uri = f"pkcs11:token=licentia%20test?module-path={module}&pin-source=file:{folder}/pin"
    return {"LICENTIA_KEY_STORE": uri, "LICENTIA_KEY_PASSPHRASE": "correct horse"}


@pytest.fixture
def on_token(token: dict[str, str], tmp_path: Path) -> KeyStore:
    """A store on the token."""
    return open_store(tmp_path, token)


@suites
def test_a_token_signs(on_token: KeyStore, token: dict[str, str], tmp_path: Path, suite: str) -> None:
    """Its signatures are those of any key of the suite, and another process finds the key again."""
    key = on_token.generate("issuing", suite)
    again = open_store(tmp_path, token).signer(key.public.kid)
    assert key.public.check(b"text", key.sign(b"text"))
    assert key.public.check(b"more", again.sign(b"more"))
    kept = {ED25519: "token", HYBRID: "token+passphrase"}[suite]
    assert [(each.public, each.kept) for each in on_token.stored()] == [(key.public, kept)]
    assert key.public.kid in repr(key)


def test_the_private_half_stays_on_the_token(on_token: KeyStore, tmp_path: Path) -> None:
    """It is neither in the folder nor to be had from the token: the file alone signs nothing."""
    import pkcs11
    from pkcs11 import Attribute, ObjectClass

    key = on_token.generate("issuing", ED25519)
    with pytest.raises(KeyFolderError, match="is on a token"):
        FileStore(tmp_path, b"correct horse").signer(key.public.kid)
    file = FileStore(tmp_path).file(key.public.kid)

    def value(session: pkcs11.Session) -> bytes:
        private = session.get_key(object_class=ObjectClass.PRIVATE_KEY, id=file.token)
        return bytes(private[Attribute.VALUE])

    with pytest.raises(KeyFolderError, match=r"cannot be used: .*ensitive"):
        on_token._token.do(value)  # type: ignore[attr-defined]
    assert key.public.check(b"text", key.sign(b"text")), "a refusal ends the session, and the next call opens another"


def test_many_threads_share_a_token(on_token: KeyStore) -> None:
    """The library would crash on two threads; here all of them get their signatures."""
    key = on_token.generate("issuing", ED25519)
    with ThreadPoolExecutor(8) as pool:
        signed = list(pool.map(lambda number: key.sign(str(number).encode()), range(200)))
    assert all(key.public.check(str(number).encode(), each) for number, each in enumerate(signed))


def test_a_key_that_is_removed_is_gone_from_the_token(
    on_token: KeyStore, token: dict[str, str], tmp_path: Path
) -> None:
    """A copy of its file finds nothing there any more."""
    key = on_token.generate("issuing", ED25519)
    copy = only(tmp_path).read_text()
    on_token.remove(key.public.kid)
    assert on_token.stored() == []
    with pytest.raises(NotFound):
        on_token.signer(key.public.kid)
    (tmp_path / f"issuing-{key.public.kid}.key").write_text(copy)
    with pytest.raises(KeyFolderError, match="cannot be used"):
        open_store(tmp_path, token).signer(key.public.kid).sign(b"text")


def test_keys_in_files_stay_good_beside_a_token(on_token: KeyStore, tmp_path: Path) -> None:
    """Whoever goes over to a token signs with the old key until the next rotation."""
    key = FileStore(tmp_path, b"correct horse").generate("issuing", HYBRID)
    assert on_token.signer(key.public.kid).public == key.public


def test_a_token_that_is_not_there_is_told(token: dict[str, str], tmp_path: Path) -> None:
    """The token is named, whether it, its library or the file with the PIN is missing."""
    uri = token["LICENTIA_KEY_STORE"]
    for wrong in (uri.replace("licentia%20test", "elsewhere"), uri.replace(".so", ".no"), uri + "-is-elsewhere"):
        with pytest.raises(KeyFolderError, match=r"The token '.*' cannot be used: .+\."):
            open_store(tmp_path, token | {"LICENTIA_KEY_STORE": wrong}).generate("issuing", ED25519)
    assert list(tmp_path.glob("*.key")) == []


def test_a_wrong_pin_is_told(token: dict[str, str], tmp_path: Path) -> None:
    """By a process of its own, because one that has logged in stays so."""
    (tmp_path / "wrong").write_text("9999")
    uri = token["LICENTIA_KEY_STORE"].partition("&")[0] + f"&pin-source=file:{tmp_path}/wrong"
    program = "import pathlib, sys; from licentia.crypto.keystores.opened import open_store; "
    program += "open_store(pathlib.Path(sys.argv[1])).generate('issuing', 'licentia-1-ed25519')"
    environ = os.environ | token | {"LICENTIA_KEY_STORE": uri}
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "KeyFolderError: The token 'licentia test' cannot be used: PinIncorrect." in done.stderr
    assert "9999" not in done.stderr
