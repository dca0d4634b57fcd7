"""The lease key changes while leases are out and servers run: every lease stays good until its key is retired."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from click.testing import CliRunner
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from licentia.cli import root
from licentia.errors import Conflict, NotFound
from licentia.services import lease_keys

SOON = 1.5
"""Seconds within which a running server must sign with a new key."""


def kid_of(token: str) -> str:
    """The key that a token names."""
    return str(jws.extract_compact(token.encode()).headers()["kid"])


def claims(token: str, keys: Any) -> dict[str, Any]:
    """The claims of a token that holds under a published key set."""
    return dict(jwt.decode(token, KeySet.import_key_set(keys), algorithms=["Ed25519"]).claims)


async def published(desk: Any) -> dict[str, Any]:
    """The key set that a server publishes now."""
    return dict(msgspec.to_builtins(await desk("ListPublicKeys")))


async def signed_with(desk: Any, kid: str) -> str:
    """Renew until the token is signed with a key, which must be soon; the token."""
    deadline = time.monotonic() + SOON
    while kid_of(token := (await desk.checkout()).token) != kid:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    return str(token)


async def test_a_lease_outlives_the_key_that_signed_it(open_desk: Callable[..., Any]) -> None:
    """Two servers on one folder: both publish a new key before either signs with it, and old tokens stay good."""
    here, there = await open_desk(), await open_desk()
    await here.sold()
    old = (await here.checkout()).token
    current, previous = await lease_keys.rotate(here.application)
    assert previous is not None
    assert previous.kid == kid_of(old)
    for desk in (here, there):
        keys = await published(desk)
        assert [key["kid"] for key in keys["keys"]] == [current.kid, previous.kid]
        assert claims(old, keys)["jti"] == "l1"
    for desk in (there, here):
        assert claims(await signed_with(desk, current.kid), await published(desk))["jti"] == "l1"


async def test_a_prepared_key_signs_when_it_is_used(open_desk: Callable[..., Any]) -> None:
    """A prepared key is published and signs nothing, however long; it is recorded once, as is its use."""
    desk = await open_desk()
    await desk.sold()
    prepared = await lease_keys.prepare(desk.application)
    assert await lease_keys.prepare(desk.application) == prepared
    await asyncio.sleep(1.1)
    assert kid_of((await desk.checkout()).token) != prepared.kid
    assert prepared.kid in {key["kid"] for key in (await published(desk))["keys"]}
    for _ in range(2):
        assert (await lease_keys.rotate(desk.application, prepared.kid)).current == prepared
    await signed_with(desk, prepared.kid)
    kinds = [kind for kind in await desk.kinds() if kind.startswith("lease_key.")]
    assert kinds == ["lease_key.prepared", "lease_key.rotated"]


async def test_a_retired_key_proves_nothing(open_desk: Callable[..., Any]) -> None:
    """The tokens of a retired key hold no more; all of it is in the trail, with the ids of the keys and no secret."""
    desk = await open_desk()
    await desk.sold()
    old = (await desk.checkout()).token
    current, previous = await lease_keys.rotate(desk.application)
    assert previous is not None
    with pytest.raises(Conflict):
        await lease_keys.retire(desk.application, current.kid, None)
    assert await lease_keys.retire(desk.application, None, timedelta(days=1)) == []
    assert await lease_keys.retire(desk.application, previous.kid, None) == [previous.kid]
    with pytest.raises(JoseError):
        claims(old, await published(desk))
    with pytest.raises(NotFound):
        await lease_keys.retire(desk.application, previous.kid, None)
    told = [(event.kind, event.actor, event.data) for event in await desk.events()]
    assert [each for each in told if each[0].startswith("lease_key.")] == [
        ("lease_key.rotated", "operator", {"kid": current.kid, "previous": previous.kid}),
        ("lease_key.retired", "operator", {"kid": previous.kid}),
    ]


@pytest.fixture
def config(data: Path) -> Path:
    """Settings of the test's data folder, for commands."""
    file = data / "licentia.toml"
    file.write_text(f"data = {json.dumps(str(data))}\n")
    return file


def run(line: str, config: Path, code: int = 0) -> str:
    """What `licentia key ...` prints; its exit code must be `code`."""
    environment = dict.fromkeys(name for name in os.environ if name.startswith("LICENTIA_"))
    words = ["key", *line.split(), "--config", str(config)]
    done = CliRunner(env=environment).invoke(root.licentia, words, prog_name="licentia")
    assert done.exit_code == code, (line, done.stdout, done.stderr)
    return done.stdout if code in (0, 2) else done.stderr


def test_the_commands_work_beside_a_running_server(server: Any, config: Path) -> None:
    """Rotate, prepare, use and retire by command, each seen at /v1/keys of the running server at once."""

    def kids() -> list[str]:
        answer = httpx.get(f"{server.url}/v1/keys").json()
        server.run(asyncio.sleep(0.02))  # its log line comes after the answer, and not into an output
        return [key["kid"] for key in answer["keys"]]

    def told(line: str, code: int = 0) -> Any:
        return json.loads(run(f"{line} -o json", config, code))

    (first,) = kids()
    second = told("rotate")
    assert second == {"kid": kids()[0], "state": "current", "previous": first}
    prepared = told("rotate --prepare")
    assert prepared == {"kid": kids()[1], "state": "prepared", "previous": None}
    assert "already" not in run(f"rotate --use {prepared['kid']}", config)
    assert "already" in run(f"rotate --use {prepared['kid']}", config)
    assert kids() == [prepared["kid"], second["kid"], first]
    assert told(f"retire {first}") == {"retired": [first]}
    assert told("retire --older-than 1") == {"retired": []}
    assert "cannot be checked any more" in run("retire --older-than 0", config)
    assert kids() == [prepared["kid"]]
    assert told(f"retire {prepared['kid']}", code=2)["code"] == "conflict"
    assert told(f"rotate --use {first}", code=2)["code"] == "not_found"


@pytest.mark.parametrize("line", ["rotate --prepare --use x", "retire", "retire x --older-than 3"])
def test_half_a_wish_is_wrong_usage(line: str, config: Path) -> None:
    """What cannot be meant is refused before anything is opened, and says what to give."""
    assert "ive " in run(line, config, code=64)
