"""The demo as a newcomer meets it: start it, paste what it prints, take all seats, stop it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from licentia.cli.commands import demo_run
from licentia.client.faults import Unreachable
from licentia.client.remote import RemoteLicentia

LICENTIA = [sys.executable, "-m", "licentia"]
WAIT_SECONDS = 30


@dataclass
class Demo:
    """A demo that runs in a process of its own, with its temporary files in `folder`."""

    folder: Path
    process: subprocess.Popen[str]
    info: dict[str, Any]
    programs: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def variables(self) -> dict[str, str]:
        """The environment that finds this demo, and no other on the machine."""
        return variables(self.folder)

    def program(self, *words: str) -> subprocess.Popen[str]:
        """`licentia demo run`."""
        command = [*LICENTIA, "demo", "run", *words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.programs.append(subprocess.Popen(command, env=self.variables, text=True, **pipes))
        return self.programs[-1]


def variables(folder: Path) -> dict[str, str]:
    """An environment whose temporary and run-time files are in `folder`, and whose `licentia` is this one."""
    scripts = str(Path(sys.executable).parent)
    return os.environ | {
        "TMPDIR": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
        "PATH": f"{scripts}:{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",
    }


@contextmanager
def demo(folder: Path, *words: str, **more: str) -> Iterator[Demo]:
    """A demo, from the moment it says it is ready."""
    folder.mkdir(exist_ok=True)
    told = folder.parent / f"info-{time.monotonic_ns()}.json"
    command = [*LICENTIA, "demo", "--info", str(told), *words]
    process = subprocess.Popen(command, env=variables(folder) | more, stdout=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + WAIT_SECONDS
        while not told.exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "the demo is not ready"
            time.sleep(0.01)
        running = Demo(folder, process, json.loads(told.read_text()))
        try:
            yield running
        finally:
            for program in running.programs:
                with program:
                    program.kill()
    finally:
        with process:
            process.terminate()
            try:
                process.wait(timeout=WAIT_SECONDS)
            finally:
                process.kill()


def test_the_info_comes_when_all_is_ready(tmp_path: Path) -> None:
    """At the moment the file is there, the server is ready, each key has its scope, and the tickets are unredeemed."""
    with demo(tmp_path / "a", "--port", "0") as running:
        url, keys = running.info["base_url"], running.info["keys"]
        assert httpx.get(f"{url}/readyz").status_code == 200
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
        assert list(keys) == ["admin", "sales", "depot", "licensing"]
        assert running.info["products"] == [
            {"sku": "acme-cad", "product_code": "201001", "quantity": 3},
            {"sku": "acme-render", "product_code": "201002", "quantity": 1},
        ]
        for ticket, product, units in zip(running.info["tickets"], running.info["products"], (None, 1000), strict=True):
            shown = httpx.get(f"{url}/v1/tickets/{ticket}", headers={"Authorization": f"Bearer {keys['depot']}"}).json()
            (held,) = shown["licenses"]
            assert held["product_code"] == product["product_code"]
            assert held["available"] == held["quantity"] == product["quantity"]
            assert held["units_total"] == units
        forbidden = httpx.get(f"{url}/v1/leases", headers={"Authorization": f"Bearer {keys['depot']}"})
        assert forbidden.status_code == 403


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_nothing_is_left_when_it_is_stopped(tmp_path: Path, stop: signal.Signals) -> None:
    """However it is stopped, the exit code is 0, and the data folder and the run-time file are gone."""
    with demo(tmp_path / "a", "--port", "0") as running:
        assert list(running.folder.iterdir())
        running.process.send_signal(stop)
        assert running.process.wait(timeout=WAIT_SECONDS) == 0
        assert list(running.folder.iterdir()) == []


def test_what_it_prints_can_be_pasted(tmp_path: Path) -> None:
    """Every address it prints answers 200, and each of its five commands works, in any order and twice."""
    with demo(tmp_path / "a", "--port", "0") as running:
        assert running.process.stdout is not None
        url = running.info["base_url"]
        lines = []
        while len(commands := [line for line in lines if re.match(r"licentia |curl ", line)]) < 5:
            lines.append(running.process.stdout.readline().rstrip("\n"))
        text = "\n".join(lines)
        for address in set(re.findall(rf"{url}/(?:docs|openapi\.json|soap/\w+\?wsdl)", text)):
            assert httpx.get(address).status_code == 200, address
        assert len(re.findall(r"\?wsdl", text)) == 4
        for command in [*reversed(commands), *commands[1:]]:
            command = command.replace("demo run", "demo run --seconds 1")
            done = subprocess.run(
                command, shell=True, env=running.variables, capture_output=True, text=True, timeout=WAIT_SECONDS
            )
            assert done.returncode == 0, (command, done.stdout, done.stderr)
            assert done.stdout.strip(), command


def test_three_seats_are_three_seats(tmp_path: Path) -> None:
    """Of four programs started at once three work; the fourth is told who does, and gets in when one has ended."""
    with demo(tmp_path / "a", "--port", "0") as running:
        programs = [running.program() for _ in range(4)]
        refused: list[subprocess.Popen[str]] = []
        deadline = time.monotonic() + WAIT_SECONDS
        while not refused and time.monotonic() < deadline:
            refused = [program for program in programs if program.poll() is not None]
            time.sleep(0.02)
        (fourth,) = refused
        output, errors = fourth.communicate()
        assert fourth.returncode == 2
        assert "no_free_seats" in errors
        host = socket.gethostname()
        working = [program for program in programs if program is not fourth]
        for program in working:
            assert f"{host}-{program.pid}" in errors
        assert "Ctrl-C" in errors
        working[0].terminate()
        output, errors = working[0].communicate(timeout=WAIT_SECONDS)
        assert working[0].returncode == 0, errors
        assert "Acme CAD" in output
        fifth = running.program("--seconds", "1")
        output, errors = fifth.communicate(timeout=WAIT_SECONDS)
        assert (fifth.returncode, errors) == (0, "")
        assert "3 of 3" in output
        for program in working[1:]:
            program.send_signal(signal.SIGINT)
            program.communicate(timeout=WAIT_SECONDS)
        leases = httpx.get(
            f"{running.info['base_url']}/v1/leases",
            headers={"Authorization": f"Bearer {running.info['keys']['licensing']}"},
        )
        assert leases.json()["leases"] == []


def test_a_program_keeps_its_seat_and_loses_it_only_by_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It renews one and the same lease; when the server is gone it works on until that lease has ended."""
    monkeypatch.setattr(demo_run, "TTL_SECONDS", 3)
    with demo(tmp_path / "a", "--port", "0") as running:
        first = running.program("--seconds", "1")
        first.communicate(timeout=WAIT_SECONDS)
        url, key = running.info["base_url"], running.info["keys"]["licensing"]
        with RemoteLicentia(url, key) as licentia:
            seat = demo_run.Seat(licentia, "demo")
            seat.take()
            granted = seat.lease
            with seat:
                while seat.lease is granted:
                    assert not seat.over.wait(0.05)
                assert not seat.lease.created
                assert seat.lease.seats_in_use == 1
                running.process.kill()
                running.process.wait(timeout=WAIT_SECONDS)
                assert seat.over.wait(WAIT_SECONDS)
                assert datetime.now(UTC) >= seat.lease.expires_at
                assert isinstance(seat.end, Unreachable)


def test_another_user_is_not_licensed(tmp_path: Path) -> None:
    """The ticket is activated for the first user; another one is refused with the reason."""
    with demo(tmp_path / "a", "--port", "0") as running:
        first = running.program("--seconds", "1")
        _, errors = first.communicate(timeout=WAIT_SECONDS)
        assert first.returncode == 0, errors
        other = running.program("--user", "eve")
        _, errors = other.communicate(timeout=WAIT_SECONDS)
        assert other.returncode == 2
        assert "not_licensed" in errors


def test_a_program_without_a_demo_says_how_to_start_one(tmp_path: Path) -> None:
    """No demo, or one that was killed and left its file, is exit code 1 or 69 and the command to start one."""
    words = [*LICENTIA, "demo", "run"]
    none = subprocess.run(words, env=variables(tmp_path), capture_output=True, text=True, timeout=WAIT_SECONDS)
    assert none.returncode == 1
    assert "`licentia demo`" in none.stderr
    with demo(tmp_path / "a", "--port", "0") as running:
        running.process.kill()
        running.process.wait(timeout=WAIT_SECONDS)
        gone = subprocess.run(words, env=running.variables, capture_output=True, text=True, timeout=WAIT_SECONDS)
    assert gone.returncode == 69
    assert "`licentia demo`" in gone.stderr


def test_the_environment_of_a_server_does_not_matter(tmp_path: Path) -> None:
    """Variables that belong to another server, even wrong ones, do not reach the demo."""
    hostile = {
        "LICENTIA_CONFIG": "/nonexistent.toml",
        "LICENTIA_DATABASE": "postgres://nobody@127.0.0.1:1/none",
        "LICENTIA_PORT": "none",
        "LICENTIA_COLOUR": "red",
        "LICENTIA_URL": "http://127.0.0.1:1",
        "LICENTIA_KEY": "no key",
    }
    with demo(tmp_path / "a", "--port", "0", **hostile) as running:
        assert httpx.get(f"{running.info['base_url']}/readyz").status_code == 200
        program = [*LICENTIA, "demo", "run", "--seconds", "1"]
        done = subprocess.run(
            program, env=running.variables | hostile, capture_output=True, text=True, timeout=WAIT_SECONDS
        )
        assert done.returncode == 0, done.stderr


def test_a_port_that_was_asked_for_is_not_replaced(tmp_path: Path) -> None:
    """`--port` with a taken port is a fault in one sentence; only the default gives way."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [*LICENTIA, "demo", "--port", port],
            env=variables(tmp_path),
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS,
        )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert port in done.stderr


def test_an_info_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    """A folder that is not there ends the demo with exit code 1 and leaves nothing behind."""
    command = [*LICENTIA, "demo", "--port", "0", "--info", str(tmp_path / "none" / "info.json")]
    (tmp_path / "a").mkdir()
    done = subprocess.run(command, env=variables(tmp_path / "a"), capture_output=True, text=True, timeout=WAIT_SECONDS)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "info.json cannot be written" in done.stderr
    assert list((tmp_path / "a").iterdir()) == []


def test_two_demos_do_not_disturb_each_other(tmp_path: Path) -> None:
    """The later demo is the one that programs find; when the earlier one ends, they still find it."""
    with demo(tmp_path / "a") as first, demo(tmp_path / "a") as second:
        assert first.info["base_url"] != second.info["base_url"]
        first.process.terminate()
        first.process.wait(timeout=WAIT_SECONDS)
        program = second.program("--seconds", "1")
        _, errors = program.communicate(timeout=WAIT_SECONDS)
        assert program.returncode == 0, errors
