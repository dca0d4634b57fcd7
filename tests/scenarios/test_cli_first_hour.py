"""The first hour with the command line: a data folder, a server in a process of its own, an order, a seat."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from licentia.cli import root
from licentia.cli.commands.contract import VECTORS

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("LICENTIA_")}


def licentia(line: str, *more: str, code: int = 0, **variables: str) -> str:
    """What a command prints, at a fault on the standard error; its exit code must be `code`."""
    environment = dict.fromkeys(os.environ.keys() - ENVIRONMENT.keys()) | variables
    done = CliRunner().invoke(root.licentia, [*line.split(), *more], prog_name="licentia", env=environment)
    assert done.exit_code == code, (line, more, done.stdout, done.stderr)
    return done.stdout if code in (0, 2) else done.stderr


def reply(line: str, *more: str, code: int = 0, **variables: str) -> Any:
    """The JSON that a command prints."""
    return json.loads(licentia(line, *more, "-o", "json", code=code, **variables) or "null")


@contextmanager
def serving(config: Path, *options: str, **variables: str) -> Iterator[str]:
    """The URL of a server that runs on a data folder; stopped by SIGTERM, after which its exit code must be 0."""
    command = [sys.executable, "-m", "licentia", "serve", "--config", str(config), "--port", "0", *options]
    server = subprocess.Popen(command, env=ENVIRONMENT | variables, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    lines = [server.stderr.readline()]
    drain = threading.Thread(target=lambda: lines.extend(server.stderr or ()))
    drain.start()
    try:
        found = re.search(r"http://\S+(?=\.)", lines[0])
        assert found, lines
        yield found[0]
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            code = server.wait(timeout=30)
        finally:
            server.kill()
            drain.join()
            server.stderr.close()
    assert code == 0, lines


def not_serving(config: Path, *options: str) -> str:
    """What a server says that cannot start; its exit code must be 1."""
    command = [sys.executable, "-m", "licentia", "serve", "--config", str(config), *options]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The settings of a fresh data folder with a product."""
    licentia("init", str(tmp_path / "acme"))
    config = tmp_path / "acme" / "licentia.toml"
    product = "product put acme-cad --item code=201001,quantity=2 --name"
    licentia(product, "Acme CAD", LICENTIA_CONFIG=str(config))
    return config


def key_for(config: Path, *scopes: str) -> str:
    """A new key."""
    made = reply(f"key create --scopes {','.join(scopes)} --config", str(config))
    assert set(made) == {"key_id", "key"}
    return str(made["key"])


def test_from_an_empty_folder_to_a_seat(config: Path) -> None:
    """init, key, serve; then an order, its ticket, an activation and a seat, each by a command on the server."""
    key = key_for(config, "admin", "sales", "depot", "licensing")
    with serving(config) as url:
        there = {"LICENTIA_URL": url, "LICENTIA_KEY": key}
        order = reply("order create --source shop --order-number 7 --customer c1 --line acme-cad:1", **there)
        assert order["created"]
        again = reply("order create --source shop --order-number 7 --customer c1 --line acme-cad:1", **there)
        assert (again["created"], again["ticket"]) == (False, order["ticket"])
        assert order["ticket"] in licentia("ticket show", order["ticket"].lower().replace("-", " "), **there)
        activation = reply("ticket activate --user anna", order["ticket"], **there)
        assert activation["state"] == "confirmed"
        lease = reply("lease checkout l1 --product-code 201001 --user anna --station ws-07", **there)
        assert (lease["seats_in_use"], lease["seats_total"]) == (1, 2)
        licentia("lease checkout l2 --product-code 201001 --user anna", **there)
        refused = reply("lease checkout l3 --product-code 201001 --user anna", code=2, **there)
        assert refused["code"] == "no_free_seats"
        assert "anna" in refused["detail"]
        assert licentia("lease release l2", **there) == "Done.\n"
        assert [each["lease_id"] for each in reply("lease list", **there)["leases"]] == ["l1"]
        assert reply("events verify", **there)["faults"] == []
        assert reply("doctor", **there)["ok"]
    assert reply("doctor --config", str(config))["ok"]


def waiters(config: Path) -> int:
    """How many wait for a seat by now."""
    with contextlib.closing(sqlite3.connect(config.parent / "licentia.db")) as database:
        (count,) = database.execute("SELECT COUNT(*) FROM waiter").fetchone()
    return int(count)


def test_a_server_that_is_stopped_sends_the_queue_home(config: Path) -> None:
    """SIGTERM: who waits for a seat is answered at once that there is none, not cut off when the patience is over."""
    here = {"LICENTIA_CONFIG": str(config)}
    order = reply("order create --source shop --order-number 7 --customer c1 --line acme-cad:1", **here)
    reply("ticket activate --user anna", order["ticket"], **here)
    reply("lease checkout l1 --product-code 201001 --user anna --seats 2", **here)
    headers = {"Authorization": f"Bearer {key_for(config, 'licensing')}"}
    claim = {"product_code": "201001", "user": "anna", "wait_seconds": 20}
    with ThreadPoolExecutor() as pool:
        with serving(config) as url:
            asked = pool.submit(httpx.put, f"{url}/v1/leases/l2", json=claim, headers=headers, timeout=40)
            while not waiters(config):
                assert not asked.done(), asked.result()
                time.sleep(0.02)
            stopped = time.monotonic()
        answer = asked.result(timeout=1)
    assert (answer.status_code, answer.json()["code"]) == (409, "no_free_seats")
    assert time.monotonic() - stopped < 10


READS = (
    "product list",
    "product show acme-cad",
    "order show shop 7",
    "ticket show {ticket}",
    "license list anna",
    "lease list",
    "usage --from 2026-01-01 --to 2026-01-02",
    "events list",
    "plugin list",
    "key public",
)


def test_a_data_folder_and_its_server_answer_alike(config: Path) -> None:
    """With -o json a command prints the same on the data folder and on the server."""
    key = key_for(config, "admin", "sales", "depot", "licensing")
    here = {"LICENTIA_CONFIG": str(config)}
    order = reply("order create --source shop --order-number 7 --customer c1 --line acme-cad:1", **here)
    reply("ticket activate --user anna", order["ticket"], **here)
    local = {words: licentia(words.format(**order), "-o", "json", **here) for words in READS}
    with serving(config) as url:
        there = {"LICENTIA_URL": url, "LICENTIA_KEY": key}
        assert {words: licentia(words.format(**order), "-o", "json", **there) for words in READS} == local
        refusals = [reply("order show shop 8", code=2, **where) for where in (here, there)]
    assert refusals[0] == refusals[1]
    assert refusals[0]["code"] == "not_found"


def test_several_workers_serve_one_data_folder(config: Path) -> None:
    """`--workers 2` serves from two processes that add up to one page of metrics, and leaves no file behind."""
    key = key_for(config, "admin")
    temporary = config.parent.parent / "tmp"
    temporary.mkdir()
    with serving(config, "--workers", "2", TMPDIR=str(temporary)) as url:
        for _ in range(6):
            assert reply("product list --url", url, LICENTIA_KEY=key)["products"]
        metrics = httpx.get(f"{url}/metrics").text
        assert len(list(temporary.glob("*/*.db"))) >= 2
    counted = re.findall(r'licentia_requests_total\{.*operation="ListProducts".*\} (\S+)', metrics)
    assert sum(map(float, counted)) == 6
    assert list(temporary.iterdir()) == []


def test_init_never_touches_what_is_there(config: Path) -> None:
    """A folder that has settings is refused, with exit code 1, and keeps every byte."""
    before = {path: path.read_bytes() for path in config.parent.rglob("*") if path.is_file()}
    assert "left as it is" in licentia("init", str(config.parent), code=1)
    assert {path: path.read_bytes() for path in config.parent.rglob("*") if path.is_file()} == before


def test_init_makes_a_folder_for_one_user(config: Path) -> None:
    """Keys and settings, which may hold the database's password, are readable by their owner only."""
    private = [config, config.parent / "keys", *(config.parent / "keys").iterdir()]
    assert [path for path in private if path.stat().st_mode & 0o077] == []


def test_init_that_fails_can_be_repeated(tmp_path: Path) -> None:
    """A database that cannot be reached is told in a sentence without its password, and leaves no settings behind."""
    url = "postgres://licentia:hunter2@127.0.0.1:1/licentia"
    told = licentia("init", str(tmp_path / "acme"), "--database", url, code=1)
    assert told.count("\n") == 1
    assert "hunter2" not in told
    assert not (tmp_path / "acme" / "licentia.toml").exists()
    licentia("init", str(tmp_path / "acme"))


def test_a_data_folder_may_name_postgresql(tmp_path: Path, postgres_url: str) -> None:
    """`init --database` makes the tables there and only the keys here; all commands work on it."""
    licentia("init", str(tmp_path / "acme"), "--database", postgres_url)
    assert sorted(path.name for path in (tmp_path / "acme").iterdir()) == ["keys", "licentia.toml"]
    here = {"LICENTIA_CONFIG": str(tmp_path / "acme" / "licentia.toml")}
    reply("product put acme-cad --name x --item code=201001", **here)
    reply("key create --scopes admin", **here)
    assert reply("product list", **here)["products"]
    assert reply("doctor", **here)["ok"]


def test_a_port_that_is_taken_is_one_sentence(config: Path) -> None:
    """The second server on a port says so, names --port, and exits 1."""
    with serving(config) as url:
        told = not_serving(config, "--port", url.rpartition(":")[2])
    assert told.count("\n") == 1
    assert "--port" in told


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ('colour = "red"', "colour"),
        ("port = -1", "port"),
        ('containers = ["no-such-thing"]', "no-such-thing"),
        ("port = ", "TOML"),
    ],
)
def test_bad_settings_are_one_sentence(config: Path, setting: str, said: str) -> None:
    """A wrong setting stops a server and a command with one sentence that names it, and exit code 1."""
    config.write_text(setting + "\n")
    for told in (licentia("product list --config", str(config), code=1), not_serving(config)):
        assert told.count("\n") == 1, told
        assert said in told


def test_a_scope_that_does_not_exist_is_wrong_usage(config: Path) -> None:
    """A typing error in --scopes makes no key."""
    told = licentia("key create --scopes admin,sale --config", str(config), code=64)
    assert "'sale'" in told
    assert "licensing" in told
    assert reply("key list --config", str(config))["keys"] == []


def test_a_revoked_key_is_refused_by_a_running_server(config: Path) -> None:
    """`key revoke` works at once, without a restart."""
    made = reply("key create --scopes admin --config", str(config))
    with serving(config) as url:
        there = {"LICENTIA_URL": url, "LICENTIA_KEY": made["key"]}
        licentia("product list", **there)
        licentia("key revoke", made["key_id"], "--config", str(config))
        assert reply("product list", code=2, **there)["code"] == "unauthenticated"


def test_doctor_finds_what_is_wrong(config: Path, tmp_path: Path) -> None:
    """Faults are named with what to do, exit code 2, and nothing is made on the way."""
    here = ("doctor --config", str(config))
    assert [check["name"] for check in reply(*here, code=2)["checks"] if not check["ok"]] == ["api keys"]
    key_for(config, "admin")
    (config.parent / "keys").chmod(0o755)
    assert "chmod" in licentia(*here, code=2)
    (config.parent / "keys").chmod(0o700)
    assert reply(*here)["ok"]
    (config.parent / "keys" / "lease.key").unlink()
    assert "lease.key" in licentia(*here, code=2)
    assert not (config.parent / "keys" / "lease.key").exists()


def test_an_event_that_was_changed_is_found(config: Path) -> None:
    """Who edits the audit trail in the database is found by `events verify` and by `doctor`."""
    with sqlite3.connect(config.parent / "licentia.db") as database:
        database.execute("UPDATE event SET entries = replace(entries, 'operator', 'nobody') WHERE last_seq = 1")
    database.close()
    found = reply("events verify --config", str(config), code=2)
    assert len(found["faults"]) == 1
    assert "was changed" in found["faults"][0]


def test_nowhere_to_go_says_where_to_begin(tmp_path: Path) -> None:
    """Without a server and a data folder the next commands are named."""
    done = subprocess.run(
        [sys.executable, "-m", "licentia", "product", "list"],
        env=ENVIRONMENT,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 64
    assert "licentia init" in done.stderr
    assert "--url" in done.stderr


def test_the_contract_is_exported(tmp_path: Path) -> None:
    """`contract export` writes the same bytes each time: the OpenAPI document and a WSDL per service."""
    for folder in ("one", "two"):
        licentia("contract export", str(tmp_path / folder))
    files = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    assert set(files) == {
        "openapi.json",
        "admin.wsdl",
        "sales.wsdl",
        "depot.wsdl",
        "licensing.wsdl",
        *VECTORS,
    }
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "two").iterdir()}
    assert json.loads(files["openapi.json"])["openapi"].startswith("3.1")
    assert b"urn:licentia:depot:1" in files["depot.wsdl"]
