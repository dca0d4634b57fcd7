"""The database: opened by its URL, read, written, and never named with its password."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licentia.storage import models
from licentia.storage.database import Database, DatabaseError, is_transient, without_password


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """The database, closed at the end."""
    database = await Database.open(url)
    try:
        yield database
    finally:
        await database.close()


async def refusal(url: str) -> str:
    """Why this URL cannot be opened."""
    with pytest.raises(DatabaseError) as caught:
        await (await Database.open(url)).close()
    return str(caught.value)


async def write_and_raise(database: Database) -> None:
    """Write in both ways, then fail."""
    async with database.write() as tx:
        await models.ProductCode.create(code="dropped")
        await tx.rows("INSERT INTO product_code (code) VALUES ($1)", "dropped too")
        raise KeyError


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:////var/lib/licentia.db", "sqlite:////var/lib/licentia.db"),
        ("postgres://u@h/d", "postgres://u@h/d"),
        ("postgres://u:p@h:5432/d?a=b", "postgres://u:***@h:5432/d?a=b"),
        ("postgres://u:@h/d", "postgres://u:***@h/d"),
        ("postgres://:p@h/d", "postgres://:***@h/d"),
        ("postgres://u:p:q@h/d", "postgres://u:***@h/d"),
        ("postgres://u:p@q@h/d", "postgres://u:***@h/d"),
        ("postgres://h/d@x:y@z", "postgres://h/d@x:y@z"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    """Only the password is hidden; the rest is what the operator wrote."""
    assert without_password(url) == shown


@given(st.text(min_size=1), st.from_regex(r"[a-z]{0,8}", fullmatch=True))
def test_no_password_is_shown(password: str, user: str) -> None:
    """Whatever the password is, the shown URL does not depend on it."""
    url = f"postgres://{user}:{quote(password, safe='')}@db.example.com:5432/licentia"
    assert without_password(url) == f"postgres://{user}:***@db.example.com:5432/licentia"
    assert urlsplit(url).hostname == "db.example.com"


@pytest.mark.parametrize("url", ["", "licentia.db", "mysql://u:hunter2@h/d", "postgre://u:hunter2@h/d"])
async def test_an_unknown_scheme_is_refused(url: str) -> None:
    """A database that is not supported is refused with what is."""
    message = await refusal(url)
    assert "sqlite:/// or postgres://" in message
    assert "hunter2" not in message


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """SQLite makes the file, not its folder."""
    message = await refusal(f"sqlite:///{tmp_path / 'missing' / 'licentia.db'}")
    assert message == f"The folder {tmp_path / 'missing'} does not exist. `licentia init` makes it."


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """A file of another kind is refused and stays as it is."""
    (tmp_path / "licentia.db").write_text("This is no database.\n" * 100)
    assert "cannot be opened" in await refusal(f"sqlite:///{tmp_path / 'licentia.db'}")
    assert (tmp_path / "licentia.db").read_text().startswith("This is no database.")


async def test_nothing_answers() -> None:
    """A server that is not there is named without its password."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    message = await refusal(f"postgres://u:hunter2@127.0.0.1:{port}/licentia")
    assert f"postgres://u:***@127.0.0.1:{port}/licentia cannot be opened" in message
    assert "hunter2" not in message


@pytest.mark.parametrize("rest", ["127.0.0.1:many/d", "127.0.0.1:99999/d", "127.0.0.1/d?no_such=1", "[/d"])
async def test_a_broken_url_is_refused(rest: str) -> None:
    """A typing error in the URL is told as one, and without the password."""
    message = await refusal(f"postgres://u:hunter2@{rest}")
    assert "hunter2" not in message
    assert "`database` in the settings" in message


async def test_a_missing_database_is_refused(postgres_url: str) -> None:
    """A server that has no such database says so."""
    assert "to database no_such_db." in await refusal(urlsplit(postgres_url)._replace(path="/no_such_db").geturl())


async def test_both_spellings_of_postgresql_are_known(postgres_url: str) -> None:
    """`postgresql://` is what other tools write."""
    async with opened(postgres_url.replace("postgres://", "postgresql://", 1)) as database:
        assert database.dialect == "postgres"
        assert await database.pending() == []


async def test_what_was_committed_is_kept(database_url: str) -> None:
    """A transaction that ends is there for another connection; one that raises never was."""
    async with opened(database_url) as database:
        async with database.write():
            await models.ProductCode.create(code="kept")
        with pytest.raises(KeyError):
            await write_and_raise(database)
    async with opened(database_url) as again, again.read() as connection:
        assert await connection.rows("SELECT code FROM product_code") == [{"code": "kept"}]


async def test_models_and_sql_are_one_transaction(database_url: str) -> None:
    """What raw SQL wrote, a model sees before the commit; another task does not."""
    async with opened(database_url) as database, opened(database_url) as other:
        async with database.write() as tx:
            await tx.rows("INSERT INTO product_code (code) VALUES ($1)", "new")
            assert await models.ProductCode.exists(code="new")
            async with other.read() as connection:
                assert await connection.rows("SELECT code FROM product_code") == []
        async with other.read():
            assert await models.ProductCode.exists(code="new")


async def test_many_tasks_use_one_database(database_url: str) -> None:
    """Reads and writes of many tasks at once each see their own transaction, and all end."""
    async with opened(database_url) as database:

        async def work(number: int) -> None:
            async with database.write() as tx:
                (row,) = await tx.rows("SELECT seq FROM chain WHERE id = 3 FOR UPDATE")
                await asyncio.sleep(0)
                await tx.rows("UPDATE chain SET seq = $1 WHERE id = 3", row["seq"] + 1)
            async with database.read():
                await models.Chain.get(id=number % 16)

        await asyncio.gather(*[work(number) for number in range(40)])
        async with database.read():
            assert (await models.Chain.get(id=3)).seq == 40


async def test_the_clock_is_the_databases_own(database_url: str) -> None:
    """Within a transaction the clock goes on, in UTC."""
    async with opened(database_url) as database, database.write() as tx:
        first = await tx.now()
        await asyncio.sleep(0.01)
        assert (await tx.now() - first).total_seconds() >= 0.01
        assert str(first.tzinfo) == "UTC"


async def test_one_process_may_open_one_kind_after_the_other(postgres_url: str, data: Path) -> None:
    """Models speak the SQL of the database that they are used with, whatever was open before."""
    for url in (postgres_url, f"sqlite:///{data / 'licentia.db'}", postgres_url):
        async with opened(url) as database, database.write():
            await models.ProductCode.get_or_create(code="a")
            assert await models.ProductCode.filter(code="a").select_for_update().count() == 1
            await models.Product.update_or_create(sku="s", defaults={"name": "n", "items": "", "updated_at": 0})


async def test_a_lost_race_may_be_run_again(postgres_url: str) -> None:
    """On PostgreSQL two transactions can open the same thing; the loser's error says that it may try again."""
    async with opened(postgres_url) as database:

        async def create() -> None:
            async with database.write() as tx:
                await tx.rows("SELECT pg_sleep(0.05)")
                await models.ProductCode.create(code="one")

        outcomes = await asyncio.gather(create(), create(), return_exceptions=True)
    (error,) = [outcome for outcome in outcomes if outcome is not None]
    assert is_transient(error)


@pytest.mark.parametrize(
    "error", [ValueError("x"), KeyError("UniqueViolationError"), TimeoutError(), FileNotFoundError(), AssertionError()]
)
def test_a_fault_of_our_own_is_not_run_again(error: Exception) -> None:
    """An error that would come again the same is not tried again."""
    assert not is_transient(error)
