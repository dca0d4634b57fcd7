"""`licentia bench` on a database that is in use: it tells rates, touches nothing, and leaves nothing."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

COMMAND = [sys.executable, "-m", "licentia", "bench"]
WAIT_SECONDS = 60
DEEDS = {"checkout", "renewal", "release", "one_commit_each"}


def bench(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The command with few clients for a second, run to its end."""
    words = [*COMMAND, "--seconds", "1", "--clients", "8", *arguments]
    return subprocess.run(words, capture_output=True, text=True, timeout=WAIT_SECONDS, cwd=folder, check=False)


async def names(server: str) -> set[str]:
    """The throw-away databases on a PostgreSQL server."""
    connection = await asyncpg.connect(server)
    try:
        rows = await connection.fetch("SELECT datname FROM pg_database WHERE datname LIKE 'licentia_bench_%'")
        return {row["datname"] for row in rows}
    finally:
        await connection.close()


def test_it_tells_rates_and_leaves_the_data_alone(data: Path) -> None:
    """With `-o json` every rate is there and positive; the folder is afterwards what it was, to the octet."""
    (data / "licentia.toml").write_text("", "utf-8")
    before = {path: hashlib.sha256(path.read_bytes()).digest() for path in data.rglob("*") if path.is_file()}
    done = bench("--config", "licentia.toml", "-o", "json", folder=data)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["clients"] == 8
    assert told["flush_ms"] > 0
    assert told["commit_ms"] > 0
    for kind in ("hot", "spread"):
        assert set(told[kind]) == DEEDS
        for rate in told[kind].values():
            assert rate["per_second"] > 0
            assert 0 < rate["p50_ms"] <= rate["p99_ms"] <= rate["p999_ms"]
    slowest = min(told[kind]["renewal"]["per_second"] for kind in ("hot", "spread"))
    # Its rate was not rounded before it was multiplied.
    assert abs(told["renewing_clients"] - slowest / 2 * 200) <= 6
    assert {path: hashlib.sha256(path.read_bytes()).digest() for path in data.rglob("*") if path.is_file()} == before


def test_it_works_on_postgres(postgres_url: str, tmp_path: Path) -> None:
    """On PostgreSQL it tells its steps and a table, and drops the database that it made."""
    done = bench("--database", postgres_url, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for word in ("one license for all", "1,000 licenses", "checkout", "renewal", "release", "one commit each"):
        assert word in done.stdout
    assert "running programs" in done.stdout
    assert "one transaction at a time takes" in done.stderr
    assert asyncio.run(names(postgres_url)) == set()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_whoever_stops_it_finds_nothing_left(stop: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C and `kill` in the middle end it soon, without a traceback, and its folder is gone."""
    words = [*COMMAND, "--seconds", "600", "--database", f"sqlite:///{tmp_path}/none.db"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if "one transaction at a time" in line:
                break
        assert len(list(tmp_path.iterdir())) == 1
        running.send_signal(stop)
        _, errors = running.communicate(timeout=WAIT_SECONDS)
    assert running.returncode == 130
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


def test_a_stop_drops_the_database(postgres_url: str) -> None:
    """Ctrl-C in the middle drops the throw-away database on PostgreSQL too."""
    words = [*COMMAND, "--seconds", "600", "--database", postgres_url]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if "one commit each" in line:
                break
        assert len(asyncio.run(names(postgres_url))) == 1
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=WAIT_SECONDS)
    assert running.returncode == 130
    assert "Traceback" not in errors
    assert asyncio.run(names(postgres_url)) == set()


def test_a_user_who_may_not_make_databases_is_told(postgres_url: str, tmp_path: Path) -> None:
    """Without the right to create a database nothing is measured, and the fault names the right, not the password."""
    role = f"licentia_plain_{os.getpid()}"

    async def execute(statement: str) -> None:
        connection = await asyncpg.connect(postgres_url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(execute(f"CREATE ROLE {role} LOGIN PASSWORD 'hush-hush'"))
    try:
        parts = urlsplit(postgres_url)
        url = parts._replace(netloc=f"{role}:hush-hush@{parts.hostname}:{parts.port}").geturl()
        done = bench("--database", url, folder=tmp_path)
    finally:
        asyncio.run(execute(f"DROP ROLE {role}"))
    assert done.returncode == 1
    assert "CREATEDB" in done.stderr
    assert "hush-hush" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("url", ["sqlite:////no/such/folder/a.db", "postgres://nobody@127.0.0.1:1/none", "mysql://x/y"])
def test_a_place_that_is_not_there_is_one_sentence(url: str, tmp_path: Path) -> None:
    """A folder or server that cannot be reached, or another kind of database, is a fault that names it."""
    done = bench("--database", url, folder=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert url.removeprefix("sqlite:///").removesuffix("/a.db") in done.stderr
