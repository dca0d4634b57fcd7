"""The checks of `licentia doctor` on a data folder. They look first and open last, and make nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from licentia.cli.checks import Check, judged
from licentia.cli.checks_backlog import backlog_checks
from licentia.cli.command import Failure
from licentia.cli.local import LocalLicentia
from licentia.cli.trail import Trail
from licentia.contract import BY_NAME
from licentia.contract.plugins import ListPlugins, Plugins
from licentia.crypto.keyfiles import KeyFolderError
from licentia.crypto.roots import ROOT_FOLDER
from licentia.domain.events import verify_chain
from licentia.errors import LicensingError
from licentia.services.application import Application
from licentia.settings import Settings
from licentia.storage.database import Connection, Database, DatabaseError

CLOCK_SLACK = timedelta(seconds=5)
ENOUGH_BYTES = 100 * 2**20
OTHERS = stat.S_IRWXG | stat.S_IRWXO
KEY_FILES = ("master.key", "lease.key")


def local_checks(settings: Settings) -> Iterator[Check]:
    """Look at the data folder and all that the settings name; what depends on a fault is left out."""
    sound = True
    for check in (_folder(settings.data), _keys(settings.data / "keys"), *asyncio.run(_database(settings))):
        sound &= check.ok
        yield check
    if not sound:
        return
    try:
        with LocalLicentia(settings) as licentia:
            yield from _application(licentia)
    except Failure as failure:
        yield judged("start", False, failure.message, "The server cannot start like this either.")


def _folder(folder: Path) -> Check:
    if not folder.is_dir():
        return judged("folder", False, f"{folder} is not there", f"`licentia init {folder}` makes it.")
    if not os.access(folder, os.W_OK | os.X_OK):
        return judged("folder", False, f"{folder} cannot be written", "Run this as the user that the server runs as.")
    free = shutil.disk_usage(folder).free
    detail = f"{folder}, {free // 2**20} MiB free"
    return judged("folder", free >= ENOUGH_BYTES, detail, "Make room: a full disk stops every change.")


def _keys(folder: Path) -> Check:
    missing = [name for name in KEY_FILES if not (folder / name).exists()]
    if missing:
        remedy = "Restore keys/ from the backup. In a new folder `licentia serve` makes them."
        return judged("keys", False, f"{', '.join(missing)} missing in {folder}", remedy)
    if sys.platform != "win32":
        for path in (folder, *folder.glob("*.key")):
            if path.stat().st_mode & OTHERS:
                return judged("keys", False, f"others may read {path}", f"chmod go-rwx {path}")
    return judged("keys", True, f"{folder}, for one user only")


async def _database(settings: Settings) -> list[Check]:
    url = settings.database_url
    if not _is_there(url):
        remedy = "Restore it from the backup. In a new folder `licentia serve` makes it."
        return [judged("database", False, f"{url} is not there", remedy)]
    try:
        database = await Database.open(url)
    except DatabaseError as error:
        return [judged("database", False, str(error), "Is the database running?")]
    try:
        pending = await database.pending()
        state = f"lacks {', '.join(pending)}" if pending else "up to date"
        remedy = "The next `licentia serve` brings it up to date."
        found = [judged("database", not pending, f"{database.shown_url}, {state}", remedy)]
        if database.dialect == "sqlite":
            async with database.read() as connection:
                found.append(await _journal(connection))
        return found
    except DatabaseError as error:
        return [judged("database", False, str(error), "It was left as it is.")]
    finally:
        await database.close()


def _is_there(url: str) -> bool:
    return not url.startswith("sqlite:///") or Path(url.removeprefix("sqlite:///")).exists()


async def _journal(connection: Connection) -> Check:
    row = await connection.row("PRAGMA journal_mode")
    mode = row["journal_mode"] if row else "unknown"
    remedy = "Keep the database on a local disk: WAL does not work over a network."
    return judged("journal", mode == "wal", f"SQLite journal mode {mode}", remedy)


async def _issuing(application: Application) -> Check:
    """The key that signs for containers: there, open, and in its time."""
    try:
        kid = application.issuing.current().public.kid
    except LicensingError as refusal:
        return judged("issuing key", False, refusal.detail, refusal.next_step)
    except KeyFolderError as error:
        return judged("issuing key", False, str(error), "docs/keys.md tells about passphrases and tokens.")
    at_home = any((application.settings.data / "keys" / ROOT_FOLDER).glob("*.key"))
    advice = "; the root key is on this machine too: `licentia key root export DIR` moves it" if at_home else ""
    return judged("issuing key", True, f"{kid}{advice}")


def _application(licentia: LocalLicentia) -> Iterator[Check]:
    for name, state in licentia.run(lambda application: application.checks()).items():
        if state != "ok":
            yield judged(name, False, state, "See the log of the server.")
    yield licentia.run(_issuing)
    found = licentia.call(BY_NAME["ListPlugins"], ListPlugins())
    assert isinstance(found, Plugins)
    active = ", ".join(plugin.name for plugin in found.plugins if plugin.state == "active")
    broken = "".join(
        f"; {plugin.name} is broken: {plugin.reason}" for plugin in found.plugins if plugin.state == "broken"
    )
    yield judged("plugins", not broken, f"in use: {active}{broken}", "Repair or uninstall what is broken.")
    yield from backlog_checks(licentia)
    keys = [key for key in licentia.run(lambda application: application.list_keys()) if key.revoked_at is None]
    remedy = "Next: licentia key create --scopes admin,sales,depot,licensing"
    yield judged("api keys", bool(keys), f"{len(keys)} in force" if keys else "none, so nobody can call", remedy)
    trail = Trail(licentia)
    faults = verify_chain(trail)
    remedy = "Compare with a backup: somebody with access to the database has changed the audit trail."
    yield judged("events", not faults, " ".join(faults) or f"{trail.events}, none missing or changed", remedy)
    now = datetime.now(UTC)
    late = trail.last is None or now + CLOCK_SLACK >= trail.last.at
    yield judged(
        "clock", late, f"{now:%Y-%m-%dT%H:%M:%SZ}", "Set it by NTP: the last event was written later than that."
    )
