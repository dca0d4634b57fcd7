"""The keys that sign for containers change hands by command, beside a server, with roots here and elsewhere."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from licentia.cli import root
from licentia.cli.commands import key_issuing
from licentia.crypto.manifest import Manifest, read_pinned, verify_next
from licentia.services import issuing_keys


@pytest.fixture
def config(data: Path) -> Path:
    """Settings of the test's data folder, for commands."""
    file = data / "licentia.toml"
    file.write_text(f"data = {json.dumps(str(data))}\n")
    return file


def run(line: str, *, code: int = 0, typed: str | None = None, **environ: str) -> tuple[str, str]:
    """What `licentia key ...` prints on both outputs; its exit code must be `code`."""
    clean: dict[str, str | None] = dict.fromkeys(name for name in os.environ if name.startswith("LICENTIA_"))
    runner = CliRunner(env=clean | environ)
    done = runner.invoke(root.licentia, ["key", *line.split()], input=typed, prog_name="licentia")
    assert done.exit_code == code, (line, done.stdout, done.stderr, done.exception)
    return done.stdout, done.stderr


def written(path: Path, line: str, **environ: str) -> Path:
    """The file with what a command printed."""
    path.write_text(run(line, **environ)[0])
    return path


def told(line: str, code: int = 0) -> Any:
    """The object that a command prints with `-o json`."""
    return json.loads(run(f"{line} -o json", code=code)[0])


def pinned(config: Path) -> Manifest:
    """The manifest that an application brings along that is built now."""
    return read_pinned(run(f"manifest --config {config}")[0].encode())


def test_keys_are_changed_by_one_command_while_the_root_is_here(config: Path) -> None:
    """Rotate and revoke; each version follows from the one before, and the texts say what comes next."""
    first = pinned(config)
    assert (
        "signs for containers; the key manifest has version 2" in run(f"issuing rotate --days 365 --config {config}")[0]
    )
    old = told(f"manifest --config {config}")["issuing"][1]["kid"]
    revoked = told(f"issuing revoke {old} --config {config}")
    assert [each["state"] for each in revoked["issuing"]] == ["current", "revoked"]
    assert revoked["version"] == verify_next(first, pinned(config).to_bytes()).version == 3
    assert told(f"issuing revoke nobody --config {config}", code=2)["code"] == "not_found"


def test_roots_that_are_elsewhere_sign_drafts(config: Path, tmp_path: Path) -> None:
    """Two of three new roots and the old one sign; from then on the server alone can change nothing."""
    first = pinned(config)
    secret = tmp_path / "secret"
    secret.write_text("correct horse\n")
    environ = {"LICENTIA_KEY_PASSPHRASE_FILE": str(secret)}
    publics = [written(tmp_path / f"{name}.json", f"root new {tmp_path}/root-{name}", **environ) for name in "abc"]
    draft = tmp_path / "draft"
    wish = f"root use {' '.join(map(str, publics))} --threshold 2 --draft {draft} --config {config}"
    assert "waits for the root keys" in run(wish)[0]
    assert told(f"issuing install {draft} --config {config}", code=2)["code"] == "document_invalid"
    for folder in ("root-a", "root-c"):
        line = f"root sign {draft} {tmp_path}/{folder}"
        assert "2 of the root keys must sign" in run(line, **environ)[1]
        written(draft, line, **environ)
    written(draft, f"root sign {draft} {config.parent}/keys/root")
    handed = told(f"issuing install {draft} --config {config}")
    assert (handed["version"], handed["roots"]["threshold"], len(handed["signed_by"])) == (2, 2, 3)
    assert told(f"issuing rotate --config {config}", code=2)["code"] == "conflict"
    run(f"issuing rotate --draft {draft} --config {config}")
    for folder in ("root-b", "root-a"):
        written(draft, f"root sign {draft} {tmp_path}/{folder}", **environ)
    known = verify_next(first, handed_over(config, 2))
    assert told(f"issuing install {draft} --config {config}")["version"] == 3
    assert verify_next(known, pinned(config).to_bytes()).version == 3


def handed_over(config: Path, version: int) -> bytes:
    """A version of the key manifest from the server's folder."""
    return (config.parent / "keys" / f"manifest-{version}.json").read_bytes()


def test_the_root_is_moved_off_the_server(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It needs a passphrase, or the word that it shall have none; then nothing of it is left here."""
    safe = tmp_path / "safe"
    assert "--unprotected" in run(f"root export {safe} --config {config}", code=64)[1]
    monkeypatch.setattr(key_issuing, "_typed_on", lambda: True)
    assert "no longer here" in run(f"root export {safe} --config {config}", typed="correct horse\n" * 2)[0]
    assert list((config.parent / "keys" / "root").iterdir()) == []
    assert "correct horse" not in next(safe.iterdir()).read_text()
    draft = tmp_path / "draft"
    run(f"issuing rotate --draft {draft} --config {config}")
    assert "another passphrase" in run(f"root sign {draft} {safe}", typed="wrong\n", code=1)[1]
    signed = run(f"root sign {draft} {safe}", typed="correct horse\n")[0]
    draft.write_text(signed)
    assert told(f"issuing install {draft} --config {config}")["version"] == 2
    assert told(f"root export {safe} --unprotected --config {config}") == {"exported": []}


def test_wrong_files_are_told(config: Path, tmp_path: Path) -> None:
    """Something else than a draft or a public key, or too few roots for the threshold."""
    other = tmp_path / "other"
    other.write_text("{}")
    run(f"root new {tmp_path}/safe --unprotected")
    assert told(f"root sign {other} {tmp_path}/safe", code=2)["code"] == "document_invalid"
    assert "is no public key" in run(f"root use {other} --config {config}", code=1)[1]
    public = written(tmp_path / "a.json", f"root new {tmp_path}/a --unprotected")
    assert "different keys" in run(f"root use {public} {public} --config {config}", code=64)[1]
    assert "different keys" in run(f"root use {public} --threshold 2 --config {config}", code=64)[1]
    assert told(f"root new {tmp_path}/b --unprotected")["public"]["suite"] == "licentia-1-ed25519-mldsa65"


def test_keys_are_put_behind_a_passphrase(config: Path, tmp_path: Path) -> None:
    """Root and issuing key of the server; without a passphrase the command says where it is named."""
    pinned(config)
    assert "LICENTIA_KEY_PASSPHRASE_FILE" in run(f"issuing protect --config {config}", code=1)[1]
    secret = tmp_path / "secret"
    secret.write_text("correct horse\n")
    done = run(f"issuing protect -o json --config {config}", LICENTIA_KEY_PASSPHRASE_FILE=str(secret))[0]
    assert json.loads(done) == {"protected": 2}
    assert "passphrase" in run(f"issuing rotate --config {config}", code=1)[1]
    run(f"issuing rotate --config {config}", LICENTIA_KEY_PASSPHRASE_FILE=str(secret))


async def test_all_of_it_is_in_the_trail(open_desk: Callable[..., Any]) -> None:
    """Drafts, rotations and revocations, with the ids of the keys and no secret."""
    desk = await open_desk()
    first = desk.application.issuing.current().public.kid
    second = await issuing_keys.publish(desk.application, lambda key: key.rotation())
    await issuing_keys.publish(desk.application, lambda key: key.revocation(first))
    await issuing_keys.install(desk.application, desk.application.issuing.manifest().to_bytes())
    await issuing_keys.draft(desk.application, lambda key: key.rotation())
    told = [(event.kind, event.actor, event.data) for event in await desk.events()]
    assert [each for each in told if each[0].partition(".")[0] in ("manifest", "issuing_key", "root_key")] == [
        ("manifest.installed", "operator", {"version": 2}),
        ("issuing_key.rotated", "operator", {"version": 2, "kid": second.body.issuing[0].key.kid, "previous": first}),
        ("manifest.installed", "operator", {"version": 3}),
        ("issuing_key.revoked", "operator", {"version": 3, "kid": first}),
        ("manifest.drafted", "operator", {"version": 4}),
    ]
