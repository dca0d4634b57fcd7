"""Health: what the server says of itself, what it tells when its database is gone, and what it never says."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import structlog

from licentia.contract import BY_NAME, parse
from licentia.errors import InternalError, LicensingError, Unavailable
from licentia.services import plugins as plugins_service
from licentia.services.application import Application
from licentia.services.identity import OPERATOR, BearerToken
from licentia.settings import Settings
from licentia.storage.database import DatabaseError


async def test_a_healthy_server(desk: Any) -> None:
    """Every part says ok."""
    assert await desk.application.checks() == {"database": "ok", "keys": "ok", "plugins": "ok"}


async def test_a_server_without_its_database(
    postgres_server: str, postgres_url: str, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so, asks callers to come back, and works again as soon as the database does."""
    import asyncpg

    async def admit(allowed: bool) -> None:
        name = urlsplit(postgres_url).path[1:]
        connection = await asyncpg.connect(postgres_server)
        try:
            await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {str(allowed).lower()}")
            await connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        finally:
            await connection.close()

    application = await Application.open(Settings(data=data, database=postgres_url))
    try:
        await admit(False)
        calls = [
            ("ListProducts", {}),
            ("PutProduct", {"sku": "s", "name": "S", "items": [{"product_code": "c"}]}),
        ]
        for name, fields in calls:
            with pytest.raises(Unavailable) as refusal:
                await application.call(BY_NAME[name], parse(BY_NAME[name], fields), OPERATOR)
            assert refusal.value.retry_after_seconds
        with pytest.raises(Unavailable):
            await application.authenticate(BearerToken("lic_a_b"), "192.0.2.1")
        assert "not reachable" in (await application.checks())["database"]
        await admit(True)
        for name, fields in calls:
            await application.call(BY_NAME[name], parse(BY_NAME[name], fields), OPERATOR)
        assert (await application.checks())["database"] == "ok"
    finally:
        await application.close()


async def test_a_server_whose_schema_is_not_complete(desk: Any) -> None:
    """A step that is missing is named, so that nobody sends work to this process."""
    await desk.sql("DELETE FROM tortoise_migrations WHERE name = '0002_invariants'")
    assert (await desk.application.checks())["database"] == "migrations missing: 0002_invariants"


async def test_a_failure_of_our_own_is_told_without_its_words(small_desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller learns that something failed, the log learns what and in which request."""

    async def fail(request: Any, context: Any) -> Any:
        raise ValueError("hunter2")

    operation = BY_NAME["ListPlugins"]
    monkeypatch.setattr(plugins_service, "list_plugins", fail)
    monkeypatch.delitem(vars(operation), "run", raising=False)
    with structlog.testing.capture_logs() as logs, pytest.raises(InternalError) as refusal:
        await small_desk.application.call(operation, parse(operation, {}), OPERATOR, request_id="req1")
    vars(operation).pop("run", None)
    assert "hunter2" not in refusal.value.detail
    (entry,) = [entry for entry in logs if entry["event"] == "operation_failed"]
    assert (entry["operation"], entry["request_id"], entry["code"]) == ("ListPlugins", "req1", "internal_error")


async def test_the_log_holds_no_secret(desk: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A whole story, with refusals and failed logins, leaves no ticket code, key or token in any log."""
    with structlog.testing.capture_logs() as logs, caplog.at_level(logging.INFO):
        _, key = await desk.key("licensing")
        await desk.application.authenticate(BearerToken(key), "192.0.2.1")
        await desk.sold()
        lease = await desk.checkout()
        for wrong in (key[:-1], "lic_x_hunter2"):
            with pytest.raises(LicensingError):
                await desk.application.authenticate(BearerToken(wrong), "192.0.2.1")
        with pytest.raises(LicensingError):
            await desk("GetTicket", code="00000-11111-22222-33333-44444")
    tickets = [row["code"] for row in await desk.sql("SELECT code FROM ticket")]
    written = caplog.text + repr(logs)
    for secret in (key, lease.token, "hunter2", "44444", *tickets):
        assert secret not in written


async def test_what_stops_the_start_is_one_sentence(tmp_path: Path) -> None:
    """A start that fails leaves nothing open and says what to do."""
    with pytest.raises(DatabaseError, match="does not exist"):
        await Application.open(Settings(data=tmp_path, database=f"sqlite:///{tmp_path}/missing/x.db"))
    from licentia.plugins import PluginError

    with pytest.raises(PluginError, match="dongle"):
        await Application.open(Settings(data=tmp_path, containers=("dongle",)))
    await (await Application.open(Settings(data=tmp_path))).close()


async def test_several_servers_share_one_database(open_desk: Callable[..., Any]) -> None:
    """What one process writes the other reads, and seats are counted across both."""
    one, two = await open_desk(), await open_desk()
    await one.sold(quantity=3)
    outcomes = await asyncio.gather(
        *[desk.checkout(f"l{place}{number}") for place, desk in enumerate((one, two)) for number in range(5)],
        return_exceptions=True,
    )
    assert sum(not isinstance(outcome, Exception) for outcome in outcomes) == 3
    assert await one.leases() == await two.leases()
    assert await one("ListPublicKeys") == await two("ListPublicKeys")
